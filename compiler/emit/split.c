/* Length split: one repeated set, counted by the value's length. */
#include "compiler/base/arena.h"
#include "compiler/emit/chooser.h"
#include "compiler/emit/simplify.h"

bool is_counted_set(const struct pattern *item)
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
struct matcher_part part_split(struct arena *arena, const struct pattern *tree)
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

bool part_is_counted(const struct matcher_part *part)
{
    return part->least > 0 || part->most != MATCHER_UNBOUNDED;
}

const struct matcher *form_split(const struct chooser *chooser, const struct pattern *tree)
{
    struct matcher *matcher = arena_alloc(chooser->arena, sizeof *matcher);
    struct matcher_part *part = arena_alloc(chooser->arena, sizeof *part);
    *part = part_split(chooser->arena, tree);
    if (!part_is_counted(part) ||
        !codable_automaton(chooser, part->tree, chooser->limits.code_states, &matcher->states))
        return NULL;
    matcher->form = MATCHER_SPLIT;
    matcher->parts = part;
    matcher->part_count = 1;
    return matcher;
}
