/* The fault build: each call of the runtime's that can fail goes through a function of this file
 * (objcopy renames NAME to fault_NAME in the runtime's objects; tests/faults/calls.txt), which counts
 * it and lets it fail when it is its turn. Nothing else of the runtime differs from what is shipped.
 *
 * Runs in the broker, its workers, its copiers, and between clone and exec on the worker's memory:
 * so it allocates nothing, takes no lock and keeps its state in the mapped file. Without
 * SLUICE_FAULTS in the environment nothing is counted and nothing fails. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/faults/inject.h"

extern char image_start[] __asm__("__executable_start") __attribute__((visibility("hidden")));

static struct fault_map *map;
static bool looked_for;
static pid_t own_pid; /* of the process that this memory belongs to: a clone that shares it differs */
static uint32_t own_role;

static pid_t pid_now(void)
{
    return (pid_t)syscall(SYS_getpid);
}

static void map_find(void)
{
    looked_for = true;
    const char *path = getenv(FAULT_VARIABLE);
    if (!path)
        return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found == MAP_FAILED || ((struct fault_map *)found)->magic != FAULT_MAGIC)
        return;
    own_pid = pid_now();
    map = found;
    int32_t nobody = 0;
    bool first = __atomic_compare_exchange_n(&map->broker, &nobody, own_pid, false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    own_role = first || nobody == own_pid ? ROLE_BROKER : ROLE_CANDIDATE;
}

/* After a fork: in the child. */
static void forked(void)
{
    own_pid = pid_now();
    own_role = ROLE_FORKED;
}

static struct fault_site *site_find(uint32_t role, uint32_t place, uint32_t number,
                                    const char *name)
{
    uint32_t at = (place * 2654435761u + number * 40503u + role) % FAULT_SITES_MAX;

    for (uint32_t tried = 0; tried < FAULT_SITES_MAX; tried++, at = (at + 1) % FAULT_SITES_MAX) {
        struct fault_site *site = &map->sites[at];
        uint32_t state = 0;
        if (__atomic_compare_exchange_n(&site->state, &state, 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            site->role = role;
            site->place = place;
            site->number = number;
            for (size_t i = 0; name[i] && i + 1 < sizeof site->name; i++)
                site->name[i] = name[i];
            __atomic_store_n(&site->state, 2, __ATOMIC_SEQ_CST);
            return site;
        }
        while (__atomic_load_n(&site->state, __ATOMIC_SEQ_CST) != 2)
            continue;
        if (site->role == role && site->place == place && site->number == number)
            return site;
    }
    map->overflow = 1;
    return NULL;
}

/* Counts a call. Whether it is to fail: with map->error, which is 0 for one that is to be short. Leaves
 * errno alone once the map is there: a child that waits on its worker's memory comes here beside it. */
static bool is_due(const char *name, uint32_t number, const void *returns_to)
{
    int saved = errno;

    if (!looked_for) {
        map_find();
        errno = saved;
    }
    if (!map)
        return false;
    uint32_t place = (uint32_t)((const char *)returns_to - image_start);
    uint32_t role = own_role == ROLE_FORKED && pid_now() != own_pid ? ROLE_CHILD : own_role;
    struct fault_site *site = site_find(role, place, number, name);
    if (site)
        __atomic_add_fetch(&site->count, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&map->armed, __ATOMIC_SEQ_CST) || map->role != role ||
        map->place != place || map->number != number)
        return false;
    uint32_t seen = __atomic_add_fetch(&map->seen, 1, __ATOMIC_SEQ_CST);
    if (seen < map->first || seen - map->first >= map->length)
        return false;
    __atomic_add_fetch(&map->fired, 1, __ATOMIC_SEQ_CST);
    return true;
}

/* The same, with errno set when it is. */
static bool fails_now(const char *name, uint32_t number, const void *returns_to)
{
    bool due = is_due(name, number, returns_to);
    if (due)
        errno = map->error;
    return due;
}

/* Whoever collects a process that crashed says so: no scenario's own program ends like this. */
static void ended_see(pid_t process, int signal)
{
    bool is_crash = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
                    signal == SIGABRT || signal == SIGFPE || signal == SIGTRAP ||
                    signal == SIGSYS;
    if (map && is_crash) {
        map->crash_process = process;
        map->crash_signal = signal;
    }
}

#define HERE __builtin_return_address(0)
#define FAILS(name) fails_now(name, 0, HERE)

/* A call that either does all or nothing. */
#define CALL(type, name, parameters, arguments, failure)                                          \
    type fault_##name parameters;                                                                 \
    type fault_##name parameters                                                                  \
    {                                                                                             \
        return FAILS(#name) ? failure : name arguments;                                           \
    }

CALL(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d), -1)
CALL(int, access, (const char *a, int b), (a, b), -1)
CALL(int, bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), -1)
CALL(void *, calloc, (size_t a, size_t b), (a, b), NULL)
CALL(void *, malloc, (size_t a), (a), NULL)
CALL(void *, realloc, (void *a, size_t b), (a, b), NULL)
CALL(char *, strdup, (const char *a), (a), NULL)
CALL(DIR *, fdopendir, (int a), (a), NULL)
CALL(struct dirent *, readdir, (DIR * a), (a), NULL)
CALL(int, chdir, (const char *a), (a), -1)
CALL(int, chmod, (const char *a, mode_t b), (a, b), -1)
CALL(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), -1)
CALL(int, dup2, (int a, int b), (a, b), -1)
CALL(int, epoll_create1, (int a), (a), -1)
CALL(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d), -1)
CALL(int, epoll_wait, (int a, struct epoll_event *b, int c, int d), (a, b, c, d), -1)
CALL(int, execve, (const char *a, char *const *b, char *const *c), (a, b, c), -1)
CALL(int, fchdir, (int a), (a), -1)
CALL(int, fchownat, (int a, const char *b, uid_t c, gid_t d, int e), (a, b, c, d, e), -1)
CALL(int, fdatasync, (int a), (a), -1)
CALL(ssize_t, fgetxattr, (int a, const char *b, void *c, size_t d), (a, b, c, d), -1)
CALL(int, flock, (int a, int b), (a, b), -1)
CALL(int, fstat, (int a, struct stat *b), (a, b), -1)
CALL(int, fstatat, (int a, const char *b, struct stat *c, int d), (a, b, c, d), -1)
CALL(int, ftruncate, (int a, off_t b), (a, b), -1)
CALL(char *, getcwd, (char *a, size_t b), (a, b), NULL)
CALL(ssize_t, getrandom, (void *a, size_t b, unsigned c), (a, b, c), -1)
CALL(int, getrlimit, (int a, struct rlimit *b), (a, b), -1)
CALL(int, getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), -1)
CALL(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e), -1)
CALL(ssize_t, getxattr, (const char *a, const char *b, void *c, size_t d), (a, b, c, d), -1)
CALL(int, kill, (pid_t a, int b), (a, b), -1)
CALL(int, listen, (int a, int b), (a, b), -1)
CALL(off_t, lseek, (int a, off_t b, int c), (a, b, c), -1)
CALL(int, lstat, (const char *a, struct stat *b), (a, b), -1)
CALL(int, madvise, (void *a, size_t b, int c), (a, b, c), -1)
CALL(int, memfd_create, (const char *a, unsigned b), (a, b), -1)
CALL(int, mkdir, (const char *a, mode_t b), (a, b), -1)
CALL(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c), -1)
CALL(void *, mmap, (void *a, size_t b, int c, int d, int e, off_t f), (a, b, c, d, e, f),
     MAP_FAILED)
CALL(int, mount, (const char *a, const char *b, const char *c, unsigned long d, const void *e),
     (a, b, c, d, e), -1)
CALL(int, mprotect, (void *a, size_t b, int c), (a, b, c), -1)
CALL(int, munmap, (void *a, size_t b), (a, b), -1)
CALL(int, nice, (int a), (a), -1)
CALL(int, pipe2, (int *a, int b), (a, b), -1)
CALL(int, poll, (struct pollfd * a, nfds_t b, int c), (a, b, c), -1)
CALL(ssize_t, readlink, (const char *a, char *b, size_t c), (a, b, c), -1)
CALL(ssize_t, readlinkat, (int a, const char *b, char *c, size_t d), (a, b, c, d), -1)
CALL(char *, realpath, (const char *a, char *b), (a, b), NULL)
CALL(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d), -1)
CALL(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c), -1)
CALL(int, removexattr, (const char *a, const char *b), (a, b), -1)
CALL(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d), -1)
CALL(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c), -1)
CALL(int, setpgid, (pid_t a, pid_t b), (a, b), -1)
CALL(int, setrlimit, (int a, const struct rlimit *b), (a, b), -1)
CALL(pid_t, setsid, (void), (), -1)
CALL(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e), -1)
CALL(int, setxattr, (const char *a, const char *b, const void *c, size_t d, int e),
     (a, b, c, d, e), -1)
CALL(int, shutdown, (int a, int b), (a, b), -1)
CALL(int, signalfd, (int a, const sigset_t *b, int c), (a, b, c), -1)
CALL(int, sigpending, (sigset_t * a), (a), -1)
CALL(int, sigprocmask, (int a, const sigset_t *b, sigset_t *c), (a, b, c), -1)
CALL(int, socket, (int a, int b, int c), (a, b, c), -1)
CALL(int, socketpair, (int a, int b, int c, int *d), (a, b, c, d), -1)
CALL(int, stat, (const char *a, struct stat *b), (a, b), -1)
CALL(int, statfs, (const char *a, struct statfs *b), (a, b), -1)
CALL(int, symlinkat, (const char *a, int b, const char *c), (a, b, c), -1)
CALL(int, umount2, (const char *a, int b), (a, b), -1)
CALL(int, unlinkat, (int a, const char *b, int c), (a, b, c), -1)
CALL(int, utimensat, (int a, const char *b, const struct timespec *c, int d), (a, b, c, d), -1)

/* ---- calls that can do a part ---------------------------------------------------------------- */

/* Of `length`, what a short call does. */
static size_t part_of(size_t length)
{
    return length > 1 ? length / 2 : length;
}

#define PARTIAL(name, parameters, whole, part)                                                    \
    ssize_t fault_##name parameters;                                                              \
    ssize_t fault_##name parameters                                                               \
    {                                                                                             \
        if (!FAILS(#name))                                                                        \
            return name whole;                                                                    \
        return errno != FAULT_SHORT ? -1 : name part;                                             \
    }

PARTIAL(read, (int a, void *b, size_t c), (a, b, c), (a, b, part_of(c)))
PARTIAL(pread, (int a, void *b, size_t c, off_t d), (a, b, c, d), (a, b, part_of(c), d))
PARTIAL(write, (int a, const void *b, size_t c), (a, b, c), (a, b, part_of(c)))
PARTIAL(pwrite, (int a, const void *b, size_t c, off_t d), (a, b, c, d), (a, b, part_of(c), d))
PARTIAL(splice, (int a, off_t *b, int c, off_t *d, size_t e, unsigned f), (a, b, c, d, e, f),
        (a, b, c, d, part_of(e), f))
PARTIAL(tee, (int a, int b, size_t c, unsigned d), (a, b, c, d), (a, b, part_of(c), d))
PARTIAL(writev, (int a, const struct iovec *b, int c), (a, b, c),
        (a, &(struct iovec){b->iov_base, part_of(b->iov_len)}, 1))

/* ---- calls of their own kind ----------------------------------------------------------------- */

int fault_close(int descriptor);
int fault_close(int descriptor)
{
    bool fails = FAILS("close");
    int error = errno;
    int status = close(descriptor); /* Linux lets go of it, whatever it says: close(2) */
    if (fails)
        errno = error;
    return fails ? -1 : status;
}

pid_t fault_fork(void);
pid_t fault_fork(void)
{
    if (FAILS("fork"))
        return -1;
    pid_t pid = fork();
    if (pid == 0 && map)
        forked();
    return pid;
}

int fault_clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
int fault_clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
    return FAILS("clone") ? -1 : clone(run, stack, flags, argument);
}

pid_t fault_waitpid(pid_t pid, int *status, int options);
pid_t fault_waitpid(pid_t pid, int *status, int options)
{
    int own = 0;
    if (FAILS("waitpid"))
        return -1;
    pid_t found = waitpid(pid, &own, options);
    if (found > 0 && WIFSIGNALED(own))
        ended_see(found, WTERMSIG(own));
    if (status)
        *status = own;
    return found;
}

static void information_see(int result, const siginfo_t *found)
{
    if (result == 0 && found && found->si_pid > 0 &&
        (found->si_code == CLD_KILLED || found->si_code == CLD_DUMPED))
        ended_see(found->si_pid, found->si_status);
}

int fault_waitid(idtype_t type, id_t id, siginfo_t *found, int options);
int fault_waitid(idtype_t type, id_t id, siginfo_t *found, int options)
{
    if (FAILS("waitid"))
        return -1;
    int result = waitid(type, id, found, options);
    information_see(result, found);
    return result;
}

/* Variadic ones: each argument is a word, and more than were given do no harm. */
#define WORDS(last)                                                                               \
    va_list list;                                                                                 \
    va_start(list, last);                                                                         \
    unsigned long words[6];                                                                       \
    for (int i = 0; i < 6; i++)                                                                   \
        words[i] = va_arg(list, unsigned long);                                                   \
    va_end(list)

int fault_open(const char *path, int flags, ...);
int fault_open(const char *path, int flags, ...)
{
    WORDS(flags);
    return FAILS("open") ? -1 : open(path, flags, (mode_t)words[0]);
}

int fault_openat(int base, const char *path, int flags, ...);
int fault_openat(int base, const char *path, int flags, ...)
{
    WORDS(flags);
    return FAILS("openat") ? -1 : openat(base, path, flags, (mode_t)words[0]);
}

int fault_fcntl(int descriptor, int command, ...);
int fault_fcntl(int descriptor, int command, ...)
{
    WORDS(command);
    return FAILS("fcntl") ? -1 : fcntl(descriptor, command, words[0]);
}

int fault_ioctl(int descriptor, int command, ...);
int fault_ioctl(int descriptor, int command, ...)
{
    WORDS(command);
    return FAILS("ioctl") ? -1 : ioctl(descriptor, command, words[0]);
}

int fault_prctl(int option, ...);
int fault_prctl(int option, ...)
{
    WORDS(option);
    return FAILS("prctl") ? -1 : prctl(option, words[0], words[1], words[2], words[3]);
}

long fault_syscall(long number, ...);
long fault_syscall(long number, ...)
{
    WORDS(number);
    bool fails = fails_now("syscall", (uint32_t)number, HERE);
    if (fails)
        return -1;
    long result =
        syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    if (number == SYS_clone && result == 0 && map)
        forked();
    if (number == SYS_waitid)
        information_see((int)result, (const siginfo_t *)words[2]);
    return result;
}

/* runtime/worker/kernel_call.h: the errno is in what it returns. */
long kernel_call_words(long number, const long words[6]);
long fault_kernel_call_words(long number, const long words[6]);
long fault_kernel_call_words(long number, const long words[6])
{
    if (is_due("syscall", (uint32_t)number, HERE))
        return map->error > 0 ? -map->error : -EIO;
    return kernel_call_words(number, words);
}
