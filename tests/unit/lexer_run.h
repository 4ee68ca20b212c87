/* Runs the lexer over a text for test_lexer.c and test_lexer_errors.c: tokens as text, errors as
 * printed, and what holds for any text checked on the way. */
#ifndef SLUICE_LEXER_RUN_H
#define SLUICE_LEXER_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/diagnostic.h"
#include "compiler/syntax/lexer.h"
#include "grammar/rules.tab.h"

struct run {
    struct buffer tokens; /* each token, a blank between; a line each */
    char *errors;
};

static inline void add_value(struct buffer *out, const struct tree_value *value)
{
    static const char forms[] = {'p', 'u', 's', 'd'};
    buffer_format(out, "%c(%s)", forms[value->form], value->text);
    assert_int_equal(strlen(value->text), value->length);
    if (value->comment.begin != SPAN_NONE.begin)
        buffer_format(out, ";%u-%u", value->comment.begin, value->comment.end);
}

static inline void add_token(struct buffer *out, int kind, const union RULES_STYPE *token)
{
    switch (kind) {
    case LEX_TEXT:
        buffer_format(out, "%s(%s)", token->piece.quoted ? "quoted" : "text",
                      token->piece.piece.text);
        assert_int_equal(strlen(token->piece.piece.text), token->piece.piece.length);
        break;
    case LEX_SLOT:
        buffer_format(out, "slot(%s)", token->piece.piece.text);
        break;
    case LEX_REST:
        buffer_format(out, "rest(%s%s%u,%u)", token->rest.piece.text,
                      token->rest.braces ? "{}" : "", token->rest.minimum, token->rest.maximum);
        break;
    case LEX_KEY:
        buffer_format(out, "key(%s)", token->key.text);
        assert_int_equal(strlen(token->key.text), token->key.length);
        break;
    case LEX_VALUE:
        add_value(out, &token->value);
        break;
    case LEX_NEWLINE:
        buffer_format(out, "%s%s%s\n", *token->comment.text ? "<" : "", token->comment.text,
                      *token->comment.text ? ">" : "");
        break;
    case LEX_INDENT:
        buffer_puts(out, ">");
        break;
    case LEX_BLANK:
        buffer_puts(out, "_");
        break;
    case LEX_IS:
        buffer_puts(out, "=");
        break;
    case LEX_IS_NOT:
        buffer_puts(out, "!=");
        break;
    case LEX_DEFAULTS:
        buffer_puts(out, "DEFAULTS");
        break;
    case LEX_PATTERNS:
        buffer_puts(out, "PATTERNS");
        break;
    case LEX_RULES_error:
        buffer_puts(out, "error");
        break;
    default:
        fail_msg("token %d", kind);
    }
    if (kind != LEX_NEWLINE)
        buffer_char(out, ' ');
}

/* Reads all tokens; checks what holds for any text: places are in order and inside the text, an
 * error is followed by NEWLINE, the end stays the end. */
static inline struct run run_bytes(const char *text, size_t length)
{
    struct arena *arena = arena_new(0);
    struct source *source = source_from_text(arena, "t", text, length);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    struct lexer lexer;
    lexer_start(&lexer, arena, source, encoding_check(arena, source, diagnostics), diagnostics);
    struct run run = {0};
    uint32_t last = 0;
    bool failed = false;
    for (;;) {
        union RULES_STYPE token;
        struct span at;
        int kind = lexer_next(&lexer, &token, &at);
        assert_true(at.begin <= at.end && at.end <= length);
        if (kind == LEX_YYEOF) {
            assert_int_equal(at.begin, length);
            assert_int_equal(lexer_next(&lexer, &token, &at), LEX_YYEOF);
            break;
        }
        assert_true(at.begin >= last);
        assert_true(!failed || kind == LEX_NEWLINE);
        failed = kind == LEX_RULES_error;
        last = failed ? last : at.end;
        add_token(&run.tokens, kind, &token);
    }
    assert_false(failed);
    size_t size;
    FILE *out = open_memstream(&run.errors, &size);
    assert_non_null(out);
    diagnostics_print(diagnostics, out, DIAGNOSTIC_TEXT);
    fclose(out);
    arena_free(arena);
    return run;
}

static inline void run_free(struct run *run)
{
    buffer_free(&run->tokens);
    free(run->errors);
}

static inline void reads(const char *text, const char *tokens)
{
    struct run run = run_bytes(text, strlen(text));
    assert_string_equal(run.errors, "");
    assert_string_equal(buffer_text(&run.tokens), tokens);
    run_free(&run);
}

#endif
