/* The broker's own confinement: confinement_broker of confinement.h. */
#define _GNU_SOURCE 1

#include "runtime/worker/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/capabilities.h"
#include "runtime/worker/cgroup.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/seccomp.h"
#include "runtime/worker/setup.h"

#define TELL_BYTES 512

struct own {
    const struct policy *policy;
    const struct confinement_host *host;
    struct confinement_setup *const *setups;
    confinement_tell *tell;
    void *context;
};

static int tell_failure(const struct own *own, const char *what, int status)
{
    char line[TELL_BYTES];
    struct text text;
    text_start(&text, line, sizeof line);
    text_append(&text, what);
    text_append(&text, ": ");
    text_append(&text, strerror(-status));
    own->tell(own->context, UINT32_MAX, CONFINEMENT_ERROR, line);
    return status;
}

/* ---- privileges ------------------------------------------------------------------------------ */

static bool keeps_privileges(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->confinement_count; i++)
        if (policy->confinements[i]->new_privs)
            return true;
    return false;
}

/* What workers are made with; out of force but for that one call (worker.c). */
static uint64_t capabilities_needed(const struct own *own)
{
    uint64_t needed = 0;
    for (uint32_t i = 0; i < own->policy->confinement_count; i++)
        needed |= namespaces_capabilities(own->setups[i]);
    return needed;
}

static int privileges_give_up(const struct own *own)
{
    if (keeps_privileges(own->policy))
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return tell_failure(own, "no_new_privs", -errno);
    int status = capabilities_keep(capabilities_needed(own), 0);
    return status < 0 ? tell_failure(own, "capabilities", status) : 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* What running a program needs of the system, whichever rule it is: programs and libraries, and /proc
 * for the workers (who is left, and their own namespaces' maps). */
static const struct {
    const char *path;
    uint64_t rights;
} own_paths[] = {
    {"/usr", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/bin", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/sbin", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/lib", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/lib32", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/lib64", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/nix/store", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/gnu/store", FS_READ_FILE | FS_READ_DIR | FS_EXECUTE},
    {"/etc", FS_READ_FILE | FS_READ_DIR},
    {"/proc", FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE},
    {"/dev/null", FS_READ_FILE | FS_WRITE_FILE},
};

static int allow_own_paths(int ruleset, const struct landlock_layer *layer)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof own_paths / sizeof *own_paths; i++) {
        cleanup_fd int object = open(own_paths[i].path, O_PATH | O_CLOEXEC);
        if (object >= 0)
            status = landlock_allow_path(ruleset, layer, object,
                                         strcmp(own_paths[i].path, "/dev/null") != 0,
                                         own_paths[i].rights);
    }
    return status;
}

/* The directories of one `a:b:c`. */
static int allow_search_path(int ruleset, const struct landlock_layer *layer, const char *search)
{
    int status = 0;
    while (status == 0 && *search) {
        char path[PATH_MAX];
        size_t length = strcspn(search, ":");
        if (length > 0 && length < sizeof path) {
            memcpy(path, search, length);
            path[length] = '\0';
            cleanup_fd int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (directory >= 0)
                status = landlock_allow_path(ruleset, layer, directory, true,
                                             landlock_access_rights(ACCESS_EXECUTE, true));
        }
        search += length + (search[length] == ':');
    }
    return status;
}

/* Where rules find their programs; of an absolute name, the directory that it stands in, so that the
 * program may be upgraded. */
static int allow_programs(const struct own *own, int ruleset, const struct landlock_layer *layer)
{
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < own->policy->rule_count; i++) {
        const struct policy_rule *rule = &own->policy->rules[i];
        if (rule->tokens[0].kind == TOKEN_EXPANSION)
            continue; /* $HOME/...: the broker knows the value, and gives its directory */
        const struct policy_bytes name = rule->tokens[0].pieces[0].literal;
        const char *slash = memrchr(name.bytes, '/', name.length);
        char path[PATH_MAX];
        if (!slash) {
            if (rule->attributes->exec_path)
                status = allow_search_path(ruleset, layer, rule->attributes->exec_path);
        } else if ((size_t)(slash - name.bytes) < sizeof path) {
            memcpy(path, name.bytes, (size_t)(slash - name.bytes));
            path[slash - name.bytes] = '\0';
            status = allow_search_path(ruleset, layer, path);
        }
    }
    return status;
}

/* Why the broker cannot be confined in the file system, or NULL. */
static const char *files_obstacle(const struct own *own, size_t directory_count)
{
    const struct policy *policy = own->policy;

    if (own->host->landlock_abi < 2)
        return "the broker itself is not restricted in the file system: this kernel's Landlock is"
               " too old";
    if (directory_count == 0)
        return "the broker itself is not restricted in the file system: its rules name more than 64"
               " directories for audit files and programs";
    for (uint32_t i = 0; i < policy->confinement_count; i++) {
        const struct policy_confinement *confinement = policy->confinements[i];
        if (own->setups[i]->namespaces & CLONE_NEWNS)
            return "the broker itself is not restricted in the file system: Landlock would keep"
                   " its workers from changing their mounts";
        for (uint32_t n = 0; n < confinement->grant_count; n++)
            if (confinement->grants[n].kind == GRANT_SLOT)
                return "the broker itself is not restricted in the file system: a slot names"
                       " files that are known only at each call";
    }
    for (uint32_t i = 0; i < policy->rule_count; i++)
        if (!policy->rules[i].attributes->exec_path)
            return "the broker itself is not restricted in the file system: exec_path = inherit";
    return NULL;
}

bool confinement_broker_restricts_files(const struct policy *policy,
                                        const struct confinement_host *host,
                                        struct confinement_setup *const *setups)
{
    const struct own own = {.policy = policy, .host = host, .setups = setups};
    return policy->broker_confines_files && !keeps_privileges(policy) &&
           files_obstacle(&own, 1) == NULL;
}

static int files_ruleset(const struct own *own, const struct confinement_directory *directories,
                         size_t directory_count)
{
    const struct landlock_layer layer = {.files = landlock_file_rights(own->host->landlock_abi)};
    cleanup_fd int ruleset = landlock_ruleset(&layer);
    if (ruleset < 0)
        return ruleset;
    int status = allow_own_paths(ruleset, &layer);
    if (status == 0)
        status = allow_programs(own, ruleset, &layer);
    if (status == 0 && own->host->cgroup >= 0)
        status = landlock_allow_path(ruleset, &layer, own->host->cgroup, true,
                                     landlock_access_rights(ACCESS_WRITE, true));
    for (size_t i = 0; status == 0 && i < directory_count; i++)
        status = landlock_allow_path(ruleset, &layer, directories[i].descriptor, true,
                                     landlock_access_rights(directories[i].access, true));
    for (uint32_t i = 0; status == 0 && i < own->policy->confinement_count; i++) {
        const struct setup_objects *grants = &own->setups[i]->grants;
        for (size_t n = 0; status == 0 && n < grants->count; n++)
            status = landlock_allow_path(ruleset, &layer, grants->all[n].descriptor,
                                         grants->all[n].is_directory, grants->all[n].rights);
    }
    return status < 0 ? status : descriptor_steal(&ruleset);
}

static int files_restrict(const struct own *own, const struct confinement_directory *directories,
                          size_t directory_count)
{
    const char *obstacle = files_obstacle(own, directory_count);
    if (obstacle) {
        own->tell(own->context, UINT32_MAX, CONFINEMENT_NOTE, obstacle);
        return 0;
    }
    cleanup_fd int ruleset = files_ruleset(own, directories, directory_count);
    int status = ruleset < 0 ? ruleset : landlock_restrict(ruleset);
    return status < 0 ? tell_failure(own, "Landlock", status) : 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int confinement_broker(const struct policy *policy, const struct confinement_host *host,
                       struct confinement_setup *const *setups,
                       const struct confinement_directory *directories, size_t directory_count,
                       confinement_tell *tell, void *context)
{
    const struct own own = {
        .policy = policy, .host = host, .setups = setups, .tell = tell, .context = context};

    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return tell_failure(&own, "not dumpable", -errno);
    int status = cgroup_divide(host);
    if (status < 0)
        return tell_failure(&own, "the delegated cgroup cannot be divided", status);
    status = privileges_give_up(&own);
    if (status < 0 || keeps_privileges(policy))
        return status;
    if (policy->broker_confines_files)
        status = files_restrict(&own, directories, directory_count);
    if (status == 0 && policy->broker_filter && host->seccomp_filters) {
        status = seccomp_load(policy->broker_filter);
        if (status < 0)
            tell_failure(&own, "seccomp", status);
    }
    return status;
}

/* FNV-1a, 64 bits: to tell two programs apart, not to withstand anybody. */
uint64_t confinement_broker_digest(const struct policy *policy)
{
    if (!policy->broker_filter || keeps_privileges(policy))
        return 0;
    const unsigned char *bytes = (const unsigned char *)policy->broker_filter->program;
    size_t length = policy->broker_filter->count * sizeof policy->broker_filter->program[0];
    uint64_t digest = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        digest = (digest ^ bytes[i]) * 0x100000001b3;
    return digest;
}
