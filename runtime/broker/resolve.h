/* Which file runs: a rule's executable found and opened.
 *
 * Owns nothing; the descriptor it returns is the caller's. Keeps no cache: what it opened a moment
 * ago is what runs, so nothing needs to be checked again. */
#ifndef SLUICE_RESOLVE_H
#define SLUICE_RESOLVE_H

#include <limits.h>

#include "runtime/broker/failure.h"
#include "runtime/worker/worker.h"

struct resolved {
    int descriptor; /* O_PATH, close-on-exec, of a regular file that this process may execute */
    struct file_identity identity;
    char path[PATH_MAX]; /* where it was found */
};

/* Finds `name` (a bare name, or an absolute path, which `directories` does not matter to) in the
 * absolute directories `directories` ("/bin:/usr/bin"; an empty or relative entry is skipped: the
 * broker's working directory is nobody's exec_path). Like execvp(3), goes on past what is missing,
 * is not a regular file or may not be executed. Symlinks are followed. Returns 0, or -1 with
 * `failure` (error: ENOENT, or EACCES when something was there but could not be executed). */
int resolve_executable(const char *name, const char *directories, struct resolved *resolved,
                       struct failure *failure);

#endif
