/* shadowed, overlap: what rules take from each other; incomplete: where that could not be worked out. */
#include "compiler/analysis/deciders.h"
#include "compiler/analysis/groups.h"
#include "compiler/analysis/runs.h"
#include "compiler/analysis/space.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

/* Earlier rules named in one warning, and `overlap` warnings of one rule. */
#define NAMED_MAX 4u

/* One rule as the space shows it. */
struct fate {
    bool decides; /* some request is this rule's to decide */
    uint32_t takers[NAMED_MAX]; /* rules that decide requests that this one accepts too */
    uint32_t taker_count;
    bool more_takers;
    uint32_t overlaps[NAMED_MAX]; /* such that run them differently */
    struct space_way ways[NAMED_MAX];
    uint32_t overlap_count;
    bool more_overlaps;
};

/* One group of rules. Numbers of rules are places in the group. */
struct taking {
    struct warner *warner;
    struct arena *arena;
    const struct model_rule **rules;
    struct fate *fates;
    struct runs runs;
};

static void fate_take(struct fate *fate, uint32_t by)
{
    for (uint32_t i = 0; i < fate->taker_count; i++)
        if (fate->takers[i] == by)
            return;
    if (fate->taker_count < NAMED_MAX)
        fate->takers[fate->taker_count++] = by;
    else
        fate->more_takers = true;
}

static uint32_t fate_find(const struct fate *fate, uint32_t by)
{
    uint32_t at = 0;
    while (at < fate->overlap_count && fate->overlaps[at] != by)
        at++;
    return at;
}

static void taking_overlap(struct taking *taking, uint32_t rule, uint32_t by,
                           const struct space_way *way)
{
    struct fate *fate = &taking->fates[rule];
    uint32_t at = fate_find(fate, by);
    if (at < fate->overlap_count) {
        if (space_way_is_better(way, &fate->ways[at]))
            fate->ways[at] = space_way_keep(taking->arena, way);
    } else if (!fate->more_overlaps &&
               runs_differ(&taking->runs, taking->rules[by], taking->rules[rule])) {
        if (at == NAMED_MAX) {
            fate->more_overlaps = true;
            return;
        }
        fate->overlaps[at] = by;
        fate->ways[at] = space_way_keep(taking->arena, way);
        fate->overlap_count++;
    }
}

static uint64_t taking_ends(void *context, const uint32_t *rules, size_t count,
                            const struct space_way *way)
{
    struct taking *taking = context;
    taking->fates[rules[0]].decides = true;
    for (size_t i = 1; i < count; i++) {
        fate_take(&taking->fates[rules[i]], rules[0]);
        taking_overlap(taking, rules[i], rules[0], way);
    }
    return count * 3;
}

/* Whether the rule at a place, among others that come before it, could still be seen to decide, or to
 * overlap with one of them, or to do so by a better command line than the known one. */
static bool fate_matters(struct taking *taking, const struct places *places, const uint32_t *numbers,
                         size_t at, size_t length, uint64_t *steps)
{
    const struct place *place = &places->items[numbers[at]];
    const struct fate *fate = &taking->fates[place->rule];
    if (!fate->decides)
        return true;
    for (size_t i = 0; i < at; i++) {
        const struct place *before = &places->items[numbers[i]];
        uint32_t rest = before->shortest > place->shortest ? before->shortest : place->shortest;
        uint32_t known = fate_find(fate, before->rule);
        *steps += 8;
        if (known < fate->overlap_count) {
            if (fate->ways[known].uncertain || fate->ways[known].length > length + rest)
                return true;
        } else if (!fate->more_overlaps && before->rule != place->rule &&
                   runs_differ(&taking->runs, taking->rules[before->rule],
                               taking->rules[place->rule])) {
            return true;
        }
    }
    return false;
}

static bool taking_matters(void *context, const struct places *places, const uint32_t *numbers,
                           size_t count, size_t length, uint64_t *steps)
{
    for (size_t i = 0; i < count; i++) {
        *steps += 8;
        if (fate_matters(context, places, numbers, i, length, steps))
            return true;
    }
    return false;
}

/* ---- telling ------------------------------------------------------------------------------------ */

static void warn_shadowed(struct taking *taking, uint32_t rule)
{
    struct diagnostics *diagnostics = taking->warner->diagnostics;
    const struct fate *fate = &taking->fates[rule];
    uint32_t lines[NAMED_MAX];
    for (uint32_t i = 0; i < fate->taker_count; i++)
        lines[i] = taking->rules[fate->takers[i]]->line;
    struct buffer text = {0};
    warner_name_lines(&text, lines, fate->taker_count, fate->more_takers);
    struct diagnostic *warning = diagnostic_warning(
        diagnostics, "shadowed", taking->rules[rule]->span,
        "no request can reach this rule: earlier ones take everything that it accepts");
    diagnostic_note(diagnostics, warning, SPAN_NONE, "the %s; put this rule before, or remove it",
                    buffer_text(&text));
    buffer_free(&text);
}

static void warn_overlap(struct taking *taking, const struct space *space, uint32_t rule, uint32_t at)
{
    struct arena *arena = taking->warner->arena;
    const struct fate *fate = &taking->fates[rule];
    const struct model_rule *first = taking->rules[fate->overlaps[at]], *second = taking->rules[rule];
    struct changes changes = {.arena = arena};
    runs_changes(&changes, first, second);
    struct diagnostic *warning = diagnostic_warning(
        taking->warner->diagnostics, "overlap", second->span,
        "this rule and the one at line %u accept a common request, and run it differently (%s: %s, here %s)",
        first->line, changes.items[0].key, changes.items[0].from, changes.items[0].to);
    diagnostic_note(taking->warner->diagnostics, warning, first->span, "this rule decides: %s",
                    command_line_text(arena, space_command_line(space, arena, &fate->ways[at])));
    if (fate->more_overlaps && at + 1 == fate->overlap_count)
        diagnostic_note(taking->warner->diagnostics, warning, SPAN_NONE,
                        "there are more such rules: at most %u are told for one rule", NAMED_MAX);
}

/* After a limit: what is said holds all the same, and what is not known is named. */
static void warn_incomplete(struct taking *taking, const struct rule_group *group,
                            const struct space *space)
{
    struct warner *warner = taking->warner;
    struct space_limit limit = space_limit(space, warner->arena);
    struct buffer at = {0}, open = {0};
    uint32_t lines[NAMED_MAX], count = 0;
    for (size_t i = 0; i < limit.rule_count; i++)
        if (count++ < NAMED_MAX)
            lines[i] = taking->rules[limit.rules[i]]->line;
    warner_name_lines(&at, lines, count < NAMED_MAX ? count : NAMED_MAX, count > NAMED_MAX);
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "incomplete", taking->rules[limit.rules[0]]->span,
        "what the %zu rules for '%s' have in common is not worked out: %s", group->count,
        group->program, limit.text);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "it is too much at the %s; tell these apart by a literal word, or write them as "
                    "fewer rules", buffer_text(&at));
    count = 0;
    for (uint32_t r = 0; r < group->count; r++)
        if (!taking->fates[r].decides && count++ < NAMED_MAX)
            lines[count - 1] = taking->rules[r]->line;
    warner_name_lines(&open, lines, count < NAMED_MAX ? count : NAMED_MAX, count > NAMED_MAX);
    if (count)
        diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                        "not known is whether a request reaches the %s", buffer_text(&open));
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "there may be overlaps that are not told");
    buffer_free(&at);
    buffer_free(&open);
}

static void group_tell(struct taking *taking, const struct rule_group *group, struct space *space,
                       bool whole)
{
    for (uint32_t r = 0; r < group->count; r++) {
        const struct fate *fate = &taking->fates[r];
        if (whole && !fate->decides)
            warn_shadowed(taking, r);
        for (uint32_t i = 0; i < fate->overlap_count && fate->decides; i++)
            warn_overlap(taking, space, r, i);
    }
    if (!whole)
        warn_incomplete(taking, group, space);
}

/* After a limit: rules of which it is easy to see that a request reaches them. */
static void group_settle(struct taking *taking, const struct rule_group *group)
{
    struct work work = work_part(taking->warner->work);
    for (uint32_t r = 0; r < group->count; r++)
        if (!taking->fates[r].decides)
            taking->fates[r].decides = decides_its_shortest(taking->rules, r, &work);
    work_return(taking->warner->work, &work);
}

static void group_warn(struct warner *warner, const struct rule_group *group)
{
    struct arena *scratch = arena_new(0);
    struct work work = work_part(warner->work);
    struct taking taking = {
        .warner = warner,
        .arena = scratch,
        .rules = arena_array(scratch, group->count, sizeof *taking.rules),
        .fates = arena_array(scratch, group->count, sizeof *taking.fates),
    };
    for (size_t i = 0; i < group->count; i++)
        taking.rules[i] = &warner->model->rules[group->rules[i]];
    runs_init(&taking.runs, scratch);
    struct space *space = space_new(taking.rules, group->count, &work);
    struct space_reader reader = {.context = &taking, .ends = taking_ends, .matters = taking_matters};
    bool whole = space_explore(space, &reader);
    work_return(warner->work, &work);
    if (!whole)
        group_settle(&taking, group);
    group_tell(&taking, group, space, whole);
    space_free(space);
    runs_end(&taking.runs);
    arena_free(scratch);
}

void warnings_of_rules(struct warner *warner)
{
    const struct model *model = warner->model;
    const struct model_rule **rules =
        arena_array(warner->arena, model->rule_count + 1, sizeof *rules);
    for (size_t r = 0; r < model->rule_count; r++)
        rules[r] = &model->rules[r];
    size_t group_count;
    struct rule_group *groups = groups_of(warner->arena, rules, model->rule_count, &group_count);
    for (size_t g = 0; g < group_count; g++)
        if (groups[g].count > 1)
            group_warn(warner, &groups[g]);
}
