#define _GNU_SOURCE 1

#include "runtime/worker/confinement.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/capabilities.h"
#include "runtime/worker/cgroup.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/objects.h"
#include "runtime/worker/prepare.h"
#include "runtime/worker/seccomp.h"
#include "runtime/worker/supervise.h"

#define TELL_BYTES 4608 /* a path and some words */

void preparing_tell(struct preparing *preparing, enum confinement_gravity gravity, ...)
{
    char line[TELL_BYTES];
    struct text text;
    va_list parts;

    text_start(&text, line, sizeof line);
    va_start(parts, gravity);
    for (const char *part; (part = va_arg(parts, const char *));)
        text_append(&text, part);
    va_end(parts);
    if (gravity == CONFINEMENT_ERROR ||
        (gravity == CONFINEMENT_MISSING && preparing->policy->confine_strict))
        preparing->refused = true;
    preparing->tell(preparing->context, preparing->setup->index, gravity, line);
}

/* ---- the host -------------------------------------------------------------------------------- */

/* All that any confinement may ask for. */
#define NAMESPACES_ALL                                                                            \
    ((unsigned long)(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |    \
                     CLONE_NEWUSER))

static unsigned long namespaces_of(const struct policy *policy)
{
    unsigned long flags = 0;

    for (uint32_t i = 0; i < policy->confinement_count; i++)
        flags |= namespaces_asked(policy->confinements[i]);
    return flags;
}

static void host_read(struct confinement_host *host, unsigned long namespaces)
{
    *host = (struct confinement_host){.cgroup = -1, .network = -1};
    host->uid = (uint32_t)geteuid();
    host->gid = (uint32_t)getegid();
    cgroup_find(host); /* while nobody else is in the group */
    namespaces_probe_begin(host, namespaces);
    host->landlock_abi = landlock_abi();
    host->seccomp_filters = seccomp_is_available();
    host->supervision = host->seccomp_filters && supervise_is_possible();
    host->process_list = access("/proc/self/stat", R_OK) == 0;
    if (getrlimit(RLIMIT_NOFILE, &host->open_files) < 0)
        host->open_files = (struct rlimit){.rlim_cur = 1024, .rlim_max = 4096};
}

void confinement_host_read(struct confinement_host *host)
{
    host_read(host, NAMESPACES_ALL);
    namespaces_probe_end(host);
    namespaces_probe_reap(host);
}

void confinement_host_begin(struct confinement_host *host, const struct policy *policy)
{
    host_read(host, namespaces_of(policy));
}

void confinement_host_release(struct confinement_host *host)
{
    descriptor_close(&host->cgroup);
    descriptor_close(&host->probe);
    descriptor_close(&host->network);
}

/* ---- one confinement ------------------------------------------------------------------------- */

static void namespaces_prepare(struct preparing *preparing)
{
    const struct policy_confinement *confinement = preparing->setup->confinement;
    const struct confinement_host *host = preparing->host;
    struct confinement_setup *setup = preparing->setup;
    const bool inside = (confinement->isolate & ISOLATE_USER) && host->user_namespaces;
    const bool possible = host->user_namespaces || host->privileged_namespaces;
    const bool mounts = inside ? host->user_mounts : host->mount_namespaces;
    const bool own_proc = inside ? host->user_proc : host->own_proc;
    unsigned long flags = namespaces_asked(confinement);

    if ((confinement->isolate != 0 && !possible) ||
        ((confinement->isolate & ISOLATE_USER) && !inside)) {
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "isolate: this host allows no user namespaces", NULL);
        flags &= ~(unsigned long)CLONE_NEWUSER;
    }
    if ((confinement->isolate & ISOLATE_MOUNT) && possible && !mounts)
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "isolate: mounts cannot be changed in a namespace here", NULL);
    if ((confinement->isolate & ISOLATE_PID) && possible && !own_proc) {
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "isolate: a pid namespace cannot have its own /proc here", NULL);
        struct policy_confinement without = *confinement;
        without.isolate &= ~ISOLATE_PID;
        flags &= namespaces_asked(&without);
    }
    if (confinement->metadata == METADATA_WITHIN && confinement->confines_files) {
        setup->mounts_read_only = mounts;
        setup->supervises = !mounts && host->supervision;
        if (setup->supervises)
            preparing_tell(preparing, CONFINEMENT_NOTE,
                           "metadata = within: mounts cannot be changed in a namespace here; the"
                           " worker makes those calls for the program",
                           NULL);
        else if (!setup->mounts_read_only)
            preparing_tell(preparing, CONFINEMENT_MISSING,
                           "metadata = within: mounts cannot be changed in a namespace here, and"
                           " calls cannot be supervised (metadata = deny or allow needs neither)",
                           NULL);
    }
    if (namespaces_guard(confinement) && !mounts)
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "protect: mounts cannot be changed in a namespace here", NULL);
    if (!mounts)
        flags &= ~(unsigned long)CLONE_NEWNS;
    if (flags != 0 && !host->privileged_namespaces)
        flags |= CLONE_NEWUSER;
    setup->namespaces = possible ? flags : 0;
}

static void privileges_prepare(struct preparing *preparing)
{
    if (preparing->setup->confinement->new_privs && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        preparing_tell(preparing, CONFINEMENT_ERROR,
                       "new_privs = allow: this process may not gain privileges any more"
                       " (no_new_privs, from whoever started it, or from the rules that it had"
                       " before: then a restart helps)",
                       NULL);
}

static void layer_prepare(struct preparing *preparing)
{
    const struct policy_confinement *confinement = preparing->setup->confinement;
    struct confinement_setup *setup = preparing->setup;
    int abi = preparing->host->landlock_abi;

    if (confinement->new_privs)
        return; /* the compiler lets no Landlock key stand beside it */
    if (confinement->confines_files) {
        if (abi < 1)
            preparing_tell(preparing, CONFINEMENT_MISSING, "fs_*: this kernel has no Landlock",
                           NULL);
        else if (abi < 3)
            preparing_tell(preparing, CONFINEMENT_MISSING,
                           "fs_*: this kernel's Landlock does not cover truncate (ABI 3, Linux 6.2)",
                           NULL);
        if (abi == 1)
            preparing_tell(preparing, CONFINEMENT_NOTE,
                           "fs_write: this kernel's Landlock allows no rename or link from one"
                           " directory to another (ABI 2, Linux 5.19)",
                           NULL);
        setup->layer.files = landlock_file_rights(abi);
    }
    if (confinement->net_ports) {
        if (abi < 4)
            preparing_tell(preparing, CONFINEMENT_MISSING,
                           "net: this kernel's Landlock knows no ports (ABI 4, Linux 6.7)", NULL);
        else
            setup->layer.network = NET_BIND_TCP | NET_CONNECT_TCP;
    }
    if (confinement->signals_own) {
        if (abi >= 6)
            setup->layer.scoped |= SCOPE_SIGNAL;
        else if (!(setup->namespaces & CLONE_NEWPID) && !confinement->signals_implied)
            preparing_tell(preparing, CONFINEMENT_MISSING,
                           "signals = own: this kernel's Landlock does not scope signals (ABI 6,"
                           " Linux 6.12)",
                           NULL);
        setup->scopes_worker = abi >= 6;
    }
    if (confinement->unix_none && abi >= 6)
        setup->layer.scoped |= SCOPE_ABSTRACT_UNIX; /* besides the filter */
}

/* A layer that forbids nothing, when no key asks for one: a process in a layer can trace nobody
 * outside it (Landlock's ptrace rule), and so cannot take over a process that is not confined. Not
 * under ABI 1, where any layer forbids renaming between directories. */
static void layer_neutral(struct preparing *preparing)
{
    struct confinement_setup *setup = preparing->setup;

    if (setup->confinement->new_privs || !setup->confinement->filter ||
        preparing->host->landlock_abi < 2 || setup->layer.files != 0 ||
        setup->layer.network != 0 || setup->layer.scoped != 0)
        return;
    setup->layer.files = FS_REFER;
    if (objects_add(&setup->grants, "/", FS_REFER) < 0)
        preparing_tell(preparing, CONFINEMENT_ERROR, "/ cannot be opened", NULL);
}

/* Comes last: what came before looks at every grant. */
static void layer_thin(struct preparing *preparing)
{
    struct confinement_setup *setup = preparing->setup;
    int status = objects_drop_held(&setup->grants, &setup->grants);
    if (status == 0)
        status = objects_drop_held(&setup->libraries, &setup->grants);
    if (status < 0)
        preparing_tell(preparing, CONFINEMENT_ERROR, "fs_: ", strerror(-status), NULL);
}

/* Each list is bounded while it is made; a worker has room for so many of all of them. */
static void objects_bound(struct preparing *preparing)
{
    const struct confinement_setup *setup = preparing->setup;
    size_t count = setup->grants.count + setup->libraries.count + setup->writable.count +
                   setup->hidden.count + setup->guarded.count;
    if (count > SETUP_OBJECTS_MAX)
        preparing_tell(preparing, CONFINEMENT_ERROR,
                       "fs_read, fs_exec, fs_write, fs_deny and protect together: ",
                       objects_failure(-E2BIG), NULL);
}

/* What layer_thin will want to know takes a third of the time that the prober needs. */
static void paths_prepare(struct preparing *preparing)
{
    struct confinement_setup *setup = preparing->setup;
    int status = objects_know_paths(&setup->grants);
    if (status == 0)
        status = objects_know_paths(&setup->libraries);
    if (status < 0)
        preparing_tell(preparing, CONFINEMENT_ERROR, "fs_: ", strerror(-status), NULL);
}

static void filter_prepare(struct preparing *preparing)
{
    if (!preparing->setup->confinement->filter)
        return;
    if (preparing->host->seccomp_filters)
        preparing->setup->filters = true;
    else
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "syscalls, net, unix, metadata: this kernel has no seccomp filters", NULL);
}

/* Whether some rule with this confinement has its tree killed. */
static bool kills_trees(const struct preparing *preparing)
{
    const struct policy *policy = preparing->policy;
    for (uint32_t i = 0; i < policy->rule_count; i++)
        if (policy->rules[i].confinement == preparing->setup->confinement &&
            policy->rules[i].attributes->kill != KILL_GROUP)
            return true;
    return false;
}

/* Without one of the three, a call's processes are found and killed one by one (tree.h). */
static void kill_tell(struct preparing *preparing)
{
    const struct confinement_setup *setup = preparing->setup;
    if (setup->scopes_worker || (setup->namespaces & CLONE_NEWPID) ||
        preparing->host->cgroup_kill || !kills_trees(preparing))
        return;
    preparing_tell(preparing, CONFINEMENT_NOTE, "kill = tree: ",
                   setup->confinement->new_privs ? "new_privs = allow"
                   : preparing->host->landlock_abi < 6
                       ? "this kernel does not scope signals (Landlock ABI 6, Linux 6.12)"
                       : "signals = inherit",
                   ", no isolate = pid, and no cgroup is delegated: processes are ended one by one;"
                   " a program that forks away fast enough may stay ahead for a while",
                   NULL);
}

/* What nice(2) would say. setrlimit(2), RLIMIT_NICE: the ceiling is 20 minus the limit. */
static bool can_renice(int nice)
{
    struct rlimit limit;
    return nice >= 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur <= 40 &&
                         20 - (int)limit.rlim_cur <= nice);
}

static void limits_tell(struct preparing *preparing)
{
    const struct policy_limits *limits = &preparing->setup->confinement->limits;
    const struct confinement_host *host = preparing->host;

    if (!can_renice(preparing->setup->confinement->nice))
        preparing_tell(preparing, CONFINEMENT_MISSING,
                       "nice: a negative value needs RLIMIT_NICE", NULL);
    if (limits->memory != LIMIT_UNSET && !host->cgroup_memory)
        preparing_tell(preparing, CONFINEMENT_NOTE,
                       "memory: no cgroup is delegated: limits each process by itself, and its"
                       " address space",
                       NULL);
    if (limits->processes != LIMIT_UNSET && !host->cgroup_processes) {
        if (host->uid == 0)
            preparing_tell(preparing, CONFINEMENT_MISSING,
                           "processes: no cgroup is delegated, and the kernel does not limit"
                           " root's processes otherwise",
                           NULL);
        else if (preparing->setup->namespaces & CLONE_NEWUSER)
            preparing_tell(preparing, CONFINEMENT_NOTE,
                           "processes: no cgroup is delegated: counted within the worker's user"
                           " namespace",
                           NULL);
        else
            preparing_tell(preparing, CONFINEMENT_NOTE,
                           "processes: no cgroup is delegated: counts all processes of this uid",
                           NULL);
    }
}

struct confinement_setup *confinement_prepare(const struct policy *policy, uint32_t confinement,
                                              struct confinement_host *host,
                                              const struct confinement_values *values,
                                              confinement_tell *tell, void *context)
{
    struct confinement_setup *setup = calloc(1, sizeof *setup);
    struct preparing preparing = {.policy = policy,
                                  .host = host,
                                  .values = values,
                                  .setup = setup,
                                  .tell = tell,
                                  .context = context};
    if (!setup) {
        tell(context, confinement, CONFINEMENT_ERROR, "out of memory");
        return NULL;
    }
    setup->policy = policy;
    setup->confinement = policy->confinements[confinement];
    setup->index = confinement;
    setup->host = host;

    if (!host->process_list)
        preparing_tell(&preparing, CONFINEMENT_ERROR, "/proc is not mounted", NULL);
    privileges_prepare(&preparing);
    filter_prepare(&preparing);
    grants_prepare(&preparing);
    paths_prepare(&preparing);
    namespaces_probe_end(host); /* meanwhile the prober was at work */
    namespaces_prepare(&preparing);
    layer_prepare(&preparing);
    denies_prepare(&preparing);
    protect_prepare(&preparing);
    layer_neutral(&preparing);
    layer_thin(&preparing);
    objects_bound(&preparing);
    limits_tell(&preparing);
    kill_tell(&preparing);
    if (preparing.refused) {
        confinement_release(setup);
        return NULL;
    }
    return setup;
}

void confinement_release(struct confinement_setup *setup)
{
    if (!setup)
        return;
    objects_release(&setup->grants);
    objects_release(&setup->libraries);
    objects_release(&setup->writable);
    objects_release(&setup->hidden);
    objects_release(&setup->guarded);
    for (size_t i = 0; i < setup->unborn_count; i++)
        free(setup->unborn[i]);
    free(setup->unborn);
    free(setup->unborn_seen);
    free(setup);
}
