/* Parts in order: each matched as far as it goes, its characters or repetitions counted.
 *
 * This never accepts what the pattern does not: each part that it takes is one of the pattern's, and
 * their numbers are checked. That it accepts all that the pattern does is proved here before it is
 * chosen: at each place where a part can end, no character that may follow could continue the part. */
#include "compiler/base/arena.h"
#include "compiler/emit/chooser.h"
#include "compiler/emit/simplify.h"

/* States that a question on the way (what may follow a part) may cost. */
#define PROOF_STATES 4000u

/* A part, and what the proof needs to know of it. */
struct candidate {
    struct matcher_part part;
    const struct pattern *original; /* what it stands for, its repetitions included */
    size_t after;                   /* items of the tree up to its end */
    const struct automaton *body;   /* of part.tree; NULL: too large */
    uint32_t states;                /* of its code */
    struct charset beyond;          /* what can continue a body that could as well have ended */
};

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
static size_t parts_make(const struct chooser *chooser, const struct pattern *const *items,
                         size_t count, struct candidate **candidates)
{
    struct arena *arena = chooser->arena;
    size_t made = 0;
    struct candidate *all = arena_array(arena, count, sizeof *all);
    for (size_t i = 0; i < count; made++) {
        size_t first = i++;
        if (!is_part(chooser, items[first]))
            while (i < count && !is_part(chooser, items[i]))
                i++;
        struct candidate *candidate = &all[made];
        candidate->original = tree_concat(arena, items + first, i - first);
        candidate->after = i;
        candidate->part = is_part(chooser, items[first])
                              ? item_part(arena, items[first])
                              : part_split(arena, candidate->original);
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

/* Fills in what the proof needs to know of a part. */
static void candidate_study(const struct chooser *chooser, struct candidate *candidate)
{
    struct matcher_part *part = &candidate->part;
    part->ascii = tree_is_ascii(part->tree);
    part->nullable = tree_is_nullable(part->tree);
    candidate->beyond = charset_empty();
    candidate->body = codable_automaton(chooser, part->tree, chooser->limits.code_states,
                                        &candidate->states);
    for (uint32_t i = 0; candidate->body && i < candidate->body->state_count; i++)
        if (candidate->body->states[i].accepting)
            candidate->beyond =
                charset_union(chooser->arena, candidate->beyond,
                              state_outgoing(chooser->arena, &candidate->body->states[i]));
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
    bool once = part->minimum == 1 && part->maximum == 1;
    /* A body that takes nothing would be counted and not seen. */
    if (!candidate->body || (part->nullable && !once))
        return false;
    struct charset follow = charset_empty();
    for (size_t i = at + 1; i < count; i++) {
        follow = charset_union(arena, follow, tree_first(arena, all[i].original));
        if (!tree_is_nullable(all[i].original))
            break;
    }
    struct charset first = tree_first(arena, part->tree);
    if (charset_intersect(arena, candidate->beyond, follow).count)
        return false;
    if (part->maximum > 1 && charset_intersect(arena, candidate->beyond, first).count)
        return false;
    return part->minimum == part->maximum || !charset_intersect(arena, first, follow).count ||
           rest_never_begins_with(arena, all, count, at);
}

/* Whether a part makes less of the value than states for it would. */
static bool part_is_worth_it(const struct matcher_part *part)
{
    return part->minimum != 1 || part->maximum != 1 || part_is_counted(part);
}

/* As many parts from the first on as are proved, and a matcher for the rest. */
const struct matcher *form_parts(const struct chooser *chooser, const struct pattern *tree,
                                 unsigned depth)
{
    struct arena *arena = chooser->arena;
    struct matcher *matcher = arena_alloc(arena, sizeof *matcher);
    struct candidate *all;
    size_t item_count, proved = 0;
    const struct pattern *const *items = tree_items(&tree, &item_count);
    size_t count = parts_make(chooser, items, item_count, &all);
    for (size_t i = 0; i < count; i++)
        candidate_study(chooser, &all[i]);
    while (proved < count && part_is_proved(arena, all, count, proved))
        proved++;

    /* Parts that gain nothing are better left to the rest's matcher. */
    if (proved < count)
        while (proved > 0 && !part_is_worth_it(&all[proved - 1].part))
            proved--;

    struct matcher_part *parts = arena_array(arena, proved, sizeof *parts);
    bool worth_it = false;
    for (size_t i = 0; i < proved; i++) {
        parts[i] = all[i].part;
        matcher->states += all[i].states;
        worth_it = worth_it || part_is_worth_it(&parts[i]);
    }
    if (!worth_it)
        return NULL;
    if (proved < count) {
        size_t after = all[proved - 1].after;
        matcher->rest = form_choose(
            chooser, tree_concat(arena, items + after, item_count - after), depth + 1);
        if (!matcher->rest)
            return NULL;
        matcher->states += matcher->rest->states;
    }
    matcher->form = MATCHER_PARTS;
    matcher->parts = parts;
    matcher->part_count = proved;
    return matcher;
}
