#include "compiler/syntax/lexer.h"

#include <stdarg.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/diagnostic.h"
#include "compiler/syntax/scan.h"
#include "grammar/rules.tab.h"

void lexer_start(struct lexer *lexer, struct arena *arena, const struct source *source,
                 struct encoding encoding, struct diagnostics *diagnostics)
{
    *lexer = (struct lexer){
        .arena = arena,
        .source = source,
        .diagnostics = diagnostics,
        .encoding = encoding,
        .mode = MODE_LINE,
        .cursor = (const unsigned char *)source->text + encoding.text_begin,
        .comment_at = SPAN_NONE,
    };
}

/* ---- places and bytes ------------------------------------------------------------------------ */

uint32_t lexer_offset(const struct lexer *lexer, const unsigned char *place)
{
    return (uint32_t)((const char *)place - lexer->source->text);
}

struct span lexer_span(const struct lexer *lexer, const unsigned char *begin)
{
    return (struct span){lexer_offset(lexer, begin), lexer_offset(lexer, lexer->cursor)};
}

struct span lexer_byte(const struct lexer *lexer, const unsigned char *place)
{
    return (struct span){lexer_offset(lexer, place), lexer_offset(lexer, place) + 1};
}

void lexer_skip_to_next_line(struct lexer *lexer)
{
    const unsigned char *end = (const unsigned char *)lexer->source->text + lexer->source->length;
    const unsigned char *newline = memchr(lexer->cursor, '\n', (size_t)(end - lexer->cursor));
    lexer->cursor = newline ? newline + 1 : end;
}

void lexer_skip_blanks(struct lexer *lexer)
{
    while (*lexer->cursor == ' ' || *lexer->cursor == '\t')
        lexer->cursor++;
}

bool lexer_ends_word(unsigned char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == ';' ||
           byte == '\0';
}

/* ---- errors ---------------------------------------------------------------------------------- */

void lexer_skip_line(struct lexer *lexer)
{
    if (lexer->mode != MODE_LINE)
        lexer->mode = MODE_END;
}

/* What a scanner returns when the line was reported. */
static int give_up(struct lexer *lexer)
{
    lexer->mode = MODE_END;
    return LEX_RULES_error;
}

int lexer_report(struct lexer *lexer, struct span at, const char *note, const char *format, ...)
{
    struct buffer message = {0};
    va_list arguments;
    va_start(arguments, format);
    buffer_format_list(&message, format, arguments);
    va_end(arguments);
    struct diagnostic *error =
        diagnostic_error(lexer->diagnostics, at, "%s", buffer_text(&message));
    if (note)
        diagnostic_note(lexer->diagnostics, error, SPAN_NONE, "%s", note);
    buffer_free(&message);
    return give_up(lexer);
}

int lexer_report_quote(struct lexer *lexer, const unsigned char *quote)
{
    return lexer_report(lexer, lexer_byte(lexer, quote), NULL,
                        "this quote is not closed on its line");
}

int lexer_report_backslash(struct lexer *lexer, const unsigned char *backslash, const char *note)
{
    return lexer_report(lexer, lexer_byte(lexer, backslash), note,
                        "a backslash with nothing after it");
}

int lexer_report_hash(struct lexer *lexer, const unsigned char *begin, const char *what)
{
    return lexer_report(lexer, lexer_span(lexer, begin),
                        "a '#' that begins no slot is written \\# or '#'", "%s", what);
}

int lexer_report_operator(struct lexer *lexer, const unsigned char *begin)
{
    struct span key = lexer->key_at;
    return lexer_report(lexer, lexer_byte(lexer, begin),
                        "an indented line is `name = value`; a rule is not indented",
                        "expected `=` or `!=` after `%.*s`", (int)(key.end - key.begin),
                        lexer->source->text + key.begin);
}

/* ---- lines ----------------------------------------------------------------------------------- */

void comment_forget(struct lexer *lexer)
{
    lexer->comment_length = 0;
    lexer->comment_at = SPAN_NONE;
    lexer->comment_too_long = false;
}

void comment_add(struct lexer *lexer, const unsigned char *begin)
{
    const unsigned char *text = begin, *end = lexer->cursor;
    while (*text == ';')
        text++;
    if (*text == ' ')
        text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t length = end > text ? (size_t)(end - text) : 0;
    bool first = lexer->comment_at.begin == SPAN_NONE.begin;
    if (first)
        lexer->comment_at = lexer_span(lexer, begin);
    lexer->comment_at.end = lexer_offset(lexer, lexer->cursor);
    if (lexer->comment_length + length + 1 > TREE_COMMENT_LENGTH_MAX)
        lexer->comment_too_long = true;
    if (lexer->comment_too_long)
        return;
    arena_grow(lexer->arena, &lexer->comment, &lexer->comment_capacity,
               lexer->comment_length + length + 1, 1);
    if (!first)
        lexer->comment[lexer->comment_length++] = '\n';
    memcpy(lexer->comment + lexer->comment_length, text, length);
    lexer->comment_length += length;
}

void comment_settle(struct lexer *lexer)
{
    lexer->above = (struct lexed_comment){
        .text = lexer->comment_length
                    ? arena_copy(lexer->arena, lexer->comment, lexer->comment_length)
                    : "",
        .at = lexer->comment_at,
        .too_long = lexer->comment_too_long,
    };
    comment_forget(lexer);
}

int line_words(struct lexer *lexer)
{
    comment_settle(lexer);
    lexer->mode = MODE_WORDS;
    return NO_TOKEN;
}

int line_head(struct lexer *lexer, const unsigned char *begin, int token)
{
    if (!lexer_ends_word(*lexer->cursor)) {
        lexer->cursor = begin;
        return line_words(lexer);
    }
    comment_settle(lexer);
    lexer->mode = MODE_HEAD;
    return token;
}

bool lexer_is_bad_line(struct lexer *lexer)
{
    const struct encoding *encoding = &lexer->encoding;
    if (lexer->bad_next == encoding->bad_count ||
        encoding->bad_lines[lexer->bad_next] != lexer_offset(lexer, lexer->cursor))
        return false;
    lexer->bad_next++;
    return true;
}

int lexer_skip_bad(struct lexer *lexer)
{
    const unsigned char *begin = lexer->cursor;
    lexer_skip_blanks(lexer);
    if (*lexer->cursor == ';') {
        comment_forget(lexer);
        lexer_skip_to_next_line(lexer);
        return NO_TOKEN;
    }
    comment_settle(lexer);
    if (lexer->cursor == begin)
        return give_up(lexer);
    lexer->mode = MODE_REPORTED;
    return LEX_INDENT;
}

/* ---- words ----------------------------------------------------------------------------------- */

void text_add(struct lexer *lexer, const unsigned char *begin, const unsigned char *end)
{
    size_t length = (size_t)(end - begin);
    arena_grow(lexer->arena, &lexer->text, &lexer->text_capacity, lexer->text_length + length + 1,
               1);
    memcpy(lexer->text + lexer->text_length, begin, length);
    lexer->text_length += length;
}

void text_add_unescaped(struct lexer *lexer, const unsigned char *begin, const unsigned char *end)
{
    for (const unsigned char *rest = begin; rest < end;) {
        const unsigned char *escape = memchr(rest, '\\', (size_t)(end - rest));
        if (!escape) {
            text_add(lexer, rest, end);
            return;
        }
        text_add(lexer, rest, escape);
        text_add(lexer, escape + 1, escape + 2);
        rest = escape + 2;
    }
}

const char *text_take(struct lexer *lexer, uint32_t *length)
{
    *length = (uint32_t)lexer->text_length;
    lexer->text_length = 0;
    return arena_copy(lexer->arena, lexer->text ? lexer->text : "", *length);
}

/* Fills a slot that was written from `begin` to the cursor, its name from `name` to `name_end`.
 * Returns 0, or what a scanner returns for a name that is too long. */
static int slot_fill(struct lexer *lexer, struct tree_piece *slot, const unsigned char *begin,
                     const unsigned char *name, const unsigned char *name_end)
{
    *slot = (struct tree_piece){
        .kind = PIECE_SLOT,
        .at = lexer_span(lexer, begin),
        .length = (uint32_t)(name_end - name),
        .name_at = {lexer_offset(lexer, name), lexer_offset(lexer, name_end)},
    };
    if (slot->length > TREE_NAME_LENGTH_MAX)
        return lexer_report(lexer, slot->name_at, NULL, "a slot's name has at most %u bytes",
                            TREE_NAME_LENGTH_MAX);
    slot->text = arena_copy(lexer->arena, (const char *)name, slot->length);
    return 0;
}

int slot_braced(struct lexer *lexer, struct lexed_piece *slot, const unsigned char *begin)
{
    slot->quoted = false;
    int failed = slot_fill(lexer, &slot->piece, begin, begin + 2, lexer->cursor - 1);
    return failed ? failed : LEX_SLOT;
}

/* Whether what was written from its begin to the cursor is a word of its own. */
static bool is_whole_word(const struct lexer *lexer)
{
    return !lexer->in_word && lexer_ends_word(*lexer->cursor);
}

int slot_word(struct lexer *lexer, struct lexed_piece *slot, const unsigned char *begin)
{
    slot->quoted = false;
    int failed = slot_fill(lexer, &slot->piece, begin, begin + 1, lexer->cursor);
    if (failed || is_whole_word(lexer))
        return failed ? failed : LEX_SLOT;
    struct diagnostic *error = diagnostic_error(lexer->diagnostics, slot->piece.at,
                                                "a slot inside a word is written in braces");
    diagnostic_note(lexer->diagnostics, error, SPAN_NONE,
                    "write #{%s}, or \\# for a '#' that begins no slot", slot->piece.text);
    return give_up(lexer);
}

int slot_rest(struct lexer *lexer, struct lexed_rest *rest, const unsigned char *begin,
              const unsigned char *dots)
{
    int failed = slot_fill(lexer, &rest->piece, begin, begin + 1, dots);
    rest->piece.at.end = lexer_offset(lexer, dots);
    if (failed || is_whole_word(lexer))
        return failed ? failed : LEX_REST;
    return lexer_report(lexer, lexer_span(lexer, begin),
                        "it is written #name... or #name...{m,n}, with a blank before and after",
                        "a slot for several words is a word of its own");
}

/* A decimal number, or TREE_REST_MAX + 1 when it is more than TREE_REST_MAX. */
static uint32_t read_count(const unsigned char **text)
{
    uint32_t count = 0;
    for (; **text >= '0' && **text <= '9'; ++*text)
        if (count <= TREE_REST_MAX)
            count = count * 10 + (uint32_t)(**text - '0');
    return count <= TREE_REST_MAX ? count : TREE_REST_MAX + 1;
}

int slot_rest_counted(struct lexer *lexer, struct lexed_rest *rest, const unsigned char *begin)
{
    const unsigned char *dots = memchr(begin, '.', (size_t)(lexer->cursor - begin));
    const unsigned char *braces = dots + 3, *count = braces + 1;
    rest->braces = true;
    rest->minimum = read_count(&count);
    count++;
    rest->maximum = read_count(&count);
    if (rest->maximum < 1 || rest->maximum > TREE_REST_MAX)
        return lexer_report(lexer, lexer_span(lexer, braces), NULL,
                            "the most words that a slot takes is 1 to %u", TREE_REST_MAX);
    if (rest->minimum > rest->maximum)
        return lexer_report(lexer, lexer_span(lexer, braces), NULL,
                            "the least number of words is over the most");
    return slot_rest(lexer, rest, begin, dots);
}

/* ---- attributes ------------------------------------------------------------------------------ */

int key_finish(struct lexer *lexer, struct lexed_key *key, const unsigned char *begin)
{
    lexer->key_at = lexer_span(lexer, begin);
    key->length = lexer->key_at.end - lexer->key_at.begin;
    if (key->length > TREE_NAME_LENGTH_MAX)
        return lexer_report(lexer, lexer->key_at, NULL,
                            "an attribute's name has at most %u bytes", TREE_NAME_LENGTH_MAX);
    key->text = arena_copy(lexer->arena, (const char *)begin, key->length);
    lexer->mode = MODE_OPERATOR;
    return LEX_KEY;
}

int value_finish(struct lexer *lexer, struct tree_value *value, const unsigned char *begin,
                 const unsigned char *end)
{
    uint32_t quote = value->form == VALUE_SINGLE || value->form == VALUE_DOUBLE;
    value->at = (struct span){lexer_offset(lexer, begin), lexer_offset(lexer, end)};
    value->written = (const char *)begin + quote;
    value->written_at = value->at.begin + quote;
    if (value->at.end - value->at.begin > TREE_VALUE_LENGTH_MAX)
        return lexer_report(lexer, value->at, NULL, "a value has at most %u bytes",
                            TREE_VALUE_LENGTH_MAX);
    value->text = text_take(lexer, &value->length);
    lexer->cursor = end;
    lexer->mode = MODE_END;
    return LEX_VALUE;
}

int value_quoted(struct lexer *lexer, struct tree_value *value, enum tree_value_form form,
                 const unsigned char *begin)
{
    const unsigned char *end = lexer->cursor;
    value->form = form;
    if (form == VALUE_SINGLE)
        text_add(lexer, begin + 1, end - 1);
    else
        text_add_unescaped(lexer, begin + 1, end - 1);
    lexer_skip_blanks(lexer);
    if (lexer_ends_word(*lexer->cursor))
        return value_finish(lexer, value, begin, end);
    return lexer_report(lexer, lexer_byte(lexer, lexer->cursor),
                        "a value that begins with a quote is one quoted word",
                        "unexpected text after the closing quote");
}

/* ---- all together ---------------------------------------------------------------------------- */

/* Inside a rule line: between its words, or a part of one. */
static int scan_words(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *begin = lexer->cursor;
    lexer_skip_blanks(lexer);
    if (lexer_ends_word(*lexer->cursor))
        return LEX_NEWLINE;
    if (lexer->cursor != begin)
        return LEX_BLANK;
    return *begin == '#' ? scan_slot(lexer, token) : scan_text(lexer, token);
}

static int scan(struct lexer *lexer, union RULES_STYPE *token)
{
    switch (lexer->mode) {
    case MODE_LINE: /* scan_line has left it */
    case MODE_HEAD:
        lexer->mode = MODE_WORDS;
        return scan_words(lexer, token);
    case MODE_WORDS:
        return scan_words(lexer, token);
    case MODE_KEY:
        return scan_key(lexer, token);
    case MODE_OPERATOR:
        return scan_operator(lexer, token);
    case MODE_VALUE:
        return scan_value(lexer, token);
    case MODE_REPORTED:
        return give_up(lexer);
    case MODE_END:
        break;
    }
    return LEX_NEWLINE;
}

/* The end of a line, said to be where its last token ended: comments and blanks are no matter. */
static int line_end(struct lexer *lexer, union RULES_STYPE *token, struct span *at)
{
    lexer_skip_to_next_line(lexer);
    lexer->mode = MODE_LINE;
    token->comment = lexer->above;
    *at = (struct span){lexer->last_end, lexer->last_end};
    return LEX_NEWLINE;
}

int lexer_next(struct lexer *lexer, union RULES_STYPE *token, struct span *at)
{
    int kind = NO_TOKEN;
    if (lexer->mode == MODE_LINE)
        kind = scan_line(lexer);
    const unsigned char *begin = (const unsigned char *)lexer->source->text + lexer->last_end;
    if (kind == NO_TOKEN) {
        if (lexer->mode != MODE_WORDS)
            lexer_skip_blanks(lexer);
        begin = lexer->cursor;
        kind = scan(lexer, token);
    }
    if (kind == LEX_NEWLINE)
        return line_end(lexer, token, at);
    *at = lexer_span(lexer, begin);
    if (kind != LEX_RULES_error)
        lexer->last_end = at->end;
    lexer->in_word = kind == LEX_TEXT || kind == LEX_SLOT;
    return kind;
}
