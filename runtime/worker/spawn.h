/* Making one child: clone, what is done between clone and exec, exec, and why it failed.
 *
 * Owns nothing: descriptors and strings are the caller's, and the child closes what it must not
 * keep. Between clone and exec the child shares the worker's memory (CLONE_VM | CLONE_VFORK: the
 * worker stands still), so it makes system calls and writes its failure, nothing else. */
#ifndef SLUICE_SPAWN_H
#define SLUICE_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/worker/worker.h"

#define SPAWN_STACK_BYTES ((size_t)64 * 1024)

struct confinement_setup;
struct limits;
struct supervisor;

struct spawn {
    const struct policy_attributes *attributes;
    const struct confinement_setup *setup;
    const struct limits *limits;
    const struct supervisor *supervisor;
    int input, output, error; /* become 0, 1, 2; all above 2 */
    int executable;
    const char *path; /* of the executable */
    int directory;    /* -1: the worker's own */
    int ruleset;      /* Landlock; -1: none */
    char *const *arguments, *const *environment;
    pid_t worker; /* the caller's own pid */
    /* set by spawn_child when nothing ran */
    enum worker_stage stage; /* STAGE_NONE: the child runs */
    int failure;             /* errno */
};

/* Clones the child and returns its pid once it runs the program, or has failed to: then
 * spawn->stage and spawn->failure say why, and the pid, unless it is negative, is still to be reaped.
 * `stack` is SPAWN_STACK_BYTES that nobody else uses. clone(2), execveat(2). */
pid_t spawn_child(struct spawn *spawn, void *stack);

#endif
