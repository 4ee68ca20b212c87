/* shadowed, overlap: what rules take from each other. */
#include "compiler/analysis/compare.h"
#include "compiler/analysis/number_table.h"
#include "compiler/analysis/space.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

/* Earlier rules named in one warning. */
#define NAMED_MAX 4u

static void warn_shadowed(struct warner *warner, const struct space_result *space, uint32_t rule)
{
    const struct model *model = warner->model;
    struct buffer lines = {0};
    struct number_table named;
    number_table_init(&named, warner->arena);
    uint32_t count = 0;
    for (size_t l = 0; l < space->leaf_count; l++) {
        const struct space_leaf *leaf = &space->leaves[l];
        bool holds = false;
        for (size_t i = 0; i < leaf->rule_count; i++)
            holds = holds || leaf->rules[i] == rule;
        int is_new = 0;
        if (holds)
            number_table_intern(&named, leaf->rules, 1, &is_new);
        if (is_new && ++count <= NAMED_MAX)
            buffer_format(&lines, "%s%u", count > 1 ? ", " : "", model->rules[leaf->rules[0]].line);
    }
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "shadowed", model->rules[rule].span,
        "no request can reach this rule: earlier ones take everything that it accepts");
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "the rule%s at line%s %s%s; put this rule before, or remove it",
                    count > 1 ? "s" : "", count > 1 ? "s" : "", buffer_text(&lines),
                    count > NAMED_MAX ? " and others" : "");
    buffer_free(&lines);
}

static void warn_overlap(struct warner *warner, const struct space_leaf *leaf, uint32_t other)
{
    const struct model *model = warner->model;
    const struct model_rule *first = &model->rules[leaf->rules[0]], *second = &model->rules[other];
    struct changes changes = {.arena = warner->arena};
    compare_rules(&changes, first, second);
    if (!changes.count)
        return;
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "overlap", second->span,
        "this rule and the one at line %u accept a common request, and run it differently (%s: %s, here %s)",
        first->line, changes.items[0].key, changes.items[0].from, changes.items[0].to);
    diagnostic_note(warner->diagnostics, warning, first->span, "this rule decides: %s",
                    command_line_text(warner->arena, leaf->witness));
}

void warnings_of_rules(struct warner *warner)
{
    const struct model *model = warner->model;
    struct space_rule *rules = arena_array(warner->arena, model->rule_count + 1, sizeof *rules);
    bool *decides = arena_array(warner->arena, model->rule_count + 1, sizeof *decides);
    for (size_t r = 0; r < model->rule_count; r++)
        rules[r] = (struct space_rule){&model->rules[r], 0, (uint32_t)r};
    struct space_result space = space_explore(warner->arena, rules, model->rule_count);
    for (size_t l = 0; l < space.leaf_count; l++)
        decides[space.leaves[l].rules[0]] = true;
    if (!space.exhausted)
        for (size_t r = 0; r < model->rule_count; r++)
            if (!decides[r])
                warn_shadowed(warner, &space, (uint32_t)r);
    struct number_table told;
    number_table_init(&told, warner->arena);
    for (size_t l = 0; l < space.leaf_count; l++)
        for (size_t i = 1; i < space.leaves[l].rule_count; i++) {
            uint32_t pair[] = {space.leaves[l].rules[0], space.leaves[l].rules[i]};
            int is_new;
            number_table_intern(&told, pair, 2, &is_new);
            if (is_new && decides[pair[1]])
                warn_overlap(warner, &space.leaves[l], pair[1]);
        }
}
