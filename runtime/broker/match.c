#include "runtime/broker/match.h"

#include <stddef.h>
#include <string.h>

/* Bytes that may be shown to patterns while the parts of mixed tokens are looked for: for one slot's
 * value, or for one explanation. Beyond, an explanation takes every part for good. */
#define SPLIT_BYTES_MAX 4000000u

/* ---- one value ------------------------------------------------------------------------------- */

static bool bytes_are_equal(const struct policy_bytes *a, const struct policy_bytes *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* The text that a token stands for when it has no slot; NULL when it has. */
static const struct policy_bytes *token_word(const struct policy_token *token,
                                             const struct policy_request *request)
{
    if (token->kind == TOKEN_EXPANSION)
        return &request->expansions[token->expansion];
    return token->kind == TOKEN_LITERAL ? &token->pieces[0].literal : NULL;
}

/* What a slot says of a value besides its pattern. */
static enum match_outcome slot_bounds(const struct policy_slot *slot,
                                      const struct policy_bytes *value)
{
    if (!slot->allow_dash && value->length > 0 && value->bytes[0] == '-')
        return MATCH_OPTION_LIKE;
    return value->length > slot->max_bytes ? MATCH_TOO_LONG : MATCH_ACCEPTS;
}

static enum match_outcome slot_take(const struct policy_slot *slot, const struct policy_bytes *value)
{
    enum policy_verdict verdict =
        slot->accept ? slot->accept(value->bytes, value->length) : POLICY_YES;

    if (verdict == POLICY_PATTERN_LIMIT)
        return MATCH_GAVE_UP;
    return verdict == POLICY_YES ? slot_bounds(slot, value) : MATCH_REFUSED;
}

/* ---- mixed tokens ---------------------------------------------------------------------------- */

/* Looking for the one way to divide a mixed token's argument among its pieces. */
struct split {
    const struct policy_rule *rule;
    const struct policy_token *token;
    uint32_t slot;               /* whose part is asked for, or NO_SLOT */
    struct policy_bytes value;   /* that part */
    enum match_outcome outcome;  /* of the parts' dashes and caps, the first that refuses */
    uint32_t refusing;           /* its slot */
    struct policy_bytes refused; /* its part */
    uint32_t *steps;             /* bytes that may still be looked at */
};

static bool split_charge(struct split *split, uint32_t bytes)
{
    if (*split->steps < bytes + 1) {
        *split->steps = 0;
        return false;
    }
    *split->steps -= bytes + 1;
    return true;
}

/* A part was found; the last one first. */
static void split_keep(struct split *split, uint32_t slot, struct policy_bytes part)
{
    enum match_outcome outcome = slot_bounds(&split->rule->slots[slot], &part);

    if (slot == split->slot)
        split->value = part;
    if (outcome == MATCH_ACCEPTS)
        return;
    split->outcome = outcome;
    split->refusing = slot;
    split->refused = part;
}

/* Whether pieces from `piece` on can take all of `left`, going by patterns alone. Nests once per
 * piece of the rule's token, which the rules file bounds. */
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
    policy_accept *accept = split->rule->slots[here->slot].accept;
    bool last = piece + 1 == split->token->piece_count;
    for (uint32_t length = last ? left.length : 0; length <= left.length; length++) {
        struct policy_bytes rest = {left.bytes + length, left.length - length};
        if (!split_charge(split, length))
            return false;
        if (accept && accept(left.bytes, length) != POLICY_YES)
            continue;
        if (!split_find(split, piece + 1, rest))
            continue;
        split_keep(split, here->slot, (struct policy_bytes){left.bytes, length});
        return true;
    }
    return false;
}

/* Whether a part of the value could pass a cap or start with a dash that its slot does not take. */
static bool mixed_may_refuse_part(const struct policy_rule *rule, const struct policy_token *token,
                                  const struct policy_bytes *value)
{
    for (uint32_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot &&
            slot_bounds(&rule->slots[token->pieces[i].slot], value) != MATCH_ACCEPTS)
            return true;
    return false;
}

static enum match_outcome mixed_take(const struct policy_rule *rule,
                                     const struct policy_token *token,
                                     const struct policy_bytes *value, struct match_walk *walk,
                                     uint32_t *steps)
{
    struct split split = {.rule = rule, .token = token, .slot = NO_SLOT, .steps = steps};
    enum policy_verdict verdict = token->accept(value->bytes, value->length);

    if (verdict == POLICY_PATTERN_LIMIT)
        return MATCH_GAVE_UP;
    if (verdict != POLICY_YES)
        return MATCH_REFUSED;
    if (!mixed_may_refuse_part(rule, token, value) || !split_find(&split, 0, *value) ||
        split.outcome == MATCH_ACCEPTS)
        return MATCH_ACCEPTS;
    walk->slot = split.refusing;
    walk->value = split.refused;
    return split.outcome;
}

/* ---- walking --------------------------------------------------------------------------------- */

/* Whether the rule's token takes the argument that a walk has come to; says in the walk what
 * refused. */
static enum match_outcome token_take(const struct policy_rule *rule,
                                     const struct policy_token *token,
                                     const struct policy_request *request,
                                     struct match_walk *walk, uint32_t *steps)
{
    const struct policy_bytes *value = &request->arguments[walk->argument];
    const struct policy_bytes *word = token_word(token, request);

    walk->slot = NO_SLOT;
    walk->value = *value;
    if (word)
        return bytes_are_equal(word, value) ? MATCH_ACCEPTS : MATCH_OTHER_WORD;
    if (token->kind == TOKEN_MIXED)
        return mixed_take(rule, token, value, walk, steps);
    walk->slot = token->pieces[0].slot;
    return slot_take(&rule->slots[walk->slot], value);
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

static struct match_walk rule_walk(const struct policy_rule *rule,
                                   const struct policy_request *request, uint32_t *steps)
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
            walk.outcome = token_take(rule, token, request, &walk, steps);
            if (walk.outcome != MATCH_ACCEPTS)
                return walk;
        }
    }
    walk.slot = NO_SLOT;
    if (walk.argument < request->count)
        walk.outcome = MATCH_LEFT_OVER;
    return walk;
}

struct match_walk match_walk_rule(const struct policy_rule *rule,
                                  const struct policy_request *request)
{
    uint32_t steps = SPLIT_BYTES_MAX;

    return rule_walk(rule, request, &steps);
}

/* ---- the nearest rule ------------------------------------------------------------------------ */

/* runtime/include/policy.h says what these are for. */
struct nearness {
    uint32_t words, fitting, distance;
};

static bool is_nearer(const struct nearness *a, const struct nearness *b)
{
    if (a->words != b->words)
        return a->words > b->words;
    if (a->fitting != b->fitting)
        return a->fitting > b->fitting;
    return a->distance < b->distance;
}

/* Whether the token is a word, or begins with one, that the request has somewhere. */
static bool token_is_in_request(const struct policy_token *token,
                                const struct policy_request *request)
{
    const struct policy_bytes *word = token_word(token, request);
    bool begins = !word && token->kind == TOKEN_MIXED && !token->pieces[0].is_slot;

    if (begins)
        word = &token->pieces[0].literal;
    for (uint32_t i = 1; word && i < request->count && i < POLICY_NEAREST_ARGUMENTS_MAX; i++) {
        struct policy_bytes argument = request->arguments[i];
        if (begins && argument.length > word->length)
            argument.length = word->length;
        if (bytes_are_equal(&argument, word))
            return true;
    }
    return false;
}

/* How many arguments too many or too few a request has for a rule. */
static uint32_t rule_distance(const struct policy_rule *rule, const struct policy_request *request)
{
    uint32_t fewest = 0, most = 0;

    for (uint32_t i = 0; i < rule->token_count; i++) {
        bool rest = rule->tokens[i].kind == TOKEN_REST;
        fewest += rest ? rule->tokens[i].minimum : 1;
        most += rest ? rule->tokens[i].maximum : 1;
    }
    if (request->count < fewest)
        return fewest - request->count;
    return request->count > most ? request->count - most : 0;
}

uint32_t match_find_nearest(const struct policy *policy, const struct policy_request *request,
                            struct match_walk *walk)
{
    uint32_t nearest = policy->rule_count, seen = 0, steps = SPLIT_BYTES_MAX;
    struct nearness best = {0};

    for (uint32_t i = 0; i < policy->rule_count && seen < POLICY_NEAREST_RULES_MAX; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        struct nearness here = {.distance = rule_distance(rule, request)};
        if (!bytes_are_equal(token_word(&rule->tokens[0], request), &request->arguments[0]))
            continue;
        seen++;
        for (uint32_t j = 1; j < rule->token_count; j++)
            here.words += token_is_in_request(&rule->tokens[j], request);
        if (nearest != policy->rule_count && here.words < best.words)
            continue;
        struct match_walk there = rule_walk(rule, request, &steps);
        here.fitting = there.argument;
        if (nearest != policy->rule_count && !is_nearer(&here, &best))
            continue;
        nearest = i;
        best = here;
        *walk = there;
    }
    return nearest;
}

/* ---- the values of slots --------------------------------------------------------------------- */

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
        uint32_t steps = SPLIT_BYTES_MAX;
        struct split split = {.rule = rule, .token = token, .slot = slot, .steps = &steps};
        if (!split_find(&split, 0, request->arguments[argument]))
            return -1;
        if (capacity > 0)
            values[0] = split.value;
        return 1;
    }
    return 0;
}
