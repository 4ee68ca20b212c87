/* Orphans: what a call left behind when its worker was killed before it could clean up.
 *
 * Workers are subreapers, and a worker ends whatever its call started. One that is killed itself (by
 * the out-of-memory killer, or by a program of the same user) cannot; the kernel then gives its
 * descendants to the next subreaper, the broker. Under `kill = tree` they are killed here, again and
 * again until none is left, so that the promise of the rule holds.
 *
 * What comes to us does not say of which call it was. While what a call of `kill = tree` left is being
 * swept, whatever comes is killed, also if a call of another kind loses its worker at that time: that
 * one may leave processes behind, but is promised nothing.
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

/* What is under way. */
enum orphans_sweep {
    SWEEP_NONE,
    SWEEP_SPARE, /* what is found is a call's of kill = group */
    SWEEP_KILL,
};

/* What goes from one image to the next. */
struct orphans_saved {
    uint32_t sweep; /* enum orphans_sweep */
    uint32_t spared_count;
    int32_t spared[ORPHANS_SPARED_MAX]; /* processes of calls with kill = group */
};

struct orphans {
    int children; /* the list, open from the start: the broker confines itself later; -1 */
    bool held;    /* a successor does not know all its own processes yet */
    uint32_t passes, quiet; /* of the sweep under way */
    struct orphans_saved saved;
    struct timer timer;
};

/* `children`: the open list of an earlier image, which is taken over, or -1. In a successor nothing is
 * killed or spared before orphans_restore. */
void orphans_begin(struct broker *broker, int children);

/* In a successor that knows all its workers and captures: goes on where the earlier image was. */
void orphans_restore(struct broker *broker, const struct orphans_saved *saved);

/* Whether these are what orphans_restore takes. */
bool orphans_are_sound(const struct orphans_saved *saved);

/* A worker was lost while it ran a call; `kill_tree`: what its rule says. */
void orphans_sweep(struct broker *broker, bool kill_tree);

/* The next pass. */
void orphans_expire(struct broker *broker);

/* A child has been reaped: its number may come again for another. */
void orphans_forget(struct broker *broker, pid_t child);

#endif
