/* What confinement_prepare made of one of policy.confinements: the worker's own view of it.
 *
 * Private to runtime/worker. Made by confinement.c and its helpers in the broker, before any fork;
 * read, never written, by the workers. */
#ifndef SLUICE_SETUP_H
#define SLUICE_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/worker/confinement.h"
#include "runtime/worker/landlock.h"

/* An object of the file system that the confinement speaks of. */
struct setup_object {
    int descriptor; /* O_PATH, opened at start */
    char *path;     /* absolute, as expanded; for mount namespaces and messages */
    char *real_path; /* without symlinks, once objects_know_paths has read it; NULL: it has none */
    uint64_t rights; /* FS_* (objects of `grants` and `libraries`) */
    bool is_directory, is_regular;
    bool of_set; /* of a named set: shared by everybody, nobody's workspace */
};

/* Objects of one confinement, all lists together: confinement_prepare refuses more, because a worker keeps
 * the descriptors of no more. */
#define SETUP_OBJECTS_MAX 4096

struct setup_objects {
    struct setup_object *all;
    size_t count, capacity;
};

struct confinement_setup {
    const struct policy *policy;
    const struct policy_confinement *confinement;
    uint32_t index;
    struct confinement_host *host; /* the broker's; a worker only reads its copy */
    bool filters; /* the seccomp filter is in force here */

    /* The layer that each child adds for itself. All zero: none. */
    struct landlock_layer layer;
    struct setup_objects grants;
    struct setup_objects libraries; /* of a dynamic executable: what its loader reads */
    /* The worker is in a layer that scopes signals: then nothing that it starts can signal anybody
     * outside, and it can end all of them with one call. */
    bool scopes_worker;

    unsigned long namespaces; /* CLONE_NEW* flags of the worker */
    bool mounts_read_only;    /* all but `writable` (metadata = within) */
    bool supervises;          /* or else: the worker makes those calls (supervise.h) */
    struct setup_objects writable, hidden, guarded; /* fs_write; fs_deny; protect */
    char **unborn;            /* protected names that did not exist yet */
    size_t unborn_count;
    uint8_t *unborn_seen;     /* ... and were told since */
};

#endif
