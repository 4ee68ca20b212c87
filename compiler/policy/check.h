/* What the files of compiler/policy share while they check one rules file. Internal to the folder.
 *
 * Owns the state of one model_check: caches and interned objects, all in the compilation's arena.
 * Every function that takes a `struct check` reports what it finds wrong to check->diagnostics and
 * then returns false or NULL; the caller goes on with what is left. */
#ifndef SLUICE_CHECK_H
#define SLUICE_CHECK_H

#include "compiler/base/diagnostic.h"
#include "compiler/base/table.h"
#include "compiler/policy/keys.h"
#include "compiler/policy/model.h"
#include "compiler/syntax/tree.h"

struct named_pattern;
struct settings;

/* The stack of named patterns that are being read, innermost last. */
struct name_stack {
    struct named_pattern *active[MODEL_NAMES_DEPTH_MAX];
    size_t depth;
};

/* Objects of one kind, each once, in the order of first use. */
struct interned {
    struct table table; /* by their content, spelled as bytes */
    const void **items;
    size_t count, capacity;
};

/* One slot of the rule being checked, as far as it is known. */
struct slot_draft {
    struct model_slot slot;
    const struct tree_attribute **lines; /* its pattern lines, in the file's order */
    size_t line_count, line_capacity;
    bool misplaced; /* its name or place is reported: say nothing of a missing pattern */
    bool may_lead; /* its value can stand at the start of its token */
    bool is_rest;
    struct span any_at, dash_at, max_at, pcre2_at; /* its place in each list, or SPAN_NONE */
};

/* The rule being checked. */
struct rule_draft {
    const struct tree_rule *tree;
    struct slot_draft slots[MODEL_SLOTS_MAX];
    size_t slot_count;
    bool engine_pcre2;       /* engine = pcre2 without a list: every slot with a pattern */
    struct span engine_at;
    bool lists_wrong; /* a list of slots is wrong (reported): say nothing of a missing pattern */
};

struct check {
    struct arena *arena;
    struct diagnostics *diagnostics;
    const struct rules_file *file;
    const struct source *source;

    struct table names; /* of struct named_pattern */
    struct named_pattern **name_list;
    size_t name_count;
    struct name_stack name_stack;
    bool poisoned; /* a pattern failed to be read for a reason that is reported elsewhere */

    struct table pattern_texts; /* of struct pattern_reading: what a pattern text was found to be */
    struct table mixed_tokens;  /* of struct mixed_language */
    uint64_t spent;             /* of MODEL_AUTOMATA_MAX */
    bool exhausted;             /* reported; no automaton is built any more */

    uint64_t items;             /* of MODEL_ITEMS_MAX */
    struct interned languages, attributes, confinements, filters;
    struct table confinement_names;
    struct tree_value *list_scratch; /* the items of the list that is being read */
    size_t list_scratch_capacity;
    struct policy_grant *grant_scratch; /* of the rule at hand: copied when it is kept */
    size_t grant_scratch_capacity;
    struct policy_template *deny_scratch;
    size_t deny_scratch_capacity;
    struct policy_template *expansions;
    size_t expansion_count, expansion_capacity;
    struct table expansion_texts;
    bool uses_pcre2;
};

/* `length` bytes for a message: cut after some sixty bytes, with an ellipsis. */
const char *check_quote(struct check *check, const char *text, size_t length);

/* The same for a value. */
const char *check_quote_value(struct check *check, const struct tree_value *value);

/* A note without a place of its own. */
#define check_hint(check, about, ...) \
    diagnostic_note((check)->diagnostics, (about), SPAN_NONE, __VA_ARGS__)

/* Whether it is worth to look for the name that was meant: not after hundreds of errors. */
bool check_may_suggest(const struct check *check);

/* "did you mean 'NEAREST'?", unless NULL. */
void check_suggest(struct check *check, struct diagnostic *about, const char *nearest);

#endif
