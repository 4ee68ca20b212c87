/* The manifest's file: whole lines at its end, or nothing.
 *
 * Owns the file's descriptor and its lock. Knows nothing of what the lines say (audit.h), only that
 * half a line must not stay: what a full disk cut short is taken back, or, where another process
 * writes the file too, closed with a newline before the next line. */
#ifndef SLUICE_MANIFEST_H
#define SLUICE_MANIFEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"

struct manifest {
    char path[PATH_MAX];
    int file;         /* O_RDWR | O_APPEND; -1: not open */
    bool sole_writer; /* the lock is ours: no other broker writes this file */
    bool torn;        /* the file ends in half a line that could not be taken back */
};

/* Opens (or makes) the file at `path` as path_open_manifest does and tries to lock it. The lock is
 * a record lock (fcntl(2), F_SETLK): it belongs to this process, not to what it forks, and an exec
 * that closes the file gives it up. It keeps nobody out; it says whether the end of the file may be
 * repaired. 0, or -1 with `failure`, and what was open before stays open. */
int manifest_open(struct manifest *manifest, const char *path, struct failure *failure);

/* Opens the same path again (after logrotate renamed the file) and closes the old file. 0, or -1
 * with `failure`: the old file stays in use. */
int manifest_reopen(struct manifest *manifest, struct failure *failure);

/* Whether somebody removed the file (renaming does not): what is written to it is lost. */
bool manifest_is_gone(const struct manifest *manifest);

/* Whether the open file `file` is the manifest. Closing it gives up our lock: manifest_lock. */
bool manifest_is(const struct manifest *manifest, int file);
/* Tries to have the lock (again). */
void manifest_lock(struct manifest *manifest);

/* Appends one line, its newline included, with one write(2). 0, or -1 with `failure` when it is not
 * wholly there; nothing of it is then, unless `torn` says so. */
int manifest_append(struct manifest *manifest, const char *line, size_t length,
                    struct failure *failure);

/* Cuts the file to `size` bytes, if this process alone writes it. Whether that was done. */
bool manifest_cut(struct manifest *manifest, off_t size);

/* Forces what is written to the disk (fdatasync(2)). Waits for it. */
void manifest_sync(struct manifest *manifest);

void manifest_close(struct manifest *manifest);

#endif
