#include "runtime/broker/calls.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kept.h"
#include "runtime/broker/kind.h"
#include "runtime/broker/parked.h"
#include "runtime/broker/running.h"
#include "runtime/broker/start.h"

void calls_begin(struct calls *calls, struct call *table, struct call_paths *paths,
                 uint32_t capacity)
{
    *calls = (struct calls){.table = table, .paths = paths, .capacity = capacity, .free = NONE};
    timer_describe(&calls->room_timer, TIMER_ROOM, 0);
}

uint32_t policy_confinement_index(const struct policy *policy, uint32_t rule)
{
    uint32_t index = 0;

    while (index < policy->confinement_count &&
           policy->confinements[index] != policy->rules[rule].confinement)
        index++;
    assert(index < policy->confinement_count);
    return index;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* There is always one: as many may run, go on in the background and wait as the table has room for,
 * and each is counted before. */
static uint32_t entry_take(struct calls *calls)
{
    uint32_t index = calls->free;

    if (index != NONE)
        calls->free = calls->table[index].next;
    else
        index = calls->used++;
    assert(index < calls->capacity);
    calls->table[index] = (struct call){.account = NONE,
                                        .connection = NONE,
                                        .worker = NONE,
                                        .descriptors = {-1, -1, -1},
                                        .parked = -1,
                                        .opener = NONE};
    timer_describe(&calls->table[index].timer, TIMER_CALL, index);
    return index;
}

static void entry_free(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    timer_disarm(&broker->timers, &call->timer);
    call->state = CALL_FREE;
    call->next = broker->calls.free;
    broker->calls.free = index;
}

/* An active slot more, or (-1) less. */
static void active_count(struct broker *broker, const struct call *call, int change)
{
    broker->calls.active += (uint32_t)change;
    broker->accounts.table[call->account].active += (uint32_t)change;
}

void call_linger(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    assert(call->state == CALL_RUNNING && !call->answered);
    call->answered = true;
    broker->calls.lingering++;
}

bool call_go_to_background(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    assert(call->state == CALL_RUNNING && call->answered);
    if (broker->calls.background >= broker->policy->max_active)
        return false;
    call->state = CALL_BACKGROUND;
    broker->calls.background++;
    broker->calls.lingering--;
    active_count(broker, call, -1);
    return true;
}

/* Gives the free places in the background to calls that linger. */
static void background_fill(struct broker *broker)
{
    struct calls *calls = &broker->calls;

    for (uint32_t i = 0; i < calls->used && calls->lingering > 0; i++) {
        const struct call *call = &calls->table[i];
        if (call->state == CALL_RUNNING && call->answered && !call_go_to_background(broker, i))
            return;
    }
}

void call_free(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    assert(call->worker == NONE && !call->capture && call->connection == NONE && call->answered);
    if (call->state == CALL_RUNNING) {
        broker->calls.lingering--;
        active_count(broker, call, -1);
        entry_free(broker, index);
        return;
    }
    assert(call->state == CALL_BACKGROUND);
    broker->calls.background--;
    entry_free(broker, index);
    background_fill(broker);
}

static struct call_terms terms_of(const struct policy *policy, uint32_t rule)
{
    const struct policy_attributes *attributes = policy->rules[rule].attributes;

    return (struct call_terms){
        .line = policy->lines[rule],
        .log = (uint8_t)attributes->log,
        .kill = (uint8_t)attributes->kill,
        .on_disconnect = (uint8_t)attributes->on_disconnect,
        .timeout_ms = attributes->timeout_ms,
        .max_output = attributes->max_output,
        .forward = attributes->forward,
    };
}

/* Fills an entry with what is known of a call before it starts or waits. */
static void entry_describe(struct broker *broker, uint32_t index, const struct requester *requester,
                           uint32_t rule)
{
    struct call *call = &broker->calls.table[index];

    call->number = requester->call;
    call->peer = requester->peer;
    call->account = requester->account;
    call->terms = terms_of(broker->policy, rule);
    call->rule = rule;
}

/* Ties a call and the connection on which it is answered together. */
static void call_connect(struct broker *broker, uint32_t index, uint32_t connection)
{
    broker->calls.table[index].connection = connection;
    if (connection == NONE)
        return;
    assert(broker->connections.table[connection].call == NONE);
    broker->connections.table[connection].call = index;
}

uint32_t call_disconnect(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];
    uint32_t connection = call->connection;

    call->connection = NONE;
    if (connection != NONE)
        broker->connections.table[connection].call = NONE;
    return connection;
}

/* ---- pending calls --------------------------------------------------------------------------- */

/* Keeps what a pending call needs until it starts. The descriptors are taken: kept open, or in flight
 * where a process that is forked meanwhile might wait to close them. 0 or a negative errno. */
static int pending_keep(struct broker *broker, struct call *call, struct kept_request *kept,
                        int *descriptors)
{
    if (!kept)
        return -ENOMEM;
    call->kept = kept;
    broker->calls.kept_bytes += kept_bytes(kept);
    if (broker->calls.parked < PARKED_MAX &&
        descriptors_may_wait(descriptors, WIRE_STANDARD_DESCRIPTORS)) {
        int parked = parked_make(descriptors, WIRE_STANDARD_DESCRIPTORS);
        if (parked >= 0) {
            call->parked = parked;
            broker->calls.parked++;
            closers_take_given(broker, descriptors, WIRE_STANDARD_DESCRIPTORS);
            return 0;
        }
    }
    for (uint32_t i = 0; i < WIRE_STANDARD_DESCRIPTORS; i++)
        call->descriptors[i] = descriptor_steal(&descriptors[i]);
    return 0;
}

/* Gives a pending call's descriptors back. 0 or a negative errno, with none. */
static int pending_take(struct broker *broker, struct call *call, int *descriptors)
{
    for (uint32_t i = 0; i < WIRE_STANDARD_DESCRIPTORS; i++)
        descriptors[i] = descriptor_steal(&call->descriptors[i]);
    if (call->parked < 0)
        return 0;
    broker->calls.parked--;
    return parked_take(&call->parked, descriptors, WIRE_STANDARD_DESCRIPTORS);
}

/* Forgets that. */
static void pending_drop(struct broker *broker, struct call *call)
{
    broker->calls.kept_bytes -= kept_bytes(call->kept);
    kept_release(call->kept);
    call->kept = NULL;
    closers_take(broker, call->descriptors, WIRE_STANDARD_DESCRIPTORS);
    if (call->parked >= 0)
        broker->calls.parked--;
    closers_take(broker, &call->parked, 1);
}

/* Takes a pending call out of the queue, or off its active slot. */
static void pending_end(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    if (call->state == CALL_WAITING) {
        waiting_remove(&broker->accounts, call->account, index);
        return;
    }
    assert(call->state == CALL_OPENING);
    active_count(broker, call, -1);
    timer_disarm(&broker->timers, &call->timer);
    if (call->opener != NONE)
        opener_abandon(broker, call->opener);
    call->opener = NONE;
}

void call_refuse_pending(struct broker *broker, uint32_t index, enum reason reason,
                         const char *detail, const char *explanation)
{
    struct call *call = &broker->calls.table[index];
    struct requester requester = {.call = call->number,
                                  .peer = call->peer,
                                  .connection = call_disconnect(broker, index),
                                  .account = call->account};

    pending_end(broker, index);
    kept_restore(call->kept, &broker->waiting_request);
    request_refuse(broker, &requester, reason, detail, call->rule, &broker->waiting_request,
                   explanation);
    pending_drop(broker, call);
    entry_free(broker, index);
}

/* Has what the call names opened by somebody who may wait for it. */
static void call_open(struct broker *broker, uint32_t index, const struct requester *requester,
                      const struct opening_order *order, int *descriptors)
{
    struct call *call = &broker->calls.table[index];
    int status = pending_keep(broker, call, kept_make(order->request), descriptors);

    if (status == 0) {
        call->opener = opener_start(broker, index, order);
        if (call->opener == NONE) {
            status = -errno;
            pending_drop(broker, call);
        }
    }
    if (status < 0) {
        request_refuse(broker, requester, REASON_SPAWN, strerror(-status), order->rule,
                       order->request, NULL);
        entry_free(broker, index);
        return;
    }
    call->state = CALL_OPENING;
    active_count(broker, call, 1);
    call_connect(broker, index, requester->connection);
    timer_arm(&broker->timers, &call->timer, broker->now + OPENER_PATIENCE_MS);
}

/* Starts the call of an entry that has been described. */
static void call_launch(struct broker *broker, uint32_t index, const struct requester *requester,
                        const struct wire_request *request, const struct opening *opened,
                        int *descriptors)
{
    struct call *call = &broker->calls.table[index];
    struct opening_order order = {
        .broker = broker,
        .request = request,
        .rule = call->rule,
        .values = {.call = call->number,
                   .pid = call->peer.pid,
                   .uid = call->peer.uid,
                   .line = broker->policy->lines[call->rule],
                   .realtime_ms = clock_wall_ms()},
    };

    call->started = broker->now;
    switch (call_start(broker, index, requester, &order, opened, descriptors)) {
    case START_REFUSED:
        entry_free(broker, index);
        return;
    case START_WAITS:
        call_open(broker, index, requester, &order, descriptors);
        return;
    case START_DONE:
        break;
    }
    call->state = CALL_RUNNING;
    active_count(broker, call, 1);
    broker->statistics.calls++;
    call_connect(broker, index, requester->connection);
    call_run(broker, index);
}

/* Starts a pending call. `opened`: what it names, which this takes; NULL: not yet. */
static void pending_start(struct broker *broker, uint32_t index, const struct opening *opened)
{
    struct call *call = &broker->calls.table[index];
    struct requester requester = {.call = call->number,
                                  .peer = call->peer,
                                  .connection = call_disconnect(broker, index),
                                  .account = call->account};
    struct kept_request *kept = call->kept;
    int descriptors[WIRE_STANDARD_DESCRIPTORS];
    bool caller_gone = call->caller_gone, launched = false;
    uint32_t rule = call->rule;

    pending_end(broker, index);
    broker->calls.kept_bytes -= kept_bytes(kept);
    call->kept = NULL;
    kept_restore(kept, &broker->waiting_request);
    if (pending_take(broker, call, descriptors) < 0) {
        request_refuse(broker, &requester, REASON_BUSY, NULL, rule, &broker->waiting_request,
                       "the broker has no descriptors left");
        /* Decided anew: a reload may have put other rules in place, and the environment is to be
         * made. */
    } else if (request_decide(broker, &requester, &broker->waiting_request, &rule)) {
        entry_describe(broker, index, &requester, rule);
        call->caller_gone = caller_gone;
        call_launch(broker, index, &requester, &broker->waiting_request, opened, descriptors);
        launched = true;
    }
    if (!launched) {
        entry_free(broker, index);
        if (opened) {
            struct opening dropped = *opened;
            opening_release(&dropped);
        }
    }
    closers_take(broker, descriptors, WIRE_STANDARD_DESCRIPTORS);
    kept_release(kept);
}

void call_opened(struct broker *broker, uint32_t index, const struct opening *opening)
{
    struct call *call = &broker->calls.table[index];

    assert(call->state == CALL_OPENING);
    call->opener = NONE;
    if (opening)
        pending_start(broker, index, opening);
    else
        call_refuse_pending(broker, index, REASON_SPAWN, "what the call names was not opened",
                            NULL);
}

void call_give_up_opening(struct broker *broker, uint32_t index)
{
    call_refuse_pending(broker, index, REASON_SPAWN,
                        "the file system of what the call names does not answer", NULL);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Whether one more request of `size` bytes may wait; if not, tries to make room by refusing the
 * latest call of a uid that has more waiting than this one. */
static bool waiting_make_room(struct broker *broker, uint32_t account, size_t size)
{
    struct accounts *accounts = &broker->accounts;

    while (accounts->waiting >= broker->policy->queue ||
           broker->calls.kept_bytes + size > KEPT_BYTES_MAX) {
        uint32_t most = account_of_most_waiting(accounts, account);
        if (most == NONE)
            return false;
        call_refuse_pending(broker, accounts->table[most].last, REASON_BUSY, NULL,
                            "others that wait with fewer calls came first; try again later");
    }
    return true;
}

static void call_wait(struct broker *broker, const struct requester *requester,
                      const struct wire_request *request, uint32_t rule, int *descriptors)
{
    size_t size = kept_size(request);

    if (!waiting_make_room(broker, requester->account, size)) {
        request_refuse(broker, requester, REASON_BUSY, NULL, rule, request,
                       "as many calls run and wait as the broker takes; try again later");
        return;
    }
    uint32_t index = entry_take(&broker->calls);
    struct call *call = &broker->calls.table[index];
    entry_describe(broker, index, requester, rule);
    if (pending_keep(broker, call, kept_make(request), descriptors) < 0) {
        request_refuse(broker, requester, REASON_BUSY, NULL, rule, request,
                       "the broker cannot keep one more call waiting; try again later");
        entry_free(broker, index);
        return;
    }
    call->state = CALL_WAITING;
    waiting_add(&broker->accounts, call->account, index, call->number);
    call_connect(broker, index, requester->connection);
}

void calls_start_waiting(struct broker *broker)
{
    uint32_t account;

    while (broker->calls.active < broker->policy->max_active) {
        uint32_t index = waiting_next(&broker->accounts, &account);
        if (index == NONE)
            return;
        pending_start(broker, index, NULL);
    }
}

void calls_admit(struct broker *broker, const struct requester *requester,
                 const struct wire_request *request, uint32_t rule, int *descriptors)
{
    struct requester numbered = *requester;

    if (numbered.call == 0)
        numbered.call = audit_next_call(&broker->audit);
    if (broker->calls.active >= broker->policy->max_active || broker->accounts.waiting > 0) {
        call_wait(broker, &numbered, request, rule, descriptors);
        return;
    }
    uint32_t index = entry_take(&broker->calls);
    entry_describe(broker, index, &numbered, rule);
    call_launch(broker, index, &numbered, request, NULL, descriptors);
}

/* ---- after a reload -------------------------------------------------------------------------- */

uint32_t call_restore(struct broker *broker, const struct call *saved, const char *kept,
                      size_t kept_length)
{
    uint32_t index = entry_take(&broker->calls);
    struct call *call = &broker->calls.table[index];
    struct timer timer = call->timer;

    *call = *saved;
    call->timer = timer;
    call->capture = NULL;
    call->kept = NULL;
    call->worker = NONE;
    call->rule = AUDIT_NO_RULE;
    call->account = account_open(&broker->accounts, call->peer.uid);
    call->opener = NONE;
    call->connection = NONE;
    if (saved->connection != NONE &&
        saved->connection < broker->connections.used &&
        broker->connections.table[saved->connection].descriptor >= 0 &&
        broker->connections.table[saved->connection].call == NONE)
        call_connect(broker, index, saved->connection);
    else if (saved->connection != NONE)
        call->caller_gone = true;
    if (call->state == CALL_RUNNING) {
        active_count(broker, call, 1);
        broker->calls.lingering += call->answered;
        return index;
    }
    if (call->state == CALL_BACKGROUND) {
        call->answered = true;
        broker->calls.background++;
        return index;
    }
    assert(call->state == CALL_WAITING);
    call->kept = kept_copy(kept, kept_length);
    if (call->kept) {
        broker->calls.kept_bytes += kept_length;
        broker->calls.parked += call->parked >= 0;
        waiting_add(&broker->accounts, call->account, index, call->number);
        return index;
    }
    struct requester requester = {.call = call->number,
                                  .peer = call->peer,
                                  .connection = call_disconnect(broker, index),
                                  .account = call->account};
    request_refuse(broker, &requester, REASON_BUSY, NULL, AUDIT_NO_RULE, NULL, NULL);
    closers_take(broker, call->descriptors, WIRE_STANDARD_DESCRIPTORS);
    closers_take(broker, &call->parked, 1);
    entry_free(broker, index);
    return NONE;
}
