/* Starting a call: everything between its turn and the worker that runs it.
 *
 * Owns: the order of preparation (audit health, executable, working directory, files that slots
 * grant, capture files, worker, `start` event) and undoing it all when one step fails. Never: makes
 * a decision about the request; that has been made. Runs nothing before the `start` event is
 * written. */
#ifndef SLUICE_START_H
#define SLUICE_START_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/request.h"

struct broker;

/* Starts call `index`, whose entry has its number, peer, terms and connection. `request` has been
 * decided for `rule`, and broker->environment made for it. `descriptors` (in, out, err) stay the
 * caller's, who closes them after this.
 *
 * False if it has been refused: audited and answered, and the entry is the caller's to free. True
 * if the call got its `start` event, even when nothing then ran: what follows is the worker's
 * report, or call->answer_due says that the call's end is settled (call->status). */
bool call_start(struct broker *broker, uint32_t index, const struct requester *requester,
                const struct wire_request *request, uint32_t rule, const int *descriptors);

#endif
