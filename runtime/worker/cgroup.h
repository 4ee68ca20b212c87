/* cgroup v2, where a part of the tree has been delegated to the broker: a group for each worker, so
 * that `memory` and `processes` count all of a call, and a fork storm can be stopped at its root.
 *
 * Owns the layout of that part: the broker's own group "sluice-broker" and a "sluice-worker-..." for
 * each worker beneath the delegated one. Without delegation everything here is left alone.
 * Documentation/admin-guide/cgroup-v2.rst; cgroups(7). */
#ifndef SLUICE_CGROUP_H
#define SLUICE_CGROUP_H

#include <stdbool.h>

struct confinement_host;
struct policy_limits;

/* Looks for a delegated group: one that this process is in and that belongs to its uid (or, for root,
 * that systemd marked as delegated), with no other processes in it. Sets host->cgroup,
 * cgroup_memory and cgroup_processes. Changes nothing. */
void cgroup_find(struct confinement_host *host);

/* Moves the broker into its own group, so that the delegated one may be divided, and switches the
 * controllers on. Does nothing the second time, or without host->cgroup. Before the first worker.
 * Returns 0 or a negative errno. */
int cgroup_divide(const struct confinement_host *host);

/* What a worker holds of its group. */
struct cgroup {
    int processes; /* pids.max, for writing; -1: no limit can be set */
    char limit[24]; /* what stands there while a call runs */
};

/* Makes a group with these limits and moves the calling worker into it. Also removes what earlier
 * workers left. Without host->cgroup nothing is done. Returns 0 or a negative errno. */
int cgroup_enter(const struct confinement_host *host, const struct policy_limits *limits,
                 struct cgroup *cgroup);

/* Lets nothing in the group fork any more, or lets it again. False: it cannot be said here. */
bool cgroup_forbid_forks(const struct cgroup *cgroup);
void cgroup_allow_forks(const struct cgroup *cgroup);

#endif
