/* What came of a call: the status that it is answered, in words, and its `exit` event.
 *
 * Owns: how the facts in a call's entry become what the caller and the audit trail are told. Never:
 * changes those facts, but for noting that the event has been written. */
#ifndef SLUICE_OUTCOME_H
#define SLUICE_OUTCOME_H

#include <stdint.h>

#include "runtime/shared/io.h"

struct broker;
struct call;

/* The status to answer, once the direct child has ended or nothing ran: an exit code, 128 and a
 * signal's number, or a negative one (shared/status.def). */
int32_t call_status(const struct call *call);

/* What a version 2 caller is told besides the status; nothing where an exit code says it all. */
void call_explain(struct text *text, const struct call *call, int32_t status);

/* Writes the exit event. Every call with a `start` event gets exactly one. */
void call_record(struct broker *broker, struct call *call);

#endif
