/* metadata: changes mode, owner, times, attributes and flags of a file by every call there is.
 *
 *   escape_metadata FILE */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

struct xattr_arguments {
    uint64_t value;
    uint32_t size, flags;
};

static long flags_set(const char *path)
{
    int file = open(path, O_RDONLY), flags = 0;
    if (ioctl(file, FS_IOC_GETFLAGS, &flags) < 0)
        return -1;
    flags |= FS_NOATIME_FL;
    return ioctl(file, FS_IOC_SETFLAGS, &flags);
}

static long fsxattr_set(const char *path)
{
    struct fsxattr attributes;
    int file = open(path, O_RDONLY);
    if (ioctl(file, FS_IOC_FSGETXATTR, &attributes) < 0)
        return -1;
    attributes.fsx_xflags |= FS_XFLAG_NODUMP;
    return ioctl(file, FS_IOC_FSSETXATTR, &attributes);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    const char *path = argv[1];
    const uid_t uid = getuid();
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    const struct xattr_arguments value = {.value = (uintptr_t) "1", .size = 1};
    int file = open(path, O_RDONLY), opath = open(path, O_PATH);
    char by_fd[64];
    snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", opath);

#ifdef SYS_chmod
    TRY("chmod", syscall(SYS_chmod, path, 0600));
    TRY("chown", syscall(SYS_chown, path, uid, -1));
    TRY("lchown", syscall(SYS_lchown, path, uid, -1));
    TRY("utime", syscall(SYS_utime, path, NULL));
    TRY("utimes", syscall(SYS_utimes, path, NULL));
    TRY("futimesat", syscall(SYS_futimesat, AT_FDCWD, path, NULL));
#endif
    TRY("fchmod", syscall(SYS_fchmod, file, 0600));
    TRY("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, path, 0600));
    TRY("fchmodat through proc", syscall(SYS_fchmodat, AT_FDCWD, by_fd, 0600));
    TRY("fchmodat2", syscall(NR_FCHMODAT2, AT_FDCWD, path, 0600, 0));
    TRY("fchmodat2 empty path", syscall(NR_FCHMODAT2, opath, "", 0600, AT_EMPTY_PATH));
    TRY("fchown", syscall(SYS_fchown, file, uid, -1));
    TRY("fchownat", syscall(SYS_fchownat, AT_FDCWD, path, uid, -1, 0));
    TRY("fchownat empty path", syscall(SYS_fchownat, opath, "", uid, -1, AT_EMPTY_PATH));
    TRY("utimensat", syscall(SYS_utimensat, AT_FDCWD, path, times, 0));
    TRY("utimensat now", syscall(SYS_utimensat, AT_FDCWD, path, NULL, 0));
    TRY("utimensat descriptor", syscall(SYS_utimensat, file, NULL, times, 0));
    TRY("setxattr", setxattr(path, "user.a", "1", 1, 0));
    TRY("lsetxattr", lsetxattr(path, "user.b", "1", 1, 0));
    TRY("fsetxattr", fsetxattr(file, "user.c", "1", 1, 0));
    TRY("setxattrat",
        syscall(NR_SETXATTRAT, AT_FDCWD, path, 0, "user.d", &value, sizeof value));
    TRY("removexattr", removexattr(path, "user.a"));
    TRY("lremovexattr", lremovexattr(path, "user.b"));
    TRY("fremovexattr", fremovexattr(file, "user.c"));
    TRY("removexattrat", syscall(NR_REMOVEXATTRAT, AT_FDCWD, path, 0, "user.d"));
    TRY("FS_IOC_SETFLAGS", flags_set(path));
    TRY("FS_IOC_FSSETXATTR", fsxattr_set(path));
#if defined(__x86_64__)
    long result;
    TRY("chmod by int 0x80", ({
            /* a path that 32 bits can name */
            static char low[4096] __attribute__((aligned(4096)));
            snprintf(low, sizeof low, "%s", path);
            __asm__ volatile("int $0x80"
                             : "=a"(result)
                             : "a"(15), "b"((uint32_t)(uintptr_t)low), "c"(0600)
                             : "memory");
            errno = result < 0 ? (int)-result : 0;
            result < 0 ? -1 : 0;
        }));
    TRY("chmod by x32", syscall(0x40000000 + SYS_chmod, path, 0600));
#endif
    return 0;
}
