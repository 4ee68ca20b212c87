#define _GNU_SOURCE 1

#include "runtime/worker/prepare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/worker/objects.h"

/* What is left of `path` below `directory` ("b/c" of /a/b/c below /a, "" of /a itself); NULL when it
 * is not there. Both absolute, normalised and without symlinks. */
static const char *path_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    if (length == 1)
        return path + 1;
    if (strncmp(path, directory, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

/* The denied path without symlinks. What does not exist yet counts by its nearest directory that
 * does: the rest of the path is kept as written. Returns 0 or a negative errno; `*exists`. */
static int deny_resolve(const char *path, char real[static PATH_MAX], bool *exists)
{
    char above[PATH_MAX];
    size_t length = strlen(path);

    *exists = true;
    if (realpath(path, real))
        return 0;
    *exists = false;
    while (errno == ENOENT && length > 1) {
        while (length > 1 && path[length - 1] != '/')
            length--;
        while (length > 1 && path[length - 1] == '/')
            length--;
        memcpy(above, path, length);
        above[length] = '\0';
        if (!realpath(above, real))
            continue;
        size_t base = strcmp(real, "/") == 0 ? 0 : strlen(real);
        const char *rest = path + length + strspn(path + length, "/");
        if (base + 1 + strlen(rest) >= PATH_MAX)
            return -ENAMETOOLONG;
        real[base] = '/';
        memcpy(real + base + 1, rest, strlen(rest) + 1);
        return 0;
    }
    return -errno;
}

/* ---- splitting ------------------------------------------------------------------------------- */

/* Grants everything in an open directory but the entry `except`. Symlinks need no grant: what they
 * lead to does. */
static int siblings_add(struct setup_objects *grants, int directory, const char *path,
                        const char *except, size_t except_length, uint64_t rights)
{
    int listed = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = listed < 0 ? NULL : fdopendir(listed);
    if (!list) {
        int failure = -errno;
        descriptor_close(&listed);
        return failure;
    }
    int status = 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(list));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            (strlen(name) == except_length && strncmp(name, except, except_length) == 0))
            continue;
        status = objects_add_at(grants, directory, path, name, rights);
        if (status == -ELOOP || status == -ENOENT)
            status = 0;
    }
    closedir(list);
    return status;
}

/* Replaces grant `index`, a directory, by what is in it, and so on down to `rest`, which is left out
 * with everything beneath. */
static int grant_split(struct setup_objects *grants, size_t index, const char *real,
                       const char *rest)
{
    uint64_t rights = grants->all[index].rights;
    cleanup_fd int directory = descriptor_steal(&grants->all[index].descriptor);
    char path[PATH_MAX];

    strcpy(path, real);
    objects_remove(grants, index);
    while (*rest) {
        size_t length = strcspn(rest, "/");
        int status = siblings_add(grants, directory, path, rest, length, rights);
        if (status < 0)
            return status;
        char name[NAME_MAX + 1];
        if (length > NAME_MAX || strlen(path) + length + 2 > PATH_MAX)
            return -ENAMETOOLONG;
        memcpy(name, rest, length);
        name[length] = '\0';
        rest += length + strspn(rest + length, "/");
        if (!*rest)
            return 0;
        int next = openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return errno == ENOENT ? 0 : -errno; /* nothing further down exists yet */
        descriptor_close(&directory);
        directory = next;
        if (strcmp(path, "/") != 0)
            strcat(path, "/");
        strcat(path, name);
    }
    return 0;
}

/* Takes one denied path out of every grant that holds it. Returns whether there was one, or a
 * negative errno. */
static int deny_split(struct setup_objects *grants, const char *denied)
{
    char real[PATH_MAX];
    int found = 0;

    /* Grants that are added by a split stand at the end and never hold the denied path. */
    size_t count = grants->count;
    for (size_t i = 0; i < count;) {
        int status = object_real_path(&grants->all[i], real, sizeof real);
        if (status < 0)
            return status;
        const char *rest = path_below(denied, real);
        if (path_below(real, denied)) {
            objects_remove(grants, i); /* all of the grant is denied */
        } else if (rest && grants->all[i].is_directory) {
            status = grant_split(grants, i, real, rest);
            if (status < 0)
                return status;
        } else {
            i++;
            continue;
        }
        count--;
        found = 1;
    }
    return found;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_granted(const struct setup_objects *grants, const char *denied)
{
    char real[PATH_MAX];
    for (size_t i = 0; i < grants->count; i++)
        if (object_real_path(&grants->all[i], real, sizeof real) == 0 && path_below(denied, real))
            return true;
    return false;
}

static void deny_prepare(struct preparing *preparing, const char *path)
{
    struct confinement_setup *setup = preparing->setup;
    char real[PATH_MAX];
    bool exists;

    int status = deny_resolve(path, real, &exists);
    if (status == 0 && exists && (setup->namespaces & CLONE_NEWNS)) {
        if (!is_granted(&setup->grants, real))
            preparing_tell(preparing, CONFINEMENT_NOTE, "fs_deny: ", path,
                           " is in no granted path", NULL);
        status = objects_add(&setup->hidden, real, 0);
    } else if (status == 0) {
        status = deny_split(&setup->libraries, real);
        if (status >= 0)
            status = deny_split(&setup->grants, real);
        if (status == 0)
            preparing_tell(preparing, CONFINEMENT_NOTE, "fs_deny: ", path,
                           " is in no granted path", NULL);
        else if (status > 0)
            preparing_tell(preparing, CONFINEMENT_NOTE, "fs_deny: ", path,
                           ": what is made beside it after the start is not granted, and the"
                           " directories above it cannot be listed (isolate = mount makes it exact)",
                           NULL);
    }
    if (status < 0)
        preparing_tell(preparing, CONFINEMENT_ERROR, "fs_deny: ", path, ": ",
                       objects_failure(status), NULL);
}

void denies_prepare(struct preparing *preparing)
{
    const struct policy_confinement *confinement = preparing->setup->confinement;
    char path[PATH_MAX];

    for (uint32_t i = 0; i < confinement->deny_count; i++)
        if (preparing_expand(preparing, "fs_deny", &confinement->denies[i], path, sizeof path))
            deny_prepare(preparing, path);
}
