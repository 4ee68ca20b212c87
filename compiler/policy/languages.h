/* Pattern lines and what they accept together. Internal to compiler/policy.
 *
 * Owns the caches: each distinct pattern text is parsed and made an automaton once, each distinct
 * set of lines is one model_language. Owns the budget over all of them too (MODEL_AUTOMATA_MAX):
 * whatever the file holds, the work is bounded. */
#ifndef SLUICE_LANGUAGES_H
#define SLUICE_LANGUAGES_H

#include "compiler/policy/check.h"

/* The lines of one slot, or of a value of the caller's. */
struct language_use {
    const char *subject;    /* for messages: "slot #branch" */
    const char *first_name; /* for naming code: "branch" */
    const struct tree_attribute *const *lines;
    size_t count;
    bool pcre2;
};

/* What the lines accept together. NULL when one of them is wrong, or nothing is left (reported). */
const struct model_language *language_from_lines(struct check *check,
                                                 const struct language_use *use);

/* What is left of a language without the values that begin with '-'; made once. */
const struct automaton *language_without_dash(struct check *check,
                                              const struct model_language *language);

/* The lines for people: "[a-z]+ and not master". */
const char *language_description(struct check *check, const struct language_use *use);

/* The directory of the first line `@under(DIRECTORY)`, also by way of names; NULL: none. */
const char *language_under(struct check *check, const struct language_use *use);

/* The tree of a pattern as written; NULL when it is wrong (reported). */
const struct pattern *language_read_tree(struct check *check, const struct tree_value *value);

/* Takes what an automaton needed from the file's budget. `a` may be NULL: an operation that ran
 * into its own limit, and cost as much. False when the file's budget is used up (reported once, at
 * `at`). */
bool language_spend(struct check *check, const struct automaton *a, struct span at);

#endif
