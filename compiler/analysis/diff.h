/* What a new policy lets through that an old one did not, and the reverse.
 *
 * Semantic: rules are compared by what they accept and by how they run it, never by their text. */
#ifndef SLUICE_DIFF_H
#define SLUICE_DIFF_H

#include "compiler/analysis/compare.h"
#include "compiler/analysis/command_line.h"

enum difference_kind {
    DIFFERENCE_ACCEPTED, /* the new policy takes it, the old one did not */
    DIFFERENCE_REFUSED,  /* the reverse */
    DIFFERENCE_DECIDED,  /* both take it, by rules that run it differently */
    DIFFERENCE_POLICY,   /* of the policies as wholes */
};

struct difference {
    enum difference_kind kind;
    const struct model_rule *old_rule, *new_rule; /* NULL where there is none */
    struct command_line witness; /* none for DIFFERENCE_POLICY */
    bool uncertain;         /* only a call could tell (engine = pcre2, allow_max) */
    const struct change *changes; /* DECIDED and POLICY */
    size_t change_count;
};

/* One program whose rules were too much. */
struct diff_limit {
    const char *program;
    const char *text;                /* the limit: "it takes over 2000 million steps" */
    const struct model_rule **rules; /* the new policy's where it was met */
    size_t rule_count;
};

struct diff {
    const struct difference *differences;
    size_t count;
    bool wider, narrower;
    struct diff_limit *limits; /* met: the answer may be incomplete, and counts as wider */
    size_t limit_count;
};

struct diff diff_models(struct arena *arena, const struct model *old_model,
                        const struct model *new_model);

#endif
