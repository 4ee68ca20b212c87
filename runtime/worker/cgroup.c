#define _GNU_SOURCE 1

#include "runtime/worker/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/confinement.h"

#define CGROUP2_MAGIC 0x63677270 /* linux/magic.h CGROUP2_SUPER_MAGIC */
#define BROKER_GROUP "sluice-broker"
#define WORKER_GROUP "sluice-worker-"
#define LINE_BYTES 4096
#define ATTEMPTS_MAX 16 /* to make a group that nobody takes away */

/* ---- files ----------------------------------------------------------------------------------- */

/* The file's text, cut at the buffer's end. Returns its length or a negative errno. */
static ssize_t group_read(int group, const char *name, char *text, size_t size)
{
    cleanup_fd int file = openat(group, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    ssize_t length = read_whole(file, text, size - 1);
    if (length >= 0)
        text[length] = '\0';
    return length;
}

static int group_write(int group, const char *name, const char *text)
{
    cleanup_fd int file = openat(group, name, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    return write_whole(file, text, strlen(text));
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length)
        if ((at == text || at[-1] == ' ') &&
            (at[length] == ' ' || at[length] == '\n' || at[length] == '\0'))
            return true;
    return false;
}

/* ---- the delegated group --------------------------------------------------------------------- */

/* This process's group in the v2 hierarchy, from the line "0::/path". Not when it is the root, which
 * is nobody's to divide. */
static bool own_group_path(char path[static LINE_BYTES])
{
    char text[LINE_BYTES];
    if (group_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) < 0)
        return false;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line)
        return false;
    line += line[0] == '\n' ? 4 : 3;
    size_t length = strcspn(line, "\n");
    if (length < 2 || line[length] != '\n')
        return false;
    memcpy(path, line, length);
    path[length] = '\0';
    /* a successor, or a check of one, is in the broker's own group already */
    char *last = strrchr(path, '/');
    if (strcmp(last + 1, BROKER_GROUP) == 0)
        *last = '\0';
    return path[0] != '\0';
}

static int group_open(const char *path)
{
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        struct statfs system;
        if (statfs(mounts[i], &system) < 0 || system.f_type != CGROUP2_MAGIC)
            continue;
        char whole[2 * LINE_BYTES];
        struct text text;
        text_start(&text, whole, sizeof whole);
        text_append(&text, mounts[i]);
        text_append(&text, path);
        return open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return -1;
}

/* systemd says so on the groups that it gives away (org.freedesktop.systemd1, Delegate=). */
static bool is_marked_delegated(int group)
{
    char value[2];
    return (fgetxattr(group, "user.delegate", value, sizeof value) == 1 && value[0] == '1') ||
           (fgetxattr(group, "trusted.delegate", value, sizeof value) == 1 && value[0] == '1');
}

static bool is_ours(const struct confinement_host *host, int group)
{
    struct stat status;
    if (fstat(group, &status) < 0 || status.st_uid != host->uid)
        return false;
    return host->uid != 0 || is_marked_delegated(group);
}

/* Whether controllers can be switched on beneath: they are on, or nobody else is in the group. */
static bool is_divisible(int group)
{
    char text[LINE_BYTES];
    struct text own;
    char number[16];

    if (group_read(group, "cgroup.subtree_control", text, sizeof text) > 1)
        return true;
    text_start(&own, number, sizeof number);
    text_append_signed(&own, getpid());
    text_append_char(&own, '\n');
    return group_read(group, "cgroup.procs", text, sizeof text) >= 0 &&
           (text[0] == '\0' || strcmp(text, number) == 0);
}

void cgroup_find(struct confinement_host *host)
{
    char path[LINE_BYTES], controllers[LINE_BYTES];

    host->cgroup = -1;
    host->cgroup_kill = host->cgroup_memory = host->cgroup_processes = false;
    if (!own_group_path(path))
        return;
    cleanup_fd int group = group_open(path);
    if (group < 0 || !is_ours(host, group) || !is_divisible(group) ||
        group_read(group, "cgroup.controllers", controllers, sizeof controllers) < 0)
        return;
    host->cgroup_memory = has_word(controllers, "memory");
    host->cgroup_processes = has_word(controllers, "pids");
    host->cgroup_kill = faccessat(group, "cgroup.kill", W_OK, AT_EACCESS) == 0;
    host->cgroup = descriptor_steal(&group);
}

int cgroup_divide(const struct confinement_host *host)
{
    if (host->cgroup < 0)
        return 0;
    if (mkdirat(host->cgroup, BROKER_GROUP, 0755) < 0 && errno != EEXIST)
        return -errno;
    int status = group_write(host->cgroup, BROKER_GROUP "/cgroup.procs", "0");
    if (status == 0 && host->cgroup_memory)
        status = group_write(host->cgroup, "cgroup.subtree_control", "+memory");
    if (status == 0 && host->cgroup_processes)
        status = group_write(host->cgroup, "cgroup.subtree_control", "+pids");
    return status;
}

/* ---- a worker's group ------------------------------------------------------------------------ */

/* A group cannot be removed by who is in it, so each worker removes those of the dead. Those of the
 * living are busy (EBUSY), or, with nobody in them for a moment, locked. */
static void group_sweep(int parent, const char *name)
{
    cleanup_fd int group = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group >= 0 && flock(group, LOCK_EX | LOCK_NB) == 0)
        unlinkat(parent, name, AT_REMOVEDIR);
}

static void groups_sweep(int parent)
{
    char entries[4096] __attribute__((aligned(8)));
    cleanup_fd int list = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (;;) {
        long length = list < 0 ? 0 : syscall(SYS_getdents64, list, entries, sizeof entries);
        if (length <= 0)
            return;
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            if (strncmp(entry->d_name, WORKER_GROUP, strlen(WORKER_GROUP)) == 0)
                group_sweep(parent, entry->d_name);
        }
    }
}

static int group_limit(int group, const char *name, uint64_t value)
{
    char number[24];
    struct text text;
    if (value == LIMIT_UNSET)
        return 0;
    text_start(&text, number, sizeof number);
    text_append_unsigned(&text, value);
    return group_write(group, name, number);
}

static int group_make(int parent)
{
    uint64_t chance;
    char name[sizeof WORKER_GROUP + 16];
    struct text text;

    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return -EAGAIN;
    text_start(&text, name, sizeof name);
    text_append(&text, WORKER_GROUP);
    text_append_hex(&text, chance, 16);
    if (mkdirat(parent, name, 0755) < 0)
        return -errno;
    cleanup_fd int group = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0 || flock(group, LOCK_SH | LOCK_NB) < 0)
        return -errno;
    return descriptor_steal(&group);
}

static int groups_limit(const struct confinement_host *host, const struct policy_limits *limits,
                        struct cgroup *cgroup)
{
    int group = cgroup->files[CGROUP_SELF], status = 0;
    if (host->cgroup_memory) {
        status = group_limit(group, "memory.max", limits->memory);
        /* Without this the rest would go to swap. Kernels without swap have no such file. */
        if (status == 0 && limits->memory != LIMIT_UNSET) {
            status = group_limit(group, "memory.swap.max", 0);
            status = status == -ENOENT ? 0 : status;
        }
    }
    if (status == 0 && host->cgroup_processes) {
        struct text text;
        text_start(&text, cgroup->limit, sizeof cgroup->limit);
        /* the worker itself is one of them */
        if (limits->processes == LIMIT_UNSET)
            text_append(&text, "max");
        else
            text_append_unsigned(&text, limits->processes + 1);
        status = group_write(group, "pids.max", cgroup->limit);
    }
    return status;
}

/* The files that a worker writes later, when it may have no name for them any more. */
static int files_open(const struct confinement_host *host, struct cgroup *cgroup)
{
    const struct {
        enum cgroup_file file;
        bool wanted;
        int group;
        const char *name;
    } all[] = {
        {CGROUP_PIDS_MAX, host->cgroup_processes, cgroup->files[CGROUP_SELF], "pids.max"},
        {CGROUP_KILL, host->cgroup_kill, cgroup->files[CGROUP_SELF], "cgroup.kill"},
        {CGROUP_PROCS, true, cgroup->files[CGROUP_SELF], "cgroup.procs"},
        {CGROUP_ELSEWHERE, true, host->cgroup, BROKER_GROUP "/cgroup.procs"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i].wanted)
            continue;
        int file = openat(all[i].group, all[i].name, O_WRONLY | O_CLOEXEC);
        if (file < 0)
            return -errno;
        cgroup->files[all[i].file] = file;
    }
    return 0;
}

static int group_enter_new(const struct confinement_host *host, const struct policy_limits *limits,
                           struct cgroup *cgroup)
{
    cgroup->files[CGROUP_SELF] = group_make(host->cgroup);
    if (cgroup->files[CGROUP_SELF] < 0)
        return cgroup->files[CGROUP_SELF];
    int status = groups_limit(host, limits, cgroup);
    if (status == 0)
        status = files_open(host, cgroup);
    if (status == 0)
        status = write_whole(cgroup->files[CGROUP_PROCS], "0", 1);
    if (status < 0)
        for (size_t i = 0; i < CGROUP_FILES; i++)
            descriptor_close(&cgroup->files[i]);
    return status;
}

int cgroup_enter(const struct confinement_host *host, const struct policy_limits *limits,
                 struct cgroup *cgroup)
{
    int status = 0;

    *cgroup = (struct cgroup){.files = {-1, -1, -1, -1, -1}, .limit = "max"};
    if (host->cgroup < 0)
        return 0;
    groups_sweep(host->cgroup);
    /* Another worker's sweep may take a group between its making and its lock. */
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        status = group_enter_new(host, limits, cgroup);
        if (status != -ENOENT && status != -ENODEV && status != -EWOULDBLOCK)
            return status;
    }
    return status;
}

/* ---- ending all of a group ------------------------------------------------------------------- */

static bool file_put(const struct cgroup *cgroup, enum cgroup_file file, const char *text)
{
    ssize_t length = (ssize_t)strlen(text);
    return cgroup->files[file] >= 0 &&
           pwrite(cgroup->files[file], text, (size_t)length, 0) == length;
}

void cgroup_kill_begin(struct cgroup *cgroup)
{
    if (cgroup->files[CGROUP_KILL] >= 0 && !cgroup->elsewhere)
        cgroup->elsewhere = file_put(cgroup, CGROUP_ELSEWHERE, "0");
    if (cgroup->elsewhere)
        file_put(cgroup, CGROUP_KILL, "1");
    file_put(cgroup, CGROUP_PIDS_MAX, "0");
}

int cgroup_kill_end(struct cgroup *cgroup)
{
    if (cgroup->files[CGROUP_PIDS_MAX] >= 0 && !file_put(cgroup, CGROUP_PIDS_MAX, cgroup->limit))
        return -errno;
    if (cgroup->elsewhere && !file_put(cgroup, CGROUP_PROCS, "0"))
        return -errno;
    cgroup->elsewhere = false;
    return 0;
}
