/* Opening paths that must not be anybody else's.
 *
 * Owns: how the broker walks to its audit files, its socket's directory, a caller's working
 * directory and a file that a caller names. Returns descriptors, close-on-exec from birth, which
 * the caller owns. Never follows what another user could have put there, and never blocks on a FIFO
 * or a device.
 *
 * A directory is **ours alone** when root or the broker's effective uid owns it and nobody else can
 * change what its names mean:
 *   - neither its group nor others may write it (an ACL's mask shows in the group bits, acl(5)); or
 *   - it has the sticky bit (/tmp: others make names of their own but cannot touch ours); or
 *   - root owns it and only its group may write it (/var/log on some systems: root's arrangement).
 * Every directory that a trusted walk enters must be so, from "/" on. A symlink on the way counts
 * only if root or the broker's uid owns it, and at most PATH_SYMLINKS_MAX of them are followed. */
#ifndef SLUICE_PATHS_H
#define SLUICE_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/broker/failure.h"

#define PATH_SYMLINKS_MAX 16u

enum path_flags {
    PATH_CREATE = 1, /* make missing directories, 0700 */
    PATH_PRIVATE =
        2, /* the last directory admits no writer but root and the broker's uid: the sticky
            * and root's-group exceptions do not count for it (a socket's directory) */
};

/* Walks to the directory `path` (absolute, no ".." component) as above. Returns an O_PATH
 * descriptor, or -1 with `failure` naming the path, the component and why; failure->error is EPERM
 * where the walk ended at something unsafe, else the system call's. `flags`: enum path_flags. */
int path_open_directory(const char *path, unsigned flags, struct failure *failure);

/* Opens the audit file `path` for appending (O_APPEND, O_NOFOLLOW, O_CREAT with 0600), its
 * directories walked and made as above. Refuses anything but a regular file of root's or the
 * broker's own that has one name and that nobody else may write. Returns a blocking
 * O_WRONLY|O_APPEND descriptor, or -1 with `failure` as above. */
int path_open_append(const char *path, struct failure *failure);

/* The same for the manifest, which is read as well (O_RDWR): at start, for what the last broker
 * left. */
int path_open_manifest(const char *path, struct failure *failure);

/* Opens the working directory that a caller chose: absolute, no empty, "." or ".." component, no
 * symlink anywhere on the way (openat2(2), RESOLVE_NO_SYMLINKS). Says nothing about whose it is.
 * Returns an O_PATH descriptor, or -1 with `failure`. */
int path_open_caller_directory(const char *path, struct failure *failure);

/* Opens what a caller named, `value` (`length` bytes, no NUL among them), beneath the directory
 * `base`
 * (`base_path` is its path, for values that are absolute: those must lie at or below it). Symlinks
 * may stay inside `base` and never lead out of it; magic links never count (openat2(2),
 * RESOLVE_BENEATH). Returns an O_PATH descriptor, or -1 with `failure`. */
int path_open_beneath(int base, const char *base_path, const char *value, size_t length,
                      struct failure *failure);

/* The last two without asking any file system: openat2(2), RESOLVE_CACHED, so that a server that
 * does not answer keeps nobody waiting. Return the same descriptor, or -1: what is to be known is not
 * in the kernel's memory, or does not open; with errno ENOENT, there is certainly nothing. */
int path_open_caller_directory_cached(const char *path);
int path_open_beneath_cached(int base, const char *base_path, const char *value, size_t length);

/* The directory `path`, symlinks followed, in the same way. */
int path_open_cached(const char *path);

/* Whether `path` is absolute and has no ".." component. */
bool path_is_plain(const char *path);

#endif
