#define _GNU_SOURCE 1

#include "runtime/worker/limits.h"

#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/worker/confinement.h"
#include "runtime/worker/kernel_call.h"

/* prlimit(2) of this process; by number, because the C libraries disagree on the first type. */
static int limit_get(int resource, struct rlimit *now)
{
    return (int)syscall(SYS_prlimit64, 0, resource, NULL, now);
}

static void limit_add(struct limits *limits, int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;
    if (limit_get(resource, &now) == 0 && hard > now.rlim_max)
        hard = now.rlim_max;
    limits->all[limits->count++] = (struct limit){
        .resource = resource,
        .value = {.rlim_cur = soft < hard ? soft : hard, .rlim_max = hard},
    };
}

static void limit_add_set(struct limits *limits, int resource, uint64_t value)
{
    if (value != LIMIT_UNSET)
        limit_add(limits, resource, (rlim_t)value, (rlim_t)value);
}

void limits_prepare(struct limits *limits, const struct policy_limits *policy,
                    const struct confinement_host *host)
{
    limits->count = 0;
    if (!host->cgroup_memory)
        limit_add_set(limits, RLIMIT_AS, policy->memory);
    if (!host->cgroup_processes)
        limit_add_set(limits, RLIMIT_NPROC, policy->processes);
    limit_add_set(limits, RLIMIT_FSIZE, policy->file_size);
    limit_add_set(limits, RLIMIT_CORE, policy->core);
    /* SIGXCPU at the limit, SIGKILL a second later for a program that takes no notice. */
    if (policy->cpu_time != LIMIT_UNSET)
        limit_add(limits, RLIMIT_CPU, (rlim_t)policy->cpu_time, (rlim_t)policy->cpu_time + 1);
    if (policy->open_files != LIMIT_UNSET)
        limit_add_set(limits, RLIMIT_NOFILE, policy->open_files);
    else
        limit_add(limits, RLIMIT_NOFILE, host->open_files.rlim_cur, host->open_files.rlim_max);
}

static int limits_set(const struct limits *limits, bool of_descriptors)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct limit *limit = &limits->all[i];
        if ((limit->resource == RLIMIT_NOFILE) != of_descriptors)
            continue;
        long status = kernel_call(SYS_prlimit64, 0, limit->resource, KERNEL_POINTER(&limit->value));
        if (status < 0)
            return (int)status;
    }
    return 0;
}

int limits_apply(const struct limits *limits)
{
    return limits_set(limits, false);
}

int limits_apply_descriptors(const struct limits *limits)
{
    return limits_set(limits, true);
}
