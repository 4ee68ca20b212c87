#define _GNU_SOURCE
#include "runtime/broker/copiers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

/* ---- entries --------------------------------------------------------------------------------- */

static int copier_watch(struct copiers *copiers, int descriptor, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    return epoll_ctl(copiers->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/* Closing alone would not do: a process forked at the wrong moment may hold a duplicate, and the
 * epoll would go on watching that. */
static void copier_unwatch(struct copiers *copiers, int *descriptor)
{
    if (*descriptor >= 0)
        epoll_ctl(copiers->epoll, EPOLL_CTL_DEL, *descriptor, NULL);
    descriptor_close(descriptor);
}

static void copier_free(struct copiers *copiers, uint32_t index)
{
    struct copier_entry *entry = &copiers->entries[index];
    atomic_store(&copiers->closing[index], 0);
    *entry = (struct copier_entry){.pidfd = -1, .control = -1, .next = copiers->free};
    copiers->free = index;
}

static uint32_t copier_claim(struct copiers *copiers, const struct copier_entry *as)
{
    uint32_t index = copiers->free;
    copiers->free = copiers->entries[index].next;
    copiers->entries[index] = *as;
    return index;
}

/* From here on only its death is waited for. */
static void copier_retire(struct copiers *copiers, uint32_t index)
{
    struct copier_entry *entry = &copiers->entries[index];
    shutdown(entry->control, SHUT_RDWR); /* ends an idle one, whoever else holds the socket */
    copier_unwatch(copiers, &entry->control);
    entry->state = COPIER_DYING;
}

/* Collects a dying copier if it is dead. Whether it was. waitid(2): __WALL, since it has no exit
 * signal. */
static bool copier_reap(struct copiers *copiers, uint32_t index)
{
    struct copier_entry *entry = &copiers->entries[index];
    siginfo_t dead = {0};
    if (waitid(P_PIDFD, (id_t)entry->pidfd, &dead, WEXITED | WNOHANG | __WALL) == 0 &&
        dead.si_pid == 0)
        return false;
    copier_unwatch(copiers, &entry->pidfd);
    copier_free(copiers, index);
    return true;
}

/* ---- idle ones ------------------------------------------------------------------------------- */

/* Collects dead copiers that an earlier image let go and did not see end: this one, which knows
 * nothing of them, is their parent all the same. They have no exit signal: __WCLONE. waitid(2). */
static void copiers_collect_strangers(const struct copiers *copiers)
{
    siginfo_t dead = {0};
    while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT | (int)__WCLONE) == 0 &&
           dead.si_pid != 0 && !copiers_has_process(copiers, dead.si_pid)) {
        if (waitid(P_PID, (id_t)dead.si_pid, &dead, WEXITED | WNOHANG | (int)__WCLONE) < 0)
            return;
        dead.si_pid = 0;
    }
}

/* Ends a copier that was born in vain. */
static void copier_undo(pid_t pid, int *pidfd)
{
    siginfo_t dead;
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        while (waitid(P_PIDFD, (id_t)*pidfd, &dead, WEXITED | __WALL) < 0 && errno == EINTR)
            continue;
    descriptor_close(pidfd);
}

/* Makes a copier, not yet in any list. Its index, or COPIERS_NONE with errno. */
static uint32_t copier_make(struct copiers *copiers)
{
    int control[2], pidfd = -1;
    copiers_collect_strangers(copiers);
    if (copiers->free == COPIERS_NONE) {
        errno = EBUSY;
        return COPIERS_NONE;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return COPIERS_NONE;
    cleanup_fd int ours = control[0];
    cleanup_fd int theirs = control[1];
    if (descriptor_set_nonblocking(ours) < 0 || copier_watch(copiers, ours, copiers->free) < 0)
        return COPIERS_NONE;
    /* fork(2) without an exit signal and with a pidfd from birth; the architectures agree on the
     * first three arguments of clone(2). */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD, 0, &pidfd, 0, 0);
    if (pid == 0)
        copier_serve(theirs, copiers->counters, copiers->slots, &copiers->closing[copiers->free]);
    /* From birth: nothing that its end needs can be short then. */
    if (pid < 0 || copier_watch(copiers, pidfd, copiers->free) < 0) {
        int error = errno;
        copier_unwatch(copiers, &ours);
        copier_undo(pid, &pidfd);
        errno = error;
        return COPIERS_NONE;
    }
    return copier_claim(copiers, &(struct copier_entry){.state = COPIER_IDLE,
                                                        .pid = pid,
                                                        .pidfd = pidfd,
                                                        .control = descriptor_steal(&ours),
                                                        .slot = COPIERS_NONE});
}

static void copier_keep(struct copiers *copiers, uint32_t index)
{
    copiers->entries[index].next = copiers->idle;
    copiers->idle = index;
    copiers->idle_count++;
}

static void copiers_idle_less(struct copiers *copiers)
{
    copiers->idle_count--;
    if (copiers->unneeded > copiers->idle_count)
        copiers->unneeded = copiers->idle_count;
}

int copiers_reserve(struct copiers *copiers, uint32_t count)
{
    while (copiers->idle_count < count) {
        uint32_t index = copier_make(copiers);
        if (index == COPIERS_NONE)
            return -errno;
        copier_keep(copiers, index);
    }
    return 0;
}

/* Takes an idle copier out of the list wherever it stands. */
static void copier_unlist(struct copiers *copiers, uint32_t index)
{
    uint32_t *place = &copiers->idle;
    while (*place != index)
        place = &copiers->entries[*place].next;
    *place = copiers->entries[index].next;
    copiers_idle_less(copiers);
}

static void copier_kill(struct copiers *copiers, uint32_t index)
{
    kill(copiers->entries[index].pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

/* Lets an idle copier go. One that is closing has passed all on; a signal ends most of what keeps
 * it (close(2) with SO_LINGER), and what it does not end stays with the process. */
static void copier_dismiss(struct copiers *copiers, uint32_t index)
{
    copier_unlist(copiers, index);
    if (atomic_load(&copiers->closing[index]) != 0)
        copier_kill(copiers, index);
    copier_retire(copiers, index);
}

/* The first idle copier that has closed what it was given, in the order of the list; COPIERS_NONE.
 * `closing` becomes the first of those that are still at it. Dismisses those that closing holds. */
static uint32_t copier_find(struct copiers *copiers, uint32_t *closing)
{
    uint32_t next, found = COPIERS_NONE;
    *closing = COPIERS_NONE;
    for (uint32_t index = copiers->idle; index != COPIERS_NONE; index = next) {
        uint32_t mark = atomic_load(&copiers->closing[index]);
        next = copiers->entries[index].next;
        if (mark == 0)
            found = found == COPIERS_NONE ? index : found;
        else if (copier_mark_is_old(mark))
            copier_dismiss(copiers, index);
        else if (*closing == COPIERS_NONE)
            *closing = index;
    }
    return found;
}

/* A copier that is in no list any more: an idle one, or a new one. Where none can be made, one that
 * is about to be idle has to do. */
static uint32_t copier_take(struct copiers *copiers)
{
    uint32_t closing;
    uint32_t index = copier_find(copiers, &closing);
    if (index == COPIERS_NONE) {
        index = copier_make(copiers);
        if (index != COPIERS_NONE || closing == COPIERS_NONE)
            return index;
        index = closing;
    }
    copier_unlist(copiers, index);
    return index;
}

void copiers_trim(struct copiers *copiers)
{
    for (uint32_t surplus = copiers->unneeded; surplus > COPIERS_KEPT; surplus--)
        copier_dismiss(copiers, copiers->idle);
    copiers->unneeded = copiers->idle_count;
}

void copiers_relieve(struct copiers *copiers)
{
    while (copiers->idle != COPIERS_NONE)
        copier_dismiss(copiers, copiers->idle);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

int copiers_start(struct copiers *copiers, const struct copier_job *job,
                  const int descriptors[COPIER_JOB_DESCRIPTORS], uint32_t *index)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)job, .iov_len = sizeof *job};
    for (;;) {
        uint32_t taken = copier_take(copiers);
        if (taken == COPIERS_NONE)
            return -errno;
        struct copier_entry *entry = &copiers->entries[taken];
        int status = message_send(entry->control, &part, 1, descriptors, COPIER_JOB_DESCRIPTORS);
        if (status == 0) {
            entry->state = COPIER_BUSY;
            entry->slot = job->slot;
            entry->stream = job->stream;
            *index = taken;
            return 0;
        }
        copier_retire(copiers, taken);
        if (status != -EPIPE && status != -ECONNRESET) /* an idle one that had died: the next */
            return status;
    }
}

uint32_t copiers_adopt(struct copiers *copiers, const struct copier_entry *busy)
{
    if (copiers->free == COPIERS_NONE) {
        errno = EBUSY;
        return COPIERS_NONE;
    }
    if (copier_watch(copiers, busy->control, copiers->free) < 0)
        return COPIERS_NONE;
    if (copier_watch(copiers, busy->pidfd, copiers->free) < 0) {
        int error = errno;
        epoll_ctl(copiers->epoll, EPOLL_CTL_DEL, busy->control, NULL);
        errno = error;
        return COPIERS_NONE;
    }
    uint32_t index = copier_claim(copiers, busy);
    copiers->entries[index].state = COPIER_BUSY;
    copiers->entries[index].inherited = true;
    return index;
}

void copiers_rest(struct copiers *copiers, uint32_t index)
{
    struct copier_entry *entry = &copiers->entries[index];
    entry->slot = COPIERS_NONE;
    if (entry->inherited || copiers->idle_count >= COPIERS_IDLE_MAX) {
        copier_retire(copiers, index);
        return;
    }
    entry->state = COPIER_IDLE;
    copier_keep(copiers, index);
}

void copiers_let_go(struct copiers *copiers, uint32_t index)
{
    copiers->entries[index].slot = COPIERS_NONE;
    copier_retire(copiers, index);
}

bool copiers_is_dead(const struct copiers *copiers, uint32_t index)
{
    struct pollfd death = {.fd = copiers->entries[index].pidfd, .events = POLLIN};
    return poll(&death, 1, 0) > 0;
}

void copiers_kill(struct copiers *copiers, uint32_t index)
{
    copier_kill(copiers, index);
    copier_retire(copiers, index);
}

struct copiers_event copiers_next(struct copiers *copiers)
{
    struct epoll_event event;
    while (epoll_wait(copiers->epoll, &event, 1, 0) == 1) {
        uint32_t index = event.data.u32;
        struct copier_entry *entry = &copiers->entries[index];
        uint32_t slot = entry->slot;
        if (entry->state == COPIER_BUSY)
            return (struct copiers_event){COPIERS_REPORT, index, slot};
        if (entry->state == COPIER_IDLE)
            copier_dismiss(copiers, index); /* it has died, or speaks out of turn */
        else if (entry->state == COPIER_DYING && copier_reap(copiers, index) &&
                 slot != COPIERS_NONE)
            return (struct copiers_event){COPIERS_DEAD, index, slot};
    }
    return (struct copiers_event){.kind = COPIERS_NOTHING};
}

/* ---- life ------------------------------------------------------------------------------------ */

int copiers_open(struct copiers *copiers, struct copier_counters *counters, uint32_t slots)
{
    *copiers = (struct copiers){
        .counters = counters,
        .slots = slots,
        .capacity = CAPTURE_STREAMS * slots + COPIERS_IDLE_MAX,
        .free = COPIERS_NONE,
        .idle = COPIERS_NONE,
    };
    copiers->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (copiers->epoll < 0)
        return -errno;
    /* Not handed over at an exec: those of an earlier image get no new job. */
    void *shared = mmap(NULL, copiers->capacity * sizeof *copiers->closing, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -errno;
    copiers->closing = shared;
    copiers->entries = calloc(copiers->capacity, sizeof *copiers->entries);
    if (copiers->entries == NULL)
        return -ENOMEM;
    for (uint32_t i = copiers->capacity; i-- > 0;)
        copier_free(copiers, i);
    return 0;
}

/* Lets the idle ones go, and waits a little for the dying to be dead. */
static void copiers_settle(struct copiers *copiers)
{
    int patience = COPIERS_REAP_PATIENCE_MS;
    copiers_relieve(copiers);
    for (uint32_t i = 0; i < copiers->capacity; i++) {
        struct copier_entry *entry = &copiers->entries[i];
        /* One whose slot is waited for is told of by copiers_next. */
        if (entry->state != COPIER_DYING)
            continue;
        struct pollfd death = {.fd = entry->pidfd, .events = POLLIN};
        if (poll(&death, 1, patience) == 0)
            patience = 0;
        if (entry->slot == COPIERS_NONE)
            copier_reap(copiers, i);
    }
}

void copiers_close(struct copiers *copiers)
{
    if (copiers->entries != NULL) {
        for (uint32_t i = 0; i < copiers->capacity; i++)
            if (copiers->entries[i].state == COPIER_BUSY)
                copiers_kill(copiers, i);
        copiers_settle(copiers);
        for (uint32_t i = 0; i < copiers->capacity; i++)
            if (copiers->entries[i].state == COPIER_DYING && !copier_reap(copiers, i))
                descriptor_close(&copiers->entries[i].pidfd);
    }
    free(copiers->entries);
    if (copiers->closing != NULL)
        munmap(copiers->closing, copiers->capacity * sizeof *copiers->closing);
    descriptor_close(&copiers->epoll);
}

/* A dying one is not handed over. It has no slot any more, or it was killed and comes to no
 * instruction of its own; all that the new image sees of it is that it has died
 * (copiers_collect_strangers). */
int copiers_keep(struct copiers *copiers, bool keep)
{
    int flags = keep ? 0 : FD_CLOEXEC;
    if (keep)
        copiers_settle(copiers);
    for (uint32_t i = 0; i < copiers->capacity; i++) {
        const struct copier_entry *entry = &copiers->entries[i];
        if (entry->state == COPIER_BUSY &&
            (fcntl(entry->control, F_SETFD, flags) < 0 || fcntl(entry->pidfd, F_SETFD, flags) < 0))
            return -1;
    }
    return 0;
}

bool copiers_has_process(const struct copiers *copiers, pid_t process)
{
    for (uint32_t index = 0; index < copiers->capacity; index++)
        if (copiers->entries[index].state != COPIER_FREE &&
            copiers->entries[index].pid == process)
            return true;
    return false;
}
