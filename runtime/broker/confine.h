/* The broker's own confinement: what it still needs once it serves.
 *
 * Owns: the list of directories that a serving broker writes in or runs from (audit files, socket,
 * its own executable), and the comparison of two policies' demands on a broker's confinement. How it
 * is confined is runtime/worker/confinement.h's affair.
 *
 * Confinement cannot be taken back, and a successor at SIGHUP runs inside what its predecessor gave
 * up. A policy that asks for another confinement of the broker therefore needs a restart, and the
 * check of a new broker says so. */
#ifndef SLUICE_CONFINE_H
#define SLUICE_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/failure.h"
#include "runtime/include/policy.h"
#include "runtime/worker/confinement.h"

struct broker;

/* Confines this process. What is missing goes through `tell`. 0, or -1 with `failure`. */
int confine_self(struct broker *broker, confinement_tell *tell, void *context,
                 struct failure *failure);

/* A number for what this broker has given up for good: its filter, and, where it is restricted in the
 * file system, what it can still reach. 0: nothing. (FNV-1a; no secret depends on it.) */
uint64_t confine_given_up(const struct broker *broker);

/* Whether a broker of `policy` can do its work as the successor of one that has given up so much. */
bool confine_can_follow(const struct policy *policy, uint64_t given_up);

#endif
