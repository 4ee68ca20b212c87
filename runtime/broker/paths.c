#define _GNU_SOURCE
#include "runtime/broker/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* linux/openat2.h since 5.12 */
#endif

/* How a walk treats what it meets. */
enum walk_manner {
    WALK_TRUSTED, /* audit and socket directories: the header's rule */
    WALK_PLAIN,   /* a caller's directory: anybody's, but no symlink */
};

struct walk {
    const char *path; /* what was asked for, for messages */
    enum walk_manner manner;
    unsigned flags;       /* enum path_flags */
    int directory;        /* where the walk is, O_PATH; owned */
    unsigned links;       /* symlinks followed */
    char where[PATH_MAX]; /* the name of `directory`, for messages; cut when too long */
    char rest[PATH_MAX];  /* what is still to be walked */
    struct failure *failure;
};

/* ---- names ----------------------------------------------------------------------------------- */

bool path_is_plain(const char *path)
{
    if (*path != '/')
        return false;
    for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return false;
    return true;
}

/* Absolute, and each component a name: nothing empty, no "." and no "..". */
static bool path_is_normal(const char *path)
{
    if (*path != '/')
        return false;
    if (path[1] == '\0')
        return true;
    while (*path == '/') {
        path++;
        size_t length = strcspn(path, "/");
        if (length == 0 || (length <= 2 && strncmp(path, "..", length) == 0))
            return false;
        path += length;
    }
    return true;
}

/* Takes the first component, "." aside, off `rest` into `name`. False at the end (errno 0) and at a
 * component that is too long for a name (ENAMETOOLONG). */
static bool component_take(char *rest, char name[NAME_MAX + 1])
{
    size_t start = strspn(rest, "/");
    while (rest[start] == '.' && (rest[start + 1] == '/' || rest[start + 1] == '\0'))
        start += 1 + strspn(rest + start + 1, "/");
    size_t length = strcspn(rest + start, "/");
    errno = length > NAME_MAX ? ENAMETOOLONG : 0;
    if (length == 0 || length > NAME_MAX)
        return false;
    memcpy(name, rest + start, length);
    name[length] = '\0';
    memmove(rest, rest + start + length, strlen(rest + start + length) + 1);
    return true;
}

/* ---- trust ----------------------------------------------------------------------------------- */

static bool owner_is_trusted(const struct stat *status)
{
    return status->st_uid == 0 || status->st_uid == geteuid();
}

/* Why another user could change what the names in a directory mean; NULL when nobody can. */
static const char *directory_distrust(const struct stat *status, bool private)
{
    bool by_group = status->st_mode & S_IWGRP, by_others = status->st_mode & S_IWOTH;
    if (!owner_is_trusted(status))
        return "belongs to another user";
    if (!by_group && !by_others)
        return NULL;
    if (private)
        return "can be written by other users";
    if (status->st_mode & S_ISVTX)
        return NULL;
    if (by_others)
        return "can be written by everybody";
    return status->st_uid == 0 ? NULL : "can be written by its group";
}

/* Why a file is not fit for the audit trail; NULL when it is. */
static const char *file_distrust(const struct stat *status)
{
    if (S_ISLNK(status->st_mode))
        return "is a symbolic link";
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (!owner_is_trusted(status))
        return "belongs to another user";
    if (status->st_nlink > 1)
        return "has more than one name (hard links)";
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return "can be written by other users";
    return NULL;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* "PATH: COMPONENT why"; `name` "" names the directory that the walk stands in. */
static int walk_fail(const struct walk *walk, int error, const char *name, const char *why)
{
    const char *slash = strlen(walk->where) <= 1 || *name == '\0' ? "" : "/";
    return failure_set(walk->failure, error, "%s: %s%s%s %s", walk->path, walk->where, slash, name,
                       why);
}

static int walk_fail_errno(const struct walk *walk, int error, const char *name)
{
    const char *slash = strlen(walk->where) <= 1 || *name == '\0' ? "" : "/";
    return failure_set(walk->failure, error, "%s: %s%s%s: %s", walk->path, walk->where, slash, name,
                       strerror(error));
}

/* `where` with `name` entered, which may be "/" (a fresh start) or ".." (from a symlink's target).
 */
static void walk_rename(struct walk *walk, const char *name)
{
    struct text where;
    size_t length = strlen(walk->where);
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(walk->where, '/');
        if (slash != NULL)
            slash[slash == walk->where ? 1 : 0] = '\0';
        return;
    }
    text_start(&where, walk->where + length, sizeof walk->where - length);
    if (length > 1)
        text_append_char(&where, '/');
    text_append(&where, name);
}

/* Moves on to the directory `next`, called `name`; takes the descriptor over. */
static int walk_enter(struct walk *walk, int next, const char *name, const struct stat *status)
{
    cleanup_fd int entered = next;
    if (!S_ISDIR(status->st_mode))
        return walk_fail(walk, ENOTDIR, name, "is not a directory");
    walk_rename(walk, name);
    const char *why = walk->manner == WALK_TRUSTED ? directory_distrust(status, false) : NULL;
    if (why != NULL)
        return walk_fail(walk, EPERM, "", why);
    descriptor_close(&walk->directory);
    walk->directory = descriptor_steal(&entered);
    return 0;
}

static int walk_from_root(struct walk *walk)
{
    struct stat status;
    walk->where[0] = '\0';
    cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || fstat(root, &status) < 0)
        return walk_fail_errno(walk, errno, "/");
    return walk_enter(walk, descriptor_steal(&root), "/", &status);
}

/* Puts the target of the symlink `link` before what is left to walk. */
static int walk_follow(struct walk *walk, int link, const char *name, const struct stat *status)
{
    char target[PATH_MAX];
    if (walk->manner == WALK_PLAIN)
        return walk_fail(walk, ELOOP, name, "is a symbolic link");
    if (!owner_is_trusted(status))
        return walk_fail(walk, EPERM, name, "is a symbolic link of another user");
    if (++walk->links > PATH_SYMLINKS_MAX)
        return walk_fail(walk, ELOOP, name, "is one symbolic link too many");
    ssize_t length = readlinkat(link, "", target, sizeof target);
    if (length < 0)
        return walk_fail_errno(walk, errno, name);
    size_t left = strlen(walk->rest);
    if ((size_t)length + 1 + left + 1 > sizeof walk->rest)
        return walk_fail(walk, ENAMETOOLONG, name, "leads to a path that is too long");
    memmove(walk->rest + length + 1, walk->rest, left + 1);
    memcpy(walk->rest, target, (size_t)length);
    walk->rest[length] = '/';
    return target[0] == '/' ? walk_from_root(walk) : 0;
}

/* One component further. */
static int walk_step(struct walk *walk, const char *name)
{
    struct stat status;
    cleanup_fd int next = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && errno == ENOENT && (walk->flags & PATH_CREATE)) {
        if (mkdirat(walk->directory, name, 0700) < 0 && errno != EEXIST)
            return walk_fail_errno(walk, errno, name);
        next = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (next < 0 || fstat(next, &status) < 0)
        return walk_fail_errno(walk, errno, name);
    if (S_ISLNK(status.st_mode))
        return walk_follow(walk, next, name, &status);
    return walk_enter(walk, descriptor_steal(&next), name, &status);
}

/* The last directory, under PATH_PRIVATE. */
static int walk_check_private(const struct walk *walk)
{
    struct stat status;
    if (fstat(walk->directory, &status) < 0)
        return walk_fail_errno(walk, errno, "");
    const char *why = directory_distrust(&status, true);
    return why == NULL ? 0 : walk_fail(walk, EPERM, "", why);
}

/* Walks the first `length` bytes of `path`. Returns the directory's descriptor or -1. */
static int walk_to(const char *path, size_t length, enum walk_manner manner, unsigned flags,
                   struct failure *failure)
{
    struct walk walk;
    char name[NAME_MAX + 1];
    if (length >= sizeof walk.rest)
        return failure_set(failure, ENAMETOOLONG, "%.64s...: is longer than %zu bytes", path,
                           sizeof walk.rest - 1);
    walk.path = path;
    walk.manner = manner;
    walk.flags = flags;
    walk.directory = -1;
    walk.links = 0;
    walk.failure = failure;
    memcpy(walk.rest, path, length);
    walk.rest[length] = '\0';

    int result = walk_from_root(&walk);
    while (result == 0 && component_take(walk.rest, name))
        result = walk_step(&walk, name);
    if (result == 0 && errno != 0)
        result = walk_fail_errno(&walk, errno, "");
    if (result == 0 && (flags & PATH_PRIVATE))
        result = walk_check_private(&walk);
    if (result < 0)
        descriptor_close(&walk.directory);
    return walk.directory;
}

/* ---- directories ----------------------------------------------------------------------------- */

int path_open_directory(const char *path, unsigned flags, struct failure *failure)
{
    if (!path_is_plain(path))
        return failure_set(failure, EINVAL, "%s: is not an absolute path without \"..\"", path);
    return walk_to(path, strlen(path), WALK_TRUSTED, flags, failure);
}

int path_open_caller_directory(const char *path, struct failure *failure)
{
    if (!path_is_normal(path))
        return failure_set(failure, EINVAL, "%s: is not an absolute, normalised path", path);
    return walk_to(path, strlen(path), WALK_PLAIN, 0, failure);
}

static int open_cached(int base, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags,
                           .resolve = RESOLVE_CACHED | resolve};
    return (int)syscall(SYS_openat2, base, path, &how, sizeof how);
}

int path_open_cached(const char *path)
{
    return open_cached(AT_FDCWD, path, O_DIRECTORY, 0);
}

int path_open_caller_directory_cached(const char *path)
{
    if (!path_is_normal(path)) {
        errno = EINVAL;
        return -1;
    }
    return open_cached(AT_FDCWD, path, O_DIRECTORY, RESOLVE_NO_SYMLINKS);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Opens `name` in `directory`; `path` is both, for messages. */
static int file_open_in(int directory, const char *name, int flags, const char *path,
                        struct failure *failure)
{
    struct stat status;
    const char *why = NULL;
    /* Looked at first, so that no device is ever opened and no FIFO's reader sees us. */
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        why = file_distrust(&status);
    if (why != NULL)
        return failure_set(failure, EPERM, "%s: %s", path, why);

    cleanup_fd int file =
        openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (file < 0 || fstat(file, &status) < 0)
        return failure_set(failure, errno, "%s: %s", path, strerror(errno));
    why = file_distrust(&status);
    if (why != NULL)
        return failure_set(failure, EPERM, "%s: %s", path, why);
    /* O_NONBLOCK was for what the name might have become meanwhile; regular files ignore it. */
    if (fcntl(file, F_SETFL, flags & O_APPEND) < 0)
        return failure_set(failure, errno, "%s: %s", path, strerror(errno));
    return descriptor_steal(&file);
}

static int file_open(const char *path, int flags, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    if (!path_is_plain(path) || slash[1] == '\0' || strcmp(slash, "/.") == 0)
        return failure_set(failure, EINVAL, "%s: is not the absolute path of a file", path);
    cleanup_fd int directory =
        walk_to(path, (size_t)(slash - path), WALK_TRUSTED, PATH_CREATE, failure);
    return directory < 0 ? -1 : file_open_in(directory, slash + 1, flags, path, failure);
}

int path_open_append(const char *path, struct failure *failure)
{
    return file_open(path, O_WRONLY | O_APPEND | O_CREAT, failure);
}

int path_open_manifest(const char *path, struct failure *failure)
{
    return file_open(path, O_RDWR | O_APPEND | O_CREAT, failure);
}

/* ---- beneath --------------------------------------------------------------------------------- */

/* What is left of the absolute `name` below `base`; NULL when it is not below. */
static const char *name_beneath(const char *name, const char *base)
{
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    if (strncmp(name, base, length) != 0 || (name[length] != '/' && name[length] != '\0'))
        return NULL;
    const char *below = name + length + strspn(name + length, "/");
    return *below == '\0' ? "." : below;
}

int path_open_beneath_cached(int base, const char *base_path, const char *value, size_t length)
{
    char name[PATH_MAX];
    if (length >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, value, length);
    name[length] = '\0';
    const char *relative = name[0] == '/' ? name_beneath(name, base_path) : name;
    errno = EXDEV;
    return relative == NULL
               ? -1
               : open_cached(base, relative, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int path_open_beneath(int base, const char *base_path, const char *value, size_t length,
                      struct failure *failure)
{
    char name[PATH_MAX];
    if (length >= sizeof name)
        return failure_set(failure, ENAMETOOLONG, "a path of %zu bytes is too long", length);
    memcpy(name, value, length);
    name[length] = '\0';

    const char *relative = name[0] == '/' ? name_beneath(name, base_path) : name;
    if (relative == NULL)
        return failure_set(failure, EXDEV, "%s: is not beneath %s", name, base_path);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long file = syscall(SYS_openat2, base, relative, &how, sizeof how);
    if (file < 0 && errno == EXDEV)
        return failure_set(failure, EXDEV, "%s: leads out of %s", name, base_path);
    if (file < 0)
        return failure_set(failure, errno, "%s: %s", name, strerror(errno));
    return (int)file;
}
