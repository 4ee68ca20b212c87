/* References to named patterns: @NAME, (?@NAME), (?@NAME(ARGUMENTS)). */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/parser.h"

#define NAMES_NESTED_MAX 64u      /* named patterns in named patterns, as text for PCRE2 */
#define NAMES_EXPANDED_MAX 20000u /* references put in there, of all levels */

bool byte_is_letter(int byte)
{
    return ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';
}

/* Bytes of the identifier at `at`; 0 for none. */
static uint32_t identifier_length(const struct parser *parser, uint32_t at)
{
    uint32_t end = at;
    while (end < parser->length) {
        int byte = (unsigned char)parser->text[end];
        if (!byte_is_letter(byte) && (end == at || !((byte >= '0' && byte <= '9') || byte == '-')))
            break;
        end++;
    }
    return end - at;
}

/* The PCRE2 text of a pattern of the user's, to stand in a larger one; NULL after parser_fail. */
static const char *named_text(struct parser *parser, uint32_t begin, uint32_t end, const char *name,
                              size_t name_length, const struct pattern *tree, size_t *length)
{
    struct pattern_error error;
    struct parser inner = {.arena = parser->arena,
                           .names = parser->names,
                           .error = &error,
                           .expansion = parser->expansion + 1,
                           .expansions = parser->expansions};
    const char *text = NULL;
    if (parser->expansion < NAMES_NESTED_MAX && parser->names->text)
        text = parser->names->text(parser->names->context, name, name_length, length);
    if (text) {
        inner.text = text;
        inner.length = (uint32_t)*length;
        text = parser_expanded(&inner, *length, length);
    } else {
        text = pattern_spelled(parser->arena, tree);
    }
    if (!text)
        return parser_fail(parser, begin, end, NULL, "@%.*s is too long to put in here",
                           (int)name_length, name);
    text = arena_format(parser->arena, "(?^:%s%s)", text, inner.ends_extended ? "\n" : "");
    *length = strlen(text);
    return text;
}

/* The tree of the pattern that a reference names; its place is begin..end. */
static struct pattern *named_tree(struct parser *parser, uint32_t begin, uint32_t end,
                                  uint32_t name, uint32_t name_length, const char *arguments,
                                  uint32_t arguments_length)
{
    const char *text = parser->text + name;
    const struct pattern *tree = NULL;
    if (parser->names && parser->names->find)
        tree = parser->names->find(parser->names->context, text, name_length);
    const char *spelled = "(?:)";
    size_t spelled_length = 4;
    if (tree && arguments)
        return parser_fail(parser, begin, end, "only patterns of the standard set do",
                           "@%.*s takes no arguments", (int)name_length, text);
    if (!tree) {
        struct pattern_error error = {0};
        tree =
            pattern_standard(parser->arena, text, name_length, arguments, arguments_length, &error);
        if (!tree) {
            uint32_t offset = arguments ? (uint32_t)(arguments - parser->text) : 0;
            bool inside = arguments && error.end > error.begin;
            return parser_fail(parser, inside ? offset + error.begin : begin,
                               inside ? offset + error.end : end, error.hint, "%s", error.message);
        }
        if (parser->expand)
            spelled = pattern_standard_text(parser->arena, text, name_length, arguments,
                                            arguments_length, &error);
        if (parser->expand)
            spelled = arena_format(parser->arena, "(?^:%s)", spelled);
        spelled_length = strlen(spelled);
    } else if (parser->expand) {
        if (++*parser->expansions > NAMES_EXPANDED_MAX)
            return parser_fail(parser, begin, end, NULL,
                               "the pattern refers to more than %u named patterns, theirs counted",
                               NAMES_EXPANDED_MAX);
        spelled = named_text(parser, begin, end, text, name_length, tree, &spelled_length);
        if (!spelled)
            return NULL;
    }
    parser_edit_add(parser, begin, end, spelled, spelled_length);
    struct pattern *copy = arena_alloc(parser->arena, sizeof *copy);
    *copy = *tree;
    return copy;
}

struct pattern *parser_name(struct parser *parser, uint32_t begin, uint32_t name, int close)
{
    uint32_t length = identifier_length(parser, name);
    parser->at = name + length;
    const char *arguments = NULL;
    uint32_t arguments_length = 0;
    if (parser_peek(parser, 0) == '(') {
        arguments = parser->text + parser->at + 1;
        const char *end = memchr(arguments, ')', parser->length - parser->at - 1);
        if (!end)
            return parser_fail(parser, parser->at, parser->at + 1, NULL,
                               "the arguments of @%.*s without their `)`", (int)length,
                               parser->text + name);
        arguments_length = (uint32_t)(end - arguments);
        parser->at += arguments_length + 2;
    }
    if (length == 0 || parser_peek(parser, 0) != close)
        return close == ')'
                   ? parser_fail(parser, begin, parser->at + 1, "write (?@NAME) or (?@NAME(1,9))",
                                 "a reference to a named pattern is not complete")
                   : parser_fail(
                         parser, begin, parser->at,
                         "inside of a larger pattern write (?@NAME); for a literal `@`, \\@",
                         "@%.*s stands alone or not at all", (int)length, parser->text + name);
    parser->at += close == ')';
    return named_tree(parser, begin, parser->at, name, length, arguments, arguments_length);
}
