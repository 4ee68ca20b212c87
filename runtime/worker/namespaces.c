#define _GNU_SOURCE 1

#include "runtime/worker/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/capabilities.h"
#include "runtime/worker/identity.h"
#include "runtime/worker/kernel_call.h"
#include "runtime/worker/mounts.h"
#include "runtime/worker/setup.h"

unsigned long namespaces_flags(const struct confinement_setup *setup)
{
    return setup->namespaces;
}

uint64_t namespaces_capabilities(const struct confinement_setup *setup)
{
    if (setup->namespaces == 0)
        return 0;
    if (!(setup->namespaces & CLONE_NEWUSER))
        return CAPABILITY_SYS_ADMIN;
    return setup->host->uid == 0 ? CAPABILITY_SETFCAP : 0;
}

bool namespaces_has_mounts(const struct confinement_setup *setup)
{
    return setup->namespaces & CLONE_NEWNS;
}

/* ---- the user namespace ---------------------------------------------------------------------- */

static int proc_write(const char *path, const struct text *text)
{
    cleanup_fd int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    return write_whole(file, text->bytes, text->length);
}

/* "7 7 1": one id, the same inside and outside. user_namespaces(7). */
static int map_one(const char *path, uint32_t id)
{
    char line[64];
    struct text text;
    text_start(&text, line, sizeof line);
    text_append_unsigned(&text, id);
    text_append_char(&text, ' ');
    text_append_unsigned(&text, id);
    text_append(&text, " 1");
    return proc_write(path, &text);
}

static int identity_map(uint32_t uid, uint32_t gid)
{
    char deny[] = "deny";
    struct text text;
    text_start(&text, deny, sizeof deny);
    text_append(&text, "deny");
    /* The files under /proc belong to root for as long as a process is not dumpable. */
    if (prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    int status = proc_write("/proc/self/setgroups", &text);
    if (status == 0)
        status = map_one("/proc/self/gid_map", gid);
    if (status == 0)
        status = map_one("/proc/self/uid_map", uid);
    if (prctl(PR_SET_DUMPABLE, 0) < 0 && status == 0)
        status = -errno;
    return status;
}

int namespaces_enter(const struct confinement_setup *setup, int *directory_lost)
{
    int status = 0;

    *directory_lost = 0;
    if (setup->namespaces & CLONE_NEWUSER)
        status = identity_map(setup->host->uid, setup->host->gid);
    if (status == 0 && (setup->namespaces & CLONE_NEWNS))
        status = mounts_enter(setup, directory_lost);
    return status;
}

int namespaces_reopen(const char *path, int outside)
{
    long inside = kernel_call(SYS_openat, AT_FDCWD, KERNEL_POINTER(path), O_PATH | O_CLOEXEC);
    if (inside < 0)
        return (int)inside;
    if (file_is_same(outside, (int)inside, ""))
        return (int)inside;
    kernel_call(SYS_close, inside);
    return -ESTALE;
}

/* ---- what the host allows -------------------------------------------------------------------- */

#define PROBED_USER 1
#define PROBED_MOUNT 2
#define PROBED_PROC 4

/* The child's exit status says how far it came. */
static _Noreturn void probe_child(unsigned long flags, uint32_t uid, uint32_t gid)
{
    if ((flags & CLONE_NEWUSER) && identity_map(uid, gid) < 0)
        _exit(0);
    int found = PROBED_USER;
    if (mounts_probe() == 0)
        found |= PROBED_MOUNT;
    if (mounts_probe_proc() == 0)
        found |= PROBED_PROC;
    _exit(found);
}

static int probe(unsigned long flags, uint32_t uid, uint32_t gid)
{
    pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, NULL, 0, 0);
    if (pid == 0)
        probe_child(flags, uid, gid);
    if (pid < 0)
        return 0;
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

void namespaces_probe(struct confinement_host *host)
{
    /* All that any confinement may ask for at once. A process that has CAP_SYS_ADMIN needs no user
     * namespace, and its children then keep seeing every file's real owner. */
    unsigned long flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    int found = probe(flags | CLONE_NEWUSER, host->uid, host->gid);
    host->user_namespaces = found & PROBED_USER;
    host->privileged_namespaces = false;
    if (capabilities_effective(CAPABILITY_SYS_ADMIN)) {
        int privileged = probe(flags, host->uid, host->gid);
        host->privileged_namespaces = privileged & PROBED_USER;
        if (host->privileged_namespaces)
            found = privileged;
    }
    host->mount_namespaces = found & PROBED_MOUNT;
    host->own_proc = found & PROBED_PROC;
}
