#define _GNU_SOURCE
#include "runtime/broker/copier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/broker/kind.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* The most that is taken at once: what the largest pipe that an ordinary user may have holds, so
 * that one read empties the pipe and never splits what the child wrote at once (pipe(7)). */
#define CHUNK_MAX ((size_t)1 << 20)
/* A stream that has passed this much gets a larger pipe; before that the default is no burden on
 * the user's allowance of pipe memory (pipe-user-pages-soft). Larger ones were measured slower:
 * they no longer fit the processor's cache. */
#define PIPE_GROWS_AFTER ((uint64_t)1 << 20)
#define PIPE_GROWN (256 * 1024)
/* What a pipe holds unless somebody changes that: pipe(7). */
#define PIPE_HOLDS ((size_t)64 * 1024)
/* What a pipe that polls writable takes without waiting: PIPE_BUF. A terminal promises nothing: it
 * polls writable while it has room for a byte, and a longer write waits for the rest. */
#define PATIENT_WRITE 4096u
/* So such a write is interrupted this often, to see whether the broker wants something. */
#define WRITE_TICK_US 100000
/* While the other stream's copier holds the rest of the limit in its hands. */
#define CLAIM_RETRY_MS 1

/* How bytes reach the caller. */
enum caller_kind {
    CALLER_GONE, /* closed, failed, or not to be waited for any more */
    CALLER_PIPE, /* tee, never waiting */
    CALLER_SOCKET,
    CALLER_FILE,  /* a regular file: writes that its file system alone delays */
    CALLER_OTHER, /* terminals and whatever else: small writes once it polls writable, for a while */
};

struct copier {
    int control;
    bool alone; /* the broker is gone; what was begun is brought to its end all the same */
    struct copier_counters *table;
    uint32_t slots;
    _Atomic uint32_t *closing;
    char *buffer; /* CHUNK_MAX bytes */
    bool used;    /* something is in it */
};

/* One stream being copied. */
struct copy {
    struct copier *copier;
    struct copier_counters *counters;
    unsigned stream;
    int source, caller, file;
    size_t chunk; /* the most to take at once: what the pipe can hold */
    enum caller_kind kind;
    size_t datagram; /* the most that the caller's socket takes at once */
    bool file_is_kept;
    bool grown;
    uint32_t orders; /* those that have been seen */
    uint64_t
        drain_left; /* since COPIER_DRAIN: what the pipe held then and has not been passed on */
    uint64_t finish_left;  /* the same since COPIER_FINISH */
    bool drained, stopped; /* told so: COPIER_DRAINED, COPIER_OVER_LIMIT */
    bool waits;            /* told so, in the counters: for the caller */
};

/* ---- the broker ------------------------------------------------------------------------------ */

static void copier_tell(struct copier *copier, uint32_t kind, int error)
{
    struct copier_report report = {.protocol = CAPTURE_PROTOCOL, .kind = kind, .error = error};
    ssize_t sent;
    if (copier->alone)
        return;
    do {
        sent = send(copier->control, &report, sizeof report, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    copier->alone = sent < 0;
}

/* Takes the messages that only wake. */
static void copier_wake(struct copier *copier)
{
    char ignored;
    ssize_t length;
    do {
        length = recv(copier->control, &ignored, 1, MSG_DONTWAIT);
    } while (length > 0 || (length < 0 && errno == EINTR));
    if (length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        copier->alone = true;
}

/* Waits until `descriptor` has one of `events`, the broker wants something, or the time is over
 * (milliseconds; -1: none). */
static void copy_wait(struct copy *copy, int descriptor, short events, int timeout)
{
    struct copier *copier = copy->copier;
    struct pollfd watched[2] = {{.fd = descriptor, .events = events},
                                {.fd = copier->alone ? -1 : copier->control, .events = POLLIN}};
    if (poll(watched, 2, timeout) > 0 && watched[1].revents != 0)
        copier_wake(copier);
}

uint32_t copier_mark(void)
{
    uint32_t now = (uint32_t)clock_monotonic_ms();
    return now != 0 ? now : 1;
}

bool copier_mark_is_old(uint32_t mark)
{
    return mark != 0 && copier_mark() - mark >= COPIER_HELD_MS;
}

/* Around each call on the caller's descriptor that cannot be kept from waiting: for the lock of a pipe,
 * or the server of a file system. */
static void copy_hold(struct copy *copy)
{
    atomic_store(&copy->counters->held[copy->stream], copier_mark());
}

static void copy_let_go(struct copy *copy)
{
    atomic_store(&copy->counters->held[copy->stream], 0);
}

/* Lets the broker see whether the caller is what is waited for. */
static void copy_show_waiting(struct copy *copy, bool waits)
{
    uint32_t bit = (uint32_t)1 << copy->stream;
    if (waits == copy->waits)
        return;
    copy->waits = waits;
    if (waits)
        atomic_fetch_or(&copy->counters->waiting, bit);
    else
        atomic_fetch_and(&copy->counters->waiting, ~bit);
}

/* Waits for room at the caller's, as copy_wait does. */
static void copy_wait_for_caller(struct copy *copy)
{
    copy_show_waiting(copy, true);
    copy_wait(copy, copy->caller, POLLOUT, -1);
    copy_show_waiting(copy, false);
}

static bool descriptor_is(int descriptor, short events)
{
    struct pollfd watched = {.fd = descriptor, .events = events};
    return poll(&watched, 1, 0) > 0 && (watched.revents & events) != 0;
}

/* ---- the limit ------------------------------------------------------------------------------- */

/* Claims up to `wanted` bytes of the limit that both streams share. 0: nothing is left to claim. */
static size_t limit_claim(struct copier_counters *counters, size_t wanted)
{
    if (counters->limit == UINT64_MAX)
        return wanted;
    uint64_t claimed = atomic_load(&counters->claimed);
    uint64_t part;
    do {
        uint64_t left = counters->limit - claimed;
        part = left < wanted ? left : wanted;
    } while (!atomic_compare_exchange_weak(&counters->claimed, &claimed, claimed + part));
    return (size_t)part;
}

/* Spends `used` of what was claimed and gives the rest back. */
static void limit_settle(struct copier_counters *counters, size_t claimed, size_t used)
{
    if (counters->limit == UINT64_MAX)
        return;
    atomic_fetch_add(&counters->spent, used);
    atomic_fetch_sub(&counters->claimed, claimed - used);
}

/* Nothing could be claimed. */
static void copy_limited(struct copy *copy)
{
    if (atomic_load(&copy->counters->spent) < copy->counters->limit) {
        copy_wait(copy, -1, 0, CLAIM_RETRY_MS);
    } else if (!descriptor_is(copy->source, POLLIN) || copy->stopped) {
        /* Nothing more has come, or what to do about it is the broker's affair. */
        copy_wait(copy, copy->stopped ? -1 : copy->source, POLLIN, -1);
    } else {
        copy->stopped = true;
        copier_tell(copy->copier, COPIER_OVER_LIMIT, 0);
    }
}

/* ---- to the file and to the caller ----------------------------------------------------------- */

static void copy_to_file(struct copy *copy, const char *bytes, size_t length)
{
    if (!copy->file_is_kept)
        return;
    int status = write_whole(copy->file, bytes, length);
    if (status == 0)
        return;
    copy->file_is_kept = false;
    copier_tell(copy->copier, COPIER_FILE_FAILED, -status);
}

static void caller_fail(struct copy *copy, int error)
{
    bool closed = error == EPIPE || error == ECONNRESET ||
                  (error == EIO && copy->kind == CALLER_OTHER); /* a terminal that is no more */
    copy->kind = CALLER_GONE;
    if (!closed)
        copier_tell(copy->copier, COPIER_CALLER_FAILED, error);
}

/* A write that comes back after WRITE_TICK_US, with what was written until then or with EINTR.
 * Again and again, should the first tick come before the write has begun. setitimer(2). */
static ssize_t write_for_a_while(int descriptor, const char *bytes, size_t length)
{
    static const struct itimerval ticking = {{0, WRITE_TICK_US}, {0, WRITE_TICK_US}}, still;
    if (setitimer(ITIMER_REAL, &ticking, NULL) < 0)
        return -1;
    ssize_t written = write(descriptor, bytes, length);
    int error = errno;
    if (setitimer(ITIMER_REAL, &still, NULL) == 0)
        errno = error;
    return written;
}

/* One write to the caller, as much as it takes without waiting where that can be had. */
static ssize_t caller_write(struct copy *copy, const char *bytes, size_t length)
{
    if (copy->kind == CALLER_SOCKET) {
        size_t most = length < copy->datagram ? length : copy->datagram;
        ssize_t sent = send(copy->caller, bytes, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        /* A socket that keeps messages apart has a largest one. */
        if (sent < 0 && errno == EMSGSIZE && most > 1) {
            copy->datagram = most / 2;
            errno = EINTR;
        }
        return sent;
    }
    if (copy->kind == CALLER_FILE)
        return write(copy->caller, bytes, length);
    if (!descriptor_is(copy->caller, POLLOUT | POLLERR | POLLHUP | POLLNVAL)) {
        errno = EAGAIN;
        return -1;
    }
    return write_for_a_while(copy->caller, bytes, length < PATIENT_WRITE ? length : PATIENT_WRITE);
}

static void copy_read_orders(struct copy *copy);

static void copy_to_caller(struct copy *copy, const char *bytes, size_t length)
{
    while (length > 0 && copy->kind != CALLER_GONE) {
        copy_hold(copy);
        ssize_t written = caller_write(copy, bytes, length);
        copy_let_go(copy);
        if (written >= 0) {
            copy_show_waiting(copy, false);
            bytes += written;
            length -= (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            copy_wait_for_caller(copy);
        } else if (errno != EINTR) {
            caller_fail(copy, errno);
        } else if (copy->kind == CALLER_OTHER) {
            copy_show_waiting(copy, true); /* it polled writable, and took nothing all the same */
        }
        copy_read_orders(copy);
    }
    copy_show_waiting(copy, false);
}

/* ---- from the child -------------------------------------------------------------------------- */

static uint64_t source_holds(const struct copy *copy)
{
    int bytes;
    return ioctl(copy->source, FIONREAD, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

static void copy_count(struct copy *copy, size_t length)
{
    uint64_t before = atomic_fetch_add(&copy->counters->bytes[copy->stream], length);
    copy->copier->used = true;
    copy->drain_left -= length < copy->drain_left ? length : copy->drain_left;
    copy->finish_left -= length < copy->finish_left ? length : copy->finish_left;
    if (copy->grown || before + length < PIPE_GROWS_AFTER)
        return;
    copy->grown = true;
    int size = fcntl(copy->source, F_SETPIPE_SZ, PIPE_GROWN);
    if (size > 0 && (size_t)size > copy->chunk)
        copy->chunk = (size_t)size < CHUNK_MAX ? (size_t)size : CHUNK_MAX;
}

enum progress { PROGRESS, AT_END };

/* Waits for the child, and for the caller too where the child is not what is missing. */
static void copy_wait_for_room(struct copy *copy)
{
    if (copy->kind == CALLER_PIPE && descriptor_is(copy->source, POLLIN))
        copy_wait_for_caller(copy);
    else
        copy_wait(copy, copy->source, POLLIN, -1);
}

/* Pipe to pipe: what fits is in the caller's pipe before it is taken out of the child's, so nothing
 * has to be kept in between. */
static enum progress copy_by_tee(struct copy *copy, size_t claimed)
{
    copy_hold(copy);
    ssize_t length = tee(copy->source, copy->caller, claimed, SPLICE_F_NONBLOCK);
    int error = errno;
    copy_let_go(copy);
    limit_settle(copy->counters, claimed, length > 0 ? (size_t)length : 0);
    if (length == 0) {
        /* Either the end, or somebody else (the other stream's copier, after 2>&1) has filled the
         * caller's pipe after tee had looked whether there was room. */
        if (!descriptor_is(copy->source, POLLIN))
            return AT_END;
        copy_wait_for_room(copy);
        return PROGRESS;
    }
    if (length < 0) {
        if (error == EAGAIN)
            copy_wait_for_room(copy);
        else if (error == EPERM || error == ENOSYS || error == EINVAL)
            copy->kind = CALLER_OTHER; /* no tee here, or not for this pipe */
        else if (error != EINTR)
            caller_fail(copy, error);
        return PROGRESS;
    }
    ssize_t taken = read_whole(copy->source, copy->copier->buffer, (size_t)length);
    if (taken != length)
        return AT_END; /* cannot be: it was there, and nobody else reads this pipe */
    copy_to_file(copy, copy->copier->buffer, (size_t)taken);
    copy_count(copy, (size_t)taken);
    return PROGRESS;
}

/* Anything else: through the buffer, the file first. */
static enum progress copy_by_buffer(struct copy *copy, size_t claimed)
{
    char *buffer = copy->copier->buffer;
    ssize_t length = read(copy->source, buffer, claimed);
    int error = errno;
    limit_settle(copy->counters, claimed, length > 0 ? (size_t)length : 0);
    if (length == 0)
        return AT_END;
    if (length < 0) {
        if (error == EAGAIN || error == EWOULDBLOCK)
            copy_wait(copy, copy->source, POLLIN, -1);
        return error == EAGAIN || error == EWOULDBLOCK || error == EINTR ? PROGRESS : AT_END;
    }
    copy_count(copy, (size_t)length);
    copy_to_file(copy, buffer, (size_t)length);
    copy_to_caller(copy, buffer, (size_t)length);
    return PROGRESS;
}

/* ---- one stream ------------------------------------------------------------------------------ */

static void copy_read_orders(struct copy *copy)
{
    uint32_t orders = atomic_load(&copy->counters->orders);
    uint32_t fresh = orders & ~copy->orders;
    copy->orders = orders;
    if (fresh & COPIER_DRAIN)
        copy->drain_left = source_holds(copy);
    if (fresh & COPIER_FINISH) {
        copy->finish_left = source_holds(copy);
        copy->kind = CALLER_GONE;
    }
}

/* Whether the orders that have come leave nothing to do. */
static bool copy_is_over(struct copy *copy)
{
    if ((copy->orders & COPIER_DRAIN) && copy->drain_left == 0 && !copy->drained) {
        copy->drained = true;
        copier_tell(copy->copier, COPIER_DRAINED, 0);
    }
    if (copy->stopped)
        return (copy->orders & (COPIER_DRAIN | COPIER_FINISH)) || copy->copier->alone;
    return (copy->orders & COPIER_FINISH) && copy->finish_left == 0;
}

static void copy_run(struct copy *copy)
{
    for (;;) {
        copy_read_orders(copy);
        if (copy_is_over(copy))
            return;
        /* What a killed one had in its hands is nobody's claim any more. */
        if (copy->orders & COPIER_SOLE)
            atomic_store(&copy->counters->claimed, atomic_load(&copy->counters->spent));
        size_t claimed = limit_claim(copy->counters, copy->chunk);
        if (claimed == 0) {
            copy_limited(copy);
            if (!copy->stopped && descriptor_is(copy->source, POLLHUP) &&
                !descriptor_is(copy->source, POLLIN))
                return;
            continue;
        }
        enum progress progress =
            copy->kind == CALLER_PIPE ? copy_by_tee(copy, claimed) : copy_by_buffer(copy, claimed);
        if (progress == AT_END)
            return;
    }
}

static enum caller_kind caller_kind(int caller)
{
    switch (descriptor_kind(caller)) {
    case KIND_PIPE:
        return CALLER_PIPE;
    case KIND_SOCKET:
        return CALLER_SOCKET;
    case KIND_LOCAL_FILE:
    case KIND_NAMELESS_FILE:
    case KIND_OTHER_FILE:
    case KIND_MEMORY_DEVICE: /* /dev/null, which many callers pass, never waits */
        return CALLER_FILE;
    default:
        return CALLER_OTHER; /* if it cannot be written, the first write says why */
    }
}

static void copier_run(struct copier *copier, const struct copier_job *job, const int *descriptors)
{
    struct copy copy = {
        .copier = copier,
        .counters = &copier->table[job->slot],
        .stream = job->stream,
        .source = descriptors[0],
        .caller = descriptors[1],
        .file = descriptors[2],
        .kind = caller_kind(descriptors[1]),
        .datagram = CHUNK_MAX,
        .file_is_kept = true,
        .chunk = PIPE_HOLDS,
    };
    /* Nobody waits for a descriptor that cannot be written at all: it would never poll writable. */
    int flags = fcntl(copy.caller, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH))
        caller_fail(&copy, EBADF);
    copy_run(&copy);
}

/* ---- the process ----------------------------------------------------------------------------- */

/* Does nothing: that there is a handler makes a write come back. */
static void tick_take(int signal)
{
    (void)signal;
}

/* No signal reaches it but the tick, without SA_RESTART. */
static int signals_prepare(void)
{
    const struct sigaction tick = {.sa_handler = tick_take};
    sigset_t others;
    sigfillset(&others);
    sigdelset(&others, SIGALRM);
    if (sigaction(SIGALRM, &tick, NULL) < 0)
        return -1;
    return sigprocmask(SIG_SETMASK, &others, NULL);
}

/* Nothing of the broker's stays: not its sockets, not its other captures' pipes, not its terminal.
 */
static int process_prepare(int control)
{
    if (signals_prepare() < 0)
        _exit(1);
    prctl(PR_SET_NAME, "sluice-capture");
    if (control != 3 && dup2(control, 3) < 0)
        _exit(1);
    if (descriptors_close_range(4, ~0u) < 0)
        _exit(1);
    for (int descriptor = 0; descriptor < 3; descriptor++)
        close(descriptor);
    descriptors_fill_standard();
    return 3;
}

static bool job_is_whole(const struct copier *copier, const struct copier_job *job,
                         const struct message *message)
{
    return message->length == sizeof *job && message->count == COPIER_JOB_DESCRIPTORS &&
           job->protocol == CAPTURE_PROTOCOL && job->slot < copier->slots &&
           job->stream < CAPTURE_STREAMS;
}

_Noreturn void copier_serve(int control, struct copier_counters *counters, uint32_t slots,
                            _Atomic uint32_t *closing)
{
    struct copier copier = {.control = process_prepare(control),
                            .table = counters,
                            .slots = slots,
                            .closing = closing};
    copier.buffer =
        mmap(NULL, CHUNK_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copier.buffer == MAP_FAILED)
        _exit(1);
    while (!copier.alone) {
        struct copier_job job;
        int descriptors[COPIER_JOB_DESCRIPTORS];
        struct message message = {.buffer = &job,
                                  .capacity = sizeof job,
                                  .descriptors = descriptors,
                                  .wanted = COPIER_JOB_DESCRIPTORS};
        struct pollfd waiting = {.fd = copier.control, .events = POLLIN};
        poll(&waiting, 1, -1);
        enum message_result result = message_receive(copier.control, &message);
        if (result == MESSAGE_NONE || (result == MESSAGE_RECEIVED && message.length == 1))
            continue;
        if (result != MESSAGE_RECEIVED || !job_is_whole(&copier, &job, &message))
            break; /* the broker is gone, or sees that this one is */
        copier_run(&copier, &job, descriptors);
        /* Closing a file can take as long as its file system's server likes (closer.h). */
        if (descriptor_may_wait(descriptors[1])) {
            copier_tell(&copier, COPIER_LEFT, 0);
            break;
        }
        atomic_store(copier.closing, copier_mark());
        copier_tell(&copier, COPIER_ENDED, 0);
        descriptors_close(descriptors, message.count);
        atomic_store(copier.closing, 0);
        /* No memory, and nothing of one call's, stays for the next. */
        if (copier.used)
            madvise(copier.buffer, CHUNK_MAX, MADV_DONTNEED);
        copier.used = false;
    }
    _exit(0);
}
