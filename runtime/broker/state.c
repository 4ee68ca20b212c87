#define _GNU_SOURCE 1 /* memfd_create, F_ADD_SEALS */

#include "runtime/broker/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kept.h"
#include "runtime/shared/descriptors.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define ALIGNMENT 8u

_Static_assert((int)REASON_COUNT <= (int)STATE_REASONS, "a state has room for every reason");

/* ---- writing --------------------------------------------------------------------------------- */

/* A file that is being written; the first error sticks. */
struct writer {
    int file;
    int error;
    uint64_t length;
};

static void put(struct writer *writer, const void *bytes, size_t length)
{
    if (writer->error != 0)
        return;
    writer->error = -write_whole(writer->file, bytes, length);
    writer->length += length;
}

static size_t padding(size_t length)
{
    return (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
}

static void put_connection(struct writer *writer, const struct connection *connection,
                           uint32_t index)
{
    struct state_connection record;

    memset(&record, 0, sizeof(record));
    record.index = index;
    record.descriptor = connection->descriptor;
    record.deadline = timer_is_armed(&connection->timer) ? connection->timer.deadline : 0;
    record.peer = connection->peer;
    record.version = connection->version;
    record.surplus = connection->surplus;
    record.reply_end = connection->reply_end;
    record.mute = connection->mute;
    record.pipe = connection->pipe;
    record.shared = connection->shared;
    put(writer, &record, sizeof(record));
}

static void put_call(struct writer *writer, const struct broker *broker, uint32_t index)
{
    static const char zeros[ALIGNMENT] = {0};
    const struct call *call = &broker->calls.table[index];
    const struct call_paths *paths = &broker->calls.paths[index];
    struct state_call record;

    memset(&record, 0, sizeof(record));
    record.call = *call;
    if (call->state == CALL_OPENING)
        record.call.state = CALL_WAITING; /* what was opened for it would be another image's */
    record.worker_pid = record.worker_pidfd = record.worker_control = -1;
    if (call->worker != NONE) {
        const struct worker *worker = &broker->pool.table[call->worker].worker;
        record.worker_pid = worker->pid;
        record.worker_pidfd = worker->pidfd;
        record.worker_control = worker->control;
    }
    if (call->capture) {
        record.has_capture = 1;
        capture_save(call->capture, &record.capture);
        for (int i = 0; i < CAPTURE_STREAMS; i++)
            record.path_length[i] = (uint32_t)strnlen(paths->path[i], PATH_MAX - 1);
    }
    if (call->kept)
        record.kept_length = kept_bytes(call->kept);
    put(writer, &record, sizeof(record));
    for (int i = 0; i < CAPTURE_STREAMS; i++)
        put(writer, paths->path[i], record.path_length[i]);
    if (call->kept)
        put(writer, call->kept, record.kept_length);
    put(writer, zeros, padding(record.path_length[0] + record.path_length[1] + record.kept_length));
}

/* The calls by number, so that those that wait get back into the queue in their order. Few enough
 * that finding the next one by a walk is no matter. */
static uint32_t put_calls(struct writer *writer, const struct broker *broker)
{
    uint64_t last = 0;
    uint32_t count = 0;

    for (;;) {
        uint32_t next = NONE;
        for (uint32_t i = 0; i < broker->calls.used; i++) {
            const struct call *call = &broker->calls.table[i];
            if (call->state != CALL_FREE && call->number > last &&
                (next == NONE || call->number < broker->calls.table[next].number))
                next = i;
        }
        if (next == NONE)
            return count;
        last = broker->calls.table[next].number;
        put_call(writer, broker, next);
        count++;
    }
}

static void header_fill(struct state_header *header, const struct broker *broker, int previous,
                        const char *note)
{
    struct text text;

    memset(header, 0, sizeof(*header));
    header->magic = STATE_MAGIC;
    header->format = STATE_FORMAT;
    header->header_size = sizeof(struct state_header);
    header->connection_size = sizeof(struct state_connection);
    header->call_size = sizeof(struct state_call);
    header->worker_protocol = WORKER_PROTOCOL;
    header->capture_protocol = CAPTURE_PROTOCOL;
    header->previous = previous;
    header->captures_memory = broker->captures ? captures_memory(broker->captures) : -1;
    header->notify = broker->notify;
    header->children = broker->orphans.children;
    header->listener = broker->listener_state;
    header->orphans = broker->orphans.saved;
    header->last_call = broker->audit.last_call;
    header->started_ms = broker->statistics.started_ms;
    header->calls = broker->statistics.calls;
    for (int i = 0; i < REASON_COUNT; i++)
        header->refused[i] = broker->statistics.refused[i];
    header->open_files_soft = broker->host.open_files.rlim_cur;
    header->open_files_hard = broker->host.open_files.rlim_max;
    text_start(&text, header->path, sizeof(header->path));
    text_append(&text, broker->reload.path);
    text_start(&text, header->note, sizeof(header->note));
    text_append(&text, note);
}

/* Ends a written file: it cannot change any more. */
static int writer_finish(struct writer *writer, const struct state_header *header,
                         struct failure *failure)
{
    if (writer->error == 0 &&
        pwrite(writer->file, header, sizeof(*header), 0) != (ssize_t)sizeof(*header))
        writer->error = errno;
    if (writer->error == 0 && fcntl(writer->file, F_ADD_SEALS, ALL_SEALS) < 0)
        writer->error = errno;
    if (writer->error == 0)
        return 0;
    return failure_set(failure, writer->error, "writing the state: %s", strerror(writer->error));
}

int state_rewrite(const struct state *state, int previous, const char *note,
                  struct failure *failure)
{
    cleanup_fd int file = memfd_create("sluice-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct writer writer = {.file = file};
    struct state_header header = state->header;
    struct text text;

    if (file < 0)
        return failure_set(failure, errno, "memfd_create: %s", strerror(errno));
    header.previous = previous;
    text_start(&text, header.note, sizeof(header.note));
    text_append(&text, note);
    put(&writer, state->bytes, state->length);
    return writer_finish(&writer, &header, failure) < 0 ? -1 : descriptor_steal(&file);
}

int state_write(const struct broker *broker, int previous, const char *note,
                struct failure *failure)
{
    cleanup_fd int file = memfd_create("sluice-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct writer writer = {.file = file};
    struct state_header header;

    if (file < 0)
        return failure_set(failure, errno, "memfd_create: %s", strerror(errno));
    header_fill(&header, broker, previous, note);
    put(&writer, &header, sizeof(header));
    for (uint32_t i = 0; i < broker->connections.used; i++) {
        if (broker->connections.table[i].descriptor < 0)
            continue;
        put_connection(&writer, &broker->connections.table[i], i);
        header.connection_count++;
    }
    header.call_count = put_calls(&writer, broker);
    header.length = writer.length;
    return writer_finish(&writer, &header, failure) < 0 ? -1 : descriptor_steal(&file);
}

/* ---- reading --------------------------------------------------------------------------------- */

void state_connection_at(const struct state *state, uint32_t index,
                         struct state_connection *connection)
{
    memcpy(connection, state->bytes + state->connections_at + index * sizeof(*connection),
           sizeof(*connection));
}

/* The bytes after a call's record; larger than any state when the lengths make no sense. */
static size_t call_tail(const struct state_call *call)
{
    size_t length = 0;

    for (int i = 0; i < CAPTURE_STREAMS; i++) {
        if (call->path_length[i] >= PATH_MAX)
            return SIZE_MAX;
        length += call->path_length[i];
    }
    if (call->kept_length > 2 * KEPT_BYTES_MAX)
        return SIZE_MAX;
    length += (size_t)call->kept_length;
    return length + padding(length);
}

void state_call_at(const struct state *state, size_t *at, struct state_call *call,
                   const char *paths[CAPTURE_STREAMS], const char **kept)
{
    memcpy(call, state->bytes + *at, sizeof(*call));
    const char *tail = state->bytes + *at + sizeof(*call);
    for (int i = 0; i < CAPTURE_STREAMS; i++) {
        paths[i] = tail;
        tail += call->path_length[i];
    }
    *kept = tail;
    *at += sizeof(*call) + call_tail(call);
}

/* Whether the calls fill the rest of the state exactly, and name connections that there are. */
static bool calls_are_sound(const struct state *state)
{
    size_t at = state->calls_at;
    const char *paths[CAPTURE_STREAMS], *kept;
    struct state_call call;
    uint64_t last = 0;

    for (uint32_t i = 0; i < state->header.call_count; i++) {
        if (state->length - at < sizeof(call))
            return false;
        memcpy(&call, state->bytes + at, sizeof(call));
        size_t tail = call_tail(&call);
        if (tail > state->length - at - sizeof(call))
            return false;
        state_call_at(state, &at, &call, paths, &kept);
        bool waiting = call.call.state == CALL_WAITING;
        if (call.call.state < CALL_WAITING || call.call.state > CALL_BACKGROUND ||
            call.call.number <= last || call.call.number > state->header.last_call ||
            (call.call.connection != NONE && call.call.connection >= CONNECTION_ENTRIES) ||
            waiting != (call.kept_length > 0) || (waiting && call.has_capture) ||
            (waiting && !kept_is_sound(kept, (size_t)call.kept_length)))
            return false;
        last = call.call.number;
    }
    return at == state->length;
}

static bool connections_are_sound(const struct state *state)
{
    struct state_connection connection;
    uint32_t next = 0;

    for (uint32_t i = 0; i < state->header.connection_count; i++) {
        state_connection_at(state, i, &connection);
        if (connection.index < next || connection.index >= CONNECTION_ENTRIES ||
            connection.version > 2 || connection.descriptor < 0)
            return false;
        next = connection.index + 1;
    }
    return true;
}

static int state_check(struct state *state, struct failure *failure)
{
    const struct state_header *header = &state->header;

    if (header->magic != STATE_MAGIC)
        return failure_set(failure, 0, "this is no broker's state");
    if (header->format != STATE_FORMAT)
        return failure_set(failure, 0, "the state has format %u, this broker reads %u",
                           (unsigned)header->format, STATE_FORMAT);
    if (header->header_size != sizeof(struct state_header) ||
        header->connection_size != sizeof(struct state_connection) ||
        header->call_size != sizeof(struct state_call))
        return failure_set(failure, 0, "the state's records have other sizes than this broker's");
    if (header->worker_protocol != WORKER_PROTOCOL || header->capture_protocol != CAPTURE_PROTOCOL)
        return failure_set(failure, 0, "its workers speak another protocol");
    state->connections_at = sizeof(*header);
    uint64_t connections = (uint64_t)header->connection_count * sizeof(struct state_connection);
    if (header->length != state->length || header->connection_count > CONNECTION_ENTRIES ||
        connections > state->length - sizeof(*header))
        return failure_set(failure, 0, "the state is cut off");
    state->calls_at = state->connections_at + (size_t)connections;
    if (!connections_are_sound(state) || !calls_are_sound(state) ||
        !orphans_are_sound(&header->orphans) ||
        memchr(header->path, '\0', sizeof(header->path)) == NULL ||
        memchr(header->note, '\0', sizeof(header->note)) == NULL ||
        memchr(header->listener.path, '\0', sizeof(header->listener.path)) == NULL)
        return failure_set(failure, 0, "the state is inconsistent");
    return 0;
}

int state_read(int descriptor, struct state *state, struct failure *failure)
{
    struct stat status;
    int seals = fcntl(descriptor, F_GET_SEALS);

    *state = (struct state){0};
    if (seals < 0 || (seals & ALL_SEALS) != ALL_SEALS || fstat(descriptor, &status) < 0 ||
        status.st_size < (off_t)sizeof(state->header))
        return failure_set(failure, 0, "descriptor %d holds no broker's state", descriptor);
    state->length = (size_t)status.st_size;
    void *bytes = mmap(NULL, state->length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED)
        return failure_set(failure, errno, "reading the state: %s", strerror(errno));
    state->bytes = bytes;
    memcpy(&state->header, bytes, sizeof(state->header));
    if (state_check(state, failure) == 0)
        return 0;
    state_close(state);
    return -1;
}

void state_close(struct state *state)
{
    if (state->bytes)
        munmap((void *)(uintptr_t)state->bytes, state->length);
    state->bytes = NULL;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static bool keep_one(int descriptor, bool keep)
{
    return descriptor < 0 || fcntl(descriptor, F_SETFD, keep ? 0 : FD_CLOEXEC) == 0;
}

static bool keep_call(const struct state_call *call, bool keep)
{
    bool all = keep_one(call->worker_pidfd, keep);

    all = keep_one(call->worker_control, keep) && all;
    if (call->call.state == CALL_WAITING)
        for (uint32_t i = 0; i < WIRE_STANDARD_DESCRIPTORS; i++)
            all = keep_one(call->call.descriptors[i], keep) && all;
    if (call->call.state == CALL_WAITING)
        all = keep_one(call->call.parked, keep) && all;
    for (int i = 0; call->has_capture && i < CAPTURE_STREAMS; i++) {
        all = keep_one(call->capture.control[i], keep) && all;
        all = keep_one(call->capture.pidfd[i], keep) && all;
    }
    return all;
}

bool state_keep(const struct state *state, bool keep)
{
    const struct state_header *header = &state->header;
    const int own[] = {header->previous,        header->captures_memory, header->notify,
                       header->listener.socket, header->listener.lock,   header->listener.directory,
                       header->children};
    const char *paths[CAPTURE_STREAMS], *kept;
    struct state_connection connection;
    struct state_call call;
    size_t at = state->calls_at;
    bool all = true;

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        all = keep_one(own[i], keep) && all;
    for (uint32_t i = 0; i < header->connection_count; i++) {
        state_connection_at(state, i, &connection);
        all = keep_one(connection.descriptor, keep) && all;
    }
    for (uint32_t i = 0; i < header->call_count; i++) {
        state_call_at(state, &at, &call, paths, &kept);
        all = keep_call(&call, keep) && all;
    }
    return all;
}
