/* lost-backslash, comment-in-word, invisible-char: where a rules file reads otherwise than it looks. What the
 * language says of quotes and comments is the lexer's; this looks at the same bytes again, line by line. */
#include <string.h>

#include "compiler/analysis/warnings.h"
#include "compiler/base/utf8.h"

/* Characters told of one file that cannot be seen. */
#define INVISIBLE_MAX 20u

struct text_line {
    struct warner *warner;
    const char *text; /* of the whole source */
    uint32_t at, end;
    bool is_rule; /* a rule line, or the head of defaults: and patterns: */
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* ---- characters that cannot be seen -------------------------------------------------------------- */

static void warn_invisible(struct warner *warner, uint32_t at, size_t length, uint32_t scalar)
{
    struct span span = {at, at + (uint32_t)length};
    struct diagnostic *warning =
        diagnostic_warning(warner->diagnostics, "invisible-char", span,
                           "U+%04X cannot be seen here, or hides or turns around what stands beside it",
                           scalar);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "remove it; a pattern that means it says \\x{%x}", scalar);
}

static void look_for_invisible(struct warner *warner, const struct source *source)
{
    unsigned told = 0;
    for (uint32_t at = 0; at < source->length && told < INVISIBLE_MAX;) {
        uint32_t scalar;
        size_t length = utf8_decode(source->text + at, source->length - at, &scalar);
        bool line_end = scalar == '\n' || (scalar == '\r' && source->text[at + 1] == '\n');
        bool mark = at == 0 && scalar == 0xFEFF; /* the front end has its own word on it */
        if (!line_end && !mark && scalar != '\t' && scalar != UTF8_INVALID &&
            !utf8_is_visible(scalar)) {
            warn_invisible(warner, at, length, scalar);
            told++;
        }
        at += (uint32_t)length;
    }
}

/* ---- quotes and comments -------------------------------------------------------------------------- */

/* Whether a backslash before this byte, in double quotes, is lost without harm: it changes nothing, or what is
 * left means what was meant. In a rule line also what a shell has one before. */
static bool escape_is_plain(char byte, bool is_rule)
{
    return strchr("\"\\;#' ", byte) || (is_rule && strchr("$`", byte));
}

static void warn_backslash(struct text_line *line)
{
    char lost = line->text[line->at + 1];
    struct span span = {line->at, line->at + 2};
    struct diagnostic *warning =
        diagnostic_warning(line->warner->diagnostics, "lost-backslash", span,
                           "in double quotes \\%c is %c: the backslash is gone", lost, lost);
    diagnostic_note(line->warner->diagnostics, warning, SPAN_NONE,
                    "single quotes keep it; in double quotes write \\\\%c", lost);
}

/* From an opening quote to behind the closing one. */
static void pass_quoted(struct text_line *line)
{
    char quote = line->text[line->at++];
    while (line->at < line->end && line->text[line->at] != quote) {
        bool escapes = quote == '"' && line->text[line->at] == '\\' && line->at + 1 < line->end;
        if (escapes && (unsigned char)line->text[line->at + 1] < 0x80 &&
            !escape_is_plain(line->text[line->at + 1], line->is_rule))
            warn_backslash(line);
        line->at += escapes ? 2 : 1;
    }
    line->at += line->at < line->end;
}

/* At the ';' that begins a comment. */
static void look_at_comment(struct text_line *line)
{
    if (line->at + 1 >= line->end || is_blank(line->text[line->at + 1]) ||
        strchr(" \t;'\"", line->text[line->at - 1]) || line->text[line->at + 1] == ';')
        return;
    struct span span = {line->at, line->at + 1};
    struct diagnostic *warning =
        diagnostic_warning(line->warner->diagnostics, "comment-in-word", span,
                           "this ';' begins a comment in the middle of a word");
    diagnostic_note(line->warner->diagnostics, warning, SPAN_NONE,
                    "write \\; or quote the word; a blank before the ';' says that a comment is meant");
}

/* Reads words, or a value, up to a comment or the line's end. Quotes quote in a rule line, and in a value that
 * begins with one. */
static void look_at_words(struct text_line *line, bool quotes)
{
    uint32_t begin = line->at;
    while (line->at < line->end) {
        char byte = line->text[line->at];
        if (byte == ';') {
            if (line->at > begin)
                look_at_comment(line);
            return;
        }
        if (quotes && (byte == '\'' || byte == '"'))
            pass_quoted(line);
        else
            line->at += byte == '\\' ? 2 : 1;
    }
}

static void look_at_line(struct warner *warner, const struct source *source, uint32_t number)
{
    struct span span = source_line_span(source, number);
    struct text_line line = {warner, source->text, span.begin, span.end, false};
    if (span.begin == span.end || source->text[span.begin] == ';')
        return;
    line.is_rule = !is_blank(source->text[span.begin]);
    if (!line.is_rule) {
        const char *equals = memchr(source->text + span.begin, '=', span.end - span.begin);
        const char *comment = memchr(source->text + span.begin, ';', span.end - span.begin);
        if (!equals || (comment && comment < equals))
            return;
        line.at = (uint32_t)(equals - source->text) + 1;
        while (line.at < line.end && is_blank(source->text[line.at]))
            line.at++;
    }
    bool quotes = line.is_rule || (line.at < line.end && strchr("'\"", source->text[line.at]));
    look_at_words(&line, quotes);
}

void warnings_of_text(struct warner *warner)
{
    const struct source *source = warner->model->source;
    look_for_invisible(warner, source);
    for (uint32_t line = 1; line <= source->line_count; line++)
        look_at_line(warner, source, line);
}
