/* SIGHUP.
 *
 * Owns: reopening the audit trail, and becoming a newer broker in place. */
#ifndef SLUICE_RELOAD_H
#define SLUICE_RELOAD_H

#include <stdint.h>

struct broker;

struct reload {
    uint64_t count; /* so far */
};

/* SIGHUP came. */
void reload_begin(struct broker *broker);

#endif
