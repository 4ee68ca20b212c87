#include "compiler/emit/requests.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/words.h"
#include "compiler/policy/model.h"
#include "compiler/regex/witness.h"

#define ARGUMENTS_MAX 256u /* of a request on the wire */

struct maker {
    struct arena *arena;
    const struct model *model;
    uint32_t rule;
    size_t limit, count, capacity;
    struct made_request *made;
    struct policy_bytes *base; /* the rule's own arguments */
    uint32_t base_count;
};

static struct policy_bytes bytes_of(const char *text, size_t length)
{
    return (struct policy_bytes){text, (uint32_t)length};
}

/* Adds a request with these arguments. Expansions are what no argument is by accident. */
static void request_add(struct maker *maker, const struct policy_bytes *arguments, uint32_t count)
{
    if (maker->count >= maker->limit || count == 0 || count > ARGUMENTS_MAX)
        return;
    uint32_t expansions = (uint32_t)maker->model->expansion_count;
    struct policy_bytes *values = arena_array(maker->arena, expansions + count, sizeof *values);
    for (uint32_t i = 0; i < expansions; i++) {
        const char *text = arena_format(maker->arena, "/expansion/%u", i);
        values[i] = bytes_of(text, strlen(text));
    }
    for (uint32_t i = 0; i < count; i++)
        values[expansions + i] = arguments[i];
    arena_grow(maker->arena, &maker->made, &maker->capacity, maker->count + 1,
               sizeof *maker->made);
    maker->made[maker->count++] =
        (struct made_request){maker->rule, count, expansions, values};
}

/* ---- the rule's own request ------------------------------------------------------------------ */

/* A short value that a slot takes; false when that is not known here. */
static bool slot_value(struct maker *maker, const struct model_slot *slot,
                       struct policy_bytes *value)
{
    struct value found;
    *value = bytes_of("x", 1);
    if (!slot->language)
        return true;
    if (!slot->accepted || !witness_shortest(maker->arena, slot->accepted, &found))
        return false;
    *value = bytes_of(found.bytes, found.length);
    return true;
}

static bool mixed_value(struct maker *maker, const struct model_rule *rule,
                        const struct model_token *token, struct policy_bytes *value)
{
    struct buffer text = {0};
    bool known = true;
    for (size_t i = 0; i < token->piece_count && known; i++) {
        const struct model_piece *piece = &token->pieces[i];
        struct policy_bytes part = bytes_of(piece->literal, piece->literal_length);
        if (piece->is_slot)
            known = slot_value(maker, &rule->slots[piece->slot], &part);
        if (known)
            buffer_add(&text, part.bytes, part.length);
    }
    *value = bytes_of(arena_copy(maker->arena, buffer_text(&text), text.length), text.length);
    buffer_free(&text);
    return known;
}

static bool token_value(struct maker *maker, const struct model_rule *rule,
                        const struct model_token *token, struct policy_bytes *value)
{
    const char *text;
    switch (token->kind) {
    case TOKEN_LITERAL:
        *value = bytes_of(token->pieces[0].literal, token->pieces[0].literal_length);
        return true;
    case TOKEN_EXPANSION:
        text = arena_format(maker->arena, "/expansion/%u", token->expansion_index);
        *value = bytes_of(text, strlen(text));
        return true;
    case TOKEN_SLOT:
    case TOKEN_REST:
        return slot_value(maker, &rule->slots[token->pieces[0].slot], value);
    case TOKEN_MIXED:
        return mixed_value(maker, rule, token, value);
    }
    return false;
}

/* The rule's arguments, `...` slots taken `rest` times. */
static bool arguments_make(struct maker *maker, const struct model_rule *rule, uint32_t rest)
{
    maker->base = arena_array(maker->arena, rule->token_count + rest, sizeof *maker->base);
    maker->base_count = 0;
    for (size_t i = 0; i < rule->token_count; i++) {
        struct policy_bytes value;
        if (!token_value(maker, rule, &rule->tokens[i], &value))
            return false;
        uint32_t times = rule->tokens[i].kind == TOKEN_REST ? rest : 1;
        for (uint32_t k = 0; k < times; k++)
            maker->base[maker->base_count++] = value;
    }
    return true;
}

/* ---- ones that differ ------------------------------------------------------------------------ */

static void replaced_add(struct maker *maker, uint32_t at, struct policy_bytes value)
{
    struct policy_bytes *arguments =
        arena_array(maker->arena, maker->base_count, sizeof *arguments);
    for (uint32_t i = 0; i < maker->base_count; i++)
        arguments[i] = i == at ? value : maker->base[i];
    request_add(maker, arguments, maker->base_count);
}

/* A dash before a value, and a value over any cap: what refuses although a pattern may accept. */
static void refusals_add(struct maker *maker, uint32_t at)
{
    struct policy_bytes old = maker->base[at];
    char *dashed = arena_alloc(maker->arena, (size_t)old.length + 2);
    dashed[0] = '-';
    memcpy(dashed + 1, old.bytes, old.length);
    replaced_add(maker, at, bytes_of(dashed, (size_t)old.length + 1));
    replaced_add(maker, at, bytes_of("-", 1));

    char byte = old.length ? old.bytes[old.length - 1] : 'a';
    if ((unsigned char)byte >= 0x80)
        byte = 'a'; /* a piece of a character alone would not be UTF-8 */
    size_t length = (size_t)old.length + POLICY_VALUE_MAX;
    char *grown = arena_alloc(maker->arena, length + 1);
    memcpy(grown, old.bytes, old.length);
    memset(grown + old.length, byte, POLICY_VALUE_MAX);
    replaced_add(maker, at, bytes_of(grown, length));
    replaced_add(maker, at, bytes_of(grown, POLICY_VALUE_MAX));
}

static void variants_add(struct maker *maker, const struct model_rule *rule)
{
    struct policy_bytes *longer =
        arena_array(maker->arena, maker->base_count + 1, sizeof *longer);
    memcpy(longer, maker->base, maker->base_count * sizeof *longer);
    longer[maker->base_count] = bytes_of("x", 1);
    request_add(maker, longer, maker->base_count + 1);
    request_add(maker, longer, maker->base_count - 1);
    for (uint32_t at = 0; at < maker->base_count; at++) {
        struct policy_bytes old = maker->base[at];
        char *changed = arena_alloc(maker->arena, (size_t)old.length + 2);
        memcpy(changed, old.bytes, old.length);
        changed[old.length] = 'x';
        replaced_add(maker, at, bytes_of(changed, (size_t)old.length + 1));
        if (rule->slot_count && at > 0)
            refusals_add(maker, at);
    }
}

size_t requests_make(struct arena *arena, const struct model *model, uint32_t rule, size_t limit,
                     struct made_request **made)
{
    struct maker maker = {.arena = arena, .model = model, .rule = rule, .limit = limit};
    const struct model_rule *which = &model->rules[rule];
    struct rule_shape shape = rule_shape(which);
    uint32_t least = 0, most = 0;
    if (shape.rest != SIZE_MAX) {
        least = which->tokens[shape.rest].minimum;
        most = which->tokens[shape.rest].maximum;
    }
    if (arguments_make(&maker, which, least)) {
        request_add(&maker, maker.base, maker.base_count);
        variants_add(&maker, which);
    }
    if (most > least && arguments_make(&maker, which, most))
        request_add(&maker, maker.base, maker.base_count);
    *made = maker.made;
    return maker.count;
}
