/* signals = own, and what keeps a program from other processes of its user in any case: reaches for
 * the processes that are named, by every call that takes a process.
 *
 *   escape_processes PID... */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

static pid_t target;

/* Has the kernel send a signal for us when a descriptor becomes readable. */
static long signal_by_fcntl(void)
{
    int pair[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || fcntl(pair[0], F_SETOWN, target) < 0 ||
        fcntl(pair[0], F_SETSIG, SIGURG) < 0 || fcntl(pair[0], F_SETFL, O_ASYNC) < 0)
        return -1;
    (void)byte;
    return write(pair[1], "x", 1);
}

static long file_of(const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", target, name);
    int file = open(path, flags);
    return flags == O_RDONLY ? read_byte(file) : file;
}

static long memory_of(long number)
{
    char byte[8];
    struct iovec here = {.iov_base = byte, .iov_len = 8};
    /* any address: a process that may be read says EFAULT, one that may not EPERM */
    struct iovec there = {.iov_base = (void *)0x1000, .iov_len = 8};
    long result = syscall(number, target, &here, 1UL, &there, 1UL, 0UL);
    return result < 0 && errno == EFAULT ? 0 : result;
}

static long descriptor_of(void)
{
    int pidfd = (int)syscall(NR_PIDFD_OPEN, target, 0);
    return pidfd < 0 ? -1 : syscall(NR_PIDFD_GETFD, pidfd, 0, 0);
}

static long signal_by_pidfd(void)
{
    int pidfd = (int)syscall(NR_PIDFD_OPEN, target, 0);
    return pidfd < 0 ? -1 : syscall(NR_PIDFD_SEND_SIGNAL, pidfd, SIGURG, NULL, 0);
}

static long signal_by_proc(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", target);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    return directory < 0 ? -1 : syscall(NR_PIDFD_SEND_SIGNAL, directory, SIGURG, NULL, 0);
}

static long namespace_of(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", target, name);
    int file = open(path, O_RDONLY);
    return file < 0 ? -1 : syscall(SYS_setns, file, 0);
}

static long attach(long request)
{
    long result = syscall(SYS_ptrace, request, target, 0, 0);
    if (result == 0) {
        int status;
        waitpid(target, &status, __WALL | (request == PTRACE_SEIZE ? WNOHANG : 0));
        syscall(SYS_ptrace, PTRACE_DETACH, target, 0, 0);
    }
    return result;
}

static long limits_of(void)
{
    struct rlimit limit;
    return syscall(SYS_prlimit64, target, RLIMIT_CORE, NULL, &limit) < 0
               ? -1
               : syscall(SYS_prlimit64, target, RLIMIT_CORE, &limit, NULL);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        siginfo_t information = {.si_signo = SIGURG, .si_code = SI_QUEUE};
        target = (pid_t)atoi(argv[i]);
        /* SIGURG: ignored unless somebody asked for it */
        TRY("kill", kill(target, SIGURG));
        TRY("kill 0", kill(target, 0));
        TRY("tkill", syscall(SYS_tkill, target, SIGURG));
        TRY("tgkill", syscall(SYS_tgkill, target, target, SIGURG));
        TRY("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, target, SIGURG, &information));
        TRY("rt_tgsigqueueinfo",
            syscall(SYS_rt_tgsigqueueinfo, target, target, SIGURG, &information));
        TRY("pidfd_send_signal", signal_by_pidfd());
        TRY("pidfd_send_signal proc", signal_by_proc());
        TRY("trace attach", attach(PTRACE_ATTACH));
        TRY("trace seize", attach(PTRACE_SEIZE));
        TRY("trace process_vm_readv", memory_of(SYS_process_vm_readv));
        TRY("trace process_vm_writev", memory_of(SYS_process_vm_writev));
        TRY("trace pidfd_getfd", descriptor_of());
        TRY("trace kcmp", syscall(SYS_kcmp, getpid(), target, 0, 0, 0));
        TRY("trace mem", file_of("mem", O_RDWR));
        TRY("trace environ", file_of("environ", O_RDONLY));
        TRY("trace maps", file_of("maps", O_RDONLY));
        TRY("trace fd", file_of("fd/1", O_WRONLY));
        TRY("trace root", file_of("root/etc/passwd", O_RDONLY));
        TRY("trace exe", file_of("exe", O_RDONLY));
        TRY("trace prlimit", limits_of());
        TRY("trace setns net", namespace_of("net"));
        TRY("trace setns mnt", namespace_of("mnt"));
        signal_by_fcntl(); /* silent when it is refused: the target counts */
    }
    return 0;
}
