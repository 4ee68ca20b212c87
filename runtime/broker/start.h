/* Starting a call: everything between its turn and the worker that runs it.
 *
 * Owns: the order of preparation (audit health, executable, working directory and files that
 * slots grant, capture files, copiers and worker, `start` event) and undoing it all when one step fails. Never: makes
 * a decision about the request; that has been made. Runs nothing before the `start` event is
 * written. */
#ifndef SLUICE_START_H
#define SLUICE_START_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/opening.h"
#include "runtime/broker/request.h"

struct broker;

enum start_result {
    /* The call got its `start` event, even when nothing then ran: what follows is the worker's
     * report, or call->answer_due says that the call's end is settled (call->status). */
    START_DONE,
    START_REFUSED, /* audited and answered; the entry is the caller's to free */
    START_WAITS,   /* what it names cannot be opened at once (opener.h); nothing has been done */
};

/* Starts call `index`, whose entry has its number, peer, terms and connection. `order->request` has
 * been decided for `order->rule`, and broker->environment made for it. `opened`: what an opener has
 * opened for it, which is taken, or NULL. `descriptors` (in, out, err) stay the caller's, who closes
 * them after this; they may have other numbers then. */
enum start_result call_start(struct broker *broker, uint32_t index,
                             const struct requester *requester,
                             const struct opening_order *order, const struct opening *opened,
                             int *descriptors);

#endif
