#define _GNU_SOURCE
#include "runtime/broker/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/broker/copiers.h"
#include "runtime/shared/descriptors.h"

#define NONE COPIERS_NONE
/* Of one job: each kind of report comes at most once. */
#define REPORTS_MAX 5u

/* What a stream's copier has told. A stream that is not captured has ended. */
enum stream_report { STREAM_DRAINED = 1, STREAM_ENDED = 2, STREAM_OVER_LIMIT = 4 };

struct capture {
    struct captures *captures;
    uint64_t call;
    void *owner;
    bool used;
    bool released;  /* forgotten by the broker; its slot is free once `dying` is 0 */
    uint32_t dying; /* killed copiers that could still touch the slot's counters */
    uint32_t copier[CAPTURE_STREAMS];  /* NONE: not captured, or over */
    uint32_t reports[CAPTURE_STREAMS]; /* enum stream_report */
    int file_error[CAPTURE_STREAMS], caller_error[CAPTURE_STREAMS];
    uint32_t next; /* of the free ones */
};

struct captures {
    int memory; /* of the counters: a memfd, so that it can outlive an exec */
    struct copier_counters *counters;
    uint32_t capacity;
    struct capture *table; /* the index is the slot of the counters */
    uint32_t free;         /* head of the list of free ones */
    struct copiers copiers;
};

/* ---- the table ------------------------------------------------------------------------------- */

static uint32_t capture_slot(const struct capture *capture)
{
    return (uint32_t)(capture - capture->captures->table);
}

static struct copier_counters *capture_counters(const struct capture *capture)
{
    return &capture->captures->counters[capture_slot(capture)];
}

static void capture_free(struct capture *capture)
{
    capture->used = false;
    capture->next = capture->captures->free;
    capture->captures->free = capture_slot(capture);
}

/* Takes a free slot, wherever it stands in the list. NULL if it is not free. */
static struct capture *capture_claim(struct captures *captures, uint32_t slot, uint64_t call,
                                     void *owner)
{
    uint32_t *place = &captures->free;
    while (*place != NONE && *place != slot)
        place = &captures->table[*place].next;
    if (*place == NONE)
        return NULL;
    struct capture *capture = &captures->table[slot];
    *place = capture->next;
    *capture = (struct capture){.captures = captures, .call = call, .owner = owner, .used = true};
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++) {
        capture->copier[stream] = NONE;
        capture->reports[stream] = STREAM_ENDED;
    }
    return capture;
}

/* ---- starting -------------------------------------------------------------------------------- */

static void counters_begin(struct copier_counters *counters, uint64_t max_output)
{
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++)
        atomic_store(&counters->bytes[stream], 0);
    counters->limit = max_output == 0 ? UINT64_MAX : max_output;
    atomic_store(&counters->claimed, 0);
    atomic_store(&counters->spent, 0);
    atomic_store(&counters->orders, 0);
    atomic_store(&counters->waiting, 0);
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++)
        atomic_store(&counters->held[stream], 0);
}

/* 0 with the child's end of the pipe, or a negative errno. */
static int stream_start(struct capture *capture, unsigned stream,
                        const struct capture_request *request, int *child)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    cleanup_fd int source = ends[0];
    cleanup_fd int sink = ends[1];
    int status = descriptor_set_nonblocking(source);
    if (status < 0)
        return status;
    struct copier_job job = {
        .protocol = CAPTURE_PROTOCOL, .slot = capture_slot(capture), .stream = stream};
    const int descriptors[] = {source, request->caller[stream], request->file[stream]};
    status =
        copiers_start(&capture->captures->copiers, &job, descriptors, &capture->copier[stream]);
    if (status < 0)
        return status;
    capture->reports[stream] = 0;
    *child = descriptor_steal(&sink);
    return 0;
}

struct capture *capture_start(struct captures *captures, const struct capture_request *request,
                              int child[CAPTURE_STREAMS], struct failure *failure)
{
    child[CAPTURE_STDOUT] = child[CAPTURE_STDERR] = -1;
    struct capture *capture =
        capture_claim(captures, captures->free, request->call, request->owner);
    if (capture == NULL) {
        failure_set(failure, EBUSY, "capture: %u calls are captured already", captures->capacity);
        return NULL;
    }
    counters_begin(capture_counters(capture), request->max_output);
    int status = 0;
    for (unsigned stream = 0; stream < CAPTURE_STREAMS && status == 0; stream++)
        if (request->file[stream] >= 0)
            status = stream_start(capture, stream, request, &child[stream]);
    if (status == 0)
        return capture;
    descriptors_close(child, CAPTURE_STREAMS);
    capture_release(captures, capture);
    failure_set(failure, -status, "capture: %s", strerror(-status));
    return NULL;
}

bool captures_are_ready(const struct captures *captures, unsigned streams)
{
    return captures->copiers.idle_count >= streams;
}

int captures_make_ready(struct captures *captures, unsigned streams)
{
    return copiers_reserve(&captures->copiers, streams);
}

bool captures_have_surplus(const struct captures *captures)
{
    return captures->copiers.idle_count > COPIERS_KEPT;
}

void captures_trim(struct captures *captures)
{
    copiers_trim(&captures->copiers);
}

void captures_relieve(struct captures *captures)
{
    copiers_relieve(&captures->copiers);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void capture_order(struct capture *capture, uint32_t orders)
{
    struct copiers *copiers = &capture->captures->copiers;
    uint32_t before = atomic_fetch_or(&capture_counters(capture)->orders, orders);
    if ((before | orders) == before)
        return;
    /* The order is in the counters; a socket that is full has wakings enough in it already. */
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++)
        if (!(capture->reports[stream] & STREAM_ENDED))
            (void)send(copiers->entries[capture->copier[stream]].control, "", 1,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
}

void capture_drain(struct capture *capture)
{
    capture_order(capture, COPIER_DRAIN);
}

void capture_finish(struct capture *capture)
{
    capture_order(capture, COPIER_DRAIN | COPIER_FINISH);
}

/* Ends a stream that has not ended by itself. What its pipe held and its copier had not passed on is
 * lost to the file, which is told: nobody can say any more whether that was nothing. */
static void stream_abort(struct capture *capture, unsigned stream, int error)
{
    if (capture->file_error[stream] == 0)
        capture->file_error[stream] = error;
    copiers_kill(&capture->captures->copiers, capture->copier[stream]);
    capture->dying++;
    capture->copier[stream] = NONE;
    capture->reports[stream] |= STREAM_ENDED;
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Takes one report of the copier `index`, which serves a stream of `capture`. Whether that has
 * changed the capture's state. */
static bool report_take(struct capture *capture, uint32_t index)
{
    struct copiers *copiers = &capture->captures->copiers;
    unsigned stream = copiers->entries[index].stream;
    struct copier_report report;
    struct message message = {.buffer = &report, .capacity = sizeof report};
    enum message_result result = message_receive(copiers->entries[index].control, &message);
    if (result == MESSAGE_NONE && !copiers_is_dead(copiers, index))
        return false;
    if (result != MESSAGE_RECEIVED || message.length != sizeof report ||
        report.protocol != CAPTURE_PROTOCOL) {
        /* It died (out of memory, killed by hand): what it had not passed on is lost. */
        stream_abort(capture, stream, EIO);
        return true;
    }
    switch (report.kind) {
    case COPIER_DRAINED:
        capture->reports[stream] |= STREAM_DRAINED;
        return true;
    case COPIER_OVER_LIMIT:
        capture->reports[stream] |= STREAM_OVER_LIMIT;
        return true;
    case COPIER_FILE_FAILED:
        capture->file_error[stream] = report.error;
        return true;
    case COPIER_CALLER_FAILED:
        capture->caller_error[stream] = report.error;
        return true;
    case COPIER_ENDED:
        capture->reports[stream] |= STREAM_ENDED;
        capture->copier[stream] = NONE;
        copiers_rest(copiers, index);
        return true;
    case COPIER_LEFT:
        capture->reports[stream] |= STREAM_ENDED;
        capture->copier[stream] = NONE;
        copiers_let_go(copiers, index);
        return true;
    default:
        return false;
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

void capture_abort(struct capture *capture)
{
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++) {
        /* It may have ended, and only not been heard of yet. */
        for (unsigned taken = 0; taken < REPORTS_MAX; taken++)
            if ((capture->reports[stream] & STREAM_ENDED) ||
                !report_take(capture, capture->copier[stream]))
                break;
        if (!(capture->reports[stream] & STREAM_ENDED))
            stream_abort(capture, stream, ECANCELED);
    }
}

void capture_release(struct captures *captures, struct capture *capture)
{
    (void)captures;
    capture_abort(capture);
    capture->released = true;
    if (capture->dying == 0)
        capture_free(capture);
}

/* ---- events ---------------------------------------------------------------------------------- */

struct capture *captures_next(struct captures *captures)
{
    for (;;) {
        struct copiers_event event = copiers_next(&captures->copiers);
        if (event.kind == COPIERS_NOTHING)
            return NULL;
        struct capture *capture = &captures->table[event.slot];
        if (event.kind == COPIERS_REPORT) {
            if (report_take(capture, event.index))
                return capture;
        } else if (--capture->dying == 0) {
            if (capture->released)
                capture_free(capture);
            else
                capture_order(capture, COPIER_SOLE);
        }
    }
}

int captures_descriptor(const struct captures *captures)
{
    return captures->copiers.epoll;
}

/* ---- state ----------------------------------------------------------------------------------- */

void *capture_owner(const struct capture *capture)
{
    return capture->owner;
}

uint64_t capture_call(const struct capture *capture)
{
    return capture->call;
}

struct capture_state capture_state(const struct capture *capture)
{
    struct copier_counters *counters = capture_counters(capture);
    bool asked = (atomic_load(&counters->orders) & COPIER_DRAIN) != 0;
    uint32_t waiting = atomic_load(&counters->waiting);
    struct capture_state state = {.drained = asked, .ended = true, .waits_for_caller = true};
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++) {
        uint32_t reports = capture->reports[stream];
        state.bytes[stream] = atomic_load(&counters->bytes[stream]);
        state.drained &= (reports & (STREAM_DRAINED | STREAM_ENDED)) != 0;
        state.ended &= (reports & STREAM_ENDED) != 0;
        state.waits_for_caller &= (reports & STREAM_ENDED) != 0 || (waiting >> stream & 1) != 0 ||
                                  copier_mark_is_old(atomic_load(&counters->held[stream]));
        state.over_limit |= (reports & STREAM_OVER_LIMIT) != 0;
        state.file_error[stream] = capture->file_error[stream];
        state.caller_error[stream] = capture->caller_error[stream];
    }
    state.waits_for_caller &= !state.ended;
    return state;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The counters' memory: `memory` of an earlier image, made larger where needed, or new. How many
 * captures it has room for goes to `capacity`. Returns the descriptor or a negative errno. */
static int memory_open(int memory, uint32_t *capacity)
{
    struct stat status;
    cleanup_fd int file = memory >= 0 ? memory : memfd_create("sluice-capture", MFD_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        return -errno;
    uint64_t old = (uint64_t)status.st_size / sizeof(struct copier_counters);
    if (old > UINT32_MAX / 4 || *capacity > UINT32_MAX / 4)
        return -EINVAL;
    if (old > *capacity)
        *capacity = (uint32_t)old;
    if (ftruncate(file, (off_t)(*capacity * sizeof(struct copier_counters))) < 0 ||
        fcntl(file, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return descriptor_steal(&file);
}

/* 0 or a negative errno; captures_close undoes what was done. */
static int captures_prepare(struct captures *captures, uint32_t capacity, int memory)
{
    captures->copiers.epoll = -1;
    captures->counters = MAP_FAILED;
    captures->memory = memory_open(memory, &capacity);
    captures->capacity = capacity;
    captures->free = NONE;
    if (captures->memory < 0)
        return captures->memory;
    captures->counters = mmap(NULL, capacity * sizeof *captures->counters, PROT_READ | PROT_WRITE,
                              MAP_SHARED, captures->memory, 0);
    if (captures->counters == MAP_FAILED)
        return -errno;
    captures->table = calloc(capacity, sizeof *captures->table);
    if (captures->table == NULL)
        return -ENOMEM;
    for (uint32_t i = capacity; i-- > 0;) {
        captures->table[i].captures = captures;
        capture_free(&captures->table[i]);
    }
    return copiers_open(&captures->copiers, captures->counters, capacity);
}

struct captures *captures_open(uint32_t capacity, int memory, struct failure *failure)
{
    struct captures *captures = calloc(1, sizeof *captures);
    int status = -ENOMEM;
    if (captures == NULL)
        descriptor_close(&memory);
    else
        status = captures_prepare(captures, capacity, memory);
    if (status == 0)
        return captures;
    if (captures != NULL)
        captures_close(captures);
    failure_set(failure, -status, "capture: %s", strerror(-status));
    return NULL;
}

void captures_close(struct captures *captures)
{
    copiers_close(&captures->copiers);
    if (captures->counters != MAP_FAILED)
        munmap(captures->counters, captures->capacity * sizeof *captures->counters);
    descriptor_close(&captures->memory);
    free(captures->table);
    free(captures);
}

/* ---- re-exec --------------------------------------------------------------------------------- */

int captures_keep(struct captures *captures, bool keep)
{
    if (fcntl(captures->memory, F_SETFD, keep ? 0 : FD_CLOEXEC) < 0)
        return -1;
    return copiers_keep(&captures->copiers, keep);
}

int captures_memory(const struct captures *captures)
{
    return captures->memory;
}

void capture_save(const struct capture *capture, struct capture_saved *saved)
{
    *saved = (struct capture_saved){
        .protocol = CAPTURE_PROTOCOL, .slot = capture_slot(capture), .call = capture->call};
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++) {
        struct copier_entry none = {.control = -1, .pidfd = -1, .pid = -1};
        const struct copier_entry *copier = &none;
        if (capture->copier[stream] != NONE)
            copier = &capture->captures->copiers.entries[capture->copier[stream]];
        saved->control[stream] = copier->control;
        saved->pidfd[stream] = copier->pidfd;
        saved->pid[stream] = copier->pid;
        saved->reports[stream] = capture->reports[stream];
        saved->file_error[stream] = capture->file_error[stream];
        saved->caller_error[stream] = capture->caller_error[stream];
    }
}

static bool saved_is_sound(const struct captures *captures, const struct capture_saved *saved)
{
    if (saved->protocol != CAPTURE_PROTOCOL || saved->slot >= captures->capacity)
        return false;
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++) {
        bool ended = (saved->reports[stream] & STREAM_ENDED) != 0;
        bool there =
            saved->control[stream] >= 0 && saved->pidfd[stream] >= 0 && saved->pid[stream] > 1;
        if (ended == there)
            return false;
    }
    return true;
}

/* 0 or -1 with errno. */
static int stream_restore(struct capture *capture, unsigned stream,
                          const struct capture_saved *saved)
{
    capture->file_error[stream] = saved->file_error[stream];
    capture->caller_error[stream] = saved->caller_error[stream];
    if (saved->reports[stream] & STREAM_ENDED) {
        capture->reports[stream] = saved->reports[stream];
        return 0;
    }
    if (fcntl(saved->control[stream], F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(saved->pidfd[stream], F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    uint32_t index = copiers_adopt(&capture->captures->copiers,
                                   &(struct copier_entry){.pid = saved->pid[stream],
                                                          .pidfd = saved->pidfd[stream],
                                                          .control = saved->control[stream],
                                                          .slot = saved->slot,
                                                          .stream = stream});
    if (index == NONE)
        return -1;
    capture->copier[stream] = index;
    capture->reports[stream] = saved->reports[stream];
    return 0;
}

struct capture *capture_restore(struct captures *captures, const struct capture_saved *saved,
                                void *owner, struct failure *failure)
{
    struct capture *capture = NULL;
    if (saved_is_sound(captures, saved))
        capture = capture_claim(captures, saved->slot, saved->call, owner);
    if (capture == NULL) {
        failure_set(failure, EINVAL, "capture: what the old broker left does not fit");
        return NULL;
    }
    for (unsigned stream = 0; stream < CAPTURE_STREAMS; stream++)
        if (stream_restore(capture, stream, saved) < 0) {
            failure_set(failure, errno, "capture: %s", strerror(errno));
            capture_release(captures, capture);
            return NULL;
        }
    return capture;
}

bool captures_has_process(const struct captures *captures, pid_t process)
{
    return copiers_has_process(&captures->copiers, process);
}
