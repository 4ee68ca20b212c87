#define _GNU_SOURCE
#include "runtime/broker/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* Whether this process may execute the open file. faccessat2(2) asks about the object itself and
 * with the effective ids; on a kernel without it (before 5.8) the mode must do, and exec decides.
 */
static bool file_is_executable(int file, const struct stat *status)
{
    if (syscall(SYS_faccessat2, file, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0)
        return true;
    return errno != EACCES && (status->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
}

/* Opens resolved->path if it can run. Returns 0 or an errno. */
static int resolved_open(struct resolved *resolved)
{
    struct stat status;
    /* O_PATH: whatever stands there, nothing happens to it, and a program need not be readable.
     * openat: musl follows an open with O_CLOEXEC by a fcntl, for kernels before 2.6.23. */
    cleanup_fd int file = openat(AT_FDCWD, resolved->path, O_PATH | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        return errno;
    if (!S_ISREG(status.st_mode) || !file_is_executable(file, &status))
        return EACCES;
    resolved->identity = file_identify(&status);
    resolved->descriptor = descriptor_steal(&file);
    return 0;
}

int resolve_executable(const char *name, const char *directories, struct resolved *resolved,
                       struct failure *failure)
{
    int refused = ENOENT;
    resolved->descriptor = -1;
    /* An absolute name is looked for in one place: nowhere in particular. */
    for (const char *at = *name == '/' ? "" : directories;; at += strcspn(at, ":") + 1) {
        size_t length = strcspn(at, ":");
        struct text path;
        text_start(&path, resolved->path, sizeof resolved->path);
        if (*name != '/') {
            text_append_bytes(&path, at, length);
            text_append_char(&path, '/');
        }
        text_append(&path, name);
        if (!path.truncated && resolved->path[0] == '/' && *name != '\0' &&
            (*name == '/' || *at == '/')) {
            int error = resolved_open(resolved);
            if (error == 0)
                return 0;
            if (error != ENOENT && error != ENOTDIR)
                refused = error;
        }
        if (at[length] == '\0')
            break;
    }
    if (refused == ENOENT && *name != '/')
        return failure_set(failure, ENOENT, "%s: not found in %s", name, directories);
    return failure_set(failure, refused, "%s: %s", name,
                       refused == EACCES ? "not a regular file that may be executed"
                                         : strerror(refused));
}
