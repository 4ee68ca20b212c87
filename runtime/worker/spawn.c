#define _GNU_SOURCE 1

#include "runtime/worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/worker/landlock.h"
#include "runtime/worker/limits.h"
#include "runtime/worker/seccomp.h"
#include "runtime/worker/setup.h"
#include "runtime/worker/supervise.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static _Noreturn void child_fail(struct spawn *spawn, enum worker_stage stage, int failure)
{
    spawn->failure = failure;
    spawn->stage = stage;
    _exit(127);
}

static bool is_same_file(int descriptor, const char *path)
{
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Runs what was opened. The kernel refuses a script through a close-on-exec descriptor (ENOENT, as
 * its interpreter could not open /dev/fd/N), and a descriptor left open would be the program's to
 * keep, so a script runs by its path, after making sure that the path still names what was opened.
 * Somebody who can write the script's directory could swap it between that look and the kernel's:
 * they could as well have swapped it before the call. Under fs_* keys even that fails, because
 * Landlock knows the opened file, not its name. */
static void child_execute(struct spawn *spawn)
{
    syscall(SYS_execveat, spawn->executable, "", spawn->arguments, spawn->environment,
            AT_EMPTY_PATH);
    if (errno != ENOENT && errno != ENOSYS)
        child_fail(spawn, STAGE_EXEC, errno);
    if (!is_same_file(spawn->executable, spawn->path))
        child_fail(spawn, STAGE_EXEC, ESTALE);
    execve(spawn->path, spawn->arguments, spawn->environment);
    child_fail(spawn, STAGE_EXEC, errno);
}

static int child_main(void *argument)
{
    struct spawn *spawn = argument;
    const struct policy_confinement *confinement = spawn->setup->confinement;

    /* Its own group, in the worker's session, which has no terminal: nothing can be pushed into one
     * (TIOCSTI wants it to be the controlling one), and reading the caller's terminal never stops
     * it, because job control is about one's own. */
    if (setpgid(0, 0) < 0)
        child_fail(spawn, STAGE_INTERNAL, errno);
    /* Should the worker die, nobody would limit or report this child any more. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        child_fail(spawn, STAGE_INTERNAL, errno);
    if (getppid() != spawn->worker)
        child_fail(spawn, STAGE_INTERNAL, ESRCH);
    if (dup2(spawn->input, 0) < 0 || dup2(spawn->output, 1) < 0 || dup2(spawn->error, 2) < 0)
        child_fail(spawn, STAGE_INTERNAL, errno);
    umask((mode_t)spawn->attributes->umask);
    if (spawn->directory >= 0 && fchdir(spawn->directory) < 0)
        child_fail(spawn, STAGE_DIRECTORY, errno);
    if (confinement->nice != 0) {
        errno = 0;
        if (nice(confinement->nice) == -1 && errno != 0)
            child_fail(spawn, STAGE_CONFINE, errno);
    }
    int status = limits_apply(spawn->limits);
    if (status == 0 && spawn->ruleset >= 0)
        status = landlock_restrict(spawn->ruleset);
    if (status == 0 && spawn->supervisor->near >= 0)
        status = supervisor_hand_over(spawn->supervisor);
    if (status < 0)
        child_fail(spawn, STAGE_CONFINE, -status);

    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        child_fail(spawn, STAGE_INTERNAL, errno);
    /* Last of all: it may refuse anything but exec. */
    if (spawn->setup->filters && confinement->filter->per_call)
        status = seccomp_load(confinement->filter);
    if (status < 0)
        child_fail(spawn, STAGE_CONFINE, -status);
    child_execute(spawn);
    return 127;
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
