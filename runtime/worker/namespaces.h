/* Namespaces of a worker: which ones, and what is set up inside them before the first call.
 *
 * Owns the uid and gid maps, the mounts and the /proc of a worker's own namespaces. Runs in the
 * worker, while it still has the privileges that a new user namespace (or the broker's
 * CAP_SYS_ADMIN) gives; they are given up right after. Never changes anything outside. */
#ifndef SLUICE_NAMESPACES_H
#define SLUICE_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/include/policy.h"

struct confinement_host;
struct confinement_setup;

/* What a confinement asks for, whatever the host allows: CLONE_NEW* flags. */
unsigned long namespaces_asked(const struct policy_confinement *confinement);
/* Whether mounts are to guard files there (`protect`): where nothing is written, none need it. */
bool namespaces_guard(const struct policy_confinement *confinement);

/* What worker_start asks clone(2) for: those namespaces that a process must be born in. */
unsigned long namespaces_at_birth(const struct confinement_setup *setup);

/* The network namespace that was made when namespaces were tried, for the one worker that is made next:
 * its descriptor, the caller's now; -1: there is none, or no worker of this setup can use it. */
int namespaces_take_network(const struct confinement_setup *setup);

/* Makes the others, in the new process: the broker does not wait while the kernel makes a network. `network`: as above, which is entered then. Returns 0 or a negative errno.
 * unshare(2), setns(2). */
int namespaces_make(const struct confinement_setup *setup, int network);

/* The capabilities that have to be in force for the clone: CAP_SYS_ADMIN where no user namespace
 * gives it, CAP_SETFCAP for root's own user namespace (root mapped to root, user_namespaces(7)). */
uint64_t namespaces_capabilities(const struct confinement_setup *setup);

/* Whether the worker has mounts of its own: descriptors from outside lead around them. */
bool namespaces_has_mounts(const struct confinement_setup *setup);

/* Sets up what these two made, in the new process. `*directory_lost`: as mounts_enter
 * (mounts.h). Returns 0 or a negative errno. */
int namespaces_enter(const struct confinement_setup *setup, int *directory_lost);

/* Begins to find out whether this host allows `flags`, by trying them in a short-lived child. host->uid
 * and host->gid must be set. */
void namespaces_probe_begin(struct confinement_host *host, unsigned long flags);

/* Waits for the answer, the first time: the members of `host` that speak of namespaces. What was not
 * asked for counts as not there. The child, host->prober, may still be ending then, unless a cgroup
 * is to be divided. */
void namespaces_probe_end(struct confinement_host *host);

/* Waits for the child's end. */
void namespaces_probe_reap(struct confinement_host *host);

/* Opens, by its path in this worker's own mount namespace, the object that the broker opened in its
 * own: a descriptor from outside would lead around the worker's mounts. Returns an O_PATH
 * descriptor, or a negative errno; -ESTALE when the path names something else now. Leaves errno alone. */
int namespaces_reopen(const char *path, int outside);

#endif
