/* cgroup v2, where a part of the tree has been delegated to the broker: a group for each worker, so
 * that `memory` and `processes` count all of a call, and so that all of a call can be ended at once.
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
 * that systemd marked as delegated), with no other processes in it. Sets host->cgroup, cgroup_kill,
 * cgroup_memory and cgroup_processes. Changes nothing. */
void cgroup_find(struct confinement_host *host);

/* Moves the broker into its own group, so that the delegated one may be divided, and switches the
 * controllers on. Does nothing the second time, or without host->cgroup. Before the first worker.
 * Returns 0 or a negative errno. */
int cgroup_divide(const struct confinement_host *host);

/* What a worker holds of its group, and of where it goes while it ends everybody there. -1: is not
 * to be had. Its own for as long as it lives. */
enum cgroup_file {
    CGROUP_SELF,      /* the directory, locked: nobody sweeps it away while nobody is in it */
    CGROUP_PIDS_MAX,  /* for writing, as are the others */
    CGROUP_KILL,      /* cgroup.kill, Linux 5.14 */
    CGROUP_PROCS,     /* cgroup.procs of the worker's group */
    CGROUP_ELSEWHERE, /* cgroup.procs of the broker's */
    CGROUP_FILES
};

struct cgroup {
    int files[CGROUP_FILES];
    char limit[24]; /* what pids.max says while a call runs */
    bool elsewhere; /* the worker has left its group */
};

/* Makes a group with these limits and moves the calling worker into it. Also removes what earlier
 * workers left. Without host->cgroup nothing is done. Returns 0 or a negative errno. */
int cgroup_enter(const struct confinement_host *host, const struct policy_limits *limits,
                 struct cgroup *cgroup);

/* Ends all processes of the group but the worker, which leaves it for that, and lets none fork any
 * more, as far as the kernel can (no group: nothing is done). What is not reached that way has to be
 * killed one by one: whatever a program moved to another group of the same user. */
void cgroup_kill_begin(struct cgroup *cgroup);

/* Once nobody is left: back into the group, with its limits. Returns 0 or a negative errno. */
int cgroup_kill_end(struct cgroup *cgroup);

#endif
