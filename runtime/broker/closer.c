#define _GNU_SOURCE 1 /* CLONE_FILES, AT_EMPTY_PATH */

#include "runtime/broker/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kind.h"
#include "runtime/broker/notice.h"
#include "runtime/shared/descriptors.h"

void closers_begin(struct closers *closers)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        closers->table[i] = (struct closer){.ours = -1, .theirs = -1};
    timer_describe(&closers->timer, TIMER_CLOSERS, 0);
}

/* ---- the closer ------------------------------------------------------------------------------ */

/* Runs as the broker's user with the broker's table of descriptors; its input are the broker's own
 * jobs; it ends with the broker. */
static _Noreturn void closer_serve(int control, pid_t broker)
{
    int job;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sluice-closer");
    while (getppid() == broker) {
        ssize_t length = recv(control, &job, sizeof(job), 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length != (ssize_t)sizeof(job))
            break;
        close(job);
        if (send(control, "", 1, MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

/* ---- the broker's side ----------------------------------------------------------------------- */

static void closer_forget(struct closer *closer)
{
    descriptor_close(&closer->ours);
    descriptor_close(&closer->theirs);
    *closer = (struct closer){.ours = -1, .theirs = -1};
}

/* Makes a closer at `index`. False if that is not possible now. */
static bool closer_make(struct broker *broker, uint32_t index)
{
    struct closer *closer = &broker->closers.table[index];
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = event_pack(EVENT_CLOSER, index, 0)};
    pid_t self = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    closer->ours = ends[0];
    closer->theirs = ends[1];
    if (epoll_ctl(broker->epoll, EPOLL_CTL_ADD, closer->ours, &event) < 0) {
        closer_forget(closer);
        return false;
    }
    /* fork(2) but for the shared table: the architectures agree on these two arguments. */
    closer->pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (closer->pid == 0)
        closer_serve(ends[1], self);
    if (closer->pid < 0)
        closer_forget(closer);
    return closer->pid > 0;
}

/* A closer with nothing to do, made if there is none. CLOSERS_MAX: there is none to be had. */
static uint32_t closer_find(struct broker *broker)
{
    struct closers *closers = &broker->closers;
    uint32_t unused = CLOSERS_MAX;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        const struct closer *closer = &closers->table[i];
        if (closer->pid == 0)
            unused = unused == CLOSERS_MAX ? i : unused;
        else if (!closer->busy)
            return i;
    }
    if (unused == CLOSERS_MAX || !closer_make(broker, unused))
        return CLOSERS_MAX;
    return unused;
}

static bool closers_are_there(const struct closers *closers)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (closers->table[i].pid != 0)
            return true;
    return false;
}

/* Hands what waits to a closer, as far as there is one. */
static void backlog_serve(struct broker *broker)
{
    struct closers *closers = &broker->closers;

    while (closers->backlog_count > 0) {
        uint32_t index = closer_find(broker);
        if (index == CLOSERS_MAX && !closers_are_there(closers)) {
            /* No process or no descriptors for one: what is here to be closed may be the remedy. */
            descriptors_close(closers->backlog, closers->backlog_count);
            closers->backlog_count = 0;
            return;
        }
        if (index == CLOSERS_MAX)
            return; /* until one is done */
        struct closer *closer = &closers->table[index];
        int job = closers->backlog[closers->backlog_count - 1];
        if (send(closer->ours, &job, sizeof(job), MSG_DONTWAIT | MSG_NOSIGNAL) !=
            (ssize_t)sizeof(job)) {
            closer_forget(closer);
            continue;
        }
        closer->busy = true;
        closer->since = broker->now;
        closers->backlog_count--;
    }
}

void closers_take(struct broker *broker, int *descriptors, size_t count)
{
    struct closers *closers = &broker->closers;

    for (size_t i = 0; i < count; i++) {
        if (descriptors[i] < 0)
            continue;
        enum descriptor_kind kind = descriptor_kind(descriptors[i]);
        bool may_wait = kind == KIND_OTHER_FILE || kind == KIND_UNKNOWN;
        if (may_wait && closers->backlog_count < CLOSER_BACKLOG_MAX)
            closers->backlog[closers->backlog_count++] = descriptor_steal(&descriptors[i]);
        else
            descriptor_close(&descriptors[i]);
    }
    if (closers->backlog_count > 0)
        backlog_serve(broker);
}

void closers_handle(struct broker *broker, uint32_t index)
{
    struct closer *closer = &broker->closers.table[index];
    char done;

    if (index >= CLOSERS_MAX || closer->pid == 0)
        return;
    ssize_t length = recv(closer->ours, &done, 1, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    closer->busy = false;
    closer->since = broker->now;
    if (!timer_is_armed(&broker->closers.timer))
        timer_arm(&broker->timers, &broker->closers.timer, broker->now + CLOSER_IDLE_MS);
    if (length <= 0)
        closer_forget(closer);
    backlog_serve(broker);
}

void closers_expire(struct broker *broker)
{
    struct closers *closers = &broker->closers;
    uint32_t idle = 0;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++) {
        struct closer *closer = &closers->table[i];
        if (closer->pid == 0 || closer->busy)
            continue;
        if (idle++ > 0 && broker->now - closer->since >= CLOSER_IDLE_MS)
            closer_forget(closer);
    }
    if (idle > 1)
        timer_arm(&broker->timers, &closers->timer, broker->now + CLOSER_IDLE_MS);
}

void closers_end(struct broker *broker)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (broker->closers.table[i].pid != 0)
            closer_forget(&broker->closers.table[i]);
}

void closers_forget_process(struct broker *broker, pid_t process)
{
    struct closers *closers = &broker->closers;

    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (process != 0 && closers->table[i].pid == process)
            closer_forget(&closers->table[i]);
    if (closers->backlog_count > 0)
        backlog_serve(broker);
}

bool closers_have_process(const struct closers *closers, pid_t process)
{
    for (uint32_t i = 0; i < CLOSERS_MAX; i++)
        if (closers->table[i].pid == process)
            return true;
    return false;
}
