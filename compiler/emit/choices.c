#include "compiler/emit/choices.h"

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/matcher.h"
#include "compiler/emit/simplify.h"

/* ---- what a function accepts ----------------------------------------------------------------- */

/* Whether PCRE2 would have to find the parts of a token itself: not in linear time. */
static bool token_needs_pcre2(const struct accept *accept)
{
    for (size_t i = 0; i < accept->token->piece_count; i++) {
        const struct model_piece *piece = &accept->token->pieces[i];
        const struct model_language *language =
            piece->is_slot ? accept->rule->slots[piece->slot].language : NULL;
        if (language && language->pcre2)
            return true;
    }
    return false;
}

static const struct automaton *slot_automaton(struct arena *arena, const struct model_slot *slot)
{
    return slot->language ? slot->language->automaton : automaton_everything(arena);
}

const struct automaton *token_automaton(struct arena *arena, const struct accept *accept)
{
    const struct model_token *token = accept->token;
    if (token->automaton)
        return token->automaton;
    if (token_needs_pcre2(accept))
        return NULL;
    const struct automaton **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        parts[i] = piece->is_slot
                       ? slot_automaton(arena, &accept->rule->slots[piece->slot])
                       : automaton_literal(arena, piece->literal, piece->literal_length);
    }
    return automaton_concat(arena, parts, token->piece_count, AUTOMATON_STATES_MAX);
}

const struct pattern *token_tree(struct arena *arena, const struct accept *accept)
{
    const struct model_token *token = accept->token;
    const struct pattern **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (!piece->is_slot) {
            parts[i] = tree_literal(arena, piece->literal, piece->literal_length);
            continue;
        }
        const struct model_language *language = accept->rule->slots[piece->slot].language;
        if (!language || language->line_count != 1 || language->pcre2)
            return NULL;
        parts[i] = language->lines[0].tree;
    }
    return tree_concat(arena, parts, token->piece_count);
}

/* ---- choosing -------------------------------------------------------------------------------- */

struct chooser {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct matcher_limits limits;
};

/* Whether the function is made of others, and needs no matcher of its own. */
static bool is_made_of_others(const struct accept *accept)
{
    return accept->kind == ACCEPT_PCRE2 || accept->kind == ACCEPT_COMBINED ||
           (accept->kind == ACCEPT_TOKEN && token_slot_count(accept->token) == 1);
}

/* NULL when it is too large, or cannot be at all; the diagnostics then say so. */
static const struct matcher *matcher_of(const struct chooser *chooser, const struct accept *accept)
{
    struct arena *arena = chooser->arena;
    bool is_token = accept->kind == ACCEPT_TOKEN;
    struct span at = is_token ? accept->token->span : accept->line->span;
    if (is_token && token_needs_pcre2(accept)) {
        diagnostic_error(chooser->diagnostics, at,
                         "a slot with engine = pcre2 cannot share its token with another slot");
        return NULL;
    }
    const struct automaton *automaton =
        is_token ? token_automaton(arena, accept) : accept->line->automaton;
    const struct pattern *tree = is_token ? token_tree(arena, accept) : accept->line->tree;
    const struct matcher *matcher =
        automaton ? matcher_choose(arena, tree, automaton, chooser->limits) : NULL;
    if (!matcher)
        diagnostic_error(chooser->diagnostics, at,
                         "this %s is too large to compile: its automaton over bytes has more than "
                         "%u states or %u transitions",
                         is_token ? "token" : "pattern", MATCHER_TABLE_STATES,
                         MATCHER_TABLE_ENTRIES);
    return matcher;
}

static uint64_t code_states(const struct matcher *const *matchers, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        if (matchers[i])
            sum += matchers[i]->states;
    return sum;
}

static bool tables_fit(const struct chooser *chooser, const struct layout *layout,
                       const struct matcher *const *matchers)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < layout->accept_count; i++) {
        if (!matchers[i] || matchers[i]->form != MATCHER_TABLE)
            continue;
        sum += (uint64_t)matchers[i]->table->state_count * matchers[i]->table->class_count;
        if (sum <= CHOICES_TABLE_ENTRIES)
            continue;
        const struct accept *accept = layout->accepts[i];
        diagnostic_error(chooser->diagnostics,
                         accept->kind == ACCEPT_TOKEN ? accept->token->span : accept->line->span,
                         "the patterns are too large together: with this one, their tables have "
                         "more than %u transitions", CHOICES_TABLE_ENTRIES);
        return false;
    }
    return true;
}

const struct matcher **choices_make(struct arena *arena, const struct layout *layout,
                                    struct diagnostics *diagnostics)
{
    struct chooser chooser = {arena, diagnostics, MATCHER_LIMITS};
    const struct matcher **matchers = arena_array(arena, layout->accept_count, sizeof *matchers);
    bool good = true;
    for (size_t i = 0; i < layout->accept_count; i++) {
        if (is_made_of_others(layout->accepts[i]))
            continue;
        matchers[i] = matcher_of(&chooser, layout->accepts[i]);
        good = good && matchers[i];
    }
    /* Too much code: what has more than half of the states that are allowed so far becomes a table,
     * until the sum fits. */
    while (good && code_states(matchers, layout->accept_count) > CHOICES_CODE_STATES &&
           chooser.limits.code_states > 0) {
        chooser.limits.code_states /= 2;
        if (chooser.limits.small_states > chooser.limits.code_states)
            chooser.limits.small_states = chooser.limits.code_states;
        for (size_t i = 0; i < layout->accept_count && good; i++) {
            if (!matchers[i] || matchers[i]->states <= chooser.limits.code_states)
                continue;
            matchers[i] = matcher_of(&chooser, layout->accepts[i]);
            good = matchers[i] != NULL;
        }
    }
    return good && tables_fit(&chooser, layout, matchers) ? matchers : NULL;
}
