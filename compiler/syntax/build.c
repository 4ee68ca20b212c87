#include "compiler/syntax/build.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"

void builder_start(struct builder *builder, struct arena *arena, const struct source *source,
                   struct diagnostics *diagnostics)
{
    *builder = (struct builder){.arena = arena, .source = source, .diagnostics = diagnostics};
    builder->file = arena_alloc(arena, sizeof *builder->file);
    builder->file->source = source;
}

/* ---- stanzas --------------------------------------------------------------------------------- */

static void stanza_open(struct builder *builder, struct tree_stanza *stanza, struct span at)
{
    stanza->at = at;
    builder->stanza = stanza;
    builder->attribute_capacity = 0;
    builder->stanza_reported = false;
    builder->piece_count = 0;
    builder->token_count = 0;
    builder->slot_count = 0;
    builder->word_quoted = false;
    builder->line_reported = false;
}

static void section_open(struct builder *builder, struct tree_stanza ***list, size_t *count,
                         size_t *capacity, struct span at)
{
    struct tree_stanza *stanza = arena_alloc(builder->arena, sizeof *stanza);
    arena_grow(builder->arena, list, capacity, *count + 1, sizeof **list);
    (*list)[(*count)++] = stanza;
    stanza_open(builder, stanza, at);
}

void build_defaults(struct builder *builder, struct span at)
{
    section_open(builder, &builder->file->defaults, &builder->file->defaults_count,
                 &builder->defaults_capacity, at);
}

void build_patterns(struct builder *builder, struct span at)
{
    section_open(builder, &builder->file->patterns, &builder->file->patterns_count,
                 &builder->patterns_capacity, at);
}

/* Says once that the file is over a limit of its own, and ends the reading. */
static void file_is_full(struct builder *builder, struct span at, unsigned limit, const char *what)
{
    if (!builder->full)
        diagnostic_error(builder->diagnostics, at, "a rules file has at most %u %s", limit, what);
    builder->full = true;
}

static struct tree_rule *rule_open(struct builder *builder, struct span at)
{
    struct rules_file *file = builder->file;
    if (file->rule_count == TREE_RULES_MAX)
        file_is_full(builder, at, TREE_RULES_MAX, "rules");
    struct tree_rule *rule = arena_alloc(builder->arena, sizeof *rule);
    rule->text = rule->comment = "";
    if (!builder->full) {
        arena_grow(builder->arena, &file->rules, &builder->rules_capacity, file->rule_count + 1,
                   sizeof *file->rules);
        file->rules[file->rule_count++] = rule;
    }
    return rule;
}

/* `default:` and the like: a rule that runs a program of that name is hardly meant. */
static bool is_unknown_stanza(const struct builder *builder)
{
    const struct tree_token *token = builder->tokens;
    const struct tree_piece *piece = token->pieces;
    return builder->token_count == 1 && token->piece_count == 1 && !token->quoted &&
           piece->kind == PIECE_LITERAL && piece->length && piece->text[piece->length - 1] == ':';
}

static void report_unknown_stanza(struct builder *builder, struct span at)
{
    struct diagnostic *error =
        diagnostic_error(builder->diagnostics, at, "there is no stanza of this name");
    diagnostic_note(builder->diagnostics, error, SPAN_NONE,
                    "there are `defaults:`, `patterns:` and rules; quote the word if it is a "
                    "program's name");
    builder->line_reported = true;
}

void build_rule(struct builder *builder, struct span at, const struct lexed_comment *comment)
{
    struct tree_rule *rule = rule_open(builder, at);
    if (comment->too_long) {
        struct diagnostic *error =
            diagnostic_error(builder->diagnostics, comment->at,
                             "the comment above a rule has at most %u bytes",
                             TREE_COMMENT_LENGTH_MAX);
        diagnostic_note(builder->diagnostics, error, SPAN_NONE,
                        "a blank line between them keeps it from being the rule's");
    } else {
        rule->comment = comment->text;
    }
    if (!builder->line_reported && is_unknown_stanza(builder))
        report_unknown_stanza(builder, at);
    rule->broken = builder->line_reported;
    rule->text = arena_copy(builder->arena, builder->source->text + at.begin, at.end - at.begin);
    if (!rule->broken) {
        size_t size = builder->token_count * sizeof *rule->tokens;
        rule->tokens = arena_alloc(builder->arena, size);
        memcpy(rule->tokens, builder->tokens, size);
        rule->token_count = (uint32_t)builder->token_count;
        rule->slot_count = (uint32_t)builder->slot_count;
    }
    stanza_open(builder, &rule->stanza, at);
}

void build_broken_rule(struct builder *builder, struct span newline)
{
    uint32_t line = source_line(builder->source, newline.begin);
    struct span at = source_line_span(builder->source, line);
    struct tree_rule *rule = rule_open(builder, at);
    rule->broken = true;
    rule->text = arena_copy(builder->arena, builder->source->text + at.begin, at.end - at.begin);
    stanza_open(builder, &rule->stanza, at);
}

/* ---- words ----------------------------------------------------------------------------------- */

void build_piece(struct builder *builder, const struct lexed_piece *piece)
{
    builder->word_quoted |= piece->quoted;
    bool empty = piece->piece.kind == PIECE_LITERAL && piece->piece.length == 0;
    if (empty && builder->piece_count)
        return; /* #{a}'' */
    struct tree_piece *first = builder->pieces;
    if (builder->piece_count == 1 && first->kind == PIECE_LITERAL && first->length == 0)
        builder->piece_count = 0; /* ''#{a} */
    arena_grow(builder->arena, &builder->pieces, &builder->piece_capacity,
               builder->piece_count + 1, sizeof *builder->pieces);
    builder->pieces[builder->piece_count++] = piece->piece;
    if (piece->piece.kind == PIECE_SLOT && builder->slot_count++ == TREE_SLOTS_MAX &&
        !builder->line_reported) {
        builder->line_reported = true;
        diagnostic_error(builder->diagnostics, piece->piece.at, "a rule has at most %u slots",
                         TREE_SLOTS_MAX);
    }
}

/* Room for one more token of the line, or NULL when a limit is reached. */
static struct tree_token *token_new(struct builder *builder, struct span at)
{
    struct diagnostics *diagnostics = builder->diagnostics;
    bool long_token = at.end - at.begin > TREE_TOKEN_LENGTH_MAX;
    if (builder->all_tokens == TREE_FILE_TOKENS_MAX) {
        file_is_full(builder, at, TREE_FILE_TOKENS_MAX, "words in all its rules");
    } else if (builder->line_reported) {
        return NULL;
    } else if (long_token) {
        diagnostic_error(diagnostics, at, "a word has at most %u bytes", TREE_TOKEN_LENGTH_MAX);
    } else if (builder->token_count == TREE_TOKENS_MAX) {
        diagnostic_error(diagnostics, at, "a rule has at most %u words", TREE_TOKENS_MAX);
    } else {
        builder->all_tokens++;
        arena_grow(builder->arena, &builder->tokens, &builder->token_capacity,
                   builder->token_count + 1, sizeof *builder->tokens);
        return &builder->tokens[builder->token_count++];
    }
    builder->line_reported = true;
    return NULL;
}

static void word_finish(struct builder *builder, struct tree_token *token, struct span at)
{
    static const char home[] = "$HOME/";
    size_t size = builder->piece_count * sizeof *token->pieces;
    *token = (struct tree_token){.at = at, .quoted = builder->word_quoted};
    token->pieces = arena_alloc(builder->arena, size);
    memcpy(token->pieces, builder->pieces, size);
    token->piece_count = (uint32_t)builder->piece_count;
    token->home = strncmp(builder->source->text + at.begin, home, sizeof home - 1) == 0;
}

void build_token(struct builder *builder, struct span at)
{
    struct tree_token *token = token_new(builder, at);
    if (token)
        word_finish(builder, token, at);
    builder->piece_count = 0;
    builder->word_quoted = false;
}

void build_rest(struct builder *builder, struct span at, const struct lexed_rest *rest)
{
    struct lexed_piece piece = {rest->piece, false};
    build_piece(builder, &piece);
    struct tree_token *token = token_new(builder, at);
    if (token) {
        word_finish(builder, token, at);
        token->is_rest = true;
        token->rest_braces = rest->braces;
        token->minimum = rest->minimum;
        token->maximum = rest->maximum;
    }
    builder->piece_count = 0;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void report_orphan(struct builder *builder, struct span at)
{
    struct diagnostic *error = diagnostic_error(builder->diagnostics, at,
                                                "an indented line with no stanza above it");
    diagnostic_note(builder->diagnostics, error, SPAN_NONE,
                    "a rule begins at the start of its line; an indented line is an attribute of "
                    "the rule, `defaults:` or `patterns:` above it");
}

void build_attribute(struct builder *builder, const struct lexed_key *key, struct span key_at,
                     enum tree_operator operator, struct span operator_at,
                     const struct tree_value *value)
{
    struct tree_stanza *stanza = builder->stanza;
    if (!stanza) {
        report_orphan(builder, key_at);
        return;
    }
    if (stanza->attribute_count == TREE_ATTRIBUTES_MAX) {
        if (!builder->stanza_reported)
            diagnostic_error(builder->diagnostics, key_at, "a stanza has at most %u attributes",
                             TREE_ATTRIBUTES_MAX);
        builder->stanza_reported = stanza->incomplete = true;
        return;
    }
    if (builder->all_attributes++ == TREE_FILE_ATTRIBUTES_MAX) {
        file_is_full(builder, key_at, TREE_FILE_ATTRIBUTES_MAX, "attributes");
        stanza->incomplete = true;
        return;
    }
    arena_grow(builder->arena, &stanza->attributes, &builder->attribute_capacity,
               stanza->attribute_count + 1, sizeof *stanza->attributes);
    stanza->attributes[stanza->attribute_count++] = (struct tree_attribute){
        .key = key->text,
        .key_length = key->length,
        .operator = operator,
        .key_at = key_at,
        .operator_at = operator_at,
        .value = *value,
    };
}

void build_incomplete(struct builder *builder)
{
    if (builder->stanza)
        builder->stanza->incomplete = true;
}

/* ---- errors ---------------------------------------------------------------------------------- */

void build_syntax_error(struct builder *builder, struct span at, const char *message)
{
    static const char prefix[] = "syntax error, ";
    if (builder->full || builder->line_reported) /* it ends early, and it was said why */
        return;
    if (strncmp(message, prefix, sizeof prefix - 1) == 0)
        message += sizeof prefix - 1;
    diagnostic_error(builder->diagnostics, at, "%s", message);
}
