#define _GNU_SOURCE /* mkostemp, dirent64 */
#include "compiler/emit/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define FOLDERS_WITHIN 4 /* one in another, of what is made there: patterns/ and the like */

static const char *failure(struct arena *arena, const char *doing, const char *path)
{
    return arena_format(arena, "cannot %s %s: %s", doing, path, strerror(errno));
}

/* ---- folders --------------------------------------------------------------------------------- */

const char *folder_make(struct arena *arena, const char **folder)
{
    const char *parent = getenv("TMPDIR");
    char *path = arena_format(arena, "%s/sluicec.XXXXXX",
                              parent && parent[0] == '/' ? parent : "/tmp");
    if (!mkdtemp(path))
        return failure(arena, "make the temporary folder", path);
    *folder = path;
    return NULL;
}

/* Removes what is in an open folder, and takes it over. Without nftw(3) or readdir(3), which allocate:
 * memory may have run out. */
static void folder_empty(int folder, unsigned depth)
{
    _Alignas(struct dirent64) char entries[4096];
    long length = 0;

    while (folder >= 0 && (length = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
        const struct dirent64 *entry;
        for (long at = 0; at < length; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(const void *)(entries + at);
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                unlinkat(folder, entry->d_name, 0) == 0)
                continue;
            if (depth > 0)
                folder_empty(openat(folder, entry->d_name, FOLDER_FLAGS), depth - 1);
            unlinkat(folder, entry->d_name, AT_REMOVEDIR);
        }
    }
    if (folder >= 0)
        close(folder);
}

void folder_remove(const char *folder)
{
    folder_empty(openat(AT_FDCWD, folder, FOLDER_FLAGS), FOLDERS_WITHIN);
    rmdir(folder);
}

/* ---- whole files ----------------------------------------------------------------------------- */

/* All of it, or errno. */
static bool bytes_write(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

const char *file_write(struct arena *arena, const char *path, const char *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return failure(arena, "write", path);
    bool good = bytes_write(descriptor, bytes, length);
    int error = errno;
    if (close(descriptor) != 0 && good) {
        good = false;
        error = errno;
    }
    errno = error;
    return good ? NULL : failure(arena, "write", path);
}

const char *file_read(struct arena *arena, const char *path, size_t limit, const char **bytes,
                      size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        const char *said = failure(arena, "read", path);
        if (descriptor >= 0)
            close(descriptor);
        return said;
    }
    if (status.st_size < 0 || (uintmax_t)status.st_size > limit) {
        close(descriptor);
        return arena_format(arena, "%s is larger than %zu bytes", path, limit);
    }
    size_t size = (size_t)status.st_size, got = 0;
    char *text = arena_alloc(arena, size + 1);
    while (got < size) {
        ssize_t more = read(descriptor, text + got, size - got);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    close(descriptor);
    *bytes = text;
    *length = got;
    return got == size ? NULL : arena_format(arena, "%s is shorter than it was", path);
}

/* ---- outputs --------------------------------------------------------------------------------- */

const char *output_begin(struct arena *arena, const char *path, struct output *output)
{
    *output = (struct output){.path = path, .descriptor = -1};
    struct stat status;
    if (stat(path, &status) == 0) {
        if (!S_ISREG(status.st_mode))
            return arena_format(arena, "cannot write %s: it is not a regular file", path);
        char *real = realpath(path, NULL);
        if (!real)
            return failure(arena, "write", path);
        output->path = arena_copy(arena, real, strlen(real));
        free(real);
    } else if (errno != ENOENT || lstat(path, &status) == 0) {
        errno = errno ? errno : ENOENT; /* a symbolic link to nothing */
        return failure(arena, "write", path);
    }
    char *beside = arena_format(arena, "%s.XXXXXX", output->path);
    output->descriptor = mkostemp(beside, O_CLOEXEC);
    if (output->descriptor < 0)
        return failure(arena, "write", path);
    output->beside = beside;
    return NULL;
}

const char *output_write(struct arena *arena, struct output *output, const char *bytes,
                         size_t length)
{
    return bytes_write(output->descriptor, bytes, length) ? NULL
                                                          : failure(arena, "write", output->path);
}

const char *output_finish(struct arena *arena, struct output *output, unsigned mode)
{
    mode_t mask = umask(0);
    umask(mask);
    bool good = fchmod(output->descriptor, mode & ~mask) == 0 && fsync(output->descriptor) == 0;
    int error = errno;
    if (close(output->descriptor) != 0 && good) {
        good = false;
        error = errno;
    }
    output->descriptor = -1;
    if (good && rename(output->beside, output->path) == 0) {
        output->beside = NULL;
        return NULL;
    }
    errno = good ? errno : error;
    return failure(arena, "write", output->path);
}

void output_abandon(struct output *output)
{
    if (output->descriptor >= 0)
        close(output->descriptor);
    if (output->beside)
        unlink(output->beside);
    output->descriptor = -1;
    output->beside = NULL;
}
