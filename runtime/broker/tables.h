/* The broker's tables: made once at start, as large as the policy's limits can ever need.
 *
 * Owns: their sizes, and the resource limits that follow from them. The memory is reserved and
 * touched only as far as it is used, so an idle broker stays small. */
#ifndef SLUICE_TABLES_H
#define SLUICE_TABLES_H

#include <stdint.h>

struct broker;
struct failure;

/* Makes every table, with room for `inherited` calls of an earlier image beyond the policy's limits,
 * which may have shrunk. 0, or -1 with `failure`. */
int tables_make(struct broker *broker, uint32_t inherited, struct failure *failure);

/* Raises RLIMIT_NOFILE as far as the tables can need it and the hard limit allows. Says so when that
 * is not enough. Children get the original limit: confinement_host. */
void tables_raise_limits(const struct broker *broker);

#endif
