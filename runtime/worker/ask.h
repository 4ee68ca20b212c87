/* What the broker asks for, as a worker reads it.
 *
 * Owns the vectors of a call's strings; the strings stay in the memory that the broker shares. The
 * broker has checked all of it: a mistake there must not become a wrong command line here. */
#ifndef SLUICE_ASK_H
#define SLUICE_ASK_H

#include <stdbool.h>

#include "runtime/worker/protocol.h"

struct confinement_setup;

struct ask_text {
    char *arguments[WORKER_ARGUMENTS_MAX + 1];
    char *environment[WORKER_ENVIRONMENT_MAX + 1];
    const char *path;      /* of the executable */
    const char *directory; /* the working directory's; only with ask.has_directory */
};

/* Fills `*text` for a call of a rule of `setup`'s confinement. False if this is not one, or if
 * `memory` does not hold exactly what the ask says. */
bool ask_unpack(const struct worker_ask *ask, const struct policy *policy,
                const struct confinement_setup *setup, struct worker_memory *memory,
                struct ask_text *text);

/* Replaces the executable and the working directory, as the broker opened them (descriptors[3] and [4]),
 * by what the worker's own mounts have at their paths; closes the former. Does nothing where a worker
 * has no mounts of its own. Returns 0 or a negative errno, with the stage that failed. Leaves errno
 * alone. */
int ask_move_inside(const struct worker_ask *ask, const struct confinement_setup *setup,
                    const struct ask_text *text, int *descriptors, enum worker_stage *stage);

#endif
