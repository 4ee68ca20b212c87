#include "runtime/broker/restore.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/state.h"

/* The numbers of the calls that have a `start` and no `exit` yet. */
static uint32_t active_numbers(const struct state *state, uint64_t *numbers)
{
    const char *paths[CAPTURE_STREAMS], *kept;
    struct state_call saved;
    size_t at = state->calls_at;
    uint32_t count = 0;

    for (uint32_t i = 0; i < state->header.call_count; i++) {
        state_call_at(state, &at, &saved, paths, &kept);
        if (saved.call.state != CALL_WAITING && !saved.call.recorded)
            numbers[count++] = saved.call.number;
    }
    return count;
}

static void restore_counters(struct broker *broker, const struct state_header *header)
{
    broker->statistics.started_ms = header->started_ms;
    broker->statistics.calls = header->calls;
    for (int i = 0; i < REASON_COUNT; i++)
        broker->statistics.refused[i] = header->refused[i];
}

static void restore_worker(struct broker *broker, const struct state_call *saved, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    call->worker = NONE;
    if (saved->worker_control < 0)
        return;
    call->worker = pool_adopt(broker, saved->worker_pid, saved->worker_pidfd,
                              saved->worker_control, index);
    if (call->worker == NONE)
        notice("call %llu: its worker is lost: %s", (unsigned long long)call->number,
               strerror(errno));
}

static void restore_capture(struct broker *broker, const struct state_call *saved, uint32_t index,
                            const char *paths[CAPTURE_STREAMS])
{
    struct call *call = &broker->calls.table[index];
    struct failure failure;

    call->capture = NULL;
    if (!saved->has_capture)
        return;
    for (int i = 0; i < CAPTURE_STREAMS; i++) {
        char *path = broker->calls.paths[index].path[i];
        memcpy(path, paths[i], saved->path_length[i]);
        path[saved->path_length[i]] = '\0';
    }
    call->capture = capture_restore(broker->captures, &saved->capture, call, &failure);
    if (call->capture)
        return;
    notice("call %llu: its capture is lost: %s", (unsigned long long)call->number, failure.text);
    call->truncated = true;
}

static void restore_call(struct broker *broker, const struct state_call *saved,
                         const char *paths[CAPTURE_STREAMS], const char *kept)
{
    uint32_t index = call_restore(broker, &saved->call, kept, (size_t)saved->kept_length);

    if (index == NONE)
        return;
    if (saved->call.state == CALL_WAITING)
        return;
    restore_capture(broker, saved, index, paths);
    restore_worker(broker, saved, index);
    if (saved->worker_control >= 0 && broker->calls.table[index].worker == NONE)
        call_lose_worker(broker, index);
    else
        call_resume(broker, index);
}

void restore_all(struct broker *broker, const struct state *state)
{
    struct state_connection connection;
    struct state_call call;
    const char *paths[CAPTURE_STREAMS], *kept;
    size_t at = state->calls_at;

    restore_counters(broker, &state->header);
    audit_continue(&broker->audit, state->header.last_call, broker->numbers,
                   active_numbers(state, broker->numbers));
    for (uint32_t i = 0; i < state->header.connection_count; i++) {
        state_connection_at(state, i, &connection);
        connection_restore(broker, &connection);
    }
    for (uint32_t i = 0; i < state->header.call_count; i++) {
        state_call_at(state, &at, &call, paths, &kept);
        restore_call(broker, &call, paths, kept);
    }
    orphans_restore(broker, &state->header.orphans);
}
