/* Applying a confinement: once in a worker, and the ruleset of each call.
 *
 * Owns the order in which the mechanisms are applied, and the rulesets that a worker keeps. Decides
 * nothing: confinement_prepare did. */
#ifndef SLUICE_APPLY_H
#define SLUICE_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/worker/tree.h"
#include "runtime/worker/worker.h"

struct confinement_setup;

/* Rulesets of executables that ran before: what a call may touch depends on its executable, because
 * that and what it needs to start is granted with it. */
#define RULESETS_KEPT 8

struct ruleset_kept {
    int executable; /* holds the object, so that its numbers stay its own; -1: free */
    struct file_identity identity;
    int ruleset;
};

struct rulesets {
    struct ruleset_kept kept[RULESETS_KEPT];
    unsigned next; /* replaced next */
};

/* Puts the calling worker under everything of its confinement that does not depend on a call:
 * namespaces, capabilities, no_new_privs, the layer that scopes signals, the filter. Also opens
 * `tree`, which needs the worker's own /proc and must come before the filter. `broker` is the
 * parent. `*directory_lost`: the errno when the worker could not take its working directory along
 * into its own mounts, else 0. Returns 0 or a negative errno; there is no way back, so the worker
 * must not serve then. */
int confinement_enter(const struct confinement_setup *setup, pid_t broker, struct tree *tree,
                      int *directory_lost);

void rulesets_start(struct rulesets *rulesets);

/* The Landlock ruleset for a call, in `*ruleset`: -1 when its confinement has no layer. `*kept`:
 * it stays with `rulesets`; otherwise the caller closes it. Returns 0 or a negative errno. */
int rulesets_for_call(struct rulesets *rulesets, const struct confinement_setup *setup,
                      int executable, const int *grants, const uint8_t *grant_access,
                      size_t grant_count, int *ruleset, bool *kept);

/* Whether calls need no ruleset, or one has been built. */
bool rulesets_are_ready(const struct rulesets *rulesets, const struct confinement_setup *setup);

/* The ruleset for a call without grants of its own, if it is at hand: false where one would have to be
 * built. Makes no system call. */
bool rulesets_find(const struct rulesets *rulesets, const struct confinement_setup *setup,
                   const struct file_identity *executable, int *ruleset);

#endif
