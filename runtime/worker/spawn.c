#define _GNU_SOURCE 1

#include "runtime/worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/worker/ask.h"
#include "runtime/worker/identity.h"
#include "runtime/worker/kernel_call.h"
#include "runtime/worker/landlock.h"
#include "runtime/worker/limits.h"
#include "runtime/worker/seccomp.h"
#include "runtime/worker/setup.h"
#include "runtime/worker/supervise.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

#define SIGNAL_SET_BYTES 8 /* of the kernel's sigset_t */

/* `failure` is an errno. */
static bool child_failed(struct spawn *spawn, enum worker_stage stage, long failure)
{
    spawn->failure = (int)failure;
    spawn->stage = stage;
    return false;
}

static _Noreturn void child_end(struct spawn *spawn, enum worker_stage stage, long failure)
{
    child_failed(spawn, stage, failure);
    for (;;)
        kernel_call(SYS_exit_group, 127);
}

/* Runs what was opened. The kernel refuses a script through a close-on-exec descriptor (ENOENT, as
 * its interpreter could not open /dev/fd/N), and a descriptor left open would be the program's to
 * keep, so a script runs by its path, after making sure that the path still names what was opened.
 * Somebody who can write the script's directory could swap it between that look and the kernel's:
 * they could as well have swapped it before the call. Under fs_* keys even that fails, because
 * Landlock knows the opened file, not its name. */
static _Noreturn void child_execute(struct spawn *spawn)
{
    long arguments = KERNEL_POINTER(spawn->arguments);
    long environment = KERNEL_POINTER(spawn->environment);

    long status = kernel_call(SYS_execveat, spawn->executable, KERNEL_POINTER(""), arguments,
                              environment, AT_EMPTY_PATH);
    if (status != -ENOENT && status != -ENOSYS)
        child_end(spawn, STAGE_EXEC, -status);
    if (!file_is_same(spawn->executable, AT_FDCWD, spawn->path))
        child_end(spawn, STAGE_EXEC, ESTALE);
    status = kernel_call(SYS_execve, KERNEL_POINTER(spawn->path), arguments, environment);
    child_end(spawn, STAGE_EXEC, -status);
}

/* nice(2) as a system call of Linux's own: what it tells is 20 less the value, to be positive. */
static long nice_add(int more)
{
    long now = kernel_call(SYS_getpriority, PRIO_PROCESS, 0);
    return now < 0 ? now : kernel_call(SYS_setpriority, PRIO_PROCESS, 0, 20 - now + more);
}

bool spawn_prepare(struct spawn *spawn)
{
    const struct policy_confinement *confinement = spawn->setup->confinement;

    spawn->stage = STAGE_NONE;
    /* Its own group, in the worker's session, which has no terminal: nothing can be pushed into one
     * (TIOCSTI wants it to be the controlling one), and reading the caller's terminal never stops
     * it, because job control is about one's own. */
    long status = kernel_call(SYS_setpgid, 0, 0);
    /* Should the worker die, nobody would limit or report this child any more. */
    if (status == 0)
        status = kernel_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    if (status == 0 && kernel_call(SYS_getppid, 0) != spawn->worker)
        status = -ESRCH;
    if (status < 0)
        return child_failed(spawn, STAGE_INTERNAL, -status);
    if (confinement->nice != 0)
        status = nice_add(confinement->nice);
    if (status == 0)
        status = limits_apply(spawn->limits);
    return status == 0 || child_failed(spawn, STAGE_CONFINE, -status);
}

_Noreturn void spawn_execute(struct spawn *spawn)
{
    const struct policy_confinement *confinement = spawn->setup->confinement;
    const int given[] = {spawn->input, spawn->output, spawn->error};
    long status = 0;

    for (int standard = 0; status >= 0 && standard <= 2; standard++)
        status = kernel_call(SYS_dup3, given[standard], standard, 0);
    if (status < 0)
        child_end(spawn, STAGE_INTERNAL, -status);
    kernel_call(SYS_umask, spawn->attributes->umask);
    if (spawn->directory >= 0)
        status = kernel_call(SYS_fchdir, spawn->directory);
    if (status < 0)
        child_end(spawn, STAGE_DIRECTORY, -status);
    status = limits_apply_descriptors(spawn->limits);
    if (status == 0 && spawn->ruleset >= 0)
        status = landlock_restrict(spawn->ruleset);
    if (status == 0 && spawn->supervisor->near >= 0)
        status = supervisor_hand_over(spawn->supervisor);
    if (status < 0)
        child_end(spawn, STAGE_CONFINE, -status);

    const uint64_t none = 0;
    status = kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, KERNEL_POINTER(&none), 0,
                         SIGNAL_SET_BYTES);
    if (status < 0)
        child_end(spawn, STAGE_INTERNAL, -status);
    /* Last of all: it may refuse anything but exec. */
    if (spawn->setup->filters && confinement->filter->per_call)
        status = seccomp_load(confinement->filter);
    if (status < 0)
        child_end(spawn, STAGE_CONFINE, -status);
    child_execute(spawn);
}

void spawn_describe(struct spawn *spawn, const struct policy_attributes *attributes,
                    const int *descriptors, int directory, const struct ask_text *text)
{
    spawn->attributes = attributes;
    spawn->input = descriptors[0];
    spawn->output = descriptors[1];
    spawn->error = descriptors[2];
    spawn->executable = descriptors[3];
    spawn->path = text->path;
    spawn->directory = directory;
    spawn->arguments = text->arguments;
    spawn->environment = text->environment;
}

static int child_main(void *argument)
{
    struct spawn *spawn = argument;

    if (!spawn_prepare(spawn))
        child_end(spawn, spawn->stage, spawn->failure);
    spawn_execute(spawn);
}

pid_t spawn_child(struct spawn *spawn, void *stack)
{
    spawn->stage = STAGE_NONE;
    spawn->failure = 0;
    pid_t pid = clone(child_main, (char *)stack + SPAWN_STACK_BYTES,
                      CLONE_VM | CLONE_VFORK | SIGCHLD, spawn);
    if (pid < 0) {
        spawn->stage = STAGE_CLONE;
        spawn->failure = errno;
    }
    /* The child wrote into *spawn while this thread stood still. */
    __asm__ volatile("" ::: "memory");
    return pid;
}
