/* Calls: the table, and whose turn it is.
 *
 * Owns: every call's entry from admission to the end, and the queue of those that wait. Never: reads
 * a message (connection.h), decides (request.h), prepares (start.h), or looks after a call that
 * runs (running.h).
 *
 * A call is in one of these states:
 *
 *   WAITING     max_active calls run; its request and descriptors are kept. Nothing is audited yet.
 *   OPENING     its turn has come, but what it names is still being opened (opener.h). It holds an
 *               active slot, and is otherwise like one that waits.
 *   RUNNING     a worker has it. It holds an active slot until it is answered.
 *   BACKGROUND  answered, but processes that it left behind still run, or their output is still
 *               being captured. As many as max_active; when that is full, a call keeps its slot (it
 *               **lingers**) until one of them is over.
 *
 * Every call that got a `start` event gets exactly one `exit` event. */
#ifndef SLUICE_CALLS_H
#define SLUICE_CALLS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/accounts.h"
#include "runtime/broker/capture.h"
#include "runtime/broker/opening.h"
#include "runtime/broker/request.h"
#include "runtime/broker/timers.h"
#include "runtime/include/policy.h"
#include "runtime/worker/worker.h"

/* Memory for the requests of all waiting calls together. */
#define KEPT_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* Pending calls whose descriptors are kept in flight. No more: the kernel counts those of a user, and
 * lets no process of that user send any while there are more than its limit of open files (unix(7),
 * ETOOMANYREFS). */
#define PARKED_MAX 32u

enum call_state { CALL_FREE = 0, CALL_WAITING, CALL_RUNNING, CALL_BACKGROUND, CALL_OPENING };

/* Why a call was ended before its time. */
enum call_ending { ENDING_NONE = 0, ENDING_TIMEOUT, ENDING_OUTPUT, ENDING_CALLER_GONE, ENDING_STOP };

/* What the call's rule says, kept by value: a reload may put another policy in its place. */
struct call_terms {
    uint32_t line;
    uint8_t log;  /* enum policy_log */
    uint8_t kill; /* enum policy_kill */
    uint8_t on_disconnect;
    uint64_t timeout_ms;
    uint64_t max_output;
    uint64_t forward;
};

struct call {
    uint8_t state;  /* enum call_state */
    uint8_t ending; /* enum call_ending */
    bool answered, caller_gone, child_ended, recorded; /* recorded: the exit event is written */
    bool truncated, drain_timeout, over_limit, answer_due;
    bool finish_asked;
    uint64_t number;
    struct audit_peer peer;
    uint32_t account;
    uint32_t connection; /* where the answer goes; NONE: nowhere */
    uint32_t worker;     /* index in the pool; NONE: none, or what it left behind is gone too */
    uint32_t rule;       /* index into policy.rules; NONE: of a policy that is gone */
    struct call_terms terms;
    struct capture *capture;
    /* RUNNING, BACKGROUND */
    uint64_t started; /* monotonic milliseconds */
    /* the same; 0: not due */
    uint64_t terminate_at, kill_at, give_up_at, answer_at, finish_at, abort_at;
    int32_t status; /* to be answered */
    int32_t signal; /* that ended the child */
    int32_t error;  /* why nothing ran: errno */
    uint32_t stage; /* ... and where: enum worker_stage */
    uint64_t ended; /* monotonic milliseconds */
    uint64_t user_ms, system_ms, max_rss_kb;
    /* WAITING, OPENING */
    struct kept_request *kept;
    int descriptors[WIRE_STANDARD_DESCRIPTORS]; /* in, out, err; -1 while they are parked */
    int parked;      /* they are kept in flight: parked.h; -1 */
    uint32_t opener; /* OPENING */
    struct timer timer;
    uint32_t next; /* of the free entries */
};

/* Paths of capture files, for events about them; an entry's memory is touched only with capture. */
struct call_paths {
    char path[CAPTURE_STREAMS][PATH_MAX];
};

struct calls {
    struct call *table;
    struct call_paths *paths;
    uint32_t capacity;
    uint32_t used, free;
    uint32_t active, background; /* how many hold an active slot, run on without */
    uint32_t lingering;          /* of the active: answered, but the background is full */
    struct timer room_timer;     /* to look again whose place in the background they can have */
    size_t kept_bytes;
    uint32_t parked; /* how many pending calls' descriptors are in flight */
};

/* The index of a rule's confinement. Confinements are few, and stand in the order of first use. */
uint32_t policy_confinement_index(const struct policy *policy, uint32_t rule);

/* `table` and `paths` are zeroed memory for `capacity` entries. */
void calls_begin(struct calls *calls, struct call *table, struct call_paths *paths,
                 uint32_t capacity);

/* Takes a decided request: starts it, or lets it wait, or refuses it. Of the three descriptors those
 * that are left (not -1) stay the requester's, who closes them after this. */
void calls_admit(struct broker *broker, const struct requester *requester,
                 const struct wire_request *request, uint32_t rule, int *descriptors);

/* Starts waiting calls while there are free slots. */
void calls_start_waiting(struct broker *broker);

/* Whether it waits or opens: nothing of it has been audited yet. */
static inline bool call_is_pending(const struct call *call)
{
    return call->state == CALL_WAITING || call->state == CALL_OPENING;
}

/* Refuses a pending call for `reason`, with its `detail` and the caller's `explanation` (NULL: none),
 * and forgets it. */
void call_refuse_pending(struct broker *broker, uint32_t index, enum reason reason,
                         const char *detail, const char *explanation);

/* What a call names has been opened, which this takes; NULL: that failed. */
void call_opened(struct broker *broker, uint32_t index, const struct opening *opening);

/* What a call names has not been opened for OPENER_PATIENCE_MS. */
void call_give_up_opening(struct broker *broker, uint32_t index);

/* Unties a call from its connection. Returns that, for one answer; NONE if the caller has gone. */
uint32_t call_disconnect(struct broker *broker, uint32_t index);

/* After a reload: makes an entry of a call of the earlier image, tied to its connection; one that
 * waits gets back into the queue. Its worker and capture are still to be taken over. NONE, and the
 * call has been refused, if there is no memory for a waiting call's request. */
uint32_t call_restore(struct broker *broker, const struct call *saved, const char *kept,
                      size_t kept_length);

/* A running call has been answered, and may not be over. */
void call_linger(struct broker *broker, uint32_t index);

/* Gives the active slot of a call that lingers to the next. False, and nothing has changed, if the
 * table of calls in the background is full. */
bool call_go_to_background(struct broker *broker, uint32_t index);

/* Forgets a call that is over: no worker, no capture, answered and untied from its caller. Its place
 * in the background goes to one that lingers. */
void call_free(struct broker *broker, uint32_t index);

#endif
