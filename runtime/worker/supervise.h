/* metadata = within, where the host lets nobody change mounts: the calls that change mode, owner, times
 * and extended attributes are not made by the program but by the worker, on an object that the worker
 * has opened itself and found beneath an fs_write path.
 *
 * Owns the small filter that hands those calls over and the listener of the running call. Rare calls
 * only: nothing that the kernel can decide alone goes this way. Never acts on a path or value twice:
 * both are copied once, and what was opened is what is changed. seccomp_unotify(2).
 *
 * Inputs: the numbers and arguments of calls that a confined program makes, and its memory. What a
 * mistake here would give such a program: a change of metadata outside of fs_write. */
#ifndef SLUICE_SUPERVISE_H
#define SLUICE_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/filter.h>

struct confinement_setup;

/* Whether this kernel can hand calls over, and this process read its children's memory. */
bool supervise_is_possible(void);

#define SUPERVISE_PROGRAM_MAX 96

struct supervisor {
    const struct confinement_setup *setup;
    struct sock_filter program[SUPERVISE_PROGRAM_MAX];
    unsigned short count;
    int near, far; /* a socket pair: the child sends its listener on `far`; -1: does not supervise */
    int listener;  /* of the running call, to be polled; -1 */
    char value[65536]; /* of an extended attribute: XATTR_SIZE_MAX */
};

/* Makes ready for calls, if the setup wants supervision. Returns 0 or a negative errno. */
int supervisor_start(struct supervisor *supervisor, const struct confinement_setup *setup);

/* In the child, before exec: loads the filter and sends the listener. Returns 0 or a negative errno. */
int supervisor_hand_over(const struct supervisor *supervisor);

/* In the worker, after the child runs or has failed: takes the listener if one came. */
void supervisor_take(struct supervisor *supervisor);

/* Answers one call, when the listener is readable. */
void supervisor_answer(struct supervisor *supervisor);

/* The call is over. */
void supervisor_end(struct supervisor *supervisor);

#endif
