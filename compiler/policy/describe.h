/* Attributes and confinement of the model as a rules file would write them: for summaries, diffs
 * and listings. Says nothing of where they came from (the rule, the defaults, the language). */
#ifndef SLUICE_DESCRIBE_H
#define SLUICE_DESCRIBE_H

#include "compiler/policy/model.h"

struct description {
    const char *key;   /* "timeout", "env.LANG" */
    const char *value; /* "2m" */
    bool initial;      /* what the language gives where nothing is written */
};

struct descriptions {
    struct description *items;
    size_t count, capacity;
};

/* Every key of the call in force on a rule, in the order of grammar/attributes.def. */
struct descriptions describe_attributes(struct arena *arena,
                                        const struct model_attributes *attributes);

/* Every confinement key in force on a rule. */
struct descriptions describe_confinement(struct arena *arena, const struct model_rule *rule);

/* A path template as written: "$HOME/x/#$call"; "none" when it is not set. */
const char *describe_path(struct arena *arena, const struct policy_template *path);

#endif
