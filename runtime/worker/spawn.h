/* Making one child: what is done between clone and exec, exec, and why it failed.
 *
 * Owns nothing: descriptors and strings are the caller's, and the child closes what it must not
 * keep. Between clone and exec the child is on the worker's memory, with the worker standing still
 * (spawn_child) or not (ahead.h): so it makes system calls that leave errno alone and writes its
 * failure, nothing else. */
#ifndef SLUICE_SPAWN_H
#define SLUICE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/worker/worker.h"

#define SPAWN_STACK_BYTES ((size_t)64 * 1024)

struct ask_text;
struct confinement_setup;
struct limits;
struct supervisor;

struct spawn {
    /* the same for every call of a worker */
    const struct confinement_setup *setup;
    const struct limits *limits;
    const struct supervisor *supervisor;
    pid_t worker; /* its own pid */
    /* the call's */
    const struct policy_attributes *attributes;
    int input, output, error; /* become 0, 1, 2; all above 2 */
    int executable;
    const char *path; /* of the executable */
    int directory;    /* -1: the worker's own */
    int ruleset;      /* Landlock; -1: none */
    char *const *arguments, *const *environment;
    /* set by the child when nothing ran */
    enum worker_stage stage; /* STAGE_NONE: the program runs */
    int failure;             /* errno */
};

/* Sets the call's part, but for the ruleset. `descriptors`: input, output, error, executable. */
void spawn_describe(struct spawn *spawn, const struct policy_attributes *attributes,
                    const int *descriptors, int directory, const struct ask_text *text);

/* Clones the child and returns its pid once it runs the program, or has failed to: then
 * spawn->stage and spawn->failure say why, and the pid, unless it is negative, is still to be reaped.
 * `stack` is SPAWN_STACK_BYTES that nobody else uses. clone(2), execveat(2). */
pid_t spawn_child(struct spawn *spawn, void *stack);

/* The two parts of what a child does. The first needs only what is the same for every call; returns
 * false when it failed, with spawn->stage and spawn->failure. The second runs the program, or ends
 * the child with them set. */
bool spawn_prepare(struct spawn *spawn);
_Noreturn void spawn_execute(struct spawn *spawn);

#endif
