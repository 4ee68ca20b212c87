#include "compiler/analysis/matching.h"

#include <string.h>

#include "compiler/analysis/splitting.h"
#include "compiler/base/arena.h"
#include "compiler/regex/oracle.h"

/* ---- one value ------------------------------------------------------------------------------- */

/* One line of a language that PCRE2 matches. */
static enum policy_verdict match_pcre2_line(const struct model_pattern *line,
                                            struct policy_bytes value)
{
    struct oracle_pcre2 *pcre2 = oracle_pcre2_new(line->text, line->length);
    if (!pcre2)
        return POLICY_PATTERN_LIMIT;
    enum oracle_answer answer = oracle_pcre2_accepts(pcre2, value.bytes, value.length);
    oracle_pcre2_free(pcre2);
    if (answer == ORACLE_UNKNOWN)
        return POLICY_PATTERN_LIMIT;
    return (answer == ORACLE_YES) != line->excluded ? POLICY_YES : POLICY_NO;
}

static enum policy_verdict match_language(const struct model_language *language,
                                          struct policy_bytes value)
{
    if (!language->pcre2)
        return automaton_accepts(language->automaton, value.bytes, value.length) ? POLICY_YES
                                                                                 : POLICY_NO;
    enum policy_verdict verdict = POLICY_YES;
    for (size_t i = 0; i < language->line_count; i++) {
        enum policy_verdict line = match_pcre2_line(&language->lines[i], value);
        if (line == POLICY_NO)
            return POLICY_NO;
        if (line != POLICY_YES)
            verdict = line;
    }
    return verdict;
}

static enum policy_verdict match_slot(struct arena *arena, const struct model_rule *rule,
                                      uint32_t slot, struct policy_bytes value,
                                      struct bindings *bindings)
{
    const struct model_slot *declared = &rule->slots[slot];
    if (declared->language) {
        enum policy_verdict verdict = match_language(declared->language, value);
        if (verdict != POLICY_YES)
            return verdict;
    }
    if (!declared->allow_dash && value.length && value.bytes[0] == '-')
        return POLICY_OPTION_LIKE;
    if (value.length > declared->max_bytes)
        return POLICY_TOO_LONG;
    arena_grow(arena, &bindings->items, &bindings->capacity, bindings->count + 1,
               sizeof *bindings->items);
    bindings->items[bindings->count++] = (struct binding){slot, value};
    return POLICY_YES;
}

/* ---- one token ------------------------------------------------------------------------------- */

static bool is_equal(struct policy_bytes value, const char *bytes, size_t length)
{
    return value.length == length && (!length || memcmp(value.bytes, bytes, length) == 0);
}

static enum policy_verdict match_mixed(struct arena *arena, const struct model_rule *rule,
                                       const struct model_token *token, struct policy_bytes value,
                                       struct bindings *bindings, uint32_t *slot)
{
    const struct automaton **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        const struct model_language *language =
            piece->is_slot ? rule->slots[piece->slot].language : NULL;
        if (!piece->is_slot)
            parts[i] = automaton_literal(arena, piece->literal, piece->literal_length);
        else
            parts[i] = language && language->automaton ? language->automaton
                                                       : automaton_everything(arena);
    }
    uint32_t *ends = splitting_find(arena, parts, token->piece_count, value);
    if (!ends)
        return POLICY_NO;
    enum policy_verdict verdict = POLICY_YES;
    for (size_t i = 0, begin = 0; i < token->piece_count; begin = ends[i], i++) {
        struct policy_bytes part = {value.bytes + begin, ends[i] - (uint32_t)begin};
        if (!token->pieces[i].is_slot)
            continue;
        enum policy_verdict piece = match_slot(arena, rule, token->pieces[i].slot, part, bindings);
        if (piece == POLICY_NO)
            return POLICY_NO;
        if (piece != POLICY_YES && verdict == POLICY_YES) {
            verdict = piece;
            *slot = token->pieces[i].slot;
        }
    }
    return verdict;
}

enum policy_verdict matching_token(struct arena *arena, const struct model_rule *rule,
                                   const struct model_token *token, struct policy_bytes value,
                                   const struct policy_request *request,
                                   struct bindings *bindings, uint32_t *slot)
{
    const struct model_piece *piece = &token->pieces[0];
    const struct policy_bytes *expansion;
    switch (token->kind) {
    case TOKEN_LITERAL:
        return is_equal(value, piece->literal, piece->literal_length) ? POLICY_YES : POLICY_NO;
    case TOKEN_EXPANSION:
        expansion = &request->expansions[token->expansion_index];
        return is_equal(value, expansion->bytes, expansion->length) ? POLICY_YES : POLICY_NO;
    case TOKEN_MIXED:
        return match_mixed(arena, rule, token, value, bindings, slot);
    default:
        *slot = piece->slot;
        return match_slot(arena, rule, piece->slot, value, bindings);
    }
}

/* ---- one rule -------------------------------------------------------------------------------- */

void matching_arity(const struct model_rule *rule, uint32_t *minimum, uint32_t *maximum)
{
    *minimum = *maximum = 0;
    for (size_t i = 0; i < rule->token_count; i++) {
        bool rest = rule->tokens[i].kind == TOKEN_REST;
        *minimum += rest ? rule->tokens[i].minimum : 1;
        *maximum += rest ? rule->tokens[i].maximum : 1;
    }
}

const struct model_token *matching_token_at(const struct model_rule *rule, uint32_t index,
                                            uint32_t count)
{
    uint32_t minimum, maximum, at = 0;
    matching_arity(rule, &minimum, &maximum);
    /* What a `...` slot takes: what the other tokens leave, within its bounds. */
    uint32_t clamped = count < minimum ? minimum : count > maximum ? maximum : count;
    for (size_t i = 0; i < rule->token_count; i++) {
        const struct model_token *token = &rule->tokens[i];
        at += token->kind == TOKEN_REST ? clamped - ((uint32_t)rule->token_count - 1) : 1;
        if (index < at)
            return token;
    }
    return NULL;
}

struct matching matching_rule(struct arena *arena, const struct model_rule *rule,
                              const struct policy_request *request)
{
    struct matching found = {.verdict = POLICY_NO};
    uint32_t minimum, maximum;
    matching_arity(rule, &minimum, &maximum);
    if (request->count < minimum || request->count > maximum)
        return found;
    enum policy_verdict verdict = POLICY_YES;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct model_token *token = matching_token_at(rule, i, request->count);
        uint32_t slot = 0;
        enum policy_verdict one = matching_token(arena, rule, token, request->arguments[i], request,
                                                 &found.bindings, &slot);
        if (one == POLICY_NO)
            return found;
        if (one != POLICY_YES && verdict == POLICY_YES) {
            verdict = one;
            found.slot = slot;
        }
    }
    found.verdict = verdict;
    found.rule = rule;
    return found;
}

struct matching matching_find(struct arena *arena, const struct model *model,
                              const struct policy_request *request)
{
    struct matching nearly = {.verdict = POLICY_NO};
    for (size_t i = 0; i < model->rule_count; i++) {
        struct matching found = matching_rule(arena, &model->rules[i], request);
        if (found.verdict == POLICY_YES)
            return found;
        if (found.verdict != POLICY_NO && nearly.verdict == POLICY_NO)
            nearly = found;
    }
    return nearly;
}
