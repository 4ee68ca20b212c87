/* Whether a policy accepts a command line of some form: the question of a gate in CI.
 *
 * The form is a pattern over the arguments joined by one space, anchored at both ends. Slots that
 * only a call can decide (engine = pcre2) count as accepting anything: a "no" is a proof, a "yes"
 * through one of them is marked uncertain. */
#ifndef SLUICE_ACCEPTS_H
#define SLUICE_ACCEPTS_H

#include <stdbool.h>

#include "compiler/analysis/command_line.h"
#include "compiler/analysis/work.h"
#include "compiler/policy/model.h"

enum accepts_answer { ACCEPTS_NONE, ACCEPTS_FOUND, ACCEPTS_EXHAUSTED };

struct accepts_result {
    enum accepts_answer answer;
    struct command_line witness; /* FOUND: the shortest, of readable characters where there are some */
    bool uncertain;
};

/* Looks for a command line of `rule` whose joined text is in `form` (or, with `outside`, is not), within
 * the limits of `work`. */
struct accepts_result accepts_search(struct arena *arena, const struct model_rule *rule,
                                     const struct automaton *form, bool outside,
                                     struct work *work);

#endif
