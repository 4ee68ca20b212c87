#define _GNU_SOURCE
#include "runtime/broker/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/broker/paths.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

void manifest_lock(struct manifest *manifest)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    manifest->sole_writer = fcntl(manifest->file, F_SETLK, &whole) == 0;
}

int manifest_open(struct manifest *manifest, const char *path, struct failure *failure)
{
    int file = path_open_manifest(path, failure);
    if (file < 0)
        return -1;
    /* Closing any descriptor of a file gives up a process's record locks on it: that of the old one
     * first, the lock after it. */
    descriptor_close(&manifest->file);
    manifest->file = file;
    manifest_lock(manifest);
    manifest->torn = false;
    if (path != manifest->path) {
        struct text copy;
        text_start(&copy, manifest->path, sizeof manifest->path);
        text_append(&copy, path);
    }
    return 0;
}

/* The head of struct statx, statx(2); the C libraries differ in whether they have it. */
struct links {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t count;
    char rest[256 - 20];
};
#define LINKS_WANTED 4u /* STATX_NLINK */

/* Not fstat(2): once somebody has asked for its times, the next write to a file must give it new
 * ones (multigrain timestamps, Linux 6.13), which costs as much as the write. */
bool manifest_is_gone(const struct manifest *manifest)
{
    struct links links;
    struct stat status;
    if (syscall(SYS_statx, manifest->file, "", AT_EMPTY_PATH, LINKS_WANTED, &links) == 0)
        return links.count == 0;
    return fstat(manifest->file, &status) == 0 && status.st_nlink == 0;
}

bool manifest_is(const struct manifest *manifest, int file)
{
    struct stat ours, theirs;
    return manifest->file >= 0 && fstat(manifest->file, &ours) == 0 && fstat(file, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int manifest_reopen(struct manifest *manifest, struct failure *failure)
{
    return manifest_open(manifest, manifest->path, failure);
}

bool manifest_cut(struct manifest *manifest, off_t size)
{
    /* A lock can come free after a while: that of a broker which has ended, or our own earlier one
     * (closer.h: parting). */
    if (!manifest->sole_writer)
        manifest_lock(manifest);
    return manifest->sole_writer && ftruncate(manifest->file, size) == 0;
}

/* Takes back the `written` bytes that the last write left at the end of the file. */
static void manifest_take_back(struct manifest *manifest, size_t written)
{
    struct stat status;
    off_t end = lseek(manifest->file, 0, SEEK_CUR); /* an appending write leaves it at its end */
    manifest->torn = end < 0 || fstat(manifest->file, &status) < 0 || status.st_size != end ||
                     !manifest_cut(manifest, end - (off_t)written);
}

int manifest_append(struct manifest *manifest, const char *line, size_t length,
                    struct failure *failure)
{
    /* writev takes what it does not change as if it might. */
    char newline = '\n';
    struct iovec parts[2] = {{&newline, 1}, {(void *)(uintptr_t)line, length}};
    size_t first = manifest->torn ? 0 : 1;
    size_t whole = manifest->torn ? length + 1 : length;
    ssize_t written;
    do {
        written = writev(manifest->file, parts + first, (int)(2 - first));
    } while (written < 0 && errno == EINTR);
    if (written < 0)
        return failure_set(failure, errno, "%s: %s", manifest->path, strerror(errno));
    if ((size_t)written == whole) {
        manifest->torn = false;
        return 0;
    }
    if (written > 0)
        manifest_take_back(manifest, (size_t)written);
    return failure_set(failure, ENOSPC, "%s: %zd of %zu bytes written", manifest->path, written,
                       whole);
}

void manifest_sync(struct manifest *manifest)
{
    if (manifest->file >= 0)
        fdatasync(manifest->file);
}

void manifest_close(struct manifest *manifest)
{
    descriptor_close(&manifest->file);
}
