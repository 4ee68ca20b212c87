/* syscalls = default: what no ordinary program needs. */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>

struct clone_arguments { /* struct clone_args, its first version */
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static long child_of(long pid)
{
    int status;
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, &status, 0);
    return pid;
}

static long unshared(int flags)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(flags) < 0 ? errno : 0);
    int status = 0;
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

int main(void)
{
    const struct clone_arguments plain = {.exit_signal = SIGCHLD},
                                 user = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct perf_event_attr counter = {.type = PERF_TYPE_SOFTWARE,
                                      .size = sizeof counter,
                                      .config = PERF_COUNT_SW_CPU_CLOCK,
                                      .exclude_kernel = 1,
                                      .exclude_hv = 1};
    uint32_t params[30] = {0};
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);

    TRY("unshare user", unshared(CLONE_NEWUSER));
    TRY("unshare user and net", unshared(CLONE_NEWUSER | CLONE_NEWNET));
    TRY("clone user", child_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
    TRY("clone3", child_of(syscall(NR_CLONE3, &plain, sizeof plain)));
    TRY("clone3 user", child_of(syscall(NR_CLONE3, &user, sizeof user)));
    TRY("io_uring_setup", syscall(NR_IO_URING_SETUP, 4, params));
    TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    TRY("add_key", syscall(SYS_add_key, "user", "sluice-test", "x", 1, -2));
    TRY("perf_event_open", syscall(SYS_perf_event_open, &counter, 0, -1, -1, 0));
    TRY("memfd_secret", syscall(447, 0));
    TRY("ptrace", ({
            pid_t pid = fork();
            if (pid == 0)
                _exit(syscall(SYS_ptrace, 0, 0, 0, 0) < 0 ? errno : 0);
            int status = 0;
            waitpid(pid, &status, 0);
            errno = WEXITSTATUS(status);
            errno ? -1 : 0;
        }));
    TRY("TIOCSTI", ioctl(terminal, 0x5412, "x"));
    TRY("TIOCSETD", ioctl(terminal, 0x5423, &(int){0}));
    TRY("vsock", socket(40, 1, 0));
    TRY("alg", socket(38, 5, 0));
#if defined(__x86_64__)
    long result;
    TRY("getpid by int 0x80", ({
            __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
            errno = result < 0 ? (int)-result : 0;
            result < 0 ? -1 : 0;
        }));
    TRY("getpid by x32", syscall(0x40000000 + SYS_getpid));
#endif
    /* and what every program needs goes on */
    TRY("+fork", child_of(fork()));
    TRY("+pipe", pipe((int[2]){0}));
    TRY("+mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                     ? -1
                     : 0);
    TRY("+openat2", syscall(NR_OPENAT2, AT_FDCWD, "/dev/null", (uint64_t[3]){0}, 24));
    TRY("+unshare files", unshared(CLONE_FILES));
    return 0;
}
