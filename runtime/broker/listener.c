#define _GNU_SOURCE 1 /* O_PATH, accept4 */

#include "runtime/broker/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/broker/notice.h"
#include "runtime/broker/paths.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* What listen(2) may hold; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

#define LOCK_SUFFIX ".lock"
#define LOCK_PATIENCE_MS 1000u

/* ---- the directory and the lock -------------------------------------------------------------- */

/* The last component of an absolute path. */
static const char *base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static void lock_name(char *name, size_t size, const char *path)
{
    struct text text;

    text_start(&text, name, size);
    text_append(&text, base_name(path));
    text_append(&text, LOCK_SUFFIX);
}

static int directory_open(struct listener *listener, unsigned flags, struct failure *failure)
{
    char path[LISTENER_PATH_MAX];
    size_t length = (size_t)(base_name(listener->path) - listener->path);

    memcpy(path, listener->path, length);
    path[length > 1 ? length - 1 : length] = '\0';
    listener->directory = path_open_directory(
        path, PATH_PRIVATE | (flags & LISTENER_CREATE ? (unsigned)PATH_CREATE : 0), failure);
    if (listener->directory >= 0)
        return 0;
    if (failure->error != EPERM || !(flags & LISTENER_LENIENT))
        return -1;
    notice("the socket's directory is not safe: %s", failure->text);
    listener->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (listener->directory < 0)
        return failure_set(failure, errno, "%s: %s", path, strerror(errno));
    return 0;
}

/* What a killed broker had just forked has its lock for a moment more. 0, or -1 with errno. */
static int lock_await(int lock)
{
    uint64_t end = clock_monotonic_ms() + LOCK_PATIENCE_MS;
    int status;

    while ((status = flock(lock, LOCK_EX | LOCK_NB)) < 0 &&
           (errno == EINTR || (errno == EWOULDBLOCK && clock_monotonic_ms() < end)))
        poll(NULL, 0, 1);
    return status;
}

/* Whether the locked file is still the one that the name means: its last holder may have removed it
 * between our open and our lock. */
static bool lock_is_current(const struct listener *listener, const char *name)
{
    struct stat held, named;

    return fstat(listener->lock, &held) == 0 &&
           fstatat(listener->directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static int lock_take(struct listener *listener, struct failure *failure)
{
    char name[LISTENER_PATH_MAX + sizeof(LOCK_SUFFIX)];

    lock_name(name, sizeof(name), listener->path);
    for (;;) {
        listener->lock = openat(listener->directory, name,
                                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
        if (listener->lock < 0)
            return failure_set(failure, errno, "%s%s: %s", listener->path, LOCK_SUFFIX,
                               strerror(errno));
        if (lock_await(listener->lock) < 0) {
            if (errno == EWOULDBLOCK)
                return failure_set(failure, EADDRINUSE, "another broker serves %s",
                                   listener->path);
            return failure_set(failure, errno, "%s%s: %s", listener->path, LOCK_SUFFIX,
                               strerror(errno));
        }
        if (lock_is_current(listener, name))
            return 0;
        descriptor_close(&listener->lock);
    }
}

/* ---- the socket ------------------------------------------------------------------------------ */

static void address_fill(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, strlen(path) + 1);
}

/* Removes what a dead broker left at the path. We hold the lock, so a socket on which somebody
 * listens is no broker's that keeps to it; it is left alone all the same. */
static int stale_remove(struct listener *listener, struct failure *failure)
{
    const char *name = base_name(listener->path);
    struct sockaddr_un address;
    struct stat status;

    if (fstatat(listener->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return failure_set(failure, errno, "%s: %s", listener->path, strerror(errno));
    }
    if (!S_ISSOCK(status.st_mode))
        return failure_set(failure, EEXIST, "%s is there already, and is no socket",
                           listener->path);
    cleanup_fd int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return failure_set(failure, errno, "socket: %s", strerror(errno));
    address_fill(&address, listener->path);
    if (connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED)
        return failure_set(failure, EADDRINUSE, "another process listens on %s", listener->path);
    if (unlinkat(listener->directory, name, 0) < 0)
        return failure_set(failure, errno, "%s: %s", listener->path, strerror(errno));
    return 0;
}

static int socket_make(struct listener *listener, struct failure *failure)
{
    struct sockaddr_un address;
    struct stat status;

    listener->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->socket < 0)
        return failure_set(failure, errno, "socket: %s", strerror(errno));
    address_fill(&address, listener->path);
    /* The file is made with 0777 less the umask, and there is no moment in between: bind(2). */
    mode_t mask = umask(0177);
    int bound = bind(listener->socket, (struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    umask(mask);
    if (bound < 0)
        return failure_set(failure, saved, "%s: %s", listener->path, strerror(saved));
    if (fstatat(listener->directory, base_name(listener->path), &status, AT_SYMLINK_NOFOLLOW) < 0)
        return failure_set(failure, errno, "%s: %s", listener->path, strerror(errno));
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}

int listener_open(struct listener *listener, const char *path, unsigned flags,
                  struct failure *failure)
{
    *listener = (struct listener){.socket = -1, .lock = -1, .directory = -1};
    if (strlen(path) >= LISTENER_PATH_MAX)
        return failure_set(failure, ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
                           LISTENER_PATH_MAX - 1);
    if (path[0] != '/' || *base_name(path) == '\0')
        return failure_set(failure, EINVAL, "%s: not an absolute path of a file", path);
    memcpy(listener->path, path, strlen(path) + 1);
    if (directory_open(listener, flags, failure) < 0 || lock_take(listener, failure) < 0 ||
        stale_remove(listener, failure) < 0 || socket_make(listener, failure) < 0) {
        /* The lock file stays when its lock is another's; one of ours is harmless. */
        descriptor_close(&listener->socket);
        descriptor_close(&listener->lock);
        descriptor_close(&listener->directory);
        return -1;
    }
    return 0;
}

static int socket_option(int socket, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

int listener_adopt(struct listener *listener, int socket, struct failure *failure)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    *listener = (struct listener){.socket = socket, .lock = -1, .directory = -1};
    if (socket_option(socket, SO_DOMAIN) != AF_UNIX ||
        socket_option(socket, SO_TYPE) != SOCK_SEQPACKET ||
        socket_option(socket, SO_ACCEPTCONN) != 1)
        return failure_set(failure, EINVAL,
                           "descriptor %d is no listening AF_UNIX socket of type SOCK_SEQPACKET",
                           socket);
    if (fcntl(socket, F_SETFD, FD_CLOEXEC) < 0 || descriptor_set_nonblocking(socket) < 0)
        return failure_set(failure, errno, "descriptor %d: %s", socket, strerror(errno));
    memset(&address, 0, sizeof(address));
    if (getsockname(socket, (struct sockaddr *)&address, &size) == 0)
        memcpy(listener->path, address.sun_path, sizeof(listener->path) - 1);
    return 0;
}

unsigned listener_activated(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    uint64_t number;

    if (!pid || !count || !text_to_unsigned(pid, INT32_MAX, &number) ||
        number != (uint64_t)getpid() || !text_to_unsigned(count, INT32_MAX, &number))
        return 0;
    return (unsigned)number;
}

int listener_start(struct listener *listener, struct failure *failure)
{
    if (listen(listener->socket, BACKLOG) < 0)
        return failure_set(failure, errno, "%s: %s", listener->path, strerror(errno));
    return 0;
}

void listener_close(struct listener *listener)
{
    char name[LISTENER_PATH_MAX + sizeof(LOCK_SUFFIX)];
    struct stat status;

    if (listener->lock >= 0 &&
        fstatat(listener->directory, base_name(listener->path), &status, AT_SYMLINK_NOFOLLOW) ==
            0 &&
        status.st_dev == listener->device && status.st_ino == listener->inode)
        unlinkat(listener->directory, base_name(listener->path), 0);
    descriptor_close(&listener->socket);
    if (listener->lock >= 0) {
        lock_name(name, sizeof(name), listener->path);
        unlinkat(listener->directory, name, 0);
    }
    descriptor_close(&listener->lock);
    descriptor_close(&listener->directory);
}
