/* The space of command lines: which sets of rules, of one policy or of two side by side, some
 * request reaches together, each set with its shortest command line.
 *
 * A rule is a sequence of token languages; requests are sequences of values. The space is explored
 * token by token: a node is the set of places in rules that the arguments so far can have reached,
 * and its edges are the non-empty atoms of the Boolean algebra of the token languages at these places
 * (every value of an atom is accepted by the same languages). Rules never multiply out into one
 * automaton, so that the cost follows what rules have in common, not what they count.
 *
 * Answers are exact but in two cases, marked `uncertain`: values that PCRE2 decides at call time
 * (engine = pcre2) and values over the default cap (allow_max). Everything lives in the arena. */
#ifndef SLUICE_SPACE_H
#define SLUICE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/policy/model.h"

/* Where exploring stops and says so. */
#define SPACE_NODES_MAX 400000u     /* nodes of the space */
#define SPACE_PRODUCT_MAX 400000u   /* states of one product of token languages */
#define SPACE_LEAVES_MAX 200000u    /* sets of rules told */

/* A concrete command line. */
struct command_line {
    const char **arguments; /* NUL-terminated each; values hold no NUL */
    size_t *lengths;
    size_t count;
};

/* A rule that takes part: of which view (the caller's own number, e.g. 0 old, 1 new) and its place in
 * that view's order. */
struct space_rule {
    const struct model_rule *rule;
    uint32_t view;
    uint32_t order;
};

/* A set of rules that some command line reaches, all of them and no others. */
struct space_leaf {
    const uint32_t *rules; /* indexes into the explored rules, ascending */
    size_t rule_count;     /* at least 1 */
    struct command_line witness;
    bool uncertain; /* only a call, or a longer value than is shown, could tell whether there is one */
};

struct space_result {
    const struct space_leaf *leaves; /* shortest witness first */
    size_t leaf_count;
    bool exhausted; /* a limit was met: there may be more */
    const char *limit; /* which, for people; NULL unless exhausted */
};

/* Explores what `rules` (of any number of views) accept. */
struct space_result space_explore(struct arena *arena, const struct space_rule *rules,
                                  size_t rule_count);

/* The command line as a shell would take it, quoted where needed; control characters as $'\n'. */
const char *command_line_text(struct arena *arena, struct command_line command);

#endif
