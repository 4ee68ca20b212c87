#define _GNU_SOURCE 1 /* clone */

#include "runtime/worker/ahead.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/worker/kernel_call.h"
#include "runtime/worker/release.h"
#include "runtime/worker/supervise.h"

bool ahead_is_possible(const struct spawn *spawn)
{
    return KERNEL_CALL_LEAVES_ERRNO && spawn->supervisor->near < 0;
}

enum ahead_state ahead_state(const struct ahead *ahead)
{
    return __atomic_load_n(&ahead->state, __ATOMIC_ACQUIRE);
}

/* ---- the child ------------------------------------------------------------------------------- */

static void child_say(struct ahead *ahead, enum ahead_state state)
{
    __atomic_store_n(&ahead->state, (uint32_t)state, __ATOMIC_RELEASE);
}

static _Noreturn void child_end(struct ahead *ahead, enum ahead_state state)
{
    child_say(ahead, state);
    for (;;)
        kernel_call(SYS_exit_group, 127);
}

/* A call that it has taken and cannot run. */
static _Noreturn void child_fail(struct ahead *ahead, enum worker_stage stage, int failure)
{
    ahead->spawn.stage = stage;
    ahead->spawn.failure = failure;
    child_end(ahead, AHEAD_TOOK);
}

static long child_receive(const struct ahead *ahead, struct msghdr *header, int flags)
{
    long length;
    do {
        length = kernel_call(SYS_recvmsg, ahead->asks, KERNEL_POINTER(header), flags);
    } while (length == -EINTR);
    return length;
}

/* Waits for a call and looks at it, leaving it where it is. */
static void child_await(struct ahead *ahead)
{
    struct iovec part = {.iov_base = &ahead->ask, .iov_len = sizeof ahead->ask};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    const struct worker_ask *ask = &ahead->ask;

    long length = child_receive(ahead, &header, MSG_PEEK | MSG_TRUNC);
    if (length == 0)
        child_end(ahead, AHEAD_LAST);
    bool understood = length == sizeof *ask && ask->protocol == WORKER_PROTOCOL &&
                      ask->kind == ASK_CALL && ask->has_directory <= 1;
    bool needs_more = ask->tells_start || ask->grant_count > 0 ||
                      (ahead->needs_directory && !ask->has_directory);
    if (!understood || needs_more ||
        !rulesets_find(ahead->rulesets, ahead->spawn.setup, &ahead->memory->executable,
                       &ahead->spawn.ruleset))
        child_end(ahead, AHEAD_MISSED);
}

/* Takes what child_await has looked at, and its descriptors. */
static void child_take(struct ahead *ahead, int descriptors[DESCRIPTORS_MAX])
{
    struct descriptors_room room;
    struct iovec part = {.iov_base = &ahead->ask, .iov_len = sizeof ahead->ask};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof room.bytes};
    size_t wanted = 4u + ahead->ask.has_directory;

    release_await(&ahead->memory->held);
    child_say(ahead, AHEAD_TAKES);
    long length = child_receive(ahead, &header, MSG_CMSG_CLOEXEC);
    if (length < 0)
        child_end(ahead, AHEAD_MISSED);
    size_t count = descriptors_find(room.bytes, (size_t)header.msg_controllen, descriptors);
    if (header.msg_flags & MSG_CTRUNC)
        child_fail(ahead, STAGE_INTERNAL, EMFILE);
    if (length != sizeof ahead->ask || count != wanted ||
        !ask_unpack(&ahead->ask, ahead->policy, ahead->spawn.setup, ahead->memory, &ahead->text))
        child_fail(ahead, STAGE_INTERNAL, EPROTO);
}

/* Signals that reached the child while it waited were nobody's of this call: its program must not
 * begin with them. Being ignored for a moment discards them (signal(7)); actions are its own. */
static void child_forget_signals(void)
{
    const struct {
        uintptr_t handler;
        unsigned long rest[7];
    } ignored = {.handler = (uintptr_t)SIG_IGN}, usual = {.handler = (uintptr_t)SIG_DFL};
    uint64_t pending = 0;

    kernel_call(SYS_rt_sigpending, KERNEL_POINTER(&pending), sizeof pending);
    for (int signal = 1; pending != 0; signal++, pending >>= 1)
        if (pending & 1) {
            kernel_call(SYS_rt_sigaction, signal, KERNEL_POINTER(&ignored), 0, sizeof pending);
            kernel_call(SYS_rt_sigaction, signal, KERNEL_POINTER(&usual), 0, sizeof pending);
        }
}

static int child_main(void *argument)
{
    struct ahead *ahead = argument;
    struct spawn *spawn = &ahead->spawn;
    int descriptors[DESCRIPTORS_MAX];
    enum worker_stage stage = STAGE_INTERNAL;

    if (!spawn_prepare(spawn))
        child_end(ahead, AHEAD_UNABLE);
    child_await(ahead);
    child_take(ahead, descriptors);
    child_forget_signals();
    /* From here on the call can be signalled and killed, as opening a path or exec may take long. */
    spawn->attributes = ahead->policy->rules[ahead->ask.rule].attributes;
    child_say(ahead, AHEAD_TOOK);
    int status = ask_move_inside(&ahead->ask, spawn->setup, &ahead->text, descriptors, &stage);
    if (status < 0)
        child_fail(ahead, stage, -status);
    spawn_describe(spawn, spawn->attributes, descriptors,
                   ahead->ask.has_directory ? descriptors[4] : -1, &ahead->text);
    spawn_execute(spawn);
}

/* ---- the worker ------------------------------------------------------------------------------ */

int ahead_start(struct ahead *ahead, void *stack)
{
    ahead->state = AHEAD_WAITS;
    pid_t pid = clone(child_main, (char *)stack + SPAWN_STACK_BYTES, CLONE_VM | SIGCHLD, ahead);
    if (pid < 0)
        return -errno;
    ahead->pid = pid;
    return 0;
}

bool ahead_has_ended(const struct ahead *ahead)
{
    siginfo_t ended;
    int status;

    do {
        ended.si_pid = 0;
        status = waitid(P_PID, (id_t)ahead->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
    } while (status < 0 && errno == EINTR);
    /* One that cannot be watched may have a call, and nobody would tell of its end. */
    if (status < 0)
        _exit(1);
    return ended.si_pid != 0;
}

void ahead_stop(struct ahead *ahead)
{
    siginfo_t ended;

    if (ahead->pid == 0)
        return;
    kill(ahead->pid, SIGKILL);
    while (waitid(P_PID, (id_t)ahead->pid, &ended, WEXITED) < 0 && errno == EINTR)
        continue;
    ahead->pid = 0;
}
