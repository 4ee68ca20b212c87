#define _GNU_SOURCE 1 /* SYS_close_range */

#include "runtime/broker/opener.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/shared/descriptors.h"

/* The working directory and every grant. */
#define OPENER_DESCRIPTORS_MAX (1 + WORKER_GRANTS_MAX)
_Static_assert(OPENER_DESCRIPTORS_MAX <= DESCRIPTORS_MAX, "one message carries all of them");

void openers_begin(struct openers *openers)
{
    for (uint32_t i = 0; i < OPENERS_MAX; i++)
        openers->table[i] = (struct opener){.control = -1};
}

/* ---- the opener ------------------------------------------------------------------------------ */

static _Noreturn void opener_serve(int control, pid_t broker, const struct opening_order *order)
{
    struct opening opening = {0}; /* it is sent as it lies there: nothing of the stack goes along */
    int descriptors[OPENER_DESCRIPTORS_MAX];
    size_t count = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sluice-opener");
    /* Should it hang, it must not keep the broker's sockets open. */
    if (getppid() != broker || (control != 3 && dup2(control, 3) < 0) ||
        descriptors_close_range(4, ~0u) < 0)
        _exit(1);
    opening_make(order, &opening);
    if (opening.directory >= 0)
        descriptors[count++] = opening.directory;
    for (uint32_t i = 0; i < opening.grant_count; i++)
        descriptors[count++] = opening.grants[i];
    struct iovec part = {.iov_base = &opening, .iov_len = sizeof(opening)};
    _exit(message_send(3, &part, 1, descriptors, count) < 0);
}

/* ---- the broker's side ----------------------------------------------------------------------- */

/* Forgets its socket; the entry is free once the process has been reaped. */
static void opener_let_go(struct broker *broker, struct opener *opener)
{
    if (opener->control >= 0)
        epoll_ctl(broker->epoll, EPOLL_CTL_DEL, opener->control, NULL);
    descriptor_close(&opener->control);
}

uint32_t opener_start(struct broker *broker, uint32_t call, const struct opening_order *order)
{
    uint32_t index = 0;
    pid_t self = getpid();
    int ends[2];

    while (index < OPENERS_MAX && (broker->openers.table[index].pid != 0 ||
                                   broker->openers.table[index].control >= 0))
        index++;
    errno = EAGAIN;
    if (index == OPENERS_MAX ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return NONE;
    cleanup_fd int ours = ends[0];
    cleanup_fd int theirs = ends[1];
    struct opener *opener = &broker->openers.table[index];
    opener->generation = (opener->generation + 1) & EVENT_GENERATION_MASK;
    struct epoll_event event = {
        .events = EPOLLIN, .data.u64 = event_pack(EVENT_OPENER, index, opener->generation)};
    if (epoll_ctl(broker->epoll, EPOLL_CTL_ADD, ours, &event) < 0)
        return NONE;
    closers_await(broker);
    pid_t pid = fork();
    if (pid == 0)
        opener_serve(theirs, self, order);
    if (pid < 0) {
        int saved = errno;
        epoll_ctl(broker->epoll, EPOLL_CTL_DEL, ours, NULL);
        errno = saved;
        return NONE;
    }
    opener->pid = pid;
    opener->control = descriptor_steal(&ours);
    opener->call = call;
    return index;
}

void opener_abandon(struct broker *broker, uint32_t index)
{
    struct opener *opener = &broker->openers.table[index];

    opener_let_go(broker, opener);
    if (opener->pid != 0)
        kill(opener->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

/* Puts the descriptors that came where the sender had them. False if they do not fit, or if this is
 * nothing that an opener makes, which has looked at a caller's paths and is not believed further. */
static bool opening_unpack(struct opening *opening, int *descriptors, size_t count)
{
    size_t at = 0;

    if (opening->grant_count > WORKER_GRANTS_MAX ||
        count != (opening->directory >= 0) + (size_t)opening->grant_count ||
        (unsigned)opening->reason >= REASON_COUNT ||
        memchr(opening->directory_path, '\0', sizeof(opening->directory_path)) == NULL ||
        memchr(opening->failure.text, '\0', sizeof(opening->failure.text)) == NULL)
        return false;
    if (opening->directory >= 0)
        opening->directory = descriptor_steal(&descriptors[at++]);
    for (uint32_t i = 0; i < opening->grant_count; i++)
        opening->grants[i] = descriptor_steal(&descriptors[at++]);
    return true;
}

void opener_handle(struct broker *broker, uint32_t index, uint32_t generation)
{
    struct opener *opener = &broker->openers.table[index];
    int descriptors[OPENER_DESCRIPTORS_MAX];
    struct opening opening;
    struct message message = {.buffer = &opening,
                              .capacity = sizeof(opening),
                              .descriptors = descriptors,
                              .wanted = OPENER_DESCRIPTORS_MAX};

    if (index >= OPENERS_MAX || opener->control < 0 || opener->generation != generation)
        return;
    enum message_result result = message_receive(opener->control, &message);
    if (result == MESSAGE_NONE)
        return;
    if (result != MESSAGE_RECEIVED)
        message.count = 0;
    opener_let_go(broker, opener);
    bool whole = result == MESSAGE_RECEIVED && message.length == sizeof(opening) &&
                 opening_unpack(&opening, descriptors, message.count);
    descriptors_close(descriptors, message.count); /* what was not taken */
    call_opened(broker, opener->call, whole ? &opening : NULL);
}

void openers_forget_process(struct openers *openers, pid_t process)
{
    for (uint32_t i = 0; i < OPENERS_MAX; i++)
        if (openers->table[i].pid == process)
            openers->table[i].pid = 0;
}

bool openers_have_process(const struct openers *openers, pid_t process)
{
    for (uint32_t i = 0; i < OPENERS_MAX; i++)
        if (openers->table[i].pid == process)
            return true;
    return false;
}
