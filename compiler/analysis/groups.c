#include "compiler/analysis/groups.h"

#include <string.h>

#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/base/table.h"

struct rule_group *groups_of(struct arena *arena, const struct model_rule *const *rules,
                             size_t rule_count, size_t *group_count)
{
    struct rule_group *groups = NULL;
    struct table table = {0}; /* program -> place in groups, plus one */
    size_t capacity = 0;
    *group_count = 0;
    for (size_t r = 0; r < rule_count; r++) {
        const char *program = token_fixed_text(arena, &rules[r]->tokens[0]);
        uintptr_t found = (uintptr_t)table_find(&table, program, strlen(program));
        if (!found) {
            arena_grow(arena, &groups, &capacity, *group_count + 1, sizeof *groups);
            groups[(*group_count)++] = (struct rule_group){.program = program};
            found = *group_count;
            table_add(arena, &table, program, strlen(program), (void *)found);
        }
        struct rule_group *group = &groups[found - 1];
        arena_grow(arena, &group->rules, &group->capacity, group->count + 1, sizeof *group->rules);
        group->rules[group->count++] = (uint32_t)r;
    }
    return groups;
}
