/* Several matchers of which one must accept: for alternatives that are small one by one, but many
 * states together, and for lengths that vary in more than one place.
 *
 * Exact by what it is: a union of languages is accepted by asking for each. */
#include "compiler/base/arena.h"
#include "compiler/emit/chooser.h"
#include "compiler/emit/simplify.h"

/* Repetitions of one thing that count as different lengths of it. */
#define REPEAT_VARIANTS_MAX 4u

/* Trees of which a tree is the union. */
struct variants {
    const struct pattern *trees[MATCHER_ANY_MAX];
    uint32_t lengths[MATCHER_ANY_MAX]; /* of each, in scalars */
    size_t count;
};

/* Adds a tree of a fixed length, to the one of the same length if there is one. */
static bool variant_add(struct arena *arena, struct variants *variants, const struct pattern *tree)
{
    uint32_t length;
    if (!tree_fixed_length(tree, &length))
        return false;
    for (size_t i = 0; i < variants->count; i++) {
        if (variants->lengths[i] != length)
            continue;
        const struct pattern *const both[] = {variants->trees[i], tree};
        variants->trees[i] = tree_alternate(arena, both, 2);
        return true;
    }
    if (variants->count == MATCHER_ANY_MAX)
        return false;
    variants->lengths[variants->count] = length;
    variants->trees[variants->count++] = tree;
    return true;
}

/* An item as a union of trees that each have a fixed length. */
static bool item_variants(struct arena *arena, const struct pattern *item,
                          struct variants *variants)
{
    variants->count = 0;
    if (variant_add(arena, variants, item))
        return true;
    if (item->kind == PATTERN_ALTERNATE) {
        for (size_t i = 0; i < item->child_count; i++)
            if (!variant_add(arena, variants, item->children[i]))
                return false;
        return true;
    }
    if (item->kind != PATTERN_REPEAT || item->maximum - item->minimum >= REPEAT_VARIANTS_MAX)
        return false;
    for (uint32_t times = item->minimum; times <= item->maximum; times++)
        if (!variant_add(arena, variants, tree_repeat(arena, item->children[0], times, times)))
            return false;
    return true;
}

static const struct matcher *any_of(const struct chooser *chooser,
                                    const struct matcher *const *others, size_t count)
{
    struct matcher *matcher = arena_alloc(chooser->arena, sizeof *matcher);
    matcher->form = MATCHER_ANY;
    matcher->others = others;
    matcher->other_count = count;
    for (size_t i = 0; i < count; i++)
        matcher->states += others[i]->states;
    return matcher;
}

/* ---- varying lengths ------------------------------------------------------------------------- */

/* A C{m,n} B, where A and B have a few lengths each: one length split for each pair of them. */
static const struct matcher *lengths_any(const struct chooser *chooser, const struct pattern *tree)
{
    struct arena *arena = chooser->arena;
    size_t count, combinations = 1;
    const struct pattern *const *items = tree_items(&tree, &count);
    struct variants *variants = arena_array(arena, count, sizeof *variants);
    for (size_t i = 0; i < count; i++) {
        if (is_counted_set(items[i]) && items[i]->maximum >= chooser->limits.set_repeats)
            variants[i] = (struct variants){.trees = {items[i]}, .count = 1};
        else if (!item_variants(arena, items[i], &variants[i]))
            return NULL;
        combinations *= variants[i].count;
        if (combinations > MATCHER_ANY_MAX)
            return NULL;
    }
    const struct matcher **others = arena_array(arena, combinations, sizeof *others);
    const struct pattern **chosen = arena_array(arena, count, sizeof *chosen);
    for (size_t number = 0; number < combinations; number++) {
        size_t left = number;
        for (size_t i = 0; i < count; i++) {
            chosen[i] = variants[i].trees[left % variants[i].count];
            left /= variants[i].count;
        }
        others[number] = form_split(chooser, tree_concat(arena, chosen, count));
        if (!others[number])
            return NULL;
    }
    return any_of(chooser, others, combinations);
}

/* ---- alternatives ---------------------------------------------------------------------------- */

/* Each alternative that is smaller alone, and all the others together. */
static const struct matcher *alternatives_any(const struct chooser *chooser,
                                              const struct pattern *tree, unsigned depth)
{
    struct arena *arena = chooser->arena;
    const struct matcher **others = arena_array(arena, MATCHER_ANY_MAX, sizeof *others);
    const struct pattern **plain = arena_array(arena, tree->child_count, sizeof *plain);
    size_t count = 0, plain_count = 0;
    for (size_t i = 0; i < tree->child_count; i++) {
        const struct matcher *alone =
            count + 1 < MATCHER_ANY_MAX ? form_choose(chooser, tree->children[i], depth + 1) : NULL;
        if (alone && alone->form != MATCHER_CODE && alone->form != MATCHER_LITERAL)
            others[count++] = alone;
        else
            plain[plain_count++] = tree->children[i];
    }
    if (count == 0)
        return NULL;
    if (plain_count) {
        others[count] = form_code(chooser, tree_alternate(arena, plain, plain_count),
                                  chooser->limits.code_states);
        if (!others[count++])
            return NULL;
    }
    return any_of(chooser, others, count);
}

const struct matcher *form_any(const struct chooser *chooser, const struct pattern *tree,
                               unsigned depth)
{
    if (tree->kind == PATTERN_ALTERNATE)
        return alternatives_any(chooser, tree, depth);
    return lengths_any(chooser, tree);
}
