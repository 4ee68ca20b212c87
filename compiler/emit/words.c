#include "compiler/emit/words.h"

#include "compiler/policy/model.h"

struct rule_shape rule_shape(const struct model_rule *rule)
{
    struct rule_shape shape = {0, 0, SIZE_MAX};
    for (size_t i = 0; i < rule->token_count; i++) {
        const struct model_token *token = &rule->tokens[i];
        bool rest = token->kind == TOKEN_REST;
        shape.minimum += rest ? token->minimum : 1;
        shape.maximum += rest ? token->maximum : 1;
        if (rest)
            shape.rest = i;
    }
    return shape;
}

/* A scalar takes a byte at least. */
static size_t slot_least(const struct model_slot *slot)
{
    uint32_t shortest, longest;
    if (!slot->language || !slot->language->automaton)
        return 0;
    automaton_lengths(slot->language->automaton, &shortest, &longest);
    return shortest;
}

size_t token_least_beside(const struct model_rule *rule, const struct model_token *token, size_t at)
{
    size_t sum = 0;
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (!piece->is_slot)
            sum += piece->literal_length;
        else if (i != at)
            sum += slot_least(&rule->slots[piece->slot]);
    }
    return sum;
}
