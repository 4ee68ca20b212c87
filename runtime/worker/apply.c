#define _GNU_SOURCE 1

#include "runtime/worker/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/worker/capabilities.h"
#include "runtime/worker/executable.h"
#include "runtime/worker/landlock.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/seccomp.h"
#include "runtime/worker/setup.h"

/* ---- once in a worker ------------------------------------------------------------------------ */

/* A layer of the worker's own in which nobody can signal anybody outside. What it starts is in it
 * too, so that one kill(-1) ends all of a call at once. */
static int scope_signals(struct tree *tree, pid_t broker)
{
    const struct landlock_layer layer = {.scoped = SCOPE_SIGNAL};
    bool reached = kill(broker, 0) == 0;
    cleanup_fd int ruleset = landlock_ruleset(&layer);
    if (ruleset < 0)
        return ruleset;
    int status = landlock_restrict(ruleset);
    if (status == 0 && reached)
        tree_reaches_only_descendants(tree, broker);
    return status;
}

int confinement_enter(const struct confinement_setup *setup, pid_t broker, struct tree *tree,
                      int *directory_lost)
{
    const struct policy_confinement *confinement = setup->confinement;

    int status = namespaces_enter(setup, directory_lost);
    if (status == 0)
        status = tree_open(tree);
    if (status < 0)
        return status;
    if (setup->namespaces & CLONE_NEWPID)
        tree_reaches_only_descendants(tree, 0);
    if (confinement->new_privs)
        return 0;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    status = capabilities_keep(0, 0);
    if (status == 0 && setup->scopes_worker)
        status = scope_signals(tree, broker);
    if (status == 0 && setup->filters && !confinement->filter->per_call)
        status = seccomp_load(confinement->filter);
    return status;
}

/* ---- for a call ------------------------------------------------------------------------------ */

static int objects_allow(int ruleset, const struct landlock_layer *layer,
                         const struct setup_objects *objects)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < objects->count; i++) {
        const struct setup_object *object = &objects->all[i];
        status = landlock_allow_path(ruleset, layer, object->descriptor, object->is_directory,
                                     object->rights);
    }
    return status;
}

/* The executable and what it needs to start; `*whole`: all of that was there. */
static int executable_allow(int ruleset, const struct confinement_setup *setup, int executable,
                            bool *whole)
{
    const uint64_t rights = landlock_access_rights(ACCESS_EXECUTE, false);
    struct executable_needs needs;

    int status = executable_needs_find(executable, &needs);
    if (status < 0)
        return status;
    *whole = !needs.missing;
    status = landlock_allow_path(ruleset, &setup->layer, executable, false, rights);
    for (size_t i = 0; status == 0 && i < needs.count; i++)
        status = landlock_allow_path(ruleset, &setup->layer, needs.objects[i], false, rights);
    if (status == 0 && needs.dynamic)
        status = objects_allow(ruleset, &setup->layer, &setup->libraries);
    executable_needs_close(&needs);
    return status;
}

static int ports_allow(int ruleset, const struct policy_confinement *confinement)
{
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < confinement->connect_count; i++)
        status = landlock_allow_port(ruleset, confinement->connect_ports[i], NET_CONNECT_TCP);
    for (uint32_t i = 0; status == 0 && i < confinement->bind_count; i++)
        status = landlock_allow_port(ruleset, confinement->bind_ports[i], NET_BIND_TCP);
    return status;
}

static int call_grants_allow(int ruleset, const struct confinement_setup *setup, const int *grants,
                             const uint8_t *access, size_t count)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct stat object;
        if (fstat(grants[i], &object) < 0)
            return -errno;
        bool is_directory = S_ISDIR(object.st_mode);
        status = landlock_allow_path(ruleset, &setup->layer, grants[i], is_directory,
                                     landlock_access_rights(access[i], is_directory));
    }
    return status;
}

/* `*whole`: it would be no other if it were built again for the same executable. */
static int ruleset_build(const struct confinement_setup *setup, int executable, const int *grants,
                         const uint8_t *grant_access, size_t grant_count, bool *whole)
{
    *whole = true;
    cleanup_fd int ruleset = landlock_ruleset(&setup->layer);
    if (ruleset < 0)
        return ruleset;
    int status = objects_allow(ruleset, &setup->layer, &setup->grants);
    if (status == 0 && setup->confinement->confines_files)
        status = executable_allow(ruleset, setup, executable, whole);
    if (status == 0 && setup->layer.network != 0)
        status = ports_allow(ruleset, setup->confinement);
    if (status == 0)
        status = call_grants_allow(ruleset, setup, grants, grant_access, grant_count);
    return status < 0 ? status : descriptor_steal(&ruleset);
}

void rulesets_start(struct rulesets *rulesets)
{
    for (size_t i = 0; i < RULESETS_KEPT; i++)
        rulesets->kept[i] = (struct ruleset_kept){.executable = -1, .ruleset = -1};
    rulesets->next = 0;
}

static bool is_same_file(const struct file_identity *a, const struct file_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->changed_s == b->changed_s &&
           a->changed_ns == b->changed_ns;
}

static bool has_layer(const struct confinement_setup *setup)
{
    return setup->layer.files != 0 || setup->layer.network != 0 || setup->layer.scoped != 0;
}

bool rulesets_are_ready(const struct rulesets *rulesets, const struct confinement_setup *setup)
{
    return !has_layer(setup) || rulesets->next > 0;
}

bool rulesets_find(const struct rulesets *rulesets, const struct confinement_setup *setup,
                   const struct file_identity *executable, int *ruleset)
{
    const struct file_identity any = {0};

    *ruleset = -1;
    if (!has_layer(setup))
        return true;
    /* Where files are not confined all executables are alike: they share the entry of none. */
    const struct file_identity *wanted = setup->confinement->confines_files ? executable : &any;
    for (size_t i = 0; i < RULESETS_KEPT; i++)
        if (rulesets->kept[i].executable >= 0 && is_same_file(&rulesets->kept[i].identity, wanted)) {
            *ruleset = rulesets->kept[i].ruleset;
            return true;
        }
    return false;
}

/* Keeps a ruleset in the place of the oldest. What cannot be kept is built again next time. */
static bool ruleset_keep(struct rulesets *rulesets, const struct file_identity *identity,
                         int executable, int ruleset)
{
    int held = fcntl(executable, F_DUPFD_CLOEXEC, 3);
    if (held < 0)
        return false;
    struct ruleset_kept *place = &rulesets->kept[rulesets->next++ % RULESETS_KEPT];
    descriptor_close(&place->executable);
    descriptor_close(&place->ruleset);
    *place = (struct ruleset_kept){
        .executable = held,
        .identity = *identity,
        .ruleset = ruleset,
    };
    return true;
}

int rulesets_for_call(struct rulesets *rulesets, const struct confinement_setup *setup,
                      int executable, const int *grants, const uint8_t *grant_access,
                      size_t grant_count, int *ruleset, bool *kept)
{
    struct file_identity identity = {0};
    struct stat file;

    *ruleset = -1;
    *kept = true;
    if (!has_layer(setup))
        return 0;
    if (setup->confinement->confines_files) {
        if (fstat(executable, &file) < 0)
            return -errno;
        identity = file_identify(&file);
    }
    if (grant_count == 0 && rulesets_find(rulesets, setup, &identity, ruleset))
        return 0;
    bool whole;
    int built = ruleset_build(setup, executable, grants, grant_access, grant_count, &whole);
    if (built < 0)
        return built;
    *ruleset = built;
    *kept = grant_count == 0 && whole && ruleset_keep(rulesets, &identity, executable, built);
    return 0;
}
