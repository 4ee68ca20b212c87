#define _GNU_SOURCE 1

#include "runtime/worker/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* Passes over /proc within one tree_kill, for as long as each still finds somebody new. */
#define PASSES_MAX 64

/* Enough of /proc/N/stat for "pid (comm) state ppid": comm is at most 64 bytes (kernel threads'
 * names included), proc_pid_stat(5). */
#define STAT_BYTES 256

/* One entry of a list of children: a pid_t's ten digits and a blank, and room to spare. */
#define ENTRY_BYTES_MAX 32u

int tree_open(struct tree *tree)
{
    tree->self = getpid();
    tree->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (tree->proc < 0)
        return -errno;
    char path[64];
    struct text text;
    text_start(&text, path, sizeof path);
    text_append(&text, "self/task/");
    text_append_signed(&text, tree->self);
    text_append(&text, "/children");
    tree->children = openat(tree->proc, path, O_RDONLY | O_CLOEXEC);
    if (tree->children < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

bool tree_reaches_only_descendants(struct tree *tree, pid_t outsider)
{
    bool alone = outsider == 0 ? getpid() == 1
                               : outsider > 1 && kill(outsider, 0) < 0 && errno == EPERM;
    if (alone)
        tree->reach = TREE_EVERYTHING;
    return alone;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* The next number in text such as "12 345 "; 0 at the end. `*rest` goes behind it. */
static pid_t next_number(const char **rest)
{
    pid_t number = 0;
    while (**rest == ' ')
        (*rest)++;
    for (; **rest >= '0' && **rest <= '9'; (*rest)++)
        number = number * 10 + (**rest - '0');
    return number;
}

/* A process's parent (as a process, not a thread) from /proc/N/stat; 0 when there is no such
 * process. One in state Z counts: its first thread has ended, others may go on. proc_pid_stat(5). */
static pid_t process_parent(const struct tree *tree, pid_t pid)
{
    char path[32], stat[STAT_BYTES];
    struct text text;
    text_start(&text, path, sizeof path);
    text_append_signed(&text, pid);
    text_append(&text, "/stat");
    cleanup_fd int file = openat(tree->proc, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read_whole(file, stat, sizeof stat - 1);
    if (length <= 0)
        return 0;
    stat[length] = '\0';
    /* The command's name may hold anything, ") Z 1 " too: only the last ")" ends it. */
    const char *after = strrchr(stat, ')');
    if (!after || after[1] != ' ' || after[2] == '\0' || after[3] != ' ')
        return 0;
    const char *rest = after + 4;
    return next_number(&rest);
}

/* This process's children, ended ones included, from the kernel's list. Only this process takes one
 * off that list (by reaping it), so the list can be read in parts. */
static size_t children_listed(struct tree *tree)
{
    char bytes[4096];
    size_t count = 0, kept = 0;

    for (off_t at = 0;;) {
        size_t wanted = sizeof bytes - 1 - kept;
        ssize_t got = pread(tree->children, bytes + kept, wanted, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return count;
        at += got;
        size_t end = kept + (size_t)got;
        bytes[end] = '\0';
        /* A number at the very end may go on in the next part. */
        size_t whole = end;
        while (whole > 0 && bytes[whole - 1] != ' ')
            whole--;
        kept = end - whole;
        char cut = bytes[whole];
        bytes[whole] = '\0';
        const char *rest = bytes;
        for (pid_t pid; count < TREE_CHILDREN_MAX && (pid = next_number(&rest)) > 0;)
            tree->list[count++] = pid;
        bytes[whole] = cut;
        memmove(bytes, bytes + whole, kept);
        if (count == TREE_CHILDREN_MAX)
            return count;
        /* A read stops short of what was wanted by more than an entry only where the list ends
         * (fs/seq_file.c, seq_read_iter: it fills its buffer, a page, as far as there is any). */
        if ((size_t)got + ENTRY_BYTES_MAX < wanted)
            return count;
    }
}

/* Every process that /proc shows. */
static void processes_scan(struct tree *tree)
{
    tree->process_count = 0;
    int list = openat(tree->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0)
        return;
    char entries[4096] __attribute__((aligned(8)));
    for (;;) {
        long length = syscall(SYS_getdents64, list, entries, sizeof entries);
        if (length <= 0)
            break;
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            at += entry->d_reclen;
            uint64_t number;
            if (!text_to_unsigned(entry->d_name, INT32_MAX, &number) ||
                tree->process_count == TREE_PROCESSES_MAX)
                continue;
            pid_t pid = (pid_t)number, parent = process_parent(tree, pid);
            if (parent > 0)
                tree->processes[tree->process_count++] =
                    (struct tree_process){.pid = pid, .parent = parent, .held = -1};
        }
    }
    close(list);
}

/* This process's children, those that ended included: from the kernel's list, else out of all
 * processes. */
static size_t children_find(struct tree *tree)
{
    if (tree->children >= 0)
        return children_listed(tree);
    size_t count = 0;
    processes_scan(tree);
    for (size_t i = 0; i < tree->process_count && count < TREE_CHILDREN_MAX; i++)
        if (tree->processes[i].parent == tree->self)
            tree->list[count++] = tree->processes[i].pid;
    return count;
}

/* ---- reaping --------------------------------------------------------------------------------- */

/* Whether the child is gone. __WALL: what clone(2) made to end with another signal or none, too. */
static bool child_reap(pid_t pid)
{
    siginfo_t ended;
    int status;
    do {
        ended.si_pid = 0;
        status = waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | __WALL);
    } while (status < 0 && errno == EINTR);
    return status < 0 ? errno == ECHILD : ended.si_pid != 0;
}

size_t tree_reap(struct tree *tree, pid_t leader)
{
    for (unsigned look = 0; look < TREE_LOOKS_MAX; look++) {
        size_t count = children_find(tree), left = 0, reaped = 0;
        for (size_t i = 0; i < count; i++) {
            if (tree->list[i] == leader)
                continue;
            if (child_reap(tree->list[i]))
                reaped++;
            else
                left++;
        }
        if (reaped == 0)
            return left;
    }
    return 1; /* they still come */
}

bool tree_reap_all(void)
{
    for (;;) {
        siginfo_t ended;
        ended.si_pid = 0;
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WALL) < 0) {
            if (errno == EINTR)
                continue;
            return errno == ECHILD;
        }
        if (ended.si_pid == 0)
            return false;
    }
}

/* ---- killing --------------------------------------------------------------------------------- */

static int pidfd_open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* /proc lists processes in the order of their numbers. */
static struct tree_process *process_find(struct tree *tree, pid_t pid)
{
    size_t low = 0, high = tree->process_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->processes[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tree->process_count && tree->processes[low].pid == pid ? &tree->processes[low]
                                                                         : NULL;
}

/* Makes sure that a process is this process's descendant, given that its parent is (or is this
 * process): holds it by a pidfd, then reads its parent again, then sees that neither has gone in
 * between. Whatever a number named earlier, from here on the pidfd names the right process. */
static bool process_verify(struct tree *tree, struct tree_process *process,
                           const struct tree_process *parent)
{
    int held = pidfd_open_process(process->pid);
    if (held < 0)
        return false;
    if (process_parent(tree, process->pid) != process->parent || pidfd_signal(held, 0) < 0 ||
        (parent && pidfd_signal(parent->held, 0) < 0)) {
        close(held);
        return false;
    }
    process->held = held;
    return true;
}

static bool was_killed(const struct tree *tree, pid_t pid)
{
    size_t low = 0, high = tree->killed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->killed[middle] < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tree->killed_count && tree->killed[low] == pid;
}

/* Kills every descendant that a look over /proc finds, parents before their children. Returns whether
 * there was one that the look before (tree->killed) had not found. */
static bool descendants_kill(struct tree *tree)
{
    size_t held = 0;
    bool found = true, fresh = false;

    processes_scan(tree);
    while (found && held < TREE_HELD_MAX) {
        found = false;
        for (size_t i = 0; i < tree->process_count && held < TREE_HELD_MAX; i++) {
            struct tree_process *process = &tree->processes[i], *parent = NULL;
            if (process->held >= 0 || process->parent == 0)
                continue;
            if (process->parent != tree->self) {
                parent = process_find(tree, process->parent);
                if (!parent || parent->held < 0)
                    continue;
            }
            if (process_verify(tree, process, parent)) {
                pidfd_signal(process->held, SIGKILL);
                fresh = fresh || !was_killed(tree, process->pid);
                held++;
                found = true;
            } else {
                process->parent = 0; /* gone, or not ours: not looked at again */
            }
        }
    }
    tree->killed_count = 0;
    for (size_t i = 0; i < tree->process_count; i++)
        if (tree->processes[i].held >= 0) {
            tree->killed[tree->killed_count++] = tree->processes[i].pid;
            descriptor_close(&tree->processes[i].held);
        }
    return fresh;
}

void tree_kill(struct tree *tree, pid_t leader)
{
    if (tree->reach == TREE_EVERYTHING) {
        kill(-1, SIGKILL);
        return;
    }
    if (leader > 0) {
        kill(-leader, SIGKILL);
        kill(leader, SIGKILL);
    }
    /* Direct children first and without a look around: they are this process's to reap, so that
     * their numbers cannot have passed to others, neither as a process's nor as a group's. A whole
     * group goes at one stroke, and whoever is in one that a descendant leads is a descendant:
     * groups lie within sessions, and a session is joined by birth alone. */
    size_t count = children_find(tree);
    for (size_t i = 0; i < count; i++) {
        kill(-tree->list[i], SIGKILL);
        kill(tree->list[i], SIGKILL);
    }
    tree->killed_count = 0;
    /* What has been killed is reaped between the looks: a program that runs away from the kill leaves
     * one dead process a step, and each look would take longer than the one before. */
    for (int pass = 0; pass < PASSES_MAX && descendants_kill(tree); pass++)
        tree_reap(tree, leader);
}
