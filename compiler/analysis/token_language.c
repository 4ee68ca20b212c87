#include "compiler/analysis/token_language.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

static bool token_is_opaque(const struct model_rule *rule, const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot && rule->slots[piece->slot].language &&
            rule->slots[piece->slot].language->pcre2)
            return true;
    }
    return false;
}

/* A text that equal call-time languages share, and others do not. */
static const char *token_opaque_text(struct arena *arena, const struct model_rule *rule,
                                     const struct model_token *token)
{
    struct buffer text = {0};
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (!piece->is_slot) {
            buffer_format(&text, "literal %zu ", piece->literal_length);
            buffer_add(&text, piece->literal, piece->literal_length);
            continue;
        }
        const struct model_slot *slot = &rule->slots[piece->slot];
        const char *key = slot->language ? slot->language->key : "anything";
        buffer_format(&text, "slot %zu %s %u %d ", strlen(key), key, slot->max_bytes,
                      slot->allow_dash);
    }
    const char *copy = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}

static const char *expansion_text(struct arena *arena, struct policy_template template)
{
    static const char *const values[] = {
        [TEMPLATE_HOME] = TOKEN_LANGUAGE_HOME,
        [TEMPLATE_XDG_RUNTIME_DIR] = "/run/user/1000",
        [TEMPLATE_XDG_STATE_HOME] = TOKEN_LANGUAGE_HOME "/.local/state",
        [TEMPLATE_XDG_CONFIG_HOME] = TOKEN_LANGUAGE_HOME "/.config",
    };
    struct buffer text = {0};
    for (uint32_t i = 0; i < template.count; i++) {
        const struct policy_template_piece *piece = &template.pieces[i];
        buffer_puts(&text, piece->kind == TEMPLATE_TEXT ? piece->text : values[piece->kind]);
    }
    const char *copy = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}

/* Every text of at most `bytes` bytes of UTF-8. */
static struct automaton *bytes_at_most(struct arena *arena, uint32_t bytes)
{
    static const uint32_t bounds[][2] = {{0x01, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF},
                                         {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}};
    static const uint32_t lengths[] = {1, 2, 3, 3, 4};
    struct automaton *a = arena_alloc(arena, sizeof *a);
    a->state_count = bytes + 1;
    a->states = arena_array(arena, a->state_count, sizeof *a->states);
    for (uint32_t s = 0; s <= bytes; s++) {
        struct automaton_state *state = &a->states[s];
        state->accepting = true;
        state->transitions = arena_array(arena, 5, sizeof *state->transitions);
        for (size_t i = 0; i < 5 && s + lengths[i] <= bytes; i++)
            state->transitions[state->transition_count++] =
                (struct transition){bounds[i][0], bounds[i][1], s + lengths[i]};
    }
    return a;
}

/* What a pair of states of a language and of a cap costs, in steps. */
#define CAP_STEPS 300u

/* What a slot's cap leaves of its language. The default cap, which values meet only by their number,
 * and raised ones are left to whoever compares values (atoms.c). NULL: too large to be worked out. */
static const struct automaton *slot_capped(struct arena *arena, const struct model_slot *slot,
                                           const struct automaton *accepted, struct work *work)
{
    uint32_t shortest, longest;
    uint64_t lengths = slot->max_bytes;
    if (slot->max_bytes >= POLICY_VALUE_MAX || automaton_is_empty(accepted))
        return accepted;
    automaton_lengths(accepted, &shortest, &longest);
    if (longest <= slot->max_bytes / 4)
        return accepted;
    if (!work_spend(work, (lengths < accepted->state_count ? lengths : accepted->state_count) *
                              lengths * CAP_STEPS))
        return NULL;
    return automaton_intersect(arena, accepted, bytes_at_most(arena, slot->max_bytes),
                               AUTOMATON_STATES_MAX);
}

static bool has_lowered_cap(const struct model_rule *rule, const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot &&
            rule->slots[token->pieces[i].slot].max_bytes < POLICY_VALUE_MAX)
            return true;
    return false;
}

/* The pieces of a token in a row, each as its slot's cap leaves it. NULL: only a call can tell. */
static const struct automaton *mixed_language(struct arena *arena, const struct model_rule *rule,
                                              const struct model_token *token, struct work *work)
{
    if (!token->automaton || !has_lowered_cap(rule, token))
        return token->automaton;
    const struct automaton **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        const struct model_slot *slot = piece->is_slot ? &rule->slots[piece->slot] : NULL;
        if (!slot)
            parts[i] = automaton_literal(arena, piece->literal, piece->literal_length);
        else
            parts[i] = slot_capped(arena, slot, slot->language ? slot->language->automaton
                                                               : automaton_everything(arena),
                                   work);
        if (!parts[i])
            return NULL;
    }
    return automaton_concat(arena, parts, token->piece_count, AUTOMATON_STATES_MAX);
}

const char *token_fixed_text(struct arena *arena, const struct model_token *token)
{
    if (token->kind == TOKEN_EXPANSION)
        return expansion_text(arena, token->expansion);
    return token->kind == TOKEN_LITERAL ? token->pieces[0].literal : NULL;
}

struct token_language token_language_of(struct arena *arena, const struct model_rule *rule,
                                        const struct model_token *token, struct work *work)
{
    if (token->kind == TOKEN_EXPANSION) {
        const char *text = expansion_text(arena, token->expansion);
        return (struct token_language){.automaton =
                                           automaton_literal(arena, text, strlen(text))};
    }
    if (token->kind == TOKEN_LITERAL)
        return (struct token_language){
            .automaton = automaton_literal(arena, token->pieces[0].literal,
                                           token->pieces[0].literal_length),
            .uncapped = token->pieces[0].literal_length > POLICY_VALUE_MAX};
    if (token_is_opaque(rule, token))
        return (struct token_language){.opaque = token_opaque_text(arena, rule, token)};
    const struct model_slot *first =
        token->pieces[0].is_slot ? &rule->slots[token->pieces[0].slot] : NULL;
    const struct automaton *accepted;
    if (token->kind == TOKEN_MIXED) {
        accepted = mixed_language(arena, rule, token, work);
        if (accepted && first && !first->allow_dash && !first->any)
            accepted = automaton_without_dash(arena, accepted);
    } else {
        accepted = slot_capped(arena, first, first->any || !first->accepted
                                                 ? automaton_everything(arena)
                                                 : first->accepted,
                               work);
    }
    if (!accepted)
        return (struct token_language){.opaque = token_opaque_text(arena, rule, token)};
    struct token_language language = {.automaton = accepted};
    uint32_t shortest, longest;
    if (automaton_is_empty(accepted))
        return language;
    automaton_lengths(accepted, &shortest, &longest);
    if (longest <= POLICY_VALUE_MAX / 4)
        return language; /* no value meets a cap */
    language.uncapped = token->kind == TOKEN_MIXED;
    if (!language.uncapped && first->max_bytes > POLICY_VALUE_MAX)
        language.cap = first->max_bytes;
    return language;
}

bool rest_is_unbounded(const struct model_token *token)
{
    return token->maximum >= UINT8_MAX;
}
