#include "compiler/analysis/refusal.h"

#include <string.h>

#include "compiler/base/excerpt.h"
#include "compiler/base/suggest.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/witness.h"

/* Bytes of a value, and arguments of a request, that are shown. */
#define SHOWN_BYTES_MAX 80u
#define SHOWN_ARGUMENTS_MAX 40u

/* ---- values ---------------------------------------------------------------------------------- */

/* At most SHOWN_BYTES_MAX bytes, whole characters. */
static uint32_t shown_length(struct policy_bytes value)
{
    uint32_t length = value.length;
    if (length > SHOWN_BYTES_MAX) {
        length = SHOWN_BYTES_MAX;
        while (length && ((unsigned char)value.bytes[length] & 0xC0) == 0x80)
            length--;
    }
    return length;
}

void show_value(struct buffer *out, struct policy_bytes value)
{
    uint32_t length = shown_length(value);
    buffer_char(out, '\'');
    excerpt_visible(out, value.bytes, length);
    buffer_puts(out, length < value.length ? "...'" : "'");
}

static bool is_plain(struct policy_bytes value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=@%+,";
    for (uint32_t i = 0; i < value.length; i++)
        if (!memchr(plain, value.bytes[i], sizeof plain - 1))
            return false;
    return value.length > 0 && value.length <= SHOWN_BYTES_MAX;
}

void show_request(struct buffer *out, const struct policy_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        if (i)
            buffer_char(out, ' ');
        if (i == SHOWN_ARGUMENTS_MAX) {
            buffer_puts(out, "...");
            return;
        }
        if (is_plain(request->arguments[i]))
            buffer_add(out, request->arguments[i].bytes, request->arguments[i].length);
        else
            show_value(out, request->arguments[i]);
    }
}

/* ---- the nearest rule ------------------------------------------------------------------------ */

/* How near a rule is to a request: runtime/include/policy.h says what these are for. */
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

/* Whether a token is a word, or begins with one, that the request has after its program. */
static bool is_in_request(const struct model_token *token, const struct policy_request *request)
{
    const struct model_piece *piece = &token->pieces[0];
    struct policy_bytes word = {piece->literal, (uint32_t)piece->literal_length};
    bool begins = token->kind == TOKEN_MIXED;
    if (token->kind == TOKEN_EXPANSION)
        word = request->expansions[token->expansion_index];
    else if (piece->is_slot)
        return false;
    for (uint32_t i = 1; i < request->count && i < POLICY_NEAREST_ARGUMENTS_MAX; i++) {
        struct policy_bytes argument = request->arguments[i];
        bool fits = begins ? argument.length >= word.length : argument.length == word.length;
        if (fits && (!word.length || memcmp(argument.bytes, word.bytes, word.length) == 0))
            return true;
    }
    return false;
}

static enum policy_verdict token_verdict(struct arena *arena, const struct model_rule *rule,
                                         const struct policy_request *request, uint32_t index,
                                         uint32_t *slot)
{
    const struct model_token *token = matching_token_at(rule, index, request->count);
    struct bindings ignored = {0};
    if (!token)
        return POLICY_NO;
    return matching_token(arena, rule, token, request->arguments[index], request, &ignored, slot);
}

static struct nearness nearness_of(struct arena *arena, const struct model_rule *rule,
                                   const struct policy_request *request)
{
    struct nearness nearness = {0};
    uint32_t minimum, maximum, slot;
    matching_arity(rule, &minimum, &maximum);
    if (request->count < minimum)
        nearness.distance = minimum - request->count;
    if (request->count > maximum)
        nearness.distance = request->count - maximum;
    for (size_t i = 1; i < rule->token_count; i++)
        nearness.words += is_in_request(&rule->tokens[i], request);
    while (nearness.fitting < request->count &&
           token_verdict(arena, rule, request, nearness.fitting, &slot) == POLICY_YES)
        nearness.fitting++;
    return nearness;
}

/* The nearest rule, as runtime/include/policy.h defines it; NULL: none runs the program. */
static const struct model_rule *nearest_rule(struct arena *arena, const struct model *model,
                                             const struct policy_request *request)
{
    const struct model_rule *nearest = NULL;
    struct nearness best = {0};
    for (size_t i = 0, seen = 0; i < model->rule_count && seen < POLICY_NEAREST_RULES_MAX; i++) {
        uint32_t slot;
        if (token_verdict(arena, &model->rules[i], request, 0, &slot) != POLICY_YES)
            continue;
        struct nearness nearness = nearness_of(arena, &model->rules[i], request);
        if (!nearest || is_nearer(&nearness, &best)) {
            best = nearness;
            nearest = &model->rules[i];
        }
        seen++;
    }
    return nearest;
}

/* ---- reasons --------------------------------------------------------------------------------- */

static void add_token(struct buffer *out, const struct model_rule *rule,
                      const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot)
            buffer_format(out, token->piece_count > 1 ? "#{%s}" : "#%s",
                          rule->slots[piece->slot].name);
        else
            excerpt_visible(out, piece->literal, piece->literal_length);
    }
    if (token->kind == TOKEN_REST)
        buffer_puts(out, "...");
}

/* Where a value leaves an automaton: the offset of the first byte that no accepted value has there;
 * the value's length when more would have to follow. */
static uint32_t where_it_leaves(const struct automaton *automaton, struct policy_bytes value)
{
    uint32_t state = 0, at = 0;
    while (at < value.length) {
        uint32_t scalar, next = UINT32_MAX;
        size_t length = utf8_decode(value.bytes + at, value.length - at, &scalar);
        const struct automaton_state *from = &automaton->states[state];
        for (uint32_t i = 0; i < from->transition_count; i++)
            if (from->transitions[i].low <= scalar && scalar <= from->transitions[i].high)
                next = from->transitions[i].target;
        if (next == UINT32_MAX)
            return at;
        state = next;
        at += (uint32_t)length;
    }
    return at;
}

static void add_where(struct buffer *out, const struct automaton *automaton,
                      struct policy_bytes value)
{
    uint32_t at = where_it_leaves(automaton, value), scalar;
    if (!value.length) {
        buffer_puts(out, ": it is empty");
    } else if (at == value.length) {
        buffer_puts(out, ": more must follow");
    } else {
        size_t length = utf8_decode(value.bytes + at, value.length - at, &scalar);
        uint32_t column = 1;
        for (uint32_t i = 0; i < at; column++)
            i += (uint32_t)utf8_decode(value.bytes + i, value.length - i, &scalar);
        buffer_puts(out, ": not with ");
        show_value(out, (struct policy_bytes){value.bytes + at, (uint32_t)length});
        buffer_format(out, " as character %u", column);
    }
}

static void add_accepted(struct buffer *out, struct arena *arena, const struct model_slot *slot)
{
    struct value example;
    buffer_format(out, "#%s accepts ", slot->name);
    excerpt_visible(out, slot->description, strlen(slot->description));
    if (slot->accepted && witness_shortest(arena, slot->accepted, &example)) {
        buffer_puts(out, ", for example ");
        show_value(out, (struct policy_bytes){example.bytes, (uint32_t)example.length});
    }
    buffer_char(out, '\n');
}

/* "is not accepted by #branch: it begins with '-'", and what the slot accepts. */
static void add_slot_reason(struct buffer *out, struct arena *arena, const struct model_slot *slot,
                            struct policy_bytes value, enum policy_verdict verdict, bool is_part)
{
    buffer_format(out, " is not accepted by #%s", slot->name);
    if (verdict == POLICY_OPTION_LIKE ||
        (!slot->allow_dash && value.length && value.bytes[0] == '-'))
        buffer_puts(out, ": it begins with '-'");
    else if (verdict == POLICY_TOO_LONG && is_part)
        buffer_format(out, ": its part has over %u bytes", slot->max_bytes);
    else if (verdict == POLICY_TOO_LONG)
        buffer_format(out, ": it has %u bytes, and at most %u are taken", value.length,
                      slot->max_bytes);
    else if (verdict == POLICY_PATTERN_LIMIT)
        buffer_puts(out, ": PCRE2 gave up on it");
    else if (slot->language && slot->language->automaton)
        add_where(out, slot->language->automaton, value);
    buffer_char(out, '\n');
    add_accepted(out, arena, slot);
}

static void add_mixed_reason(struct buffer *out, struct arena *arena,
                             const struct model_rule *rule, const struct model_token *token,
                             struct policy_bytes value)
{
    buffer_puts(out, " does not fit ");
    add_token(out, rule, token);
    if (token->automaton)
        add_where(out, token->automaton, value);
    buffer_char(out, '\n');
    for (size_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot)
            add_accepted(out, arena, &rule->slots[token->pieces[i].slot]);
}

static void add_token_reason(struct buffer *out, struct arena *arena,
                             const struct model_rule *rule, const struct model_token *token,
                             const struct policy_request *request, uint32_t index)
{
    struct policy_bytes value = request->arguments[index];
    uint32_t slot = 0;
    enum policy_verdict verdict = token_verdict(arena, rule, request, index, &slot);
    buffer_format(out, "token %u: ", index + 1);
    show_value(out, value);
    if (token->kind == TOKEN_MIXED && verdict == POLICY_NO) {
        add_mixed_reason(out, arena, rule, token, value);
    } else if (token->kind == TOKEN_LITERAL) {
        buffer_puts(out, " is not ");
        show_value(out, (struct policy_bytes){token->pieces[0].literal,
                                                 (uint32_t)token->pieces[0].literal_length});
        buffer_char(out, '\n');
    } else if (token->kind == TOKEN_EXPANSION) {
        buffer_puts(out, " is not ");
        add_token(out, rule, token);
        buffer_char(out, '\n');
    } else {
        add_slot_reason(out, arena, &rule->slots[slot], value, verdict,
                        token->kind == TOKEN_MIXED);
    }
}

static void add_arity_reason(struct buffer *out, const struct model_rule *rule,
                             const struct policy_request *request)
{
    uint32_t minimum, maximum;
    matching_arity(rule, &minimum, &maximum);
    if (request->count < minimum) {
        buffer_format(out, "token %u is missing: ", request->count + 1);
        add_token(out, rule, matching_token_at(rule, request->count, minimum));
    } else {
        buffer_format(out, "token %u: ", maximum + 1);
        show_value(out, request->arguments[maximum]);
        buffer_puts(out, " is too many; the rule ends before it");
    }
    buffer_char(out, '\n');
}

/* The first token that is not accepted, or what is missing or too many. */
static void add_reason(struct buffer *out, struct arena *arena, const struct model_rule *rule,
                       const struct policy_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        const struct model_token *token = matching_token_at(rule, i, request->count);
        uint32_t slot;
        if (!token)
            break;
        if (token_verdict(arena, rule, request, i, &slot) == POLICY_YES)
            continue;
        add_token_reason(out, arena, rule, token, request, i);
        return;
    }
    add_arity_reason(out, rule, request);
}

/* ---- no rule at all -------------------------------------------------------------------------- */

static void add_unknown_program(struct buffer *out, const struct model *model,
                                const struct policy_request *request)
{
    struct suggestion search = {.word = request->arguments[0].bytes,
                                .length = request->arguments[0].length};
    for (size_t i = 0; i < model->rule_count; i++)
        if (model->rules[i].tokens[0].kind == TOKEN_LITERAL)
            suggest_offer(&search, model->rules[i].tokens[0].pieces[0].literal);
    buffer_puts(out, "no rule runs ");
    show_value(out, request->arguments[0]);
    if (search.nearest) {
        buffer_puts(out, "; did you mean ");
        show_value(out,
                      (struct policy_bytes){search.nearest, (uint32_t)strlen(search.nearest)});
        buffer_char(out, '?');
    }
    buffer_char(out, '\n');
}

void refusal_explain(struct buffer *out, struct arena *arena, const struct model *model,
                     const struct policy_request *request, const struct matching *refused)
{
    const struct model_rule *rule =
        refused->rule ? refused->rule : nearest_rule(arena, model, request);
    buffer_puts(out, "no rule matches: ");
    show_request(out, request);
    buffer_char(out, '\n');
    if (!rule) {
        add_unknown_program(out, model, request);
        return;
    }
    buffer_format(out, "nearest: %s:%u: ", model->file, rule->line);
    excerpt_visible(out, rule->text, strlen(rule->text));
    buffer_char(out, '\n');
    add_reason(out, arena, rule, request);
}
