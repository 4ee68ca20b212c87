/* fs_*: reads, changes and runs files outside the grants in every way.
 *
 *   escape_files OUTSIDE INSIDE
 *
 * OUTSIDE: a directory that is not granted, with files f0..f49, a directory d and a program p; INSIDE:
 * one that may be written. A descriptor of OUTSIDE is standard input. */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char *outside, *inside;
static char paths[8][4096];
static unsigned used;

/* OUTSIDE/name and INSIDE/name, in one of a few buffers that are used in turn. */
static char *path_in(const char *directory, const char *name)
{
    char *path = paths[used++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

#define OUT(name) path_in(outside, name)
#define IN(name) path_in(inside, name)

struct how { /* struct open_how */
    uint64_t flags, mode, resolve;
};

static long openat2_with(const char *path, uint64_t flags, uint64_t resolve)
{
    struct how how = {.flags = flags, .resolve = resolve};
    return syscall(NR_OPENAT2, AT_FDCWD, path, &how, sizeof how);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* One entry of a ring, without the library: opens a file by io_uring. */
static long open_by_ring(const char *path)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(NR_IO_URING_SETUP, 4, &params);
    if (ring < 0)
        return -1;
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    char *queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
                       IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries =
        mmap(NULL, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *done = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
                      IORING_OFF_CQ_RING);
    if (queue == MAP_FAILED || entries == MAP_FAILED || done == MAP_FAILED)
        return -1;
    memset(&entries[0], 0, sizeof entries[0]);
    entries[0].opcode = IORING_OP_OPENAT;
    entries[0].fd = AT_FDCWD;
    entries[0].addr = (uintptr_t)path;
    entries[0].open_flags = O_RDONLY;
    ((unsigned *)(queue + params.sq_off.array))[0] = 0;
    __atomic_add_fetch((unsigned *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(NR_IO_URING_ENTER, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -1;
    int result = ((struct io_uring_cqe *)(done + params.cq_off.cqes))[0].res;
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return read_byte(result);
}

static long open_by_handle(const char *path)
{
    struct {
        struct file_handle handle;
        char room[128];
    } at = {.handle.handle_bytes = 128};
    int mount;
    if (name_to_handle_at(AT_FDCWD, path, &at.handle, &mount, 0) < 0)
        return -1;
    int root = open("/", O_RDONLY | O_DIRECTORY);
    if (root < 0)
        root = AT_FDCWD;
    return read_byte(open_by_handle_at(root, &at.handle, O_RDONLY));
}

/* A symlink in the granted directory, made after whatever looked at it. */
static long read_by_symlink(void)
{
    if (symlink(OUT("f1"), IN("link")) < 0)
        return -1;
    return read_byte(open(IN("link"), O_RDONLY));
}

/* The name changes between a harmless file and a symlink while it is opened again and again. */
static long read_by_race(void)
{
    char *name = strdup(IN("race")), *link = strdup(IN("race.link")), *file = strdup(IN("race.file"));
    close(open(file, O_WRONLY | O_CREAT, 0600));
    if (symlink(OUT("f1"), link) < 0)
        return -1;
    long result = -1;
    pid_t swapper = fork();
    if (swapper == 0) {
        for (int i = 0; i < 3000; i++) {
            rename(i % 2 ? file : link, name);
            rename(name, i % 2 ? file : link);
        }
        _exit(0);
    }
    for (int i = 0; i < 3000 && result < 0; i++)
        result = read_byte(open(name, O_RDONLY));
    int status;
    waitpid(swapper, &status, 0);
    errno = errno ? errno : EACCES;
    return result;
}

static void try_reading(void)
{
    TRY("read open", read_byte((int)syscall(SYS_openat, AT_FDCWD, OUT("f0"), O_RDONLY)));
#ifdef SYS_open
    TRY("read open old", read_byte((int)syscall(SYS_open, OUT("f0"), O_RDONLY)));
#endif
    TRY("read openat2", read_byte((int)openat2_with(OUT("f0"), O_RDONLY, 0)));
    TRY("read descriptor of directory", read_byte(openat(0, "f0", O_RDONLY)));
    TRY("read through proc", (fchdir(0), read_byte(open("/proc/self/cwd/f0", O_RDONLY))));
    TRY("read relative", read_byte(open("f0", O_RDONLY)));
    TRY("read dot dot", read_byte(open("d/../f0", O_RDONLY)));
    TRY("read path descriptor", ({
            int path = open(OUT("f0"), O_PATH);
            char again[64];
            snprintf(again, sizeof again, "/proc/self/fd/%d", path);
            read_byte(open(again, O_RDONLY));
        }));
    TRY("list", ({
            int directory = open(outside, O_RDONLY | O_DIRECTORY);
            char entries[1024];
            directory < 0 ? -1 : syscall(SYS_getdents64, directory, entries, sizeof entries);
        }));
    TRY("read symlink", read_by_symlink());
    TRY("read race", read_by_race());
    TRY("read io_uring", open_by_ring(OUT("f0")));
    TRY("read handle", open_by_handle(OUT("f0")));
    TRY("read hard link", (link(OUT("f2"), IN("hard")) < 0 ? -1
                                                          : read_byte(open(IN("hard"), O_RDONLY))));
}

/* ---- changing -------------------------------------------------------------------------------- */

/* Of an own file. A close after writing is as much as an open here. */
static long opened(long descriptor)
{
    if (descriptor >= 0)
        close((int)descriptor);
    return descriptor;
}

/* A file without a name in the granted directory, then given one outside. */
static long temporary_linked(void)
{
    int file = open(inside, O_TMPFILE | O_WRONLY, 0600);
    char from[64];
    if (file < 0)
        return -1;
    snprintf(from, sizeof from, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, from, AT_FDCWD, OUT("linked"), AT_SYMLINK_FOLLOW);
}

static long socket_bound(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static char *inside_file(const char *name)
{
    char *path = IN(name);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    return path;
}

static void try_changing(void)
{
    TRY("write open", opened(open(OUT("f3"), O_WRONLY)));
    TRY("write append", opened(open(OUT("f3"), O_WRONLY | O_APPEND)));
    TRY("write read-write", opened(open(OUT("f3"), O_RDWR)));
    TRY("write openat2", opened(openat2_with(OUT("f3"), O_WRONLY, 0)));
    TRY("write creat", opened(creat(OUT("f4"), 0600)));
    TRY("write O_TRUNC", opened(open(OUT("f4"), O_RDONLY | O_TRUNC)));
    TRY("truncate", truncate(OUT("f5"), 0));
    TRY("create", opened(open(OUT("new1"), O_WRONLY | O_CREAT, 0600)));
    TRY("create temporary", opened(open(outside, O_TMPFILE | O_WRONLY, 0600)));
    TRY("create temporary, linked", temporary_linked());
    TRY("mkdir", mkdir(OUT("new2"), 0700));
    TRY("mkfifo", mkfifo(OUT("new3"), 0600));
    TRY("symlink", symlink("x", OUT("new4")));
    TRY("socket", socket_bound(OUT("s")));
    TRY("unlink", unlink(OUT("f6")));
    TRY("rmdir", rmdir(OUT("d")));
#ifdef SYS_rename
    TRY("rename old", syscall(SYS_rename, OUT("f7"), IN("f7")));
#endif
#ifdef SYS_renameat
    TRY("renameat out", syscall(SYS_renameat, AT_FDCWD, OUT("f8"), AT_FDCWD, IN("f8")));
#endif
    TRY("renameat2 out", syscall(SYS_renameat2, AT_FDCWD, OUT("f9"), AT_FDCWD, IN("f9"), 0));
    TRY("renameat2 in", syscall(SYS_renameat2, AT_FDCWD, inside_file("own1"), AT_FDCWD,
                                OUT("in1"), 0));
    TRY("renameat2 over", syscall(SYS_renameat2, AT_FDCWD, inside_file("own2"), AT_FDCWD,
                                  OUT("f10"), 0));
    TRY("renameat2 exchange", syscall(SYS_renameat2, AT_FDCWD, inside_file("own3"), AT_FDCWD,
                                      OUT("f11"), 2));
    TRY("link in", link(inside_file("own4"), OUT("in4")));
    TRY("link out", link(OUT("f12"), IN("hard2")));
    TRY("mount", mount(outside, inside, NULL, MS_BIND, NULL));
    TRY("open_tree", syscall(NR_OPEN_TREE, AT_FDCWD, outside, 1));
    TRY("chroot", ({
            pid_t pid = fork();
            if (pid == 0)
                _exit(chroot(outside) < 0 || read_byte(open("/f0", O_RDONLY)) < 0 ? errno : 0);
            int status = 0;
            waitpid(pid, &status, 0);
            errno = WEXITSTATUS(status);
            errno ? -1 : 0;
        }));
}

/* ---- running --------------------------------------------------------------------------------- */

static long run(int how)
{
    char *path = OUT("p");
    char *const argv[] = {path, NULL};
    char *const environment[] = {NULL};
    pid_t pid = fork();
    if (pid == 0) {
        if (how == 0)
            execve(path, argv, environment);
        else
            syscall(SYS_execveat, open(path, O_PATH), "", argv, environment, AT_EMPTY_PATH);
        _exit(errno);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "run") == 0)
        return 0;
    if (argc != 3)
        return argc == 1 ? 0 : 2; /* run by itself, as p */
    outside = argv[1];
    inside = argv[2];
    try_reading();
    try_changing();
    TRY("execve", run(0));
    TRY("execveat", run(1));
    return 0;
}
