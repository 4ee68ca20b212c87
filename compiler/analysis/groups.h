/* Rules by the program that they run: rules of different programs share no request, so that each group
 * can be looked at alone. */
#ifndef SLUICE_GROUPS_H
#define SLUICE_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "compiler/policy/model.h"

struct rule_group {
    const char *program; /* argv[0] */
    uint32_t *rules;     /* places in the given rules, ascending */
    size_t count, capacity;
};

/* The groups, in the order of their first rules; all in the arena. */
struct rule_group *groups_of(struct arena *arena, const struct model_rule *const *rules,
                             size_t rule_count, size_t *group_count);

#endif
