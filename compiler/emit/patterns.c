#include "compiler/emit/patterns.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/diagnostic.h"
#include "compiler/emit/acceptors.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/matcher.h"
#include "compiler/emit/names.h"
#include "compiler/emit/simplify.h"

/* What every .re file includes: how re2c reads a value. */
static const char whole_config[] =
    "/*!re2c\n"
    "    re2c:api = custom;\n"
    "    re2c:api:style = free-form;\n"
    "    re2c:define:YYCTYPE = \"unsigned char\";\n"
    "    re2c:define:YYPEEK = \"at < length ? (unsigned char)bytes[at] : 0\";\n"
    "    re2c:define:YYSKIP = \"at++;\";\n"
    "    re2c:define:YYBACKUP = \"\";\n"
    "    re2c:define:YYRESTORE = \"\";\n"
    "    re2c:yyfill:enable = 0;\n"
    "    re2c:sentinel = 0;\n"
    "*/\n";

static const char patterns_head[] =
    "\n"
    "#ifndef PATTERNS_H\n"
    "#define PATTERNS_H\n"
    "\n"
    "#include <string.h>\n"
    "\n"
    "#include \"policy.h\"\n"
    "\n"
    "/* Characters (Unicode scalar values) in valid UTF-8: every byte that does not continue one. */\n"
    "static inline uint32_t scalar_count(const char *bytes, uint32_t length)\n"
    "{\n"
    "    uint32_t count = 0;\n"
    "    for (uint32_t at = 0; at < length; at++)\n"
    "        count += ((unsigned char)bytes[at] & 0xC0) != 0x80;\n"
    "    return count;\n"
    "}\n"
    "\n";

static void header_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    emitted_head(out, layout->model,
                 "The values that slots accept: one function for each distinct pattern, in a file\n"
                 "of its own under patterns/. Each reads exactly `length` bytes.");
    buffer_puts(out, patterns_head);
    size_t pcre2 = 0;
    for (size_t i = 0; i < layout->accept_count; i++)
        pcre2 += layout->accepts[i]->kind == ACCEPT_PCRE2;
    if (pcre2) {
        buffer_puts(out, "/* What PCRE2 matches: indices into policy.pcre2_patterns. */\n"
                         "enum pcre2_pattern {\n");
        for (size_t i = 0; i < layout->accept_count; i++)
            if (layout->accepts[i]->kind == ACCEPT_PCRE2)
                buffer_format(out, "    PCRE2_%s,\n", layout->accepts[i]->name);
        buffer_puts(out, "    PCRE2_COUNT\n};\n\n");
    }
    for (size_t i = 0; i < layout->accept_count; i++)
        buffer_format(out, "policy_accept %s;\n", layout->accepts[i]->name);
    buffer_puts(out, "\n#endif\n");
    emitted_add(emitted, "patterns.h", out);
}

/* ---- comments -------------------------------------------------------------------------------- */

static void line_text(struct buffer *out, const struct model_pattern *line)
{
    comment_text(out, line->text, line->length);
    if (line->pcre2 && strcmp(line->text, line->pcre2) != 0) {
        buffer_puts(out, "\n * which is ");
        comment_text(out, line->pcre2, strlen(line->pcre2));
    }
}

static void token_text(struct buffer *out, const struct accept *accept)
{
    for (size_t i = 0; i < accept->token->piece_count; i++) {
        const struct model_piece *piece = &accept->token->pieces[i];
        if (piece->is_slot) {
            const char *name = accept->rule->slots[piece->slot].name;
            buffer_puts(out, "#{");
            comment_text(out, name, strlen(name));
            buffer_char(out, '}');
        } else {
            comment_text(out, piece->literal, piece->literal_length);
        }
    }
}

static void comment_emit(struct buffer *out, const struct accept *accept)
{
    buffer_puts(out, "/* ");
    switch (accept->kind) {
    case ACCEPT_LINE:
    case ACCEPT_PCRE2:
        line_text(out, accept->line);
        break;
    case ACCEPT_COMBINED:
        for (size_t i = 0; i < accept->language->line_count; i++) {
            const struct model_pattern *line = &accept->language->lines[i];
            buffer_puts(out, i ? "\n * and " : "");
            buffer_puts(out, line->excluded ? "not " : "");
            comment_text(out, line->text, line->length);
        }
        break;
    case ACCEPT_TOKEN:
        token_text(out, accept);
        break;
    }
    buffer_puts(out, " */\n");
}

/* ---- one accept function --------------------------------------------------------------------- */

static const struct automaton *slot_automaton(struct arena *arena, const struct model_slot *slot)
{
    return slot->language ? slot->language->automaton : automaton_everything(arena);
}

/* The language of a token of several slots; NULL over the limit. */
static const struct automaton *token_automaton(struct arena *arena, const struct accept *accept)
{
    const struct model_token *token = accept->token;
    if (token->automaton)
        return token->automaton;
    const struct automaton **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        parts[i] = piece->is_slot
                       ? slot_automaton(arena, &accept->rule->slots[piece->slot])
                       : automaton_literal(arena, piece->literal, piece->literal_length);
    }
    return automaton_concat(arena, parts, token->piece_count, AUTOMATON_STATES_MAX);
}

/* The same as a tree, where each slot has one pattern line; else NULL. */
static const struct pattern *token_tree(struct arena *arena, const struct accept *accept)
{
    const struct model_token *token = accept->token;
    const struct pattern **parts = arena_array(arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (!piece->is_slot) {
            parts[i] = tree_literal(arena, piece->literal, piece->literal_length);
            continue;
        }
        const struct model_language *language = accept->rule->slots[piece->slot].language;
        if (!language || language->line_count != 1)
            return NULL;
        parts[i] = language->lines[0].tree;
    }
    return tree_concat(arena, parts, token->piece_count);
}

static const struct matcher *accept_matcher(struct arena *arena, const struct accept *accept,
                                            struct diagnostics *diagnostics)
{
    bool is_token = accept->kind == ACCEPT_TOKEN;
    struct span at = is_token ? accept->token->span : accept->line->span;
    const struct automaton *automaton =
        is_token ? token_automaton(arena, accept) : accept->line->automaton;
    const struct pattern *tree = is_token ? token_tree(arena, accept) : accept->line->tree;
    const struct matcher *matcher = automaton ? matcher_choose(arena, tree, automaton) : NULL;
    if (!matcher)
        diagnostic_error(diagnostics, at,
                         "this %s is too large to compile: its automaton over bytes has more than "
                         "%u states or %u transitions",
                         is_token ? "token" : "pattern", MATCHER_TABLE_STATES,
                         MATCHER_TABLE_ENTRIES);
    return matcher;
}

/* Whether PCRE2 would have to find the parts of a token itself: not in linear time. */
static bool token_needs_pcre2(const struct accept *accept)
{
    for (size_t i = 0; i < accept->token->piece_count; i++) {
        const struct model_piece *piece = &accept->token->pieces[i];
        const struct model_language *language =
            piece->is_slot ? accept->rule->slots[piece->slot].language : NULL;
        if (language && language->pcre2)
            return true;
    }
    return false;
}

static bool function_emit(struct emitted *emitted, const struct layout *layout,
                          struct diagnostics *diagnostics, const struct accept *accept,
                          struct buffer *out)
{
    if (accept->kind == ACCEPT_PCRE2) {
        acceptor_pcre2(out, accept);
    } else if (accept->kind == ACCEPT_COMBINED) {
        acceptor_combined(out, accept);
    } else if (accept->kind == ACCEPT_TOKEN && token_slot_count(accept->token) == 1) {
        acceptor_token(out, layout, accept);
    } else if (accept->kind == ACCEPT_TOKEN && token_needs_pcre2(accept)) {
        diagnostic_error(diagnostics, accept->token->span,
                         "a slot with engine = pcre2 cannot share its token with another slot");
        return false;
    } else {
        const struct matcher *matcher = accept_matcher(emitted->arena, accept, diagnostics);
        if (!matcher)
            return false;
        acceptor_matcher(emitted->arena, out, accept->name, matcher);
        return matcher->form == MATCHER_COUNTED || matcher->form == MATCHER_CODE;
    }
    return false;
}

/* One file: .re when re2c has work in it. */
static void accept_emit(struct emitted *emitted, const struct layout *layout,
                        struct diagnostics *diagnostics, const struct accept *accept,
                        struct buffer *out)
{
    struct buffer body = {0};
    comment_emit(&body, accept);
    bool re2c = function_emit(emitted, layout, diagnostics, accept, &body);
    buffer_puts(out, EMITTED_MARK);
    comment_text(out, layout->model->file, strlen(layout->model->file));
    buffer_puts(out, ". */\n#include \"patterns.h\"\n\n");
    if (re2c)
        buffer_puts(out, "/*!include:re2c \"whole.re\" */\n\n");
    buffer_add(out, buffer_text(&body), body.length);
    emitted_add(emitted,
                arena_format(emitted->arena, "patterns/%s.%s", accept->name, re2c ? "re" : "c"),
                out);
    buffer_free(&body);
}

bool patterns_emit(struct emitted *emitted, const struct layout *layout,
                   struct diagnostics *diagnostics)
{
    struct buffer out = {0};
    size_t errors = diagnostics_errors(diagnostics);
    header_emit(emitted, layout, &out);
    emitted_head(&out, layout->model,
                 "How re2c's code reads a value: byte by byte, and then one byte 0 that stands for its\n"
                 "end. `at` is length + 1 once that end has been taken.");
    buffer_puts(&out, whole_config);
    emitted_add(emitted, "patterns/whole.re", &out);
    for (size_t i = 0; i < layout->accept_count; i++)
        accept_emit(emitted, layout, diagnostics, layout->accepts[i], &out);
    buffer_free(&out);
    return diagnostics_errors(diagnostics) == errors;
}
