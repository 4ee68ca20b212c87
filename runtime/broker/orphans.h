/* Orphans: what a call left behind when its worker was killed before it could clean up.
 *
 * Workers are subreapers, and a worker ends whatever its call started. One that is killed itself (by
 * the out-of-memory killer, or by a program of the same user) cannot; the kernel then gives its
 * descendants to the next subreaper, the broker. Under `kill = tree` they are killed here, again and
 * again until none is left, so that the promise of the rule holds.
 *
 * Owns: the list of this process's children (proc_tid_children(5)), and the timer of a sweep. Never:
 * touches a process that is the broker's own (workers, copiers, the check of a new broker), or what
 * an orphaned call of `kill = group` is allowed to leave. */
#ifndef SLUICE_ORPHANS_H
#define SLUICE_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/timers.h"

struct broker;

#define ORPHANS_SPARED_MAX 256u
#define ORPHANS_SWEEP_MS 10u
/* Passes that find nothing before a sweep is over: a descendant comes to us only when all between
 * it and the worker have ended. */
#define ORPHANS_QUIET_PASSES 5u
#define ORPHANS_PASSES_MAX 1000u

struct orphans {
    int children; /* the list, open from the start: the broker confines itself later; -1 */
    uint32_t passes, quiet; /* of the sweep under way */
    bool kill;              /* what is found; else it is spared */
    uint32_t spared_count;
    pid_t spared[ORPHANS_SPARED_MAX]; /* of calls with kill = group */
    struct timer timer;
};

/* `children`: the open list of an earlier image, which is taken over, or -1. */
void orphans_begin(struct broker *broker, int children);

/* A worker was lost while it ran a call; `kill_tree`: what its rule says. */
void orphans_sweep(struct broker *broker, bool kill_tree);

/* The next pass. */
void orphans_expire(struct broker *broker);

/* A child has been reaped: its number may come again for another. */
void orphans_forget(struct broker *broker, pid_t child);

#endif
