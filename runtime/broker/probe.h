/* Whether a directory takes bytes again.
 *
 * Owns nothing; leaves nothing behind. */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stdbool.h>

#include "runtime/broker/failure.h"

/* What a probe writes: more than a file system keeps back for metadata, one bounded write. */
#define PROBE_BYTES 65536u

/* Writes PROBE_BYTES to a nameless file (open(2), O_TMPFILE; a name of our own for a moment where
 * the file system has no such thing) in the directory of `path`, walked as path_open_append walks.
 * 0, or -1 with `failure`. */
int probe_write_beside(const char *path, struct failure *failure);

#endif
