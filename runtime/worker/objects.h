/* Lists of opened objects of the file system: what a confinement's paths became at start.
 *
 * Owns the descriptors and paths in a list until objects_release. Allocates: for start-up only. */
#ifndef SLUICE_OBJECTS_H
#define SLUICE_OBJECTS_H

#include "runtime/worker/setup.h"

/* What a failure of these means, in words: strerror(3), but for the limit, which is told with its number. */
const char *objects_failure(int status);

/* Opens `path` (following symlinks) and adds it with `rights`, reduced to what a file can have if it
 * is none that is listed. Returns 0 or a negative errno; -E2BIG: SETUP_OBJECTS_MAX are reached. */
int objects_add(struct setup_objects *objects, const char *path, uint64_t rights);

/* The same below an open directory, without following a symlink: -ELOOP then. The object's path is
 * `directory_path`/`name`. */
int objects_add_at(struct setup_objects *objects, int directory, const char *directory_path,
                   const char *name, uint64_t rights);

/* Takes object `index` out of the list, keeping the order of the others. */
void objects_remove(struct setup_objects *objects, size_t index);

/* Reads where each object is, once: the comparison of each with each needs it a hundred times. Returns 0
 * or a negative errno. */
int objects_know_paths(struct setup_objects *objects);

/* Takes out of `objects` what `holders` (it may be the same list) grants anyway: an object that lies
 * in one or more of their directories, or is one of them, and has no right that they do not give
 * together. Each child's layer is copied rule by rule, so a rule less is time saved with each call.
 * Returns 0 or a negative errno. */
int objects_drop_held(struct setup_objects *objects, struct setup_objects *holders);

/* Where the object is now, without symlinks, from /proc/self/fd (proc_pid_fd(5)). Returns 0 or a
 * negative errno. */
int object_real_path(const struct setup_object *object, char *path, size_t size);

void objects_release(struct setup_objects *objects);

#endif
