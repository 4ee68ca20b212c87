#include "compiler/analysis/diff.h"

#include <stdlib.h>

#include "compiler/analysis/changes.h"
#include "compiler/analysis/number_table.h"
#include "compiler/base/arena.h"

enum { VIEW_OLD, VIEW_NEW };

struct differ {
    struct arena *arena;
    struct diff diff;
    struct difference *differences;
    size_t capacity;
    struct number_table pairs; /* (kind, old rule, new rule) already told */
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

/* Leaves come shortest first, so the first of a kind and pair of rules has the shortest witness. A
 * certain one replaces an uncertain one that was told before it: each is told once. */
static bool differ_is_first(struct differ *differ, enum difference_kind kind,
                            const struct space_rule *old_rule, const struct space_rule *new_rule)
{
    uint32_t key[] = {(uint32_t)kind, old_rule ? old_rule->order + 1 : 0,
                      new_rule ? new_rule->order + 1 : 0};
    int is_new;
    number_table_intern(&differ->pairs, key, 3, &is_new);
    return is_new;
}

/* The rule of a view that decides: the first in its order. */
static const struct space_rule *leaf_decider(const struct space_leaf *leaf,
                                             const struct space_rule *rules, uint32_t view)
{
    const struct space_rule *first = NULL;
    for (size_t i = 0; i < leaf->rule_count; i++) {
        const struct space_rule *rule = &rules[leaf->rules[i]];
        if (rule->view == view && (!first || rule->order < first->order))
            first = rule;
    }
    return first;
}

/* A word that follows the host in one policy and is fixed in the other: they agree on the host that
 * the analyses speak of (token_language.h), and on no other. */
static void compare_words_of(struct changes *changes, const struct model_rule *old_rule,
                             const struct model_rule *new_rule)
{
    for (size_t t = 0; t < old_rule->token_count && t < new_rule->token_count; t++) {
        const struct model_token *from = &old_rule->tokens[t], *to = &new_rule->tokens[t];
        if (from->kind == TOKEN_EXPANSION && to->kind == TOKEN_LITERAL)
            change_add(changes, DIRECTION_WIDER, "word",
                       describe_path(changes->arena, &from->expansion), to->pieces[0].literal);
        if (from->kind == TOKEN_LITERAL && to->kind == TOKEN_EXPANSION)
            change_add(changes, DIRECTION_WIDER, "word", from->pieces[0].literal,
                       describe_path(changes->arena, &to->expansion));
    }
}

static void differ_leaf(struct differ *differ, const struct space_leaf *leaf,
                        const struct space_rule *rules)
{
    const struct space_rule *old_rule = leaf_decider(leaf, rules, VIEW_OLD);
    const struct space_rule *new_rule = leaf_decider(leaf, rules, VIEW_NEW);
    struct difference difference = {
        .old_rule = old_rule ? old_rule->rule : NULL,
        .new_rule = new_rule ? new_rule->rule : NULL,
        .witness = leaf->witness,
        .uncertain = leaf->uncertain,
    };
    if (!old_rule || !new_rule) {
        difference.kind = old_rule ? DIFFERENCE_REFUSED : DIFFERENCE_ACCEPTED;
    } else {
        struct changes changes = {.arena = differ->arena};
        compare_rules(&changes, old_rule->rule, new_rule->rule);
        compare_words_of(&changes, old_rule->rule, new_rule->rule);
        if (!changes.count)
            return;
        difference.kind = DIFFERENCE_DECIDED;
        difference.changes = changes.items;
        difference.change_count = changes.count;
    }
    /* One line a rule for what is new or gone; one a pair for what is decided otherwise. */
    if (differ_is_first(differ, difference.kind, old_rule, new_rule))
        differ_note(differ, difference);
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
    struct differ differ = {.arena = arena};
    number_table_init(&differ.pairs, arena);
    size_t count = old_model->rule_count + new_model->rule_count;
    struct space_rule *rules = arena_array(arena, count + 1, sizeof *rules);
    for (size_t i = 0; i < old_model->rule_count; i++)
        rules[i] = (struct space_rule){&old_model->rules[i], VIEW_OLD, (uint32_t)i};
    for (size_t i = 0; i < new_model->rule_count; i++)
        rules[old_model->rule_count + i] =
            (struct space_rule){&new_model->rules[i], VIEW_NEW, (uint32_t)i};

    struct changes policy = {.arena = arena};
    compare_policies(&policy, old_model, new_model);
    if (policy.count)
        differ_note(&differ, (struct difference){.kind = DIFFERENCE_POLICY,
                                                 .changes = policy.items,
                                                 .change_count = policy.count});
    struct space_result space = space_explore(arena, rules, count);
    for (size_t i = 0; i < space.leaf_count; i++)
        differ_leaf(&differ, &space.leaves[i], rules);
    if (differ.diff.count)
        qsort(differ.differences, differ.diff.count, sizeof *differ.differences,
              difference_compare);
    differ.diff.exhausted = space.exhausted;
    differ.diff.limit = space.limit;
    differ.diff.wider |= space.exhausted;
    differ.diff.differences = differ.differences;
    return differ.diff;
}
