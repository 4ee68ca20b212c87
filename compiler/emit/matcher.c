#include "compiler/emit/matcher.h"

#include "compiler/base/arena.h"
#include "compiler/emit/simplify.h"

/* States that a question on the way (what may follow a part) may cost. */
#define PROOF_STATES 4000u

struct chooser {
    struct arena *arena;
    struct matcher_limits limits;
    struct matcher *chosen;
};

/* One part while it is being proved. */
struct candidate {
    struct matcher_part part;
    const struct automaton *body; /* of part.tree */
    struct charset first;         /* what a body can begin with */
    struct charset beyond;        /* what can continue a body that could as well have ended */
    bool nullable;                /* the part can take nothing */
};

/* The automaton of a tree that re2c makes into code of a bounded size, in a bounded time: the tree is
 * not much when written out, our own construction of it succeeds within its budget, and few states
 * are left; how many is in *states. Else NULL. */
static const struct automaton *codable_automaton(const struct chooser *chooser,
                                                 const struct pattern *tree, uint32_t limit,
                                                 uint32_t *states)
{
    if (tree_weight(tree) > MATCHER_CODE_WEIGHT)
        return NULL;
    const struct automaton *automaton =
        automaton_from_pattern(chooser->arena, tree, chooser->limits.code_states);
    const struct byte_automaton *bytes =
        automaton ? automaton_bytes(chooser->arena, automaton, limit) : NULL;
    *states = bytes ? bytes->state_count : 0;
    return bytes ? automaton : NULL;
}

/* ---- length split ---------------------------------------------------------------------------- */

static const struct pattern *const *tree_items(const struct pattern *const *tree, size_t *count)
{
    if ((*tree)->kind != PATTERN_CONCAT) {
        *count = 1;
        return tree;
    }
    *count = (*tree)->child_count;
    return (const struct pattern *const *)(*tree)->children;
}

/* A set, repeated a number of times that has an upper bound. */
static bool is_counted_set(const struct pattern *item)
{
    return item->kind == PATTERN_REPEAT && item->children[0]->kind == PATTERN_SET &&
           item->maximum != PATTERN_REPEAT_NONE;
}

/* The item whose repetition can become a count over the whole: the most often repeated set, if all
 * the others have a fixed length; then the length says how often it was repeated. Their lengths'
 * sum in *fixed. */
static bool split_item(const struct pattern *const *items, size_t count, size_t *which,
                       uint32_t *fixed)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t length;
        bool varies = !tree_fixed_length(items[i], &length);
        if (varies && !is_counted_set(items[i]))
            return false;
        if (!is_counted_set(items[i]))
            continue;
        uint32_t best;
        bool best_varies = found && !tree_fixed_length(items[*which], &best);
        if (varies && best_varies)
            return false;
        if (!found || varies || (!best_varies && items[i]->maximum > items[*which]->maximum))
            *which = i;
        found = true;
    }
    if (!found)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t length;
        if (i != *which && tree_fixed_length(items[i], &length))
            sum += length;
    }
    *fixed = (uint32_t)sum;
    return sum + items[*which]->maximum < UINT32_MAX / 2;
}

/* F1 C{m,n} F2 with F1 and F2 of fixed lengths a and b is F1 C* F2 with a+m+b to a+n+b scalars:
 * the first a belong to F1, the last b to F2, and there are m to n between them. Without such a
 * shape the part is the tree, not counted. */
static struct matcher_part part_split(struct arena *arena, const struct pattern *tree)
{
    struct matcher_part part = {tree, 1, 1, 0, MATCHER_UNBOUNDED, tree_is_ascii(tree), false};
    size_t count, which = 0;
    uint32_t fixed;
    const struct pattern *const *items = tree_items(&tree, &count);
    if (!split_item(items, count, &which, &fixed))
        return part;
    const struct pattern **relaxed = arena_array(arena, count, sizeof *relaxed);
    for (size_t i = 0; i < count; i++)
        relaxed[i] = items[i];
    relaxed[which] =
        tree_repeat(arena, items[which]->children[0], 0, PATTERN_REPEAT_NONE);
    part.tree = tree_concat(arena, relaxed, count);
    part.least = fixed + items[which]->minimum;
    part.most = fixed + items[which]->maximum;
    return part;
}

static bool part_is_counted(const struct matcher_part *part)
{
    return part->least > 0 || part->most != MATCHER_UNBOUNDED;
}

/* ---- parts in order -------------------------------------------------------------------------- */

/* Whether an item is worth a part of its own: it repeats something so often, or makes so much
 * optional, that a state for each would be many. */
static bool is_part(const struct chooser *chooser, const struct pattern *item)
{
    if (item->kind != PATTERN_REPEAT || item->maximum == PATTERN_REPEAT_NONE)
        return false;
    if (item->children[0]->kind == PATTERN_SET)
        return item->maximum >= chooser->limits.set_repeats;
    return item->maximum >= 2 || tree_weight(item) >= chooser->limits.set_repeats;
}

static struct matcher_part item_part(struct arena *arena, const struct pattern *item)
{
    if (is_counted_set(item))
        return part_split(arena, item);
    struct matcher_part part = part_split(arena, item->children[0]);
    part.minimum = item->minimum;
    part.maximum = item->maximum;
    return part;
}

/* The tree's items as parts: each that is worth it alone, what stands between them together. */
static size_t parts_make(const struct chooser *chooser, const struct pattern *tree,
                         struct candidate **candidates)
{
    struct arena *arena = chooser->arena;
    size_t count, made = 0;
    const struct pattern *const *items = tree_items(&tree, &count);
    struct candidate *all = arena_array(arena, count, sizeof *all);
    for (size_t i = 0; i < count;) {
        size_t first = i;
        if (is_part(chooser, items[i])) {
            all[made++].part = item_part(arena, items[i++]);
            continue;
        }
        while (i < count && !is_part(chooser, items[i]))
            i++;
        all[made++].part = part_split(arena, tree_concat(arena, items + first, i - first));
    }
    *candidates = all;
    return made;
}

static struct charset state_outgoing(struct arena *arena, const struct automaton_state *state)
{
    struct charset set = charset_empty();
    for (uint32_t i = 0; i < state->transition_count; i++)
        set = charset_union(
            arena, set,
            charset_range(arena, state->transitions[i].low, state->transitions[i].high));
    return set;
}

/* Fills in what the proof needs to know of a part; false when that is too much. */
static bool candidate_study(struct chooser *chooser, struct candidate *candidate)
{
    struct arena *arena = chooser->arena;
    uint32_t states;
    candidate->part.ascii = tree_is_ascii(candidate->part.tree);
    candidate->body =
        codable_automaton(chooser, candidate->part.tree, chooser->limits.code_states, &states);
    if (!candidate->body)
        return false;
    chooser->chosen->states += states;
    candidate->first = state_outgoing(arena, &candidate->body->states[0]);
    candidate->beyond = charset_empty();
    for (uint32_t i = 0; i < candidate->body->state_count; i++)
        if (candidate->body->states[i].accepting)
            candidate->beyond =
                charset_union(arena, candidate->beyond,
                              state_outgoing(arena, &candidate->body->states[i]));
    bool empty_body = candidate->part.nullable = candidate->body->states[0].accepting;
    candidate->nullable =
        candidate->part.minimum == 0 || (empty_body && candidate->part.least == 0);
    /* A body that takes nothing would be counted and not seen. */
    return !empty_body || (candidate->part.minimum == 1 && candidate->part.maximum == 1);
}

/* What a part takes and more: its body any number of times, where it can be more than once. */
static const struct pattern *part_superset(struct arena *arena, const struct matcher_part *part)
{
    return tree_repeat(arena, part->tree, part->minimum ? 1 : 0,
                       part->maximum > 1 ? PATTERN_REPEAT_NONE : 1);
}

/* Whether no value of what follows part `at` begins with one of its bodies, so that trying once more
 * after the last one fails. */
static bool rest_never_begins_with(struct arena *arena, const struct candidate *all, size_t count,
                                   size_t at)
{
    const struct pattern **rest = arena_array(arena, count, sizeof *rest);
    size_t rest_count = 0;
    for (size_t i = at + 1; i < count; i++)
        rest[rest_count++] = part_superset(arena, &all[i].part);
    const struct automaton *after = automaton_from_pattern(
        arena, tree_concat(arena, rest, rest_count), PROOF_STATES);
    const struct automaton *begins = automaton_concat(
        arena, (const struct automaton *const[]){all[at].body, automaton_everything(arena)}, 2,
        PROOF_STATES);
    return after && begins && !automaton_overlaps(arena, begins, after, NULL, NULL);
}

/* The proof for part `at`. Take a value of the pattern and its true division into bodies. By
 * induction each match starts where a true body does. The longest match ends where that body does: the
 * body's end is an accepting state, and the next character (of another body of this part, or of what
 * follows) is none that continues from there. And a part that may stop early, or be left out, stops
 * where the true one does: it is at its maximum, or what follows does not begin with a body. */
static bool part_is_proved(struct arena *arena, const struct candidate *all, size_t count,
                           size_t at)
{
    const struct candidate *candidate = &all[at];
    const struct matcher_part *part = &candidate->part;
    struct charset follow = charset_empty();
    for (size_t i = at + 1; i < count; i++) {
        follow = charset_union(arena, follow, all[i].first);
        if (!all[i].nullable)
            break;
    }
    if (charset_intersect(arena, candidate->beyond, follow).count)
        return false;
    if (part->maximum > 1 && charset_intersect(arena, candidate->beyond, candidate->first).count)
        return false;
    return part->minimum == part->maximum ||
           !charset_intersect(arena, candidate->first, follow).count ||
           rest_never_begins_with(arena, all, count, at);
}

static bool choose_parts(struct chooser *chooser, const struct pattern *tree)
{
    struct candidate *all;
    chooser->chosen->states = 0;
    size_t count = parts_make(chooser, tree, &all);
    for (size_t i = 0; i < count; i++)
        if (!candidate_study(chooser, &all[i]))
            return false;
    for (size_t i = 0; i < count; i++)
        if (!part_is_proved(chooser->arena, all, count, i))
            return false;
    struct matcher_part *parts = arena_array(chooser->arena, count, sizeof *parts);
    bool counted = false;
    for (size_t i = 0; i < count; i++) {
        parts[i] = all[i].part;
        counted = counted || parts[i].minimum != 1 || parts[i].maximum != 1 ||
                  part_is_counted(&parts[i]);
    }
    if (!counted)
        return false;
    chooser->chosen->form = MATCHER_COUNTED;
    chooser->chosen->parts = parts;
    chooser->chosen->part_count = count;
    return true;
}

/* ---- the choice ------------------------------------------------------------------------------ */

static bool choose_split(struct chooser *chooser, const struct pattern *tree)
{
    struct matcher_part *part = arena_alloc(chooser->arena, sizeof *part);
    *part = part_split(chooser->arena, tree);
    if (!part_is_counted(part) ||
        !codable_automaton(chooser, part->tree, chooser->limits.code_states,
                           &chooser->chosen->states))
        return false;
    chooser->chosen->form = MATCHER_COUNTED;
    chooser->chosen->parts = part;
    chooser->chosen->part_count = 1;
    return true;
}

static bool choose_code(struct chooser *chooser, const struct pattern *tree, uint32_t limit)
{
    if (!codable_automaton(chooser, tree, limit, &chooser->chosen->states))
        return false;
    chooser->chosen->form = MATCHER_CODE;
    chooser->chosen->tree = tree;
    return true;
}

static bool choose_table(struct chooser *chooser, const struct automaton *automaton)
{
    const struct byte_automaton *table =
        automaton_bytes(chooser->arena, automaton, MATCHER_TABLE_STATES);
    if (!table || (uint64_t)table->state_count * table->class_count > MATCHER_TABLE_ENTRIES)
        return false;
    chooser->chosen->form = MATCHER_TABLE;
    chooser->chosen->states = 0;
    chooser->chosen->table = table;
    return true;
}

const struct matcher *matcher_choose(struct arena *arena, const struct pattern *tree,
                                     const struct automaton *automaton,
                                     struct matcher_limits limits)
{
    struct matcher *matcher = arena_alloc(arena, sizeof *matcher);
    struct chooser chooser = {arena, limits, matcher};
    const struct pattern *simple = tree ? tree_simplify(arena, tree) : NULL;
    if (automaton_is_empty(automaton)) {
        matcher->form = MATCHER_NOTHING;
        return matcher;
    }
    if (simple && pattern_literal(arena, simple, &matcher->literal, &matcher->literal_length)) {
        matcher->form = MATCHER_LITERAL;
        return matcher;
    }
    if (simple && (choose_code(&chooser, simple, limits.small_states) ||
                   choose_split(&chooser, simple) || choose_parts(&chooser, simple) ||
                   choose_code(&chooser, simple, limits.code_states)))
        return matcher;
    return choose_table(&chooser, automaton) ? matcher : NULL;
}
