#include "runtime/broker/match.h"

#include <stddef.h>
#include <string.h>

/* Bytes that may be shown to patterns while the parts of one mixed token are looked for. */
#define SPLIT_BYTES_MAX 4000000u

/* ---- walking --------------------------------------------------------------------------------- */

static bool bytes_are_equal(const struct policy_bytes *a, const struct policy_bytes *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* How many arguments the rule's `...` token takes when the whole request is to fit: what is left by
 * the other tokens, which take one each, within the token's own bounds. */
static uint32_t rest_count(const struct policy_rule *rule, const struct policy_token *rest,
                           uint32_t arguments)
{
    uint32_t others = (uint32_t)rule->token_count - 1;
    uint32_t count = arguments > others ? arguments - others : 0;

    if (count < rest->minimum)
        return rest->minimum;
    return count > rest->maximum ? rest->maximum : count;
}

static enum match_outcome slot_take(const struct policy_slot *slot, const struct policy_bytes *value)
{
    enum policy_verdict verdict =
        slot->accept ? slot->accept(value->bytes, value->length) : POLICY_YES;

    if (value->length > slot->max_bytes)
        return MATCH_TOO_LONG;
    if (verdict == POLICY_PATTERN_LIMIT)
        return MATCH_GAVE_UP;
    if (verdict != POLICY_YES)
        return MATCH_REFUSED;
    if (!slot->allow_dash && value->length > 0 && value->bytes[0] == '-')
        return MATCH_OPTION_LIKE;
    return MATCH_ACCEPTS;
}

/* Whether `token` takes `value`; `*slot` is the slot that refused. */
static enum match_outcome token_take(const struct policy_rule *rule,
                                     const struct policy_token *token,
                                     const struct policy_request *request,
                                     const struct policy_bytes *value, uint32_t *slot)
{
    *slot = NO_SLOT;
    switch (token->kind) {
    case TOKEN_LITERAL:
        return bytes_are_equal(&token->pieces[0].literal, value) ? MATCH_ACCEPTS
                                                                 : MATCH_OTHER_WORD;
    case TOKEN_EXPANSION:
        return bytes_are_equal(&request->expansions[token->expansion], value) ? MATCH_ACCEPTS
                                                                              : MATCH_OTHER_WORD;
    case TOKEN_SLOT:
    case TOKEN_REST:
        *slot = token->pieces[0].slot;
        return slot_take(&rule->slots[*slot], value);
    case TOKEN_MIXED:
        break;
    }
    switch (token->accept(value->bytes, value->length)) {
    case POLICY_YES:
        return MATCH_ACCEPTS;
    case POLICY_PATTERN_LIMIT:
        return MATCH_GAVE_UP;
    default:
        return MATCH_REFUSED;
    }
}

struct match_walk match_walk_rule(const struct policy_rule *rule,
                                  const struct policy_request *request)
{
    struct match_walk walk = {.outcome = MATCH_ACCEPTS, .slot = NO_SLOT};

    for (; walk.token < rule->token_count; walk.token++) {
        const struct policy_token *token = &rule->tokens[walk.token];
        uint32_t count =
            token->kind == TOKEN_REST ? rest_count(rule, token, request->count) : 1;
        for (uint32_t i = 0; i < count; i++, walk.argument++) {
            if (walk.argument == request->count) {
                walk.outcome = MATCH_MISSING;
                return walk;
            }
            walk.outcome = token_take(rule, token, request, &request->arguments[walk.argument],
                                      &walk.slot);
            if (walk.outcome != MATCH_ACCEPTS)
                return walk;
        }
    }
    walk.slot = NO_SLOT;
    if (walk.argument < request->count)
        walk.outcome = MATCH_LEFT_OVER;
    return walk;
}

uint32_t match_find_nearest(const struct policy *policy, const struct policy_request *request,
                            struct match_walk *walk)
{
    uint32_t nearest = policy->rule_count;
    uint32_t walked = 0;

    for (uint32_t i = 0; i < policy->rule_count && walked < MATCH_WALKS_MAX; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        uint32_t slot;
        if (token_take(rule, &rule->tokens[0], request, &request->arguments[0], &slot) !=
            MATCH_ACCEPTS)
            continue;
        walked++;
        struct match_walk here = match_walk_rule(rule, request);
        if (nearest == policy->rule_count || here.argument > walk->argument) {
            nearest = i;
            *walk = here;
        }
    }
    return nearest;
}

/* ---- the values of slots --------------------------------------------------------------------- */

/* Looking for the one way to divide a mixed token's argument among its pieces. */
struct split {
    const struct policy_rule *rule;
    const struct policy_token *token;
    uint32_t slot;              /* whose part is asked for */
    struct policy_bytes value;  /* that part */
    uint32_t steps;             /* bytes that may still be looked at */
};

static bool split_charge(struct split *split, uint32_t bytes)
{
    if (split->steps < bytes + 1) {
        split->steps = 0;
        return false;
    }
    split->steps -= bytes + 1;
    return true;
}

/* Whether pieces from `piece` on can take all of `left`. Nests once per piece of the rule's token,
 * which the rules file bounds. */
static bool split_find(struct split *split, uint32_t piece, struct policy_bytes left)
{
    if (piece == split->token->piece_count)
        return left.length == 0;
    const struct policy_piece *here = &split->token->pieces[piece];
    if (!here->is_slot) {
        uint32_t length = here->literal.length;
        if (left.length < length || memcmp(left.bytes, here->literal.bytes, length) != 0)
            return false;
        return split_find(split, piece + 1,
                          (struct policy_bytes){left.bytes + length, left.length - length});
    }
    const struct policy_slot *slot = &split->rule->slots[here->slot];
    bool last = piece + 1 == split->token->piece_count;
    for (uint32_t length = last ? left.length : 0; length <= left.length; length++) {
        struct policy_bytes value = {left.bytes, length};
        struct policy_bytes rest = {left.bytes + length, left.length - length};
        if (!split_charge(split, length))
            return false;
        if (slot_take(slot, &value) != MATCH_ACCEPTS || !split_find(split, piece + 1, rest))
            continue;
        if (here->slot == split->slot)
            split->value = value;
        return true;
    }
    return false;
}

static bool token_has_slot(const struct policy_token *token, uint32_t slot)
{
    for (uint32_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot && token->pieces[i].slot == slot)
            return true;
    return false;
}

int64_t match_slot_values(const struct policy_rule *rule, const struct policy_request *request,
                          uint32_t slot, struct policy_bytes *values, uint32_t capacity)
{
    uint32_t argument = 0;

    for (uint32_t i = 0; i < rule->token_count; i++) {
        const struct policy_token *token = &rule->tokens[i];
        uint32_t count =
            token->kind == TOKEN_REST ? rest_count(rule, token, request->count) : 1;
        if (count > request->count - argument)
            return -1;
        if (!token_has_slot(token, slot)) {
            argument += count;
            continue;
        }
        if (token->kind != TOKEN_MIXED) {
            for (uint32_t j = 0; j < count && j < capacity; j++)
                values[j] = request->arguments[argument + j];
            return count;
        }
        struct split split = {
            .rule = rule, .token = token, .slot = slot, .steps = SPLIT_BYTES_MAX};
        if (!split_find(&split, 0, request->arguments[argument]))
            return -1;
        if (capacity > 0)
            values[0] = split.value;
        return 1;
    }
    return 0;
}
