/* The processes that a call started: who is left, and ending all of them.
 *
 * For a process that is a subreaper (or the first of its pid namespace): whatever its descendants do
 * (setsid, double forks), an orphan becomes its child, so nothing can leave. Owns the descriptors
 * through which it reads /proc, and the rule that no signal ever reaches a process that is not
 * verifiably a descendant: a number read from /proc is only believed while an unreaped parent or a
 * pidfd holds it. Never reaps the call's leader (the direct child) unless told: while its zombie is
 * kept, its number names its process group and nothing else. */
#ifndef SLUICE_TREE_H
#define SLUICE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Direct children that one look takes note of; more are found by the next look. */
#define TREE_CHILDREN_MAX 4096u
/* Looks within one tree_reap, for as long as each still finds somebody who has ended. */
#define TREE_LOOKS_MAX 16u
/* Processes of the whole system that one pass of tree_kill looks at. */
#define TREE_PROCESSES_MAX 32768u
/* Descendants that one pass of tree_kill can verify and hold, a descriptor each. */
#define TREE_HELD_MAX 16384u

struct tree_process {
    pid_t pid, parent;
    int held; /* pidfd of a verified descendant; -1: not verified (yet) */
};

/* How all of a call's processes can be signalled at once. */
enum tree_reach {
    TREE_WALK,      /* not at all: they have to be found one by one */
    TREE_EVERYTHING /* kill(-1): this process can signal nothing but its descendants */
};

struct tree {
    pid_t self;
    int proc;     /* /proc */
    int children; /* /proc/self/task/N/children, or -1: the kernel has no such file */
    enum tree_reach reach;
    pid_t list[TREE_CHILDREN_MAX];
    struct tree_process processes[TREE_PROCESSES_MAX];
    size_t process_count;
    pid_t killed[TREE_HELD_MAX]; /* by the latest look, in the order of numbers */
    size_t killed_count;
};

/* Opens what is needed of /proc. `tree` is some 600 KiB, zeroed (mmap: only touched pages count).
 * Returns 0 or a negative errno: without /proc nothing here works. */
int tree_open(struct tree *tree);

/* Says that kill(-1) from this process reaches its descendants alone, after making sure: `outsider`
 * is a process that is not one, that could be signalled before and must not be any more. Returns
 * whether that is so; if not, nothing changes and killing goes on by walking. The first process of
 * a pid namespace gives 0. */
bool tree_reaches_only_descendants(struct tree *tree, pid_t outsider);

/* Reaps every ended child but `leader`. Returns how many other children are left, alive, as far as
 * one look counts; 0 only after a look that saw all children and found none but the leader: who has
 * ended meanwhile leaves its own children here, so a look that reaps somebody proves nothing. */
size_t tree_reap(struct tree *tree, pid_t leader);

/* Reaps every ended child without exception. Returns whether that were all there are: the kernel's
 * word for it, not a list's. wait(2), ECHILD. */
bool tree_reap_all(void);

/* One pass of ending everything: SIGKILL to every descendant that can be found, the leader and its
 * process group included (0: it has been reaped). Call again, after tree_reap, until nothing is
 * left. With TREE_EVERYTHING one call is enough: the kernel lets no fork happen in between. What a
 * walk kills is reaped between its looks. */
void tree_kill(struct tree *tree, pid_t leader);

#endif
