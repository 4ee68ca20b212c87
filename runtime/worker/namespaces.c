#define _GNU_SOURCE 1

#include "runtime/worker/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
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

/* A user namespace has to be there before those that belong to it, and a pid namespace takes only what
 * is forked in it. */
#define AT_BIRTH ((unsigned long)(CLONE_NEWUSER | CLONE_NEWPID))

unsigned long namespaces_at_birth(const struct confinement_setup *setup)
{
    return setup->namespaces & AT_BIRTH;
}

int namespaces_take_network(const struct confinement_setup *setup)
{
    if (!(setup->namespaces & CLONE_NEWNET) || (setup->namespaces & CLONE_NEWUSER))
        return -1;
    return descriptor_steal(&setup->host->network);
}

int namespaces_make(const struct confinement_setup *setup, int network)
{
    unsigned long flags = setup->namespaces & ~AT_BIRTH;

    if (network >= 0 && setns(network, CLONE_NEWNET) == 0)
        flags &= ~(unsigned long)CLONE_NEWNET;
    return flags == 0 || unshare((int)flags) == 0 ? 0 : -errno;
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

/* ---- what a confinement asks for -------------------------------------------------------------- */

bool namespaces_guard(const struct policy_confinement *confinement)
{
    for (uint32_t i = 0; confinement->protect != 0 && i < confinement->grant_count; i++)
        if (confinement->grants[i].access == ACCESS_WRITE)
            return true;
    return false;
}

unsigned long namespaces_asked(const struct policy_confinement *confinement)
{
    unsigned long flags = 0;

    if (confinement->isolate & ISOLATE_IPC)
        flags |= CLONE_NEWIPC;
    if (confinement->isolate & ISOLATE_UTS)
        flags |= CLONE_NEWUTS;
    if (confinement->isolate & ISOLATE_USER)
        flags |= CLONE_NEWUSER;
    if (confinement->isolate & ISOLATE_PID)
        flags |= CLONE_NEWPID | CLONE_NEWNS;
    if (confinement->net_none)
        flags |= CLONE_NEWNET; /* besides the filter, where it can be had */
    if ((confinement->isolate & ISOLATE_MOUNT) ||
        (confinement->metadata == METADATA_WITHIN && confinement->confines_files) ||
        namespaces_guard(confinement))
        flags |= CLONE_NEWNS;
    return flags;
}

/* ---- what the host allows -------------------------------------------------------------------- */

/* A probing child's answer is one byte of these, and its network namespace if that is of use to a
 * worker; none: it has these namespaces not. */
enum probed {
    PROBED_USER = 1,       /* with a user namespace */
    PROBED_PRIVILEGED = 2, /* without one, by CAP_SYS_ADMIN */
    PROBED_MOUNT = 4,
    PROBED_PROC = 8,
};

/* Role: made from the broker at its start, in namespaces of its own. Privileges: the broker's, for
 * less than a millisecond. Inputs: none. What its compromise would give: a wrong answer. */
static _Noreturn void probe_child(unsigned long flags, const struct confinement_host *host,
                                  int answer)
{
    cleanup_fd int network = -1;

    if (unshare((int)(flags & ~AT_BIRTH)) < 0 ||
        ((flags & CLONE_NEWUSER) && identity_map(host->uid, host->gid) < 0))
        _exit(1);
    /* To make one takes half a millisecond, to take one apart again two: nobody has been in this, so
     * the first worker can have it. One that belongs to a user namespace is of no use outside. */
    if ((flags & CLONE_NEWNET) && !(flags & CLONE_NEWUSER))
        network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    unsigned found = flags & CLONE_NEWUSER ? (unsigned)PROBED_USER : (unsigned)PROBED_PRIVILEGED;
    if ((flags & CLONE_NEWNS) && mounts_probe() == 0)
        found |= PROBED_MOUNT;
    /* Only where the mounts are this child's own by now: else its /proc would be everybody's. */
    if ((flags & CLONE_NEWPID) && (found & PROBED_MOUNT) && mounts_probe_proc() == 0)
        found |= PROBED_PROC;
    char byte = (char)found;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    _exit(message_send(answer, &part, 1, &network, network >= 0) == 0 ? 0 : 1);
}

void namespaces_probe_reap(struct confinement_host *host)
{
    while (host->prober > 0 && waitpid(host->prober, NULL, 0) < 0 && errno == EINTR)
        continue;
    host->prober = -1;
}

static void probe_start(struct confinement_host *host, unsigned long flags)
{
    int ends[2];

    namespaces_probe_reap(host);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    cleanup_fd int answer = ends[0];
    cleanup_fd int theirs = ends[1];
    pid_t pid = (pid_t)syscall(SYS_clone, (flags & AT_BIRTH) | SIGCHLD, 0, NULL, 0, 0);
    if (pid == 0)
        probe_child(flags, host, theirs);
    if (pid < 0)
        return;
    host->prober = pid;
    host->probe = descriptor_steal(&answer);
}

/* Waits for the answer, not for the child's end: taking namespaces apart takes the kernel
 * milliseconds. */
static unsigned probe_answer(struct confinement_host *host)
{
    char byte;
    int network = -1;
    struct message message = {
        .buffer = &byte, .capacity = 1, .descriptors = &network, .wanted = 1};
    struct pollfd answer = {.fd = host->probe, .events = POLLIN};

    if (host->probe < 0)
        return 0;
    while (poll(&answer, 1, -1) < 0 && errno == EINTR)
        continue;
    /* No room for the descriptor is no answer: then a start would not get far. */
    enum message_result result = message_receive(host->probe, &message);
    descriptor_close(&host->probe);
    if (result != MESSAGE_RECEIVED || message.length != 1)
        return 0;
    if (network >= 0) { /* a second answer may bring none */
        descriptor_close(&host->network);
        host->network = network;
    }
    return (unsigned char)byte;
}

void namespaces_probe_begin(struct confinement_host *host, unsigned long flags)
{
    host->probe = -1;
    host->prober = -1;
    host->probed = flags;
    if (flags == 0)
        return;
    /* A process that has CAP_SYS_ADMIN needs no user namespace, and its children then keep seeing
     * every file's real owner. */
    host->privileged = capabilities_effective(CAPABILITY_SYS_ADMIN);
    probe_start(host, host->privileged ? flags & ~(unsigned long)CLONE_NEWUSER
                                       : flags | CLONE_NEWUSER);
}

void namespaces_probe_end(struct confinement_host *host)
{
    unsigned long flags = host->probed;

    if (flags == 0)
        return;
    unsigned found = probe_answer(host), inside = found;
    /* What is possible outside may be refused inside a user namespace, and the other way round. */
    if (host->privileged && (found == 0 || (flags & CLONE_NEWUSER))) {
        probe_start(host, flags | CLONE_NEWUSER);
        inside = probe_answer(host);
        if (found == 0)
            found = inside;
    }
    host->probed = 0;
    host->user_namespaces = inside & PROBED_USER;
    host->privileged_namespaces = found & PROBED_PRIVILEGED;
    host->mount_namespaces = found & PROBED_MOUNT;
    host->own_proc = found & PROBED_PROC;
    host->user_mounts = inside & PROBED_MOUNT;
    host->user_proc = inside & PROBED_PROC;
    /* A group with somebody in it cannot be divided: cgroups(7). */
    if (host->cgroup >= 0)
        namespaces_probe_reap(host);
}
