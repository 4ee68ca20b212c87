/* Limits on one child: rlimits, from the policy's limits and what the host can enforce.
 *
 * Owns the mapping from keys to resources. Never touches the worker's own limits: a worker serves
 * many calls, and its own processor time would add up. */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

#include <stddef.h>
#include <sys/resource.h>

#include "runtime/include/policy.h"

struct limit {
    int resource; /* RLIMIT_... */
    struct rlimit value;
};

#define LIMITS_MAX 7

struct limits {
    struct limit all[LIMITS_MAX];
    size_t count;
};

struct confinement_host;

/* What a child gets. host->open_files is its RLIMIT_NOFILE where the policy does not set one, because
 * the broker has raised its own. What the worker's cgroup limits needs no rlimit. A limit above the
 * hard limit in force stays at that one. */
void limits_prepare(struct limits *limits, const struct policy_limits *policy,
                    const struct confinement_host *host);

/* Sets them on the calling process, but for the one on descriptors; and that one, once the process has
 * all that it needs. Return 0 or a negative errno; leave errno alone. setrlimit(2). */
int limits_apply(const struct limits *limits);
int limits_apply_descriptors(const struct limits *limits);

#endif
