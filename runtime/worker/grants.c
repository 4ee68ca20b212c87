#define _GNU_SOURCE 1

#include "runtime/worker/prepare.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "runtime/shared/io.h"
#include "runtime/worker/objects.h"

/* ---- the sets -------------------------------------------------------------------------------- */

enum set_base { BASE_ROOT, BASE_HOME, BASE_CONFIG };

enum set_access {
    AS_KEY, /* what the key says: fs_read, fs_exec or fs_write */
    READ_ONLY,
    DEVICE, /* to be read and written, whatever the key: there is nothing in it to change */
};

struct set_entry {
    enum policy_path_set set;
    enum set_base base;
    enum set_access access;
    const char *path; /* what does not exist is skipped: systems differ */
};

/* docs/confinement.md lists these, with the reasons. */
static const struct set_entry set_entries[] = {
    /* Installed programs and what nearly every one reads: public, and the same for every user. */
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/usr"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/bin"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/sbin"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/lib"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/lib32"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/lib64"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/libx32"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/nix/store"},
    {SET_SYSTEM, BASE_ROOT, AS_KEY, "/gnu/store"},
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/etc"},
    /* where /etc/resolv.conf points to */
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/run/systemd/resolve"},
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/run/resolvconf"},
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/run/NetworkManager"},
    /* Landlock cannot say "one's own": command lines of other processes can be read (isolate = pid
     * hides them), their environment and memory cannot (Landlock's ptrace rule). */
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/proc"},
    /* run-time systems ask for the number of processors, cgroup limits and page sizes */
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/sys/devices/system"},
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/sys/fs/cgroup"},
    {SET_SYSTEM, BASE_ROOT, READ_ONLY, "/sys/kernel/mm"},
    {SET_SYSTEM, BASE_ROOT, DEVICE, "/dev/null"},
    {SET_SYSTEM, BASE_ROOT, DEVICE, "/dev/zero"},
    {SET_SYSTEM, BASE_ROOT, DEVICE, "/dev/full"},
    {SET_SYSTEM, BASE_ROOT, DEVICE, "/dev/random"},
    {SET_SYSTEM, BASE_ROOT, DEVICE, "/dev/urandom"},

    /* Scratch space that every user shares. */
    {SET_TMP, BASE_ROOT, AS_KEY, "/tmp"},
    {SET_TMP, BASE_ROOT, AS_KEY, "/var/tmp"},
    {SET_TMP, BASE_ROOT, AS_KEY, "/dev/shm"},

    /* Devices without content of anybody's, and terminals. */
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/null"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/zero"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/full"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/random"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/urandom"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/tty"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/ptmx"},
    {SET_DEV, BASE_ROOT, DEVICE, "/dev/pts"},

    /* The user's configuration. Some programs keep tokens there. */
    {SET_HOME_CONFIG, BASE_CONFIG, AS_KEY, ""},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.gitconfig"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.gitignore"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.gitattributes"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.profile"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.bashrc"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.bash_profile"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.zshrc"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.zshenv"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.inputrc"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.vimrc"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.vim"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.editorconfig"},
    {SET_HOME_CONFIG, BASE_HOME, AS_KEY, "/.terminfo"},
};

/* What a dynamic loader reads: the libraries of the system, nothing of any user. */
static const char *const library_paths[] = {
    "/lib",           "/lib32",           "/lib64",    "/usr/lib",   "/usr/lib32",
    "/usr/lib64",     "/usr/local/lib",   "/nix/store", "/gnu/store", "/etc/ld.so.cache",
    "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path", "/etc/ld-musl-aarch64.path",
};

static const char *const key_names[] = {
    [ACCESS_READ] = "fs_read", [ACCESS_EXECUTE] = "fs_exec", [ACCESS_WRITE] = "fs_write"};

/* ---- paths ----------------------------------------------------------------------------------- */

/* The value of a start-time piece; NULL when it is not set. `*tail` is what follows it: the default
 * of the two directories that have one. XDG Base Directory Specification. */
static const char *piece_value(const struct confinement_values *values,
                               const struct policy_template_piece *piece, const char **tail)
{
    *tail = "";
    switch (piece->kind) {
    case TEMPLATE_TEXT:
        return piece->text;
    case TEMPLATE_HOME:
        return values->home;
    case TEMPLATE_XDG_RUNTIME_DIR:
        return values->runtime_directory;
    case TEMPLATE_XDG_STATE_HOME:
        if (!values->state_home)
            *tail = "/.local/state";
        return values->state_home ? values->state_home : values->home;
    case TEMPLATE_XDG_CONFIG_HOME:
        if (!values->config_home)
            *tail = "/.config";
        return values->config_home ? values->config_home : values->home;
    default:
        return NULL;
    }
}

bool preparing_expand(struct preparing *preparing, const char *key,
                      const struct policy_template *template, char *path, size_t size)
{
    struct text text;
    text_start(&text, path, size);
    for (uint32_t i = 0; i < template->count; i++) {
        const char *tail;
        const char *value = piece_value(preparing->values, &template->pieces[i], &tail);
        if (!value) {
            preparing_tell(preparing, CONFINEMENT_ERROR, key,
                           ": a variable of the path is not set", NULL);
            return false;
        }
        text_append(&text, value);
        text_append(&text, tail);
    }
    if (text.truncated || path[0] != '/') {
        preparing_tell(preparing, CONFINEMENT_ERROR, key, ": ", path,
                       text.truncated ? "...: too long" : ": not an absolute path", NULL);
        return false;
    }
    return true;
}

/* Adds one path, or says why not. `optional`: what does not exist is skipped, and noted if
 * `noted`. Returns whether it was added. */
static bool grant_add(struct preparing *preparing, struct setup_objects *objects, const char *key,
                      const char *path, uint64_t rights, bool optional, bool noted)
{
    int status = objects_add(objects, path, rights);
    if (status == 0)
        return true;
    bool absent = status == -ENOENT || status == -ENOTDIR;
    if (optional && absent) {
        if (noted)
            preparing_tell(preparing, CONFINEMENT_NOTE, key, ": ", path,
                           " does not exist: skipped, until the next start", NULL);
        return false;
    }
    preparing_tell(preparing, CONFINEMENT_ERROR, key, ": ", path, ": ", objects_failure(status),
                   NULL);
    return false;
}

/* ---- grants ---------------------------------------------------------------------------------- */

static bool set_entry_path(struct preparing *preparing, const struct set_entry *entry, char *path,
                           size_t size)
{
    static const enum policy_template_kind bases[] = {[BASE_HOME] = TEMPLATE_HOME,
                                                      [BASE_CONFIG] = TEMPLATE_XDG_CONFIG_HOME};
    struct text text;
    text_start(&text, path, size);
    if (entry->base != BASE_ROOT) {
        const struct policy_template_piece piece = {.kind = bases[entry->base]};
        const char *tail;
        const char *value = piece_value(preparing->values, &piece, &tail);
        if (!value || value[0] != '/')
            return false;
        text_append(&text, value);
        text_append(&text, tail);
    }
    text_append(&text, entry->path);
    return !text.truncated;
}

static void set_add(struct preparing *preparing, enum policy_path_set set,
                    enum policy_access access)
{
    char path[PATH_MAX];

    if (set == SET_SYSTEM && access == ACCESS_WRITE) {
        preparing_tell(preparing, CONFINEMENT_ERROR,
                       "fs_write: @system is for reading and executing", NULL);
        return;
    }
    for (size_t i = 0; i < sizeof set_entries / sizeof *set_entries; i++) {
        const struct set_entry *entry = &set_entries[i];
        if (entry->set != set || !set_entry_path(preparing, entry, path, sizeof path))
            continue;
        enum policy_access effective = entry->access == AS_KEY      ? access
                                       : entry->access == READ_ONLY ? ACCESS_READ
                                                                    : ACCESS_WRITE;
        struct setup_objects *grants = &preparing->setup->grants;
        if (grant_add(preparing, grants, key_names[access], path,
                      landlock_access_rights(effective, true), true, false))
            grants->all[grants->count - 1].of_set = true;
    }
}

/* A slot's file is granted by the call; in a mount namespace that is read-only elsewhere the
 * directory that it is in has to stay writable. */
static void slot_add(struct preparing *preparing, const struct policy_grant *grant)
{
    char path[PATH_MAX];

    if (grant->access != ACCESS_WRITE)
        return;
    if (grant->path.pieces) {
        if (preparing_expand(preparing, "fs_write", &grant->path, path, sizeof path))
            grant_add(preparing, &preparing->setup->writable, "fs_write", path, 0, false, false);
        return;
    }
    const struct policy *policy = preparing->policy;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_attributes *attributes = policy->rules[i].attributes;
        if (policy->rules[i].confinement != preparing->setup->confinement)
            continue;
        if (attributes->cwd.pieces &&
            preparing_expand(preparing, "cwd", &attributes->cwd, path, sizeof path))
            grant_add(preparing, &preparing->setup->writable, "cwd", path, 0, false, false);
    }
}

void grants_prepare(struct preparing *preparing)
{
    const struct policy_confinement *confinement = preparing->setup->confinement;
    struct confinement_setup *setup = preparing->setup;
    char path[PATH_MAX];

    for (uint32_t i = 0; i < confinement->grant_count; i++) {
        const struct policy_grant *grant = &confinement->grants[i];
        const char *key = key_names[grant->access];
        if (grant->kind == GRANT_SET)
            set_add(preparing, grant->set, grant->access);
        else if (grant->kind == GRANT_SLOT)
            slot_add(preparing, grant);
        else if (preparing_expand(preparing, key, &grant->path, path, sizeof path))
            grant_add(preparing, &setup->grants, key, path,
                      landlock_access_rights(grant->access, true), grant->optional, true);
    }
    for (size_t i = 0; confinement->confines_files && i < sizeof library_paths / sizeof *library_paths;
         i++)
        grant_add(preparing, &setup->libraries, "library", library_paths[i], FS_READ_FILE, true,
                  false);
    /* Devices can be written through a read-only mount. */
    for (size_t i = 0; i < setup->grants.count; i++) {
        const struct setup_object *object = &setup->grants.all[i];
        if (object->rights & FS_WRITE_FILE && (object->is_directory || object->is_regular) &&
            grant_add(preparing, &setup->writable, "fs_write", object->path, 0, false, false))
            setup->writable.all[setup->writable.count - 1].of_set = object->of_set;
    }
}
