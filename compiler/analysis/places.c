#include "compiler/analysis/places.h"

#include "compiler/analysis/number_table.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"

/* A residual's key: what a token waits for, and what follows it. */
enum { KEY_LANGUAGE, KEY_MINIMUM, KEY_MAXIMUM, KEY_NEXT, KEY_NUMBERS };
#define NO_MAXIMUM UINT32_MAX

struct builder {
    struct places *places;
    struct atoms *atoms;
    struct work *work;
    struct number_table residuals;
    uint32_t *begins; /* of one rule: the first place of each token */
    size_t begin_capacity;
};

/* How many places a token has: a `...` one for each number of values that makes a difference. */
static uint32_t token_places(const struct model_token *token)
{
    if (token->kind != TOKEN_REST)
        return 1;
    return rest_is_unbounded(token) ? token->minimum + 1 : token->maximum;
}

/* The places that a rule is at when `count` values of a token have been read: those that it reaches
 * without one more value too. */
static void places_enter(const struct builder *builder, const struct model_rule *rule, uint32_t token,
                         uint32_t count, uint32_t next[PLACE_NEXT])
{
    size_t found = 0;
    next[0] = next[1] = PLACE_NONE;
    for (; found < PLACE_NEXT; token++, count = 0) {
        const struct model_token *of = token < rule->token_count ? &rule->tokens[token] : NULL;
        bool rest = of && of->kind == TOKEN_REST;
        if (!rest || count < of->maximum || rest_is_unbounded(of))
            next[found++] = builder->begins[token] +
                            (rest && rest_is_unbounded(of) && count > of->minimum ? of->minimum : count);
        if (!rest || count < of->minimum)
            return;
    }
}

static void place_fill(struct builder *builder, const struct model_rule *rule, uint32_t token,
                       uint32_t count, struct place *place)
{
    const struct model_token *of = &rule->tokens[token];
    uint32_t key[KEY_NUMBERS] = {place->language, 1, 1,
                                 builder->places->items[builder->begins[token + 1]].residual};
    if (of->kind == TOKEN_REST) {
        key[KEY_MINIMUM] = count < of->minimum ? of->minimum - count : 0;
        key[KEY_MAXIMUM] = rest_is_unbounded(of) ? NO_MAXIMUM : of->maximum - count;
        places_enter(builder, rule, token, count + 1, place->next);
    } else {
        places_enter(builder, rule, token + 1, 0, place->next);
    }
    uint32_t rest = UINT32_MAX;
    for (size_t i = 0; i < PLACE_NEXT; i++)
        if (place->next[i] != PLACE_NONE && builder->places->items + place->next[i] != place &&
            builder->places->items[place->next[i]].shortest < rest)
            rest = builder->places->items[place->next[i]].shortest;
    place->shortest = atoms_shortest(builder->atoms, place->language) + 1 + rest;
    int is_new;
    place->residual = number_table_intern(&builder->residuals, key, KEY_NUMBERS, &is_new);
}

static void rule_fill(struct builder *builder, struct arena *arena, const struct model_rule *rule,
                      uint32_t number, uint32_t begin)
{
    struct place *places = builder->places->items;
    arena_grow(arena, &builder->begins, &builder->begin_capacity, rule->token_count + 1,
               sizeof *builder->begins);
    for (size_t t = 0; t < rule->token_count; t++) {
        builder->begins[t] = begin;
        begin += token_places(&rule->tokens[t]);
    }
    builder->begins[rule->token_count] = begin;
    places[begin] = (struct place){.rule = number, .ends = true, .next = {PLACE_NONE, PLACE_NONE}};
    for (size_t t = rule->token_count; t-- > 0;) {
        uint32_t language =
            atoms_language(builder->atoms, token_language_of(arena, rule, &rule->tokens[t],
                                                             builder->work));
        for (uint32_t count = token_places(&rule->tokens[t]); count-- > 0;) {
            struct place *place = &places[builder->begins[t] + count];
            *place = (struct place){.rule = number, .language = language};
            place_fill(builder, rule, (uint32_t)t, count, place);
        }
    }
    places_enter(builder, rule, 0, 0, builder->places->first[number]);
}

bool places_new(struct places *places, struct arena *arena, const struct model_rule *const *rules,
                size_t rule_count, struct atoms *atoms, struct work *work)
{
    struct builder builder = {.places = places, .atoms = atoms, .work = work};
    size_t count = 0;
    for (size_t r = 0; r < rule_count; r++) {
        count++;
        for (size_t t = 0; t < rules[r]->token_count; t++)
            count += token_places(&rules[r]->tokens[t]);
    }
    *places = (struct places){.count = count};
    if (!work_may_hold(work, arena, count * sizeof *places->items))
        return false;
    number_table_init(&builder.residuals, arena);
    places->items = arena_array(arena, count + 1, sizeof *places->items);
    places->first = arena_array(arena, rule_count + 1, sizeof *places->first);
    /* The end of every rule is residual 0. */
    int is_new;
    number_table_intern(&builder.residuals, NULL, 0, &is_new);
    size_t begin = 0;
    for (size_t r = 0; r < rule_count; r++) {
        rule_fill(&builder, arena, rules[r], (uint32_t)r, (uint32_t)begin);
        begin++;
        for (size_t t = 0; t < rules[r]->token_count; t++)
            begin += token_places(&rules[r]->tokens[t]);
        if (!work_spend(work, rules[r]->token_count * 500) || !work_may_hold(work, arena, 0))
            return false;
    }
    return true;
}
