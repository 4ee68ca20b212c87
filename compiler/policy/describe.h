/* Attributes and confinement of the model as a rules file would write them: for summaries, diffs
 * and listings. Says nothing of where they came from (the rule, the defaults, the language). */
#ifndef SLUICE_DESCRIBE_H
#define SLUICE_DESCRIBE_H

#include "compiler/policy/keys.h"
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

/* The value of a key whose form is a number, a duration, a size or words, as a rules file writes it
 * ("2m", "64M", "control, shell"): what model.h holds for it, 0 or LIMIT_UNSET where that is "none". */
const char *describe_number(struct arena *arena, enum attribute_key key, uint64_t number);

/* The name of a set of paths: "@system". */
const char *describe_set(enum policy_path_set set);

/* A path template as written: "$HOME/x/#$call"; "none" when it is not set. */
const char *describe_path(struct arena *arena, const struct policy_template *path);

#endif
