/* The broker's state: all of it, in one struct that is passed explicitly.
 *
 * Who runs this code and with what trust: the broker runs as the user whose programs it starts, with
 * that user's rights (less what confinement_broker took), and reads bytes from peers that are not
 * trusted. Whoever controls it can run anything as that user: it is the trusted base, together with
 * the workers, the copiers of output, and the matcher that the compiler wrote.
 *
 * One thread, one event loop (server.h). Nothing in it waits for a peer, a process or a pipe.
 *
 *   server      start-up, the loop, the end          listener   the socket that callers connect to
 *   connection  frames in, answers out               request    from a frame to a decision
 *   calls       the table, the queue                 start      from a decision to a worker
 *   running     from a worker to the exit event      pool       workers by confinement
 *   reload      becoming a newer broker in place     host       what this host lacks
 *
 * Ownership is said in each of those headers; this one only puts the parts together. */
#ifndef SLUICE_BROKER_H
#define SLUICE_BROKER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/accounts.h"
#include "runtime/broker/audit.h"
#include "runtime/broker/calls.h"
#include "runtime/broker/capture.h"
#include "runtime/broker/closer.h"
#include "runtime/broker/connection.h"
#include "runtime/broker/environment.h"
#include "runtime/broker/host.h"
#include "runtime/broker/listener.h"
#include "runtime/broker/opener.h"
#include "runtime/broker/options.h"
#include "runtime/broker/orphans.h"
#include "runtime/broker/pool.h"
#include "runtime/broker/reload.h"
#include "runtime/broker/request.h"
#include "runtime/broker/running.h"
#include "runtime/broker/template.h"
#include "runtime/broker/timers.h"
#include "runtime/include/policy.h"
#include "runtime/shared/io.h"
#include "runtime/shared/wire.h"
#include "runtime/worker/confinement.h"

/* What the event loop was told about, packed into epoll_event.data: its kind, its place in that
 * kind's table, and how often the place had been taken, so that an event that was already under way
 * when its object went is known to be nobody's. */
enum event_kind {
    EVENT_LISTENER,
    EVENT_SIGNALS,
    EVENT_CONNECTION,
    EVENT_WORKER,
    EVENT_CAPTURES,
    EVENT_CLOSER,
    EVENT_OPENER,
};

#define EVENT_GENERATION_MASK 0xffffffu

static inline uint64_t event_pack(enum event_kind kind, uint32_t index, uint32_t generation)
{
    return (uint64_t)kind << 56 | (uint64_t)(generation & EVENT_GENERATION_MASK) << 32 | index;
}

struct statistics {
    uint64_t started_ms; /* monotonic, of this broker: a reload goes on counting */
    uint64_t calls;      /* started */
    uint64_t refused[REASON_COUNT];
};

struct broker {
    const struct policy *policy;
    struct options options;

    /* as it was at start */
    char *const *variables; /* the environment */
    const char *path;       /* its PATH; NULL: not set */
    char directory[PATH_MAX]; /* the working directory; "" if it has no path */
    struct template_environment templates;
    struct policy_bytes *expansions; /* one for each of policy.expansions */
    uint32_t *allowed_uids;          /* of allow_uid; none: any */
    uint32_t allowed_uid_count;
    uint32_t refuse_everywhere;      /* the REFUSE_* bits that every rule has */
    struct confinement_host host;
    struct confinement_setup **setups; /* one for each of policy.confinements */
    struct text missing; /* what confine = best-effort goes without, for the `serve` event */
    char missing_text[HOST_NOTE_MAX];

    /* the loop */
    uint64_t now; /* monotonic milliseconds, read once a turn */
    int epoll, signals;
    struct listener listener_state;
    int listener; /* the listening socket, owned by listener_state; -1: not accepting any more */
    int reserve;  /* given up for a moment to answer a caller when there are no descriptors left */
    int notify;   /* to the service manager; -1 */
    bool stopping, stopped;
    bool ending; /* stopping, and the calls' time is over */
    struct timer stop_timer, audit_timer, captures_timer;
    struct timers timers;

    /* the parts */
    struct connections connections;
    struct accounts accounts;
    struct calls calls;
    struct pool pool;
    struct audit audit;
    struct captures *captures; /* NULL: no rule captures output */
    struct closers closers;
    struct openers openers;
    struct orphans orphans;
    struct reload reload;
    struct statistics statistics;

    /* room for one request, used again for each */
    char *frame; /* WIRE_REQUEST_MAX + 1 bytes */
    char *reply; /* WIRE_REPLY_MAX + 1 bytes */
    struct wire_request request, waiting_request;
    uint64_t *numbers; /* one for each call */
    struct policy_bytes arguments[WIRE_ARGUMENTS_MAX];
    struct environment environment;
};

/* Gives the memory that a large message of `length` bytes touched back to the kernel. */
void broker_frame_release(struct broker *broker, size_t length);

#endif
