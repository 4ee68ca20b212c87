/* What changes between two rules', or two policies', attributes and confinement: each difference in
 * words, and whether it loosens or tightens. A difference without an order (another cwd, another
 * file) counts as wider, because nothing here can show that it is not. */
#ifndef SLUICE_COMPARE_H
#define SLUICE_COMPARE_H

#include <stddef.h>

#include "compiler/policy/model.h"

enum direction { DIRECTION_NARROWER, DIRECTION_WIDER };

struct change {
    enum direction direction;
    const char *key; /* the language's word: "timeout", "fs_write" */
    const char *from, *to; /* for people; "none" where there is no value */
};

struct changes {
    struct arena *arena;
    struct change *items;
    size_t count, capacity;
};

/* Adds what differs in how two rules run what they accept. */
void compare_rules(struct changes *changes, const struct model_rule *old_rule,
                   const struct model_rule *new_rule);

/* Adds what differs in the policies as wholes: audit, limits, who may call. */
void compare_policies(struct changes *changes, const struct model *old_model,
                      const struct model *new_model);

#endif
