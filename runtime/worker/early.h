/* Orders about a call that its worker has not seen yet: they come over another socket than the call.
 *
 * Owns what was ordered, until the call runs or it is known that none comes. Carries nothing out. */
#ifndef SLUICE_EARLY_H
#define SLUICE_EARLY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/worker/ahead.h"
#include "runtime/worker/protocol.h"

/* How often the worker looks whether the call is there. */
#define EARLY_LOOK_MS 1
/* How long a child may leave a call waiting that was ordered something: it may have been stopped. */
#define EARLY_PATIENCE_MS 100u

struct early {
    uint64_t call; /* 0: there are none */
    uint64_t since; /* CLOCK_MONOTONIC ms */
    uint64_t signals; /* bit N: signal N */
    bool kill_group, kill_tree;
};

/* Keeps an order. One about another call than those before it takes their place. */
void early_keep(struct early *early, const struct worker_ask *ask);

/* While no call runs: forgets the orders if their call is over, `last` being the last one that was
 * answered, or does not come: the broker gives a call before it orders anything about it, so it would be
 * in the socket or in the child's hands. A child that has left it in the socket for EARLY_PATIENCE_MS is
 * sent SIGKILL; its end says whether somebody else is to take the call. */
void early_tend(struct early *early, const struct ahead *ahead, uint64_t last);

#endif
