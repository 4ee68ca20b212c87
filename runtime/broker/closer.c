#define _GNU_SOURCE 1 /* CLONE_FILES */

#include "runtime/broker/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/sockios.h> /* SIOCOUTQ */
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kind.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/hurry.h"
#include "runtime/shared/io.h"

/* ---- the processes --------------------------------------------------------------------------- */

/* What a closer is to do: read a frame; or answer on a pipe, if there are bytes, and close. Several
 * descriptors came in one message, so that one who is kept waiting keeps waiting himself; none of them is
 * a file whose every close may wait: while it is in the table, a fork's copy of it would be closed too. */
struct job {
    int descriptors[JOB_DESCRIPTORS_MAX];
    uint32_t count;
    bool reads;
    uint32_t length; /* of the bytes that follow */
};

struct order {
    struct job job;
    char bytes[WIRE_REPLY_MAX];
};

/* What it says when it is done: of what was read the length, or a negative errno. */
struct done {
    int32_t length;
    char bytes[CLOSER_FRAME_BYTES];
};

/* Writes to a pipe whose O_NONBLOCK belongs to the caller: through a pipe of our own, since
 * splice(2) can be told not to wait for either side. What does not fit is not for anybody. */
static void pipe_answer(int descriptor, const char *bytes, size_t length)
{
    int own[2];

    if (pipe2(own, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    if (write_whole(own[1], bytes, length) == 0)
        splice(own[0], NULL, descriptor, NULL, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    descriptors_close(own, 2);
}

/* Both run as the broker's user with its table of descriptors, and end with the broker. Their input
 * are the broker's own orders. */
static bool process_prepare(const char *name, pid_t broker)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
    return getppid() == broker;
}

/* Descriptors that come along are dropped: nothing that is read here may have any. */
static int32_t frame_read(int descriptor, char bytes[static CLOSER_FRAME_BYTES])
{
    ssize_t length = recv(descriptor, bytes, CLOSER_FRAME_BYTES, MSG_DONTWAIT | MSG_TRUNC);

    return length < 0 ? -errno : (int32_t)length;
}

static void job_do(const struct order *order, struct done *done)
{
    const struct job *job = &order->job;

    hurry(true);
    if (job->reads) {
        done->length = frame_read(job->descriptors[0], done->bytes);
    } else {
        if (job->length > 0)
            pipe_answer(job->descriptors[0], order->bytes, job->length);
        for (uint32_t i = 0; i < job->count && i < JOB_DESCRIPTORS_MAX; i++)
            close(job->descriptors[i]);
    }
    hurry(false);
}

static _Noreturn void closer_serve(int control, pid_t broker)
{
    bool serves = process_prepare("sluice-closer", broker);
    struct order order;

    while (serves) {
        ssize_t length = recv(control, &order, sizeof(order), 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < (ssize_t)sizeof(order.job) ||
            (size_t)length != sizeof(order.job) + order.job.length)
            break;
        struct done done = {0};
        job_do(&order, &done);
        serves = send(control, &done, sizeof(done), MSG_NOSIGNAL) == (ssize_t)sizeof(done);
    }
    _exit(0);
}

/* Waits until the broker has left the table, and closes all of it. */
static _Noreturn void sweeper_serve(int control, pid_t broker)
{
    char left;

    if (process_prepare("sluice-sweeper", broker) && recv(control, &left, 1, 0) == 1)
        syscall(SYS_close_range, 0u, ~0u, 0u);
    _exit(0);
}

/* fork(2) but for the shared table: the architectures agree on these arguments of clone(2). */
static pid_t sharing_fork(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
}

void closers_begin(struct closers *closers)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        closers->table[i] = (struct closer){.ours = -1, .theirs = -1};
    timer_describe(&closers->timer, TIMER_CLOSERS, 0);
    hurry_prepare();
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Forgets an entry's sockets; the closer at the other end, if it waits for a job, ends. */
static void closer_release(struct broker *broker, struct closer *closer, enum closer_state state)
{
    if (closer->ours >= 0) {
        /* A table that has been parted from may hold a duplicate for a moment yet. */
        epoll_ctl(broker->epoll, EPOLL_CTL_DEL, closer->ours, NULL);
        shutdown(closer->ours, SHUT_RDWR);
    }
    descriptor_close(&closer->ours);
    descriptor_close(&closer->theirs);
    closer->state = (uint8_t)state;
    closer->awaited = false;
    if (state == CLOSER_NONE)
        closer->pid = 0;
}

/* Makes a closer at `index`. False if that is not possible now. */
static bool closer_make(struct broker *broker, uint32_t index)
{
    struct closer *closer = &broker->closers.table[index];
    pid_t self = getpid();
    int ends[2];

    closer->generation = (closer->generation + 1) & EVENT_GENERATION_MASK;
    struct epoll_event event = {
        .events = EPOLLIN, .data.u64 = event_pack(EVENT_CLOSER, index, closer->generation)};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    closer->ours = ends[0];
    closer->theirs = ends[1];
    if (epoll_ctl(broker->epoll, EPOLL_CTL_ADD, closer->ours, &event) < 0) {
        closer_release(broker, closer, CLOSER_NONE);
        return false;
    }
    closer->pid = sharing_fork();
    if (closer->pid == 0)
        closer_serve(ends[1], self);
    if (closer->pid < 0) {
        closer_release(broker, closer, CLOSER_NONE);
        return false;
    }
    closer->state = CLOSER_IDLE;
    return true;
}

/* A closer with nothing to do, made if there is none. CLOSERS_MAX: there is none to be had. */
static uint32_t closer_find(struct broker *broker)
{
    uint32_t unused = CLOSERS_MAX;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        enum closer_state state = (enum closer_state)broker->closers.table[i].state;
        if (state == CLOSER_IDLE)
            return i;
        if (state == CLOSER_NONE && unused == CLOSERS_MAX)
            unused = i;
    }
    if (unused == CLOSERS_MAX || closer_make(broker, unused))
        return unused;
    pool_relieve(broker);
    return closer_make(broker, unused) ? unused : CLOSERS_MAX;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void closers_schedule(struct broker *broker, uint64_t delay)
{
    struct timer *timer = &broker->closers.timer;

    if (!timer_is_armed(timer) || timer->deadline > broker->now + delay)
        timer_arm(&broker->timers, timer, broker->now + delay);
}

/* Gives a closer a job. `reader`: the connection that is to be read from, or NONE. False: there is no
 * closer to be had now. */
static bool job_give(struct broker *broker, const struct job *job, uint32_t reader,
                     const char *bytes)
{
    const struct iovec parts[] = {{(void *)(uintptr_t)job, sizeof(*job)},
                                  {(void *)(uintptr_t)bytes, job->length}};
    uint32_t index;

    while ((index = closer_find(broker)) != CLOSERS_MAX) {
        struct closer *closer = &broker->closers.table[index];
        if (message_send(closer->ours, parts, 2, NULL, 0) < 0) {
            closer_release(broker, closer, CLOSER_NONE);
            continue;
        }
        closer->state = CLOSER_BUSY;
        closer->reader = reader;
        if (reader != NONE)
            closer->reader_generation = broker->connections.table[reader].generation;
        closer->job = job->descriptors[job->count - 1];
        closer->awaited = false;
        closer->since = broker->now;
        closers_schedule(broker, CLOSER_HUNG_MS);
        return true;
    }
    closers_schedule(broker, CLOSER_RETRY_MS);
    return false;
}

static bool job_close(struct broker *broker, const int *descriptors, size_t count)
{
    struct job job = {.count = (uint32_t)count};

    memcpy(job.descriptors, descriptors, count * sizeof(*descriptors));
    return job_give(broker, &job, NONE, NULL);
}

/* Hands what waits to closers, as far as there are any. */
static void backlog_serve(struct broker *broker)
{
    struct closers *closers = &broker->closers;

    while (closers->backlog_count > 0 &&
           job_close(broker, &closers->backlog[closers->backlog_count - 1], 1))
        closers->backlog_count--;
}

/* Gives `count` descriptors to a closer, or leaves them for one. */
static void closing_add(struct broker *broker, const int *descriptors, size_t count)
{
    struct closers *closers = &broker->closers;

    if (count == 0 || (closers->backlog_count == 0 && job_close(broker, descriptors, count)))
        return;
    memcpy(closers->backlog + closers->backlog_count, descriptors, count * sizeof(*descriptors));
    closers->backlog_count += (uint32_t)count;
    backlog_serve(broker);
}

/* Closes here what does not wait. `given`: somebody else has them too. */
static void closers_divide(struct broker *broker, int *descriptors, size_t count, bool given)
{
    const struct closers *closers = &broker->closers;
    int waiting[JOB_DESCRIPTORS_MAX];
    size_t waiting_count = 0;
    bool hurries = false;

    for (size_t i = 0; i < count; i++) {
        if (descriptors[i] < 0)
            continue;
        enum descriptor_kind kind = descriptor_kind(descriptors[i]);
        bool room = closers->backlog_count + JOB_DESCRIPTORS_MAX <= CLOSER_BACKLOG_MAX;
        if (room && kind_waits(kind)) {
            int alone = descriptor_steal(&descriptors[i]);
            closing_add(broker, &alone, 1);
            continue;
        }
        if (room && !given && kind_waits_at_last(kind)) {
            waiting[waiting_count++] = descriptor_steal(&descriptors[i]);
            if (waiting_count == JOB_DESCRIPTORS_MAX) {
                closing_add(broker, waiting, waiting_count);
                waiting_count = 0;
            }
            continue;
        }
        /* The last of it after all, if nobody else could wait any longer (release.h). */
        if (kind == KIND_SOCKET && !hurries)
            hurry(hurries = true);
        descriptor_close(&descriptors[i]);
    }
    if (hurries)
        hurry(false);
    closing_add(broker, waiting, waiting_count);
}

void closers_take(struct broker *broker, int *descriptors, size_t count)
{
    closers_divide(broker, descriptors, count, false);
}

void closers_take_given(struct broker *broker, int *descriptors, size_t count)
{
    closers_divide(broker, descriptors, count, true);
}

void closers_answer(struct broker *broker, int *pipe, const char *bytes, size_t length)
{
    const struct job job = {.descriptors = {*pipe}, .count = 1, .length = (uint32_t)length};

    if (job_give(broker, &job, NONE, bytes))
        *pipe = -1;
    else
        closers_take(broker, pipe, 1);
}

bool closers_read(struct broker *broker, uint32_t connection)
{
    const struct job job = {.descriptors = {broker->connections.table[connection].descriptor},
                            .count = 1,
                            .reads = true};

    return job_give(broker, &job, connection, NULL);
}

bool closers_are_exhausted(const struct broker *broker)
{
    const struct closers *closers = &broker->closers;
    bool works = false;

    if (closers->backlog_count == 0 || closers->backlog_count >= CLOSER_BACKLOG_FULL)
        return closers->backlog_count > 0;
    /* Many at once are not many that hang. */
    for (uint32_t i = 0; i < CLOSERS_MAX && !works; i++)
        works = closers->table[i].state == CLOSER_BUSY &&
                broker->now - closers->table[i].since < CLOSER_HUNG_MS;
    return !works;
}

/* Takes the word that a job is done. */
static void closer_finish(struct broker *broker, struct closer *closer)
{
    struct done done;
    ssize_t length = recv(closer->ours, &done, sizeof(done), MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length == (ssize_t)sizeof(done) && closer->state == CLOSER_BUSY) {
        uint32_t reader = closer->reader;
        closer->state = CLOSER_IDLE;
        closer->since = broker->now;
        closers_schedule(broker, CLOSER_IDLE_MS);
        if (reader != NONE)
            connection_take_frame(broker, reader, closer->reader_generation, done.bytes,
                                  done.length);
    } else {
        closer_release(broker, closer, CLOSER_NONE); /* it is gone */
    }
}

void closers_handle(struct broker *broker, uint32_t index, uint32_t generation)
{
    struct closer *closer = &broker->closers.table[index];

    if (index >= CLOSERS_MAX || closer->ours < 0 || closer->generation != generation)
        return;
    closer_finish(broker, closer);
    backlog_serve(broker);
}

/* Waits for a busy closer until it is done, its number is out of the table (the kernel takes it out
 * first, and then flushes: close(2)) or `end` has come. A number that is in use again by then looks as
 * if it were still there: hence once for each job. */
static void closer_wait(struct broker *broker, struct closer *closer, uint64_t end)
{
    struct pollfd done = {.fd = closer->ours, .events = POLLIN};

    closer->awaited = true;
    while (fcntl(closer->job, F_GETFD) >= 0) {
        if (poll(&done, 1, 1) > 0) {
            closer_finish(broker, closer);
            return;
        }
        if (clock_monotonic_ms() >= end)
            return;
    }
}

static void closers_wait(struct broker *broker, int patience)
{
    uint64_t end = clock_monotonic_ms() + (uint64_t)patience;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        struct closer *closer = &broker->closers.table[i];
        if (closer->state == CLOSER_BUSY && !closer->awaited)
            closer_wait(broker, closer, end);
    }
}

void closers_await(struct broker *broker)
{
    closers_wait(broker, CLOSER_AWAIT_MS);
}

/* ---- parting --------------------------------------------------------------------------------- */

/* Whether a busy closer has taken its job: unread bytes are counted at the sender (unix(7)). */
static bool closer_has_begun(const struct closer *closer)
{
    int unread = 0;

    return ioctl(closer->ours, SIOCOUTQ, &unread) == 0 && unread == 0;
}

/* Goes on with a table that no closer shares. Nothing may be on its way to one but what hangs.
 * False, and nothing has changed, if that is not possible now. */
static bool closers_part(struct broker *broker)
{
    int ends[2];
    pid_t self = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid_t sweeper = sharing_fork();
    if (sweeper == 0)
        sweeper_serve(ends[1], self);
    bool parted = sweeper > 0 && unshare(CLONE_FILES) == 0;
    if (parted) {
        send(ends[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
            struct closer *closer = &broker->closers.table[i];
            if (closer->state == CLOSER_BUSY)
                closer_release(broker, closer, CLOSER_HUNG);
            else if (closer->state == CLOSER_IDLE)
                closer_release(broker, closer, CLOSER_NONE);
        }
        /* Record locks belong to the table that they were taken with: fcntl(2), unshare(2). */
        manifest_lock(&broker->audit.manifest);
    }
    descriptors_close(ends, 2); /* a sweeper that gets no word ends */
    return parted;
}

/* Parts from those that hang, if there are any and no other is at work. */
static void hung_leave(struct broker *broker)
{
    bool hung = false, working = false;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        const struct closer *closer = &broker->closers.table[i];
        if (closer->state != CLOSER_BUSY)
            continue;
        bool late = broker->now - closer->since >= CLOSER_HUNG_MS && closer_has_begun(closer);
        hung = hung || late;
        working = working || !late;
    }
    if (working || (hung && (broker->closers.backlog_count > 0 || !closers_part(broker))))
        closers_schedule(broker, CLOSER_RETRY_MS);
}

void closers_expire(struct broker *broker)
{
    struct closers *closers = &broker->closers;
    uint32_t idle = 0;

    backlog_serve(broker);
    hung_leave(broker);
    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        struct closer *closer = &closers->table[i];
        if (closer->state != CLOSER_IDLE)
            continue;
        if (idle++ > 0 && broker->now - closer->since >= CLOSER_IDLE_MS)
            closer_release(broker, closer, CLOSER_NONE);
    }
    if (idle > 1)
        closers_schedule(broker, CLOSER_IDLE_MS);
}

int closers_leave(struct broker *broker, struct failure *failure)
{
    bool shared = false;

    backlog_serve(broker);
    closers_wait(broker, CLOSER_HUNG_MS / 10);
    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        const struct closer *closer = &broker->closers.table[i];
        if (closer->state == CLOSER_BUSY && !closer_has_begun(closer))
            return failure_set(failure, 0, "a caller's file is still to be closed");
        shared = shared || closer->state == CLOSER_BUSY || closer->state == CLOSER_IDLE;
    }
    if (broker->closers.backlog_count > 0)
        return failure_set(failure, 0, "callers' files are still to be closed");
    if (shared && !closers_part(broker))
        return failure_set(failure, errno, "leaving what closes callers' files: %s",
                           strerror(errno));
    return 0;
}

/* ---- children -------------------------------------------------------------------------------- */

void closers_forget_process(struct broker *broker, pid_t process)
{
    struct closers *closers = &broker->closers;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (closers->table[i].state != CLOSER_NONE && closers->table[i].pid == process)
            closer_release(broker, &closers->table[i], CLOSER_NONE);
    if (closers->backlog_count > 0)
        backlog_serve(broker);
}

bool closers_have_process(const struct closers *closers, pid_t process)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (closers->table[i].state != CLOSER_NONE && closers->table[i].pid == process)
            return true;
    return false;
}
