#include "compiler/analysis/runs.h"

#include "compiler/analysis/changes.h"
#include "compiler/base/arena.h"

/* Comparisons until the memory of their words is given back. */
#define COMPARED_MAX 1000u

void runs_init(struct runs *runs, struct arena *arena)
{
    *runs = (struct runs){.arena = arena, .scratch = arena_new(0)};
    number_table_init(&runs->forms, arena);
    number_table_init(&runs->pairs, arena);
}

void runs_end(struct runs *runs)
{
    arena_free(runs->scratch);
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

void runs_changes(struct changes *changes, const struct model_rule *old_rule,
                  const struct model_rule *new_rule)
{
    compare_rules(changes, old_rule, new_rule);
    compare_words_of(changes, old_rule, new_rule);
}

/* Whether more than its attributes and its confinement say how a rule runs: paths that its slots name
 * (fs_read = #slot), words that follow the host. */
static bool rule_is_of_its_own(const struct model_rule *rule)
{
    for (size_t t = 0; t < rule->token_count; t++)
        if (rule->tokens[t].kind == TOKEN_EXPANSION)
            return true;
    for (size_t i = 0; i < rule->confinement->grant_count; i++)
        if (rule->confinement->grants[i].kind == GRANT_SLOT)
            return true;
    return false;
}

static bool changes_between(struct runs *runs, const struct model_rule *a,
                            const struct model_rule *b)
{
    if (++runs->compared > COMPARED_MAX) {
        arena_free(runs->scratch);
        runs->scratch = arena_new(0);
        runs->compared = 1;
    }
    struct changes changes = {.arena = runs->scratch};
    runs_changes(&changes, a, b);
    return changes.count > 0;
}

static uint32_t run_form(struct runs *runs, const struct model_rule *rule)
{
    uintptr_t attributes = (uintptr_t)rule->attributes, confinement = (uintptr_t)rule->confinement;
    uint32_t key[] = {(uint32_t)attributes, (uint32_t)((uint64_t)attributes >> 32),
                      (uint32_t)confinement, (uint32_t)((uint64_t)confinement >> 32)};
    int is_new;
    return number_table_intern(&runs->forms, key, 4, &is_new);
}

bool runs_differ(struct runs *runs, const struct model_rule *a, const struct model_rule *b)
{
    if (rule_is_of_its_own(a) || rule_is_of_its_own(b))
        return changes_between(runs, a, b);
    if (a->attributes == b->attributes && a->confinement == b->confinement)
        return false;
    uint32_t key[] = {run_form(runs, a), run_form(runs, b)};
    int is_new;
    uint32_t at = number_table_intern(&runs->pairs, key, 2, &is_new);
    if (is_new) {
        arena_grow(runs->arena, &runs->differ, &runs->differ_capacity, (size_t)at + 1,
                   sizeof *runs->differ);
        runs->differ[at] = changes_between(runs, a, b);
    }
    return runs->differ[at];
}
