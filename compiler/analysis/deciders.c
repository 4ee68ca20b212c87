#include "compiler/analysis/deciders.h"

#include <string.h>

#include "compiler/analysis/matching.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/regex/witness.h"

/* What trying one rule on a request costs, in steps, besides its tokens. */
#define TRY_STEPS 300u

/* $HOME words as the analyses have them, for every rule's. */
static void request_expand(struct arena *arena, const struct model_rule *rule,
                           struct policy_bytes *expansions, size_t capacity)
{
    for (size_t t = 0; t < rule->token_count; t++) {
        const struct model_token *token = &rule->tokens[t];
        if (token->kind != TOKEN_EXPANSION || token->expansion_index >= capacity)
            continue;
        const char *text = token_fixed_text(arena, token);
        expansions[token->expansion_index] = (struct policy_bytes){text, (uint32_t)strlen(text)};
    }
}

/* The shortest command line of a rule; false when only a call can tell, or nothing is accepted. */
static bool request_shortest(struct arena *arena, const struct model_rule *rule,
                             struct policy_request *request, struct work *work)
{
    uint32_t minimum, maximum, at = 0;
    matching_arity(rule, &minimum, &maximum);
    struct policy_bytes *arguments = arena_array(arena, (size_t)minimum + 1, sizeof *arguments);
    for (size_t t = 0; t < rule->token_count; t++) {
        const struct model_token *token = &rule->tokens[t];
        uint32_t times = token->kind == TOKEN_REST ? token->minimum : 1;
        const struct automaton *automaton = token_language_of(arena, rule, token, work).automaton;
        struct value value;
        if (!automaton || !witness_shortest(arena, automaton, &value))
            return false;
        for (uint32_t i = 0; i < times; i++)
            arguments[at++] = (struct policy_bytes){value.bytes, (uint32_t)value.length};
    }
    request->count = minimum;
    request->arguments = arguments;
    return true;
}

/* One more than the highest number of a $HOME word. */
static size_t expansions_needed(const struct model_rule *const *rules, uint32_t count)
{
    size_t needed = 0;
    for (uint32_t r = 0; r < count; r++)
        for (size_t t = 0; t < rules[r]->token_count; t++)
            if (rules[r]->tokens[t].kind == TOKEN_EXPANSION &&
                rules[r]->tokens[t].expansion_index >= needed)
                needed = (size_t)rules[r]->tokens[t].expansion_index + 1;
    return needed;
}

bool decides_its_shortest(const struct model_rule *const *rules, uint32_t number, struct work *work)
{
    struct arena *scratch = arena_new(0);
    size_t expansion_count = expansions_needed(rules, number + 1);
    struct policy_bytes *expansions = arena_array(scratch, expansion_count, sizeof *expansions);
    struct policy_request request = {.expansions = expansions};
    for (uint32_t r = 0; r <= number && expansion_count; r++)
        request_expand(scratch, rules[r], expansions, expansion_count);
    bool decides = request_shortest(scratch, rules[number], &request, work) &&
                   matching_rule(scratch, rules[number], &request).verdict == POLICY_YES;
    for (uint32_t r = 0; decides && r < number; r++)
        decides = work_spend(work, TRY_STEPS + request.count * 100) &&
                  matching_rule(scratch, rules[r], &request).verdict == POLICY_NO;
    arena_free(scratch);
    return decides;
}
