#include "compiler/emit/expect.h"

#include <string.h>

#include "compiler/emit/layout.h"
#include "compiler/emit/words.h"
#include "compiler/policy/model.h"

/* One rule's look at a request. */
struct look {
    const struct model_rule *rule;
    const struct policy_request *request;
    struct policy_decision decision;
    bool unknown; /* a token that only PCRE2 can judge */
};

static bool is_text(struct policy_bytes argument, const char *text, size_t length)
{
    return argument.length == length && (length == 0 || memcmp(argument.bytes, text, length) == 0);
}

static void look_refuse(struct look *look, uint32_t slot, enum policy_verdict verdict)
{
    if (look->decision.verdict != POLICY_YES)
        return;
    look->decision.verdict = verdict;
    look->decision.slot = slot;
}

/* What refuses a value that its pattern accepts. */
static void look_refusals(struct look *look, uint32_t slot, const char *value, size_t length)
{
    const struct model_slot *what = &look->rule->slots[slot];
    if (!what->allow_dash && length > 0 && value[0] == '-')
        look_refuse(look, slot, POLICY_OPTION_LIKE);
    if (length > what->max_bytes)
        look_refuse(look, slot, POLICY_TOO_LONG);
}

static bool look_value(struct look *look, uint32_t slot, struct policy_bytes value)
{
    const struct model_language *language = look->rule->slots[slot].language;
    if (language && !language->automaton)
        look->unknown = true;
    else if (language && !automaton_accepts(language->automaton, value.bytes, value.length))
        return false;
    look_refusals(look, slot, value.bytes, value.length);
    return true;
}

/* A token with one slot: what is between its literals. */
static bool look_single(struct look *look, const struct model_token *token, struct policy_bytes argument)
{
    size_t before = 0, after = 0;
    uint32_t slot = 0;
    bool seen = false;
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot) {
            slot = piece->slot;
            seen = true;
        } else if (seen) {
            after = piece->literal_length;
            if (argument.length < before + after ||
                memcmp(argument.bytes + argument.length - after, piece->literal, after) != 0)
                return false;
        } else {
            before = piece->literal_length;
            if (argument.length < before || memcmp(argument.bytes, piece->literal, before) != 0)
                return false;
        }
    }
    return look_value(look, slot,
                      (struct policy_bytes){argument.bytes + before,
                                            (uint32_t)(argument.length - before - after)});
}

static bool look_mixed(struct look *look, const struct model_token *token,
                       struct policy_bytes argument)
{
    if (token_slot_count(token) == 1)
        return look_single(look, token, argument);
    if (!token->automaton) {
        look->unknown = true;
        return true;
    }
    if (!automaton_accepts(token->automaton, argument.bytes, argument.length))
        return false;
    for (size_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot)
            look_refusals(look, token->pieces[i].slot, argument.bytes,
                          argument.length - token_least_beside(look->rule, token, i));
    return true;
}

static bool look_token(struct look *look, const struct model_token *token, struct policy_bytes argument)
{
    const struct policy_bytes *expansion;
    switch (token->kind) {
    case TOKEN_LITERAL:
        return is_text(argument, token->pieces[0].literal, token->pieces[0].literal_length);
    case TOKEN_EXPANSION:
        expansion = &look->request->expansions[token->expansion_index];
        return is_text(argument, expansion->bytes, expansion->length);
    case TOKEN_SLOT:
    case TOKEN_REST:
        return look_value(look, token->pieces[0].slot, argument);
    case TOKEN_MIXED:
        return look_mixed(look, token, argument);
    }
    return false;
}

/* Words first: most rules are told apart by them, without asking any automaton. */
static bool look_words(const struct look *look, const struct rule_shape *shape)
{
    uint32_t count = look->request->count;
    size_t tokens = look->rule->token_count;
    for (size_t i = 0; i < tokens; i++) {
        const struct model_token *token = &look->rule->tokens[i];
        size_t at = i < shape->rest ? i : count - (tokens - i);
        if (token->kind == TOKEN_LITERAL &&
            !is_text(look->request->arguments[at], token->pieces[0].literal,
                     token->pieces[0].literal_length))
            return false;
    }
    return true;
}

static void look_rule(struct look *look)
{
    struct rule_shape shape = rule_shape(look->rule);
    uint32_t count = look->request->count;
    look->decision.verdict = POLICY_NO;
    if (count < shape.minimum || count > shape.maximum || !look_words(look, &shape))
        return;
    look->decision.verdict = POLICY_YES;
    uint32_t at = 0;
    for (size_t i = 0; i < look->rule->token_count; i++) {
        bool rest = i == shape.rest;
        uint32_t takes = rest ? count - (uint32_t)(look->rule->token_count - 1) : 1;
        for (; takes > 0; takes--, at++) {
            if (look_token(look, &look->rule->tokens[i], look->request->arguments[at]))
                continue;
            look->decision.verdict = POLICY_NO;
            look->unknown = false;
            return;
        }
    }
}

bool expect_decision(const struct model *model, const struct policy_request *request,
                     struct policy_decision *decision)
{
    *decision = (struct policy_decision){POLICY_NO, 0, 0};
    for (size_t i = 0; i < model->rule_count; i++) {
        struct look look = {&model->rules[i], request, {POLICY_NO, (uint32_t)i, 0}, false};
        look_rule(&look);
        if (look.unknown)
            return false;
        if (look.decision.verdict == POLICY_YES) {
            *decision = look.decision;
            return true;
        }
        if (look.decision.verdict != POLICY_NO && decision->verdict == POLICY_NO)
            *decision = look.decision;
    }
    return true;
}
