/* The child cloned ahead: it waits for the next call itself, so that a call need not wait for the worker
 * to be woken, for clone, nor for what of its set-up is the same each time.
 *
 * The child runs on the worker's memory beside the worker (CLONE_VM). So while it waits and until it
 * has gone, by exec or by its end, what is here is written by it alone (`state` last of all), it
 * leaves errno alone, and it reads of the worker's what the worker changes only while there is no such
 * child: the rulesets, the limits. It holds what the worker holds, close-on-exec. Of a call it takes
 * all or nothing: one that it cannot do is left for the worker (AHEAD_MISSED). While it waits, nobody
 * else reads from the socket for calls.
 *
 * Owns the waiting child until it has a call; then the child is the call's leader, the worker's. */
#ifndef SLUICE_AHEAD_H
#define SLUICE_AHEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/worker/apply.h"
#include "runtime/worker/ask.h"
#include "runtime/worker/spawn.h"

enum ahead_state {
    AHEAD_WAITS,
    AHEAD_TAKES,  /* the call in `ask`; if it ends so, the call may still be there, or be gone */
    AHEAD_TOOK,   /* the call in `ask`: it runs, or `spawn.stage` says why nothing does */
    AHEAD_MISSED, /* there is a call that needs more: it has ended, and the call is still there */
    AHEAD_LAST,   /* the broker has closed the socket: no call comes any more */
    AHEAD_UNABLE, /* it could not set itself up */
};

struct ahead {
    pid_t pid;      /* of the child that waits, or took a call that nobody has claimed; 0: none */
    uint32_t state; /* enum ahead_state */
    int asks;       /* where calls come from */
    const struct policy *policy;
    const struct rulesets *rulesets;
    struct worker_memory *memory;
    bool needs_directory; /* a call that brings no working directory is the worker's to refuse */
    struct spawn spawn; /* what it needs; the first part is set by whoever owns this */
    struct worker_ask ask;
    struct ask_text text;
};

/* Whether children of this confinement can wait: they cannot where the worker watches each. */
bool ahead_is_possible(const struct spawn *spawn);

/* Clones one. `stack` is SPAWN_STACK_BYTES that nobody else uses until it has gone. Returns 0 or a
 * negative errno (clone(2)), with no child then. */
int ahead_start(struct ahead *ahead, void *stack);

/* What it has come to so far. */
enum ahead_state ahead_state(const struct ahead *ahead);

/* Whether it has ended: it is still to be reaped. */
bool ahead_has_ended(const struct ahead *ahead);

/* Ends the one that waits, if any: before the worker itself does. */
void ahead_stop(struct ahead *ahead);

#endif
