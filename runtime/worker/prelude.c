#define _GNU_SOURCE 1

#include "runtime/worker/prelude.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/hurry.h"
#include "runtime/worker/setup.h"

#define SIGNALS 64
#define SIGNAL_ACTION_BYTES 64 /* more than struct sigaction of the kernel on any architecture */

static int by_number(const void *left, const void *right)
{
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

/* Every descriptor of the setup, up to SETUP_OBJECTS_MAX, into `kept`. Returns how many, or -E2BIG: one
 * that is left out would be closed, and its number soon be another file's, which would be granted then. */
static int collect(const struct confinement_setup *setup, int *kept)
{
    const struct setup_objects *const lists[] = {&setup->grants, &setup->libraries, &setup->writable,
                                                 &setup->hidden, &setup->guarded};
    int count = 0;

    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
        for (size_t i = 0; i < lists[list]->count; i++) {
            if (count == SETUP_OBJECTS_MAX)
                return -E2BIG;
            kept[count++] = lists[list]->all[i].descriptor;
        }
    return count;
}

int prelude_descriptors(const struct confinement_setup *setup, int control, int asks,
                        const int *also, size_t also_count)
{
    int kept[SETUP_OBJECTS_MAX + 2 + PRELUDE_ALSO_MAX];
    int collected = collect(setup, kept);
    if (collected < 0)
        return collected;
    size_t count = (size_t)collected;

    kept[count++] = control;
    kept[count++] = asks;
    for (size_t i = 0; i < also_count && i < PRELUDE_ALSO_MAX; i++)
        if (also[i] >= 0)
            kept[count++] = also[i];
    qsort(kept, count, sizeof kept[0], by_number);

    unsigned next = 3;
    for (size_t i = 0; i < count; i++) {
        if (kept[i] < 3)
            return -EBADF;
        int status = descriptors_close_range(next, (unsigned)kept[i] - 1);
        if (status < 0)
            return status;
        next = (unsigned)kept[i] + 1;
    }
    int status = descriptors_close_range(next, UINT_MAX);
    if (status < 0)
        return status;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int standard = 0; status == 0 && standard <= 2; standard++)
        if (dup2(null, standard) < 0)
            status = -errno;
    if (null > 2)
        close(null);
    return status;
}

static int signals_reset(void)
{
    /* All zero is SIG_DFL with no flags. The C libraries refuse the two or three signals that they
     * use themselves, so the system call; SIGKILL and SIGSTOP say EINVAL. */
    unsigned char action[SIGNAL_ACTION_BYTES] = {0};
    for (int signal = 1; signal <= SIGNALS; signal++)
        if (syscall(SYS_rt_sigaction, signal, action, NULL, SIGNALS / 8) < 0 &&
            signal != SIGKILL && signal != SIGSTOP)
            return -errno;
    sigset_t all;
    sigfillset(&all);
    return sigprocmask(SIG_SETMASK, &all, NULL) < 0 ? -errno : 0;
}

/* Room for descriptors: of a call's grants, and of processes to be killed. The children get the
 * limit that the broker was started with (limits.h). */
static int descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int prelude_process(void)
{
    if (setsid() < 0 && getpid() != getsid(0))
        return -errno;
    int status = signals_reset();
    if (status == 0)
        status = descriptors_raise();
    if (status < 0)
        return status;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
        prctl(PR_SET_NAME, "sluice-worker") < 0)
        return -errno;
    return 0;
}

int prelude_signals(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    hurry_prepare();
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals < 0 ? -errno : signals;
}
