#include "compiler/policy/tokens.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/mixed.h"
#include "compiler/policy/slots.h"
#include "compiler/policy/templates.h"

/* ---- the executable -------------------------------------------------------------------------- */

static bool report_executable(struct check *check, const struct tree_token *token,
                              const char *message, const char *hint)
{
    struct diagnostic *error = diagnostic_error(check->diagnostics, token->at, "%s", message);
    check_hint(check, error, "%s", hint);
    return false;
}

static bool check_executable(struct check *check, const struct tree_token *token)
{
    for (uint32_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].kind == PIECE_SLOT)
            return report_executable(check, token, "the executable cannot have a slot",
                                     "what is run is named by the rule, never by the caller; write "
                                     "a rule for each program");
    const char *name = token->pieces[0].text;
    if (!*name)
        return report_executable(check, token, "the executable is empty",
                                 "write a program's name or its absolute path");
    const char *slash = strchr(name, '/');
    if (!slash)
        return true;
    if (*name != '/' && !token->home)
        return report_executable(check, token, "the executable is a relative path",
                                 "write a bare name, which is looked up in exec_path, or an "
                                 "absolute path");
    if (name[strlen(name) - 1] == '/')
        return report_executable(check, token, "the executable is a directory",
                                 "write a program's name or its absolute path");
    return true;
}

/* ---- literals -------------------------------------------------------------------------------- */

/* `$NAME` and `${` outside quotes: a shell would expand them, and the rule would seem to. In a
 * token without quotes and backslashes, text and source are the same bytes. */
static bool check_dollars(struct check *check, const struct tree_token *token)
{
    for (uint32_t i = 0; i < token->piece_count && !token->quoted; i++) {
        const struct tree_piece *piece = &token->pieces[i];
        uint32_t at = token->home && !i ? 1 : 0;
        for (; piece->kind == PIECE_LITERAL && at < piece->length; at++) {
            uint32_t length = (uint32_t)template_variable_length(piece->text + at,
                                                                 piece->length - at);
            if (!length)
                continue;
            struct span span = {piece->at.begin + at, piece->at.begin + at + length};
            const char *text = check_quote(check, piece->text + at, length);
            struct diagnostic *error =
                diagnostic_error(check->diagnostics, span, "`%s` is not expanded here", text);
            check_hint(check, error,
                       "only `$HOME/` at the start of a word is; write `%s` in single quotes if "
                       "it is meant as it stands", text);
            return false;
        }
    }
    if (token->home && token->piece_count > 1) {
        diagnostic_error(check->diagnostics, token->at,
                         "a word that begins with `$HOME/` cannot have slots");
        return false;
    }
    return true;
}

/* A request has at most MODEL_TOKENS_MAX arguments: a rule that needs more accepts nothing. */
static bool check_arity(struct check *check, const struct tree_rule *rule)
{
    uint32_t least = 0;
    for (uint32_t i = 0; i < rule->token_count; i++)
        least += rule->tokens[i].is_rest ? rule->tokens[i].minimum : 1;
    if (least <= MODEL_TOKENS_MAX)
        return true;
    diagnostic_error(check->diagnostics, rule->stanza.at,
                     "the rule needs at least %u arguments; a request has at most %u", least,
                     MODEL_TOKENS_MAX);
    return false;
}

bool tokens_check(struct check *check, const struct rule_draft *rule)
{
    const struct tree_rule *tree = rule->tree;
    bool good = true;
    for (uint32_t i = 0; i < tree->token_count; i++)
        if (!check_dollars(check, &tree->tokens[i]) ||
            (!i && !check_executable(check, &tree->tokens[i])))
            good = false;
    return check_arity(check, tree) && good;
}

/* ---- the model's tokens ---------------------------------------------------------------------- */

void tokens_mark_leading(struct rule_draft *rule)
{
    for (uint32_t i = 0; i < rule->tree->token_count; i++) {
        const struct tree_token *token = &rule->tree->tokens[i];
        for (uint32_t j = 0; j < token->piece_count; j++) {
            const struct tree_piece *piece = &token->pieces[j];
            if (piece->kind == PIECE_LITERAL)
                break; /* a literal in a token with slots is never empty */
            struct slot_draft *slot = slots_find(rule, piece->text, piece->length);
            slot->may_lead = true;
            const struct model_language *language = slot->slot.language;
            if (language && language->automaton && !language->automaton->states[0].accepting)
                break;
        }
    }
}

/* The index of an expansion among the model's, equal ones shared. */
static uint32_t intern_expansion(struct check *check, const struct tree_piece *piece,
                                 struct policy_template expansion)
{
    uint32_t *index = table_find(&check->expansion_texts, piece->text, piece->length);
    if (index)
        return *index;
    index = arena_alloc(check->arena, sizeof *index);
    *index = (uint32_t)check->expansion_count;
    arena_grow(check->arena, &check->expansions, &check->expansion_capacity,
               check->expansion_count + 1, sizeof *check->expansions);
    check->expansions[check->expansion_count++] = expansion;
    table_add(check->arena, &check->expansion_texts, piece->text, piece->length, index);
    return *index;
}

static const struct model_piece *build_pieces(struct check *check, const struct rule_draft *rule,
                                              const struct tree_token *token)
{
    struct model_piece *pieces = arena_array(check->arena, token->piece_count, sizeof *pieces);
    for (uint32_t i = 0; i < token->piece_count; i++) {
        const struct tree_piece *piece = &token->pieces[i];
        pieces[i].span = piece->at;
        if (piece->kind == PIECE_LITERAL) {
            pieces[i].literal = piece->text;
            pieces[i].literal_length = piece->length;
            continue;
        }
        pieces[i].is_slot = true;
        for (size_t slot = 0; slot < rule->slot_count; slot++)
            if (strcmp(rule->slots[slot].slot.name, piece->text) == 0)
                pieces[i].slot = (uint32_t)slot;
    }
    return pieces;
}

static enum policy_token_kind kind_of(const struct tree_token *token)
{
    if (token->home)
        return TOKEN_EXPANSION;
    if (token->is_rest)
        return TOKEN_REST;
    if (token->piece_count > 1)
        return TOKEN_MIXED;
    return token->pieces[0].kind == PIECE_SLOT ? TOKEN_SLOT : TOKEN_LITERAL;
}

static bool build_token(struct check *check, const struct rule_draft *rule,
                        const struct tree_token *tree, struct model_token *token)
{
    token->kind = kind_of(tree);
    token->span = tree->at;
    token->pieces = build_pieces(check, rule, tree);
    token->piece_count = tree->piece_count;
    if (token->kind == TOKEN_EXPANSION) {
        const struct tree_piece *piece = &tree->pieces[0];
        token->expansion = template_home_literal(check->arena, piece->text, piece->length);
        token->expansion_index = intern_expansion(check, piece, token->expansion);
    }
    if (token->kind == TOKEN_REST) {
        token->minimum = tree->minimum;
        token->maximum = tree->maximum;
    }
    return token->kind != TOKEN_MIXED || mixed_finish(check, rule, token);
}

const struct model_token *tokens_build(struct check *check, const struct rule_draft *rule)
{
    struct model_token *tokens =
        arena_array(check->arena, rule->tree->token_count, sizeof *tokens);
    bool good = true;
    for (uint32_t i = 0; i < rule->tree->token_count; i++)
        if (!build_token(check, rule, &rule->tree->tokens[i], &tokens[i]))
            good = false;
    return good ? tokens : NULL;
}
