#define _GNU_SOURCE 1

#include "runtime/worker/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/ioctl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/objects.h"
#include "runtime/worker/setup.h"

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "runtime/worker knows x86-64 and aarch64"
#endif

#define X32_FIRST 0x40000000u
/* One number on every architecture. */
#define CALL_IO_URING_FIRST 425
#define CALL_IO_URING_LAST 427
#define CALL_FCHMODAT2 452
#define CALL_SETXATTRAT 463
#define CALL_REMOVEXATTRAT 466
#define CALL_FILE_SETATTR 469
#define CALL_LAST 470 /* the newest that is known here */

#define NEW_LISTENER 8u /* SECCOMP_FILTER_FLAG_NEW_LISTENER */
#define USER_NOTIFICATION 0x7fc00000u

/* struct seccomp_notif and its answer, as of Linux 5.0; a newer kernel may have longer ones. */
struct notification {
    uint64_t id;
    uint32_t pid, flags;
    struct seccomp_data data;
};
struct answer {
    uint64_t id;
    int64_t value;
    int32_t error;
    uint32_t flags;
};
struct sizes {
    uint16_t notification, answer, data;
};
#define NOTIFICATION_RECEIVE _IOWR('!', 0, struct notification)
#define NOTIFICATION_SEND _IOWR('!', 1, struct answer)
#define NOTIFICATION_VALID _IOW('!', 2, uint64_t)

/* ---- which calls, and how their arguments lie ------------------------------------------------ */

enum change { CHANGE_MODE, CHANGE_OWNER, CHANGE_TIMES, SET_ATTRIBUTE, REMOVE_ATTRIBUTE };
enum times_form { TIMES_NANOSECONDS, TIMES_MICROSECONDS, TIMES_SECONDS };

#define NONE (-1)

struct handed_over {
    int number;
    enum change change;
    int8_t directory; /* argument with the directory's descriptor; NONE: the working directory */
    int8_t path;      /* argument with the path's address; NONE: `directory` is the object itself */
    int8_t rest;      /* first argument of what it is changed to */
    int8_t flags;     /* argument with AT_* flags; NONE */
    bool no_follow;   /* a symlink itself is meant */
    enum times_form times;
};

static const struct handed_over handed_over[] = {
#ifdef SYS_chmod
    {SYS_chmod, CHANGE_MODE, NONE, 0, 1, NONE, false, 0},
    {SYS_chown, CHANGE_OWNER, NONE, 0, 1, NONE, false, 0},
    {SYS_lchown, CHANGE_OWNER, NONE, 0, 1, NONE, true, 0},
    {SYS_utime, CHANGE_TIMES, NONE, 0, 1, NONE, false, TIMES_SECONDS},
    {SYS_utimes, CHANGE_TIMES, NONE, 0, 1, NONE, false, TIMES_MICROSECONDS},
    {SYS_futimesat, CHANGE_TIMES, 0, 1, 2, NONE, false, TIMES_MICROSECONDS},
#endif
    {SYS_fchmod, CHANGE_MODE, 0, NONE, 1, NONE, false, 0},
    {SYS_fchmodat, CHANGE_MODE, 0, 1, 2, NONE, false, 0},
    {CALL_FCHMODAT2, CHANGE_MODE, 0, 1, 2, 3, false, 0},
    {SYS_fchown, CHANGE_OWNER, 0, NONE, 1, NONE, false, 0},
    {SYS_fchownat, CHANGE_OWNER, 0, 1, 2, 4, false, 0},
    {SYS_utimensat, CHANGE_TIMES, 0, 1, 2, 3, false, TIMES_NANOSECONDS},
    {SYS_setxattr, SET_ATTRIBUTE, NONE, 0, 1, NONE, false, 0},
    {SYS_lsetxattr, SET_ATTRIBUTE, NONE, 0, 1, NONE, true, 0},
    {SYS_fsetxattr, SET_ATTRIBUTE, 0, NONE, 1, NONE, false, 0},
    {SYS_removexattr, REMOVE_ATTRIBUTE, NONE, 0, 1, NONE, false, 0},
    {SYS_lremovexattr, REMOVE_ATTRIBUTE, NONE, 0, 1, NONE, true, 0},
    {SYS_fremovexattr, REMOVE_ATTRIBUTE, 0, NONE, 1, NONE, false, 0},
};
#define HANDED_OVER (sizeof handed_over / sizeof *handed_over)

/* Commands of ioctl that change a file's flags and their like: refused, nobody needs them to build
 * and test. The compiler's own filter for `metadata = deny` has the same list. */
static const uint32_t refused_commands[] = {0x40086602, 0x40046602, 0x401c5820, 0x40087602,
                                            0x40047602, 0x40806685, 0x800c6613, 0x40047211};
#define REFUSED_COMMANDS (sizeof refused_commands / sizeof *refused_commands)

static const struct handed_over *handed_over_find(int number)
{
    for (size_t i = 0; i < HANDED_OVER; i++)
        if (handed_over[i].number == number)
            return &handed_over[i];
    return NULL;
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void put(struct supervisor *supervisor, uint16_t code, uint8_t jump_true,
                uint8_t jump_false, uint32_t k)
{
    supervisor->program[supervisor->count++] =
        (struct sock_filter){.code = code, .jt = jump_true, .jf = jump_false, .k = k};
}

#define PUT_LOAD(member)                                                                           \
    put(supervisor, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, member))
#define PUT_RETURN(value) put(supervisor, BPF_RET | BPF_K, 0, 0, value)
#define ERRNO(code) (SECCOMP_RET_ERRNO | (code))

/* Returns `value` for numbers first..last. */
static void put_range(struct supervisor *supervisor, uint32_t first, uint32_t last, uint32_t value)
{
    put(supervisor, BPF_JMP | BPF_JGE | BPF_K, 0, 2, first);
    put(supervisor, BPF_JMP | BPF_JGT | BPF_K, 1, 0, last);
    PUT_RETURN(value);
}

static void program_make(struct supervisor *supervisor)
{
    supervisor->count = 0;
    PUT_LOAD(arch);
    put(supervisor, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCHITECTURE);
    PUT_RETURN(ERRNO(ENOSYS));
    PUT_LOAD(nr);
    /* x32, and calls that are newer than this program: they may do the same another way */
    put_range(supervisor, CALL_LAST + 1, UINT32_MAX, ERRNO(ENOSYS));
    for (size_t i = 0; i < HANDED_OVER; i++) {
        put(supervisor, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)handed_over[i].number);
        PUT_RETURN(USER_NOTIFICATION);
    }
    put_range(supervisor, CALL_IO_URING_FIRST, CALL_IO_URING_LAST, ERRNO(ENOSYS));
    put_range(supervisor, CALL_SETXATTRAT, CALL_SETXATTRAT, ERRNO(ENOSYS));
    put_range(supervisor, CALL_REMOVEXATTRAT, CALL_REMOVEXATTRAT, ERRNO(ENOSYS));
    put_range(supervisor, CALL_FILE_SETATTR, CALL_FILE_SETATTR, ERRNO(ENOSYS));
    put(supervisor, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_ioctl);
    PUT_RETURN(SECCOMP_RET_ALLOW);
    PUT_LOAD(args[1]);
    for (size_t i = 0; i < REFUSED_COMMANDS; i++) {
        put(supervisor, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, refused_commands[i]);
        PUT_RETURN(ERRNO(EPERM));
    }
    PUT_RETURN(SECCOMP_RET_ALLOW);
}

_Static_assert(5 + 3 + 2 * HANDED_OVER + 4 * 3 + 3 + 2 * REFUSED_COMMANDS + 1 <=
                   SUPERVISE_PROGRAM_MAX,
               "room for the filter");

bool supervise_is_possible(void)
{
    struct sizes sizes;
    char scope[8] = "0";

    if (syscall(SYS_seccomp, 3 /* SECCOMP_GET_NOTIF_SIZES */, 0, &sizes) < 0 ||
        sizes.notification < sizeof(struct notification) || sizes.answer != sizeof(struct answer) ||
        sizes.notification > 4 * sizeof(struct notification))
        return false;
    /* Yama, where it is there: 0 and 1 let an ancestor read memory, 2 and 3 do not. */
    cleanup_fd int file = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read_whole(file, scope, sizeof scope - 1) < 1)
        return false;
    return scope[0] == '0' || scope[0] == '1';
}

int supervisor_start(struct supervisor *supervisor, const struct confinement_setup *setup)
{
    int pair[2];

    supervisor->setup = setup;
    supervisor->near = supervisor->far = supervisor->listener = -1;
    if (!setup->supervises)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    supervisor->near = pair[0];
    supervisor->far = pair[1];
    program_make(supervisor);
    return 0;
}

/* ---- in the child ---------------------------------------------------------------------------- */

int supervisor_hand_over(const struct supervisor *supervisor)
{
    struct sock_fprog program = {
        .len = supervisor->count,
        .filter = (struct sock_filter *)(uintptr_t)supervisor->program,
    };
    int listener =
        (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, &program);
    if (listener < 0)
        return -errno;
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    int status = message_send(supervisor->far, &part, 1, &listener, 1);
    close(listener);
    return status;
}

/* ---- in the worker --------------------------------------------------------------------------- */

void supervisor_take(struct supervisor *supervisor)
{
    char byte;
    int listener = -1;
    struct message message = {
        .buffer = &byte, .capacity = 1, .descriptors = &listener, .wanted = 1};
    if (supervisor->near < 0)
        return;
    descriptor_close(&supervisor->listener);
    if (message_receive(supervisor->near, &message) == MESSAGE_RECEIVED && message.count == 1)
        supervisor->listener = listener;
}

void supervisor_end(struct supervisor *supervisor)
{
    descriptor_close(&supervisor->listener);
}

/* ioctl(2), by number: the C libraries disagree on the type of the command. */
static int listener_ask(const struct supervisor *supervisor, unsigned long command,
                        const void *argument)
{
    return (int)syscall(SYS_ioctl, supervisor->listener, command, argument);
}

/* What is done for one call. */
struct doing {
    struct supervisor *supervisor;
    const struct handed_over *how;
    const uint64_t *arguments;
    pid_t pid;  /* of the thread that makes the call */
    int memory; /* /proc/PID/mem */
};

static int process_open(pid_t pid, const char *name, int number, int flags)
{
    char path[64];
    struct text text;
    text_start(&text, path, sizeof path);
    text_append(&text, "/proc/");
    text_append_signed(&text, pid);
    text_append(&text, name);
    if (number >= 0)
        text_append_signed(&text, number);
    int file = open(path, flags | O_CLOEXEC);
    return file < 0 ? -errno : file;
}

static int memory_read(const struct doing *doing, uint64_t address, void *into, size_t size)
{
    if (address > INT64_MAX)
        return -EFAULT;
    ssize_t got = pread(doing->memory, into, size, (off_t)address);
    return got == (ssize_t)size ? 0 : -EFAULT;
}

/* A string of at most `size` bytes with its NUL; page by page, since the next may not be there. */
static int memory_read_string(const struct doing *doing, uint64_t address, char *into, size_t size)
{
    for (size_t used = 0; used < size;) {
        if (address + used > INT64_MAX)
            return -EFAULT;
        size_t page = 4096 - ((address + used) & 4095);
        size_t wanted = page < size - used ? page : size - used;
        ssize_t got = pread(doing->memory, into + used, wanted, (off_t)(address + used));
        if (got <= 0)
            return -EFAULT;
        if (memchr(into + used, '\0', (size_t)got))
            return 0;
        used += (size_t)got;
    }
    return -ENAMETOOLONG;
}

/* ---- the object ------------------------------------------------------------------------------ */

static int directory_open(const struct doing *doing)
{
    int descriptor = doing->how->directory == NONE
                         ? AT_FDCWD
                         : (int)(uint32_t)doing->arguments[doing->how->directory];
    if (descriptor == AT_FDCWD)
        return process_open(doing->pid, "/cwd", -1, O_PATH | O_DIRECTORY);
    if (descriptor < 0)
        return -EBADF;
    int directory = process_open(doing->pid, "/fd/", descriptor, O_PATH);
    return directory == -ENOENT ? -EBADF : directory;
}

/* Opens the path as the program would. /proc/self is the program's, not the worker's. */
static int path_open(const struct doing *doing, const char *path, int directory, bool follow)
{
    static const char self[] = "/proc/self/";
    int flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    char rewritten[PATH_MAX + 16];

    if (strncmp(path, self, sizeof self - 1) == 0) {
        struct text text;
        text_start(&text, rewritten, sizeof rewritten);
        text_append(&text, "/proc/");
        text_append_signed(&text, doing->pid);
        text_append(&text, path + sizeof self - 2);
        if (text.truncated)
            return -ENAMETOOLONG;
        path = rewritten;
    }
    int object = openat(directory, path, flags);
    return object < 0 ? -errno : object;
}

static int object_open(const struct doing *doing)
{
    const struct handed_over *how = doing->how;
    uint32_t flags = how->flags == NONE ? 0 : (uint32_t)doing->arguments[how->flags];
    uint64_t address = how->path == NONE ? 0 : doing->arguments[how->path];
    char path[PATH_MAX];

    if (flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
        return -EINVAL;
    /* utimensat with no path means the descriptor itself; the others would say EFAULT */
    if (how->path == NONE || (address == 0 && how->change == CHANGE_TIMES))
        return directory_open(doing);
    int status = memory_read_string(doing, address, path, sizeof path);
    if (status < 0)
        return status;
    if (path[0] == '\0')
        return flags & AT_EMPTY_PATH ? directory_open(doing) : -ENOENT;
    cleanup_fd int directory = path[0] == '/' ? -1 : directory_open(doing);
    if (path[0] != '/' && directory < 0)
        return directory;
    return path_open(doing, path, directory, !how->no_follow && !(flags & AT_SYMLINK_NOFOLLOW));
}

/* Whether the object lies beneath an fs_write path, by where both are right now. What is open cannot
 * be exchanged for something else; it can only have been moved, and only to where the program may
 * write. */
static bool is_within(const struct confinement_setup *setup, int object)
{
    const struct setup_object opened = {.descriptor = object};
    char path[PATH_MAX], granted[PATH_MAX];

    if (object_real_path(&opened, path, sizeof path) < 0)
        return false;
    for (size_t i = 0; i < setup->writable.count; i++) {
        if (object_real_path(&setup->writable.all[i], granted, sizeof granted) < 0)
            continue;
        size_t length = strcmp(granted, "/") == 0 ? 0 : strlen(granted);
        if (strncmp(path, granted, length) == 0 && (path[length] == '/' || path[length] == '\0'))
            return true;
    }
    return false;
}

/* ---- the change ------------------------------------------------------------------------------ */

/* The object's name for calls that know no O_PATH descriptor. */
static void object_name(int object, char name[static 32])
{
    struct text text;
    text_start(&text, name, 32);
    text_append(&text, "/proc/self/fd/");
    text_append_signed(&text, object);
}

static bool is_symlink(int object)
{
    struct stat status;
    return fstat(object, &status) == 0 && S_ISLNK(status.st_mode);
}

static int change_times(const struct doing *doing, int object)
{
    uint64_t address = doing->arguments[doing->how->rest];
    struct timespec times[2];
    int64_t given[4];
    char name[32];

    if (address != 0) {
        size_t size = doing->how->times == TIMES_SECONDS ? 2 * sizeof given[0] : sizeof given;
        int status = memory_read(doing, address, given, size);
        if (status < 0)
            return status;
        for (int i = 0; i < 2; i++)
            times[i] = doing->how->times == TIMES_SECONDS
                           ? (struct timespec){.tv_sec = given[i]}
                           : (struct timespec){
                                 .tv_sec = given[2 * i],
                                 .tv_nsec = doing->how->times == TIMES_NANOSECONDS
                                                ? given[2 * i + 1]
                                                : given[2 * i + 1] * 1000,
                             };
    }
    const struct timespec *set = address != 0 ? times : NULL;
    if (is_symlink(object)) /* by its descriptor: since Linux 5.8 */
        return utimensat(object, "", set, AT_EMPTY_PATH) < 0 ? -errno : 0;
    object_name(object, name);
    return utimensat(AT_FDCWD, name, set, 0) < 0 ? -errno : 0;
}

static int change_attribute(const struct doing *doing, int object)
{
    char name[256], path[32];
    const uint64_t *rest = doing->arguments + doing->how->rest;

    if (is_symlink(object))
        return -EPERM; /* as the kernel says of user attributes there */
    int status = memory_read_string(doing, rest[0], name, sizeof name);
    if (status < 0)
        return status == -ENAMETOOLONG ? -ERANGE : status;
    object_name(object, path);
    if (doing->how->change == REMOVE_ATTRIBUTE)
        return removexattr(path, name) < 0 ? -errno : 0;
    if (rest[2] > sizeof doing->supervisor->value)
        return -E2BIG;
    status = memory_read(doing, rest[1], doing->supervisor->value, (size_t)rest[2]);
    if (status < 0)
        return status;
    return setxattr(path, name, doing->supervisor->value, (size_t)rest[2], (int)rest[3]) < 0
               ? -errno
               : 0;
}

static int change_make(const struct doing *doing, int object)
{
    const uint64_t *rest = doing->arguments + doing->how->rest;
    char name[32];

    switch (doing->how->change) {
    case CHANGE_MODE:
        if (is_symlink(object))
            return -EOPNOTSUPP;
        object_name(object, name);
        return chmod(name, (mode_t)rest[0]) < 0 ? -errno : 0;
    case CHANGE_OWNER:
        return fchownat(object, "", (uid_t)rest[0], (gid_t)rest[1], AT_EMPTY_PATH) < 0 ? -errno
                                                                                         : 0;
    case CHANGE_TIMES:
        return change_times(doing, object);
    case SET_ATTRIBUTE:
    case REMOVE_ATTRIBUTE:
        return change_attribute(doing, object);
    }
    return -EPERM;
}

/* 0 or the negative errno for the program. */
static int call_do(struct supervisor *supervisor, const struct notification *notification)
{
    const struct handed_over *how = handed_over_find(notification->data.nr);
    struct doing doing = {
        .supervisor = supervisor,
        .how = how,
        .arguments = (const uint64_t *)notification->data.args,
        .pid = (pid_t)notification->pid,
    };
    if (!how)
        return -EPERM;
    cleanup_fd int memory = process_open(doing.pid, "/mem", -1, O_RDONLY);
    if (memory < 0)
        return -EPERM; /* a program that hides its memory gets no help */
    doing.memory = memory;
    cleanup_fd int object = object_open(&doing);
    /* The number could have passed to another process before it was looked at: not if the call is
     * still waiting now. */
    if (listener_ask(supervisor, NOTIFICATION_VALID, &notification->id) < 0)
        return -EINTR;
    if (object < 0)
        return object;
    return is_within(supervisor->setup, object) ? change_make(&doing, object) : -EPERM;
}

void supervisor_answer(struct supervisor *supervisor)
{
    /* room for a kernel whose notification is longer (supervise_is_possible) */
    union {
        struct notification notification;
        char room[4 * sizeof(struct notification)];
    } received = {0};

    if (listener_ask(supervisor, NOTIFICATION_RECEIVE, &received) < 0) {
        if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
            supervisor_end(supervisor); /* nobody is left who could ask */
        return;
    }
    struct answer answer = {.id = received.notification.id,
                            .error = call_do(supervisor, &received.notification)};
    /* ENOENT: the caller has gone, or was interrupted and will ask again */
    listener_ask(supervisor, NOTIFICATION_SEND, &answer);
}
