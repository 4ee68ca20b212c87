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

struct token_language token_language_of(struct arena *arena, const struct model_rule *rule,
                                            const struct model_token *token)
{
    if (token->kind == TOKEN_EXPANSION) {
        const char *text = expansion_text(arena, token->expansion);
        return (struct token_language){.automaton =
                                           automaton_literal(arena, text, strlen(text))};
    }
    if (token->kind == TOKEN_LITERAL)
        return (struct token_language){
            .automaton = automaton_literal(arena, token->pieces[0].literal,
                                           token->pieces[0].literal_length)};
    if (token_is_opaque(rule, token))
        return (struct token_language){.opaque = token_opaque_text(arena, rule, token)};
    const struct model_slot *first =
        token->pieces[0].is_slot ? &rule->slots[token->pieces[0].slot] : NULL;
    if (token->kind == TOKEN_MIXED) {
        const struct automaton *whole = token->automaton;
        if (!whole)
            return (struct token_language){.opaque = token_opaque_text(arena, rule, token)};
        if (first && !first->allow_dash && !first->any)
            whole = automaton_without_dash(arena, whole);
        return (struct token_language){.automaton = whole};
    }
    const struct automaton *accepted =
        first->any || !first->accepted ? automaton_everything(arena) : first->accepted;
    struct token_language language = {.automaton = accepted};
    uint32_t shortest, longest;
    if (first->max_bytes > POLICY_VALUE_MAX && !automaton_is_empty(accepted)) {
        automaton_lengths(accepted, &shortest, &longest);
        if (longest > POLICY_VALUE_MAX / 4)
            language.cap = first->max_bytes;
    }
    return language;
}

bool rest_is_unbounded(const struct model_token *token)
{
    return token->maximum >= UINT8_MAX;
}
