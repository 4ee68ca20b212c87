/* Running calls: from the worker's hands to the last event.
 *
 * Owns: each step of a call after its `start` event: the child's end, the answer, timeouts and every
 * other ending, what it leaves in the background, the `exit` event. Never: blocks; a process that
 * does not die, a caller that does not read and a capture that does not end cost an entry of a table
 * each, with a deadline where the rule has one.
 *
 * Every call that got a `start` event gets exactly one `exit` event: call_record is the one place
 * that writes it. */
#ifndef SLUICE_RUNNING_H
#define SLUICE_RUNNING_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/calls.h"
#include "runtime/worker/worker.h"

struct broker;

/* From SIGTERM to SIGKILL. */
#define KILL_AFTER_MS 2000u
/* From SIGKILL to answering for a child that does not die of it: the kernel holds it. */
#define GIVE_UP_MS 5000u
/* How long an answer waits for a caller that is slow to take what the pipe holds. */
#define ANSWER_PATIENCE_MS 200u
/* From asking a capture to finish to ending it by force. */
#define CAPTURE_ABORT_MS 1000u
/* While calls linger, how often one is looked for that can make room for them. */
#define ROOM_RETRY_MS 100u
/* An order that the worker's full socket did not take is given again after this long. */
#define ORDER_RETRY_MS 20u

/* A call has its `start` event: sets its deadlines. If nothing ran (call->answer_due), settles it. */
void call_run(struct broker *broker, uint32_t index);

/* After a reload: goes on with a call of the earlier image, whose worker and capture have been taken
 * over. */
void call_resume(struct broker *broker, uint32_t index);

/* A worker reported. */
void call_report(struct broker *broker, uint32_t index, const struct worker_report *report);

/* The call's worker is gone; the kernel has killed its direct child. */
void call_lose_worker(struct broker *broker, uint32_t index);

/* The call's capture has news. */
void call_capture_changed(struct broker *broker, uint32_t index);

/* A deadline of the call has come. */
void call_expire(struct broker *broker, uint32_t index);

/* The caller of a call is gone: its connection has closed. */
void call_lose_caller(struct broker *broker, uint32_t index);

/* The caller sent a signal, which goes to the call's process group if its rule passes it on. A call
 * that still waits is ended by one that would end it. */
void call_forward_signal(struct broker *broker, uint32_t index, int signal);

/* Ends a call: SIGTERM, later SIGKILL. Of several reasons the first counts. */
void call_end(struct broker *broker, uint32_t index, enum call_ending why);

/* Once a turn: for each call that lingers, sees to it that one in the background makes room. */
void calls_make_room(struct broker *broker);

/* When all is over and patience too: writes the exit event of every call that has none yet. */
void calls_abandon(struct broker *broker);

#endif
