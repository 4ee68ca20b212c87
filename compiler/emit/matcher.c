#include "compiler/emit/matcher.h"

#include "compiler/base/arena.h"
#include "compiler/emit/chooser.h"
#include "compiler/emit/simplify.h"

const struct pattern *const *tree_items(const struct pattern *const *tree, size_t *count)
{
    if ((*tree)->kind != PATTERN_CONCAT) {
        *count = 1;
        return tree;
    }
    *count = (*tree)->child_count;
    return (const struct pattern *const *)(*tree)->children;
}

/* The tree is not much when written out, our own construction of it succeeds within its budget, and
 * few states are left. */
const struct automaton *codable_automaton(const struct chooser *chooser,
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

const struct matcher *form_code(const struct chooser *chooser, const struct pattern *tree,
                                uint32_t limit)
{
    struct matcher *matcher = arena_alloc(chooser->arena, sizeof *matcher);
    if (!codable_automaton(chooser, tree, limit, &matcher->states))
        return NULL;
    matcher->form = MATCHER_CODE;
    matcher->tree = tree;
    return matcher;
}

static const struct matcher *form_literal(const struct chooser *chooser, const struct pattern *tree)
{
    struct matcher *matcher = arena_alloc(chooser->arena, sizeof *matcher);
    matcher->form = MATCHER_LITERAL;
    return pattern_literal(chooser->arena, tree, &matcher->literal, &matcher->literal_length)
               ? matcher
               : NULL;
}

static const struct matcher *form_table(const struct chooser *chooser,
                                        const struct automaton *automaton)
{
    struct matcher *matcher = arena_alloc(chooser->arena, sizeof *matcher);
    matcher->form = MATCHER_TABLE;
    matcher->table = automaton_bytes(chooser->arena, automaton, MATCHER_TABLE_STATES);
    return matcher->table && (uint64_t)matcher->table->state_count * matcher->table->class_count <=
                                 MATCHER_TABLE_ENTRIES
               ? matcher
               : NULL;
}

const struct matcher *form_choose(const struct chooser *chooser, const struct pattern *tree,
                                  unsigned depth)
{
    const struct matcher *chosen = form_literal(chooser, tree);
    if (!chosen)
        chosen = form_code(chooser, tree, chooser->limits.small_states);
    if (!chosen)
        chosen = form_split(chooser, tree);
    if (chosen)
        return chosen;
    const struct matcher *parts = NULL, *any = NULL;
    if (depth < MATCHER_DEPTH_MAX) {
        parts = form_parts(chooser, tree, depth);
        any = parts ? NULL : form_any(chooser, tree, depth);
    }
    if (parts)
        return parts;
    const struct matcher *code = form_code(chooser, tree, chooser->limits.code_states);
    return any && (!code || any->states * chooser->limits.any_gain <= code->states) ? any : code;
}

const struct matcher *matcher_choose(struct arena *arena, const struct pattern *tree,
                                     const struct automaton *automaton,
                                     struct matcher_limits limits)
{
    struct chooser chooser = {arena, limits};
    if (automaton_is_empty(automaton)) {
        struct matcher *nothing = arena_alloc(arena, sizeof *nothing);
        nothing->form = MATCHER_NOTHING;
        return nothing;
    }
    const struct pattern *simple = tree ? tree_simplify(arena, tree) : NULL;
    const struct matcher *chosen = simple ? form_choose(&chooser, simple, 0) : NULL;
    return chosen ? chosen : form_table(&chooser, automaton);
}

bool matcher_needs_re2c(const struct matcher *matcher)
{
    switch (matcher->form) {
    case MATCHER_SPLIT:
    case MATCHER_PARTS:
    case MATCHER_CODE:
        return true;
    case MATCHER_ANY:
        for (size_t i = 0; i < matcher->other_count; i++)
            if (matcher_needs_re2c(matcher->others[i]))
                return true;
        return false;
    case MATCHER_NOTHING:
    case MATCHER_LITERAL:
    case MATCHER_TABLE:
        return false;
    }
    return false;
}
