#include "compiler/analysis/diff.h"

#include <stdlib.h>

#include "compiler/analysis/changes.h"
#include "compiler/analysis/groups.h"
#include "compiler/analysis/runs.h"
#include "compiler/analysis/space.h"
#include "compiler/base/arena.h"

enum { VIEW_OLD, VIEW_NEW };

struct differ {
    struct arena *arena;
    struct diff diff;
    struct difference *differences;
    size_t capacity;
    size_t limit_capacity;
    struct work work;
};

/* A difference while a group is explored: its way is not yet the shortest one. */
struct finding {
    enum difference_kind kind;
    uint32_t old_rule, new_rule; /* places in the group */
    struct space_way way;
};

/* One program's rules: the old policy's first. */
struct comparison {
    const struct model_rule **rules;
    uint8_t *side;
    struct runs runs;
    struct arena *arena;
    struct finding *findings;
    size_t capacity;
    struct number_table table; /* (kind, old rule, new rule) -> finding */
};

static void differ_note(struct differ *differ, struct difference difference)
{
    arena_grow(differ->arena, &differ->differences, &differ->capacity, differ->diff.count + 1,
               sizeof *differ->differences);
    differ->differences[differ->diff.count++] = difference;
    differ->diff.wider |= difference.kind == DIFFERENCE_ACCEPTED;
    differ->diff.narrower |= difference.kind == DIFFERENCE_REFUSED;
    for (size_t i = 0; i < difference.change_count; i++) {
        differ->diff.wider |= difference.changes[i].direction == DIRECTION_WIDER;
        differ->diff.narrower |= difference.changes[i].direction == DIRECTION_NARROWER;
    }
}

/* ---- reading the space -------------------------------------------------------------------------- */

#define NO_RULE UINT32_MAX

/* One line a rule for what is new or gone; one a pair for what is decided otherwise: the best way. */
static void comparison_find(struct comparison *comparison, struct finding finding)
{
    uint32_t key[] = {(uint32_t)finding.kind, finding.old_rule, finding.new_rule};
    int is_new;
    uint32_t at = number_table_intern(&comparison->table, key, 3, &is_new);
    arena_grow(comparison->arena, &comparison->findings, &comparison->capacity, (size_t)at + 1,
               sizeof *comparison->findings);
    if (is_new || space_way_is_better(&finding.way, &comparison->findings[at].way)) {
        comparison->findings[at] = finding;
        comparison->findings[at].way = space_way_keep(comparison->arena, &finding.way);
    }
}

/* The first rule of a side among ascending ones: the old side's come first. */
static uint32_t side_first(const struct comparison *comparison, const uint32_t *rules, size_t count,
                           uint8_t side)
{
    for (size_t i = 0; i < count; i++)
        if (comparison->side[rules[i]] == side)
            return rules[i];
    return NO_RULE;
}

static uint64_t comparison_ends(void *context, const uint32_t *rules, size_t count,
                                const struct space_way *way)
{
    struct comparison *comparison = context;
    uint32_t old_rule = side_first(comparison, rules, count, VIEW_OLD);
    uint32_t new_rule = side_first(comparison, rules, count, VIEW_NEW);
    struct finding finding = {DIFFERENCE_DECIDED, old_rule, new_rule, *way};
    if (old_rule == NO_RULE || new_rule == NO_RULE)
        finding.kind = old_rule == NO_RULE ? DIFFERENCE_ACCEPTED : DIFFERENCE_REFUSED;
    else if (!runs_differ(&comparison->runs, comparison->rules[old_rule], comparison->rules[new_rule]))
        return 100 + count;
    comparison_find(comparison, finding);
    return 300 + count;
}

/* Places at which both policies wait for the same, in the same order, by rules that run alike: whatever
 * comes, they answer it alike. */
static bool comparison_matters(void *context, const struct places *places, const uint32_t *numbers,
                               size_t count, size_t length, uint64_t *steps)
{
    struct comparison *comparison = context;
    (void)length;
    *steps = 10;
    if (count % 2)
        return true;
    for (size_t i = 0; i < count / 2; i++) {
        const struct place *before = &places->items[numbers[i]];
        const struct place *after = &places->items[numbers[i + count / 2]];
        *steps += 30;
        if (comparison->side[before->rule] != VIEW_OLD || comparison->side[after->rule] != VIEW_NEW ||
            before->residual != after->residual ||
            runs_differ(&comparison->runs, comparison->rules[before->rule],
                        comparison->rules[after->rule]))
            return true;
    }
    return false;
}

/* ---- one program -------------------------------------------------------------------------------- */

static void comparison_tell(struct comparison *comparison, struct differ *differ,
                            const struct space *space)
{
    for (size_t i = 0; i < comparison->table.count; i++) {
        const struct finding *finding = &comparison->findings[i];
        struct changes changes = {.arena = differ->arena};
        struct difference difference = {.kind = finding->kind, .uncertain = finding->way.uncertain};
        if (finding->old_rule != NO_RULE)
            difference.old_rule = comparison->rules[finding->old_rule];
        if (finding->new_rule != NO_RULE)
            difference.new_rule = comparison->rules[finding->new_rule];
        if (finding->kind == DIFFERENCE_DECIDED)
            runs_changes(&changes, difference.old_rule, difference.new_rule);
        difference.changes = changes.items;
        difference.change_count = changes.count;
        difference.witness = space_command_line(space, differ->arena, &finding->way);
        differ_note(differ, difference);
    }
}

/* After a limit: which, and where. */
static void comparison_limit(struct comparison *comparison, struct differ *differ,
                             const struct rule_group *group, const struct space *space)
{
    struct space_limit limit = space_limit(space, differ->arena);
    struct diff_limit *limits = differ->diff.limits;
    arena_grow(differ->arena, &limits, &differ->limit_capacity, differ->diff.limit_count + 1,
               sizeof *limits);
    struct diff_limit *told = &limits[differ->diff.limit_count++];
    *told = (struct diff_limit){.program = group->program, .text = limit.text};
    told->rules = arena_array(differ->arena, limit.rule_count + 1, sizeof *told->rules);
    for (size_t i = 0; i < limit.rule_count; i++)
        if (comparison->side[limit.rules[i]] == VIEW_NEW)
            told->rules[told->rule_count++] = comparison->rules[limit.rules[i]];
    differ->diff.limits = limits;
    differ->diff.wider = true;
}

static void differ_compare(struct differ *differ, const struct model_rule *const *all,
                           const uint8_t *side, const struct rule_group *group)
{
    struct arena *scratch = arena_new(0);
    struct work work = work_part(&differ->work);
    struct comparison comparison = {
        .arena = scratch,
        .rules = arena_array(scratch, group->count, sizeof *comparison.rules),
        .side = arena_array(scratch, group->count, sizeof *comparison.side),
    };
    for (size_t i = 0; i < group->count; i++) {
        comparison.rules[i] = all[group->rules[i]];
        comparison.side[i] = side[group->rules[i]];
    }
    runs_init(&comparison.runs, scratch);
    number_table_init(&comparison.table, scratch);
    struct space *space = space_new(comparison.rules, group->count, &work);
    struct space_reader reader = {.context = &comparison, .ends = comparison_ends,
                                  .matters = comparison_matters, .side = comparison.side};
    bool whole = space_explore(space, &reader);
    comparison_tell(&comparison, differ, space);
    if (!whole)
        comparison_limit(&comparison, differ, group, space);
    work_return(&differ->work, &work);
    space_free(space);
    runs_end(&comparison.runs);
    arena_free(scratch);
}

/* In the order of the files: what is said of the policies as wholes first. */
static int difference_compare(const void *a, const void *b)
{
    const struct difference *x = a, *y = b;
    const struct model_rule *of_x = x->new_rule ? x->new_rule : x->old_rule;
    const struct model_rule *of_y = y->new_rule ? y->new_rule : y->old_rule;
    uint32_t line_x = of_x ? of_x->line : 0, line_y = of_y ? of_y->line : 0;
    if (line_x != line_y)
        return line_x < line_y ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    uint32_t old_x = x->old_rule ? x->old_rule->line : 0, old_y = y->old_rule ? y->old_rule->line : 0;
    return old_x < old_y ? -1 : old_x > old_y;
}

struct diff diff_models(struct arena *arena, const struct model *old_model,
                        const struct model *new_model)
{
    struct differ differ = {.arena = arena, .work = {.steps = WORK_STEPS_MAX}};
    size_t count = old_model->rule_count + new_model->rule_count, group_count;
    const struct model_rule **rules = arena_array(arena, count + 1, sizeof *rules);
    uint8_t *side = arena_array(arena, count + 1, sizeof *side);
    for (size_t i = 0; i < count; i++) {
        side[i] = i < old_model->rule_count ? VIEW_OLD : VIEW_NEW;
        rules[i] = side[i] == VIEW_OLD ? &old_model->rules[i]
                                       : &new_model->rules[i - old_model->rule_count];
    }
    struct changes policy = {.arena = arena};
    compare_policies(&policy, old_model, new_model);
    if (policy.count)
        differ_note(&differ, (struct difference){.kind = DIFFERENCE_POLICY,
                                                 .changes = policy.items,
                                                 .change_count = policy.count});
    struct rule_group *groups = groups_of(arena, rules, count, &group_count);
    for (size_t g = 0; g < group_count; g++)
        differ_compare(&differ, rules, side, &groups[g]);
    if (differ.diff.count)
        qsort(differ.differences, differ.diff.count, sizeof *differ.differences,
              difference_compare);
    differ.diff.differences = differ.differences;
    return differ.diff;
}
