/* The pattern's text for PCRE2, and what PCRE2 says of it. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/parser.h"

/* The text with the edits applied; *length its bytes. */
static const char *parser_edited(const struct parser *parser, size_t *length)
{
    struct buffer buffer = {0};
    uint32_t at = 0;
    for (size_t i = 0; i < parser->edit_count; i++) {
        const struct parser_edit *edit = &parser->edits[i];
        buffer_add(&buffer, parser->text + at, edit->begin - at);
        buffer_add(&buffer, edit->text, edit->length);
        at = edit->end;
    }
    buffer_add(&buffer, parser->text + at, parser->length - at);
    *length = buffer.length;
    const char *text = arena_copy(parser->arena, buffer_text(&buffer), buffer.length);
    buffer_free(&buffer);
    return text;
}

const char *parser_expanded(struct parser *parser, size_t length, size_t *expanded_length)
{
    parser->expand = true;
    if (!parser_fits(parser, length) || !parser_run(parser))
        return NULL;
    *expanded_length = parser->length;
    for (size_t i = 0; i < parser->edit_count; i++)
        *expanded_length += parser->edits[i].length;
    if (*expanded_length > PATTERN_EXPANDED_MAX)
        return parser_fail(parser, 0, parser->length, NULL,
                           "the pattern is over %u bytes long, named patterns put in",
                           PATTERN_EXPANDED_MAX);
    return parser_edited(parser, expanded_length);
}

const char *pattern_pcre2(struct arena *arena, const char *text, size_t length,
                          const struct pattern_names *names, struct pattern_error *error)
{
    unsigned expansions = 0;
    struct parser parser = {.arena = arena,
                            .text = text,
                            .length = (uint32_t)length,
                            .names = names,
                            .error = error,
                            .expansions = &expansions};
    size_t expanded_length;
    return parser_expanded(&parser, length, &expanded_length);
}

/* Where a place of the edited text is in the text. */
static uint32_t parser_unedited(const struct parser *parser, size_t place)
{
    size_t gone = 0; /* bytes of the edited text before `at` */
    uint32_t at = 0;
    for (size_t i = 0; i < parser->edit_count; i++) {
        const struct parser_edit *edit = &parser->edits[i];
        if (place <= gone + (edit->begin - at))
            break;
        gone += edit->begin - at;
        at = edit->begin;
        if (place < gone + edit->length)
            return at;
        gone += edit->length;
        at = edit->end;
    }
    size_t result = at + (place > gone ? place - gone : 0);
    return result < parser->length ? (uint32_t)result : parser->length;
}

bool parser_asks_pcre2(struct parser *parser)
{
    size_t length, place;
    const char *message;
    const char *text = parser_edited(parser, &length);
    if (oracle_pcre2_compiles(parser->arena, text, length, &message, &place) != ORACLE_NO)
        return true;
    uint32_t at = parser_unedited(parser, place);
    return parser_fail(parser, at ? at - 1 : 0, at, NULL, "%s", message);
}

bool pattern_check_pcre2(struct arena *arena, const char *text, size_t length,
                         struct pattern_error *error)
{
    size_t place;
    const char *message;
    *error = (struct pattern_error){0, 0, NULL, NULL};
    if (length > PATTERN_LENGTH_MAX) {
        error->message =
            arena_format(arena, "the pattern is over %u bytes long", PATTERN_LENGTH_MAX);
        return false;
    }
    if (oracle_pcre2_compiles(arena, text, length, &message, &place) == ORACLE_YES)
        return true;
    *error = (struct pattern_error){
        .begin = place > 0 ? (uint32_t)place - 1 : 0,
        .end = (uint32_t)place,
        .message = message,
    };
    return false;
}
