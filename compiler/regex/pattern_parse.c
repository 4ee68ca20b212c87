/* Alternatives, sequences, groups, quantifiers, options and names. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/parser.h"

void *parser_fail(struct parser *parser, uint32_t begin, uint32_t end, const char *hint,
                  const char *format, ...)
{
    if (parser->failed)
        return NULL;
    parser->failed = true;
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    *parser->error = (struct pattern_error){
        .begin = begin < parser->length ? begin : parser->length,
        .end = end < parser->length ? end : parser->length,
        .message = arena_copy(parser->arena, message, strlen(message)),
        .hint = hint,
    };
    return NULL;
}

int parser_peek(const struct parser *parser, uint32_t ahead)
{
    return ahead < parser->length - parser->at ? (unsigned char)parser->text[parser->at + ahead]
                                               : -1;
}

bool parser_sees(const struct parser *parser, const char *text)
{
    size_t length = strlen(text);
    return length <= parser->length - parser->at &&
           memcmp(parser->text + parser->at, text, length) == 0;
}

bool parser_scalar(struct parser *parser, uint32_t *scalar)
{
    size_t size = utf8_decode(parser->text + parser->at, parser->length - parser->at, scalar);
    if (*scalar == UTF8_INVALID || *scalar == 0)
        return parser_fail(parser, parser->at, parser->at + 1, NULL, "%s",
                           *scalar == 0 ? "a NUL byte in the pattern" : "not valid UTF-8");
    parser->at += (uint32_t)size;
    return true;
}

void parser_edit_add(struct parser *parser, uint32_t begin, uint32_t end, const char *text,
                     size_t length)
{
    arena_grow(parser->arena, &parser->edits, &parser->edit_capacity, parser->edit_count + 1,
               sizeof *parser->edits);
    parser->edits[parser->edit_count++] = (struct parser_edit){begin, end, text, length};
}

/* ---- (?x) ------------------------------------------------------------------------------------ */

bool scalar_is_pattern_space(uint32_t scalar)
{
    return (scalar >= '\t' && scalar <= '\r') || scalar == ' ' || scalar == 0x85 ||
           scalar == 0x200E || scalar == 0x200F || scalar == 0x2028 || scalar == 0x2029;
}

/* With (?x), goes past white space and `#` comments. */
static void skip_ignored(struct parser *parser)
{
    while (parser->flags.extended && parser->at < parser->length) {
        uint32_t scalar;
        size_t size = utf8_decode(parser->text + parser->at, parser->length - parser->at, &scalar);
        if (scalar == '#') {
            const char *rest = parser->text + parser->at;
            const char *newline = memchr(rest, '\n', parser->length - parser->at);
            size = newline ? (size_t)(newline - rest) + 1 : parser->length - parser->at;
        } else if (!scalar_is_pattern_space(scalar)) {
            return;
        }
        parser->at += (uint32_t)size;
    }
}

/* ---- options --------------------------------------------------------------------------------- */

static bool is_option_group(const struct parser *parser)
{
    int byte = parser_peek(parser, 2), next = parser_peek(parser, 3);
    return parser_sees(parser, "(?") && byte != '_' && byte != 'P' && byte != 'R' && byte != 'C' &&
           (byte_is_letter(byte) || byte == ')' || (byte == '-' && !(next >= '0' && next <= '9')));
}

/* The letters of (?is-x) or (?is-x:, to behind its ')' or ':', which is returned; 0 after
 * parser_fail. */
static int parse_options(struct parser *parser)
{
    uint32_t begin = parser->at;
    bool on = true;
    for (parser->at += 2; parser->at < parser->length; parser->at++) {
        int byte = parser_peek(parser, 0);
        if (byte == ')' || byte == ':') {
            parser->at++;
            if (parser->at - begin > 3 && parser->text[parser->at - 2] != '-')
                return byte;
            break;
        }
        if (byte == 'i')
            parser->flags.fold = on;
        else if (byte == 's')
            parser->flags.dot_all = on;
        else if (byte == 'x' && parser_peek(parser, 1) != 'x')
            parser->flags.extended = on;
        else if (byte == '-' && on)
            on = false;
        else if (!byte_is_letter(byte))
            break;
        else {
            uint32_t size = byte == 'x' ? 2 : 1;
            parser_fail(parser, parser->at, parser->at + size, "the options are i, s and x",
                        "the option `%.*s` is not part of the pattern language", (int)size,
                        parser->text + parser->at);
            return 0;
        }
    }
    parser_fail(parser, begin, parser->at, "write (?i), or (?i:...)",
                "options that are not complete");
    return 0;
}

/* ---- atoms ----------------------------------------------------------------------------------- */

static struct pattern *parse_alternatives(struct parser *parser);

static struct pattern *literal(struct parser *parser, uint32_t scalar)
{
    struct charset set = charset_range(parser->arena, scalar, scalar);
    return pattern_set(parser->arena, parser->flags.fold ? charset_fold(parser->arena, set) : set);
}

static struct pattern *any(struct parser *parser)
{
    struct charset all = charset_range(parser->arena, 1, SCALAR_MAX);
    struct charset newline = charset_range(parser->arena, '\n', '\n');
    return pattern_set(parser->arena,
                       parser->flags.dot_all ? all : charset_subtract(parser->arena, all, newline));
}

/* Goes past the opening of a group, options applied; false after parser_fail. */
static bool group_open(struct parser *parser)
{
    uint32_t begin = parser->at;
    if (parser_sees(parser, "(?<") || parser_sees(parser, "(?P<")) {
        uint32_t name = begin + (parser_sees(parser, "(?P<") ? 4 : 3);
        uint32_t length = 0;
        while (name + length < parser->length && parser->text[name + length] != '>')
            length++;
        parser->at = name + length + 1;
        if (name + length == parser->length)
            return parser_fail(parser, begin, name, NULL, "the name of a group without its `>`");
        /* A pattern put in twice would have two groups of one name. */
        if (parser->expand)
            parser_edit_add(parser, begin, parser->at, "(?:", 3);
        return true;
    }
    if (parser_sees(parser, "(?:")) {
        parser->at += 3;
        return true;
    }
    if (is_option_group(parser)) {
        int close = parse_options(parser);
        if (close == ')')
            return parser_fail(parser, begin, parser->at, "write (?i:...) around what it is for",
                               "options for the rest of a pattern stand at its start");
        return close == ':';
    }
    if (parser_sees(parser, "(?"))
        return parser_fail(parser, begin, begin + 3, "a literal question mark is \\?",
                           "`(?` begins no group that is known");
    parser->at++;
    return true;
}

static struct pattern *parse_group(struct parser *parser)
{
    uint32_t begin = parser->at;
    if (parser_sees(parser, "(?@"))
        return parser_name(parser, begin, begin + 3, ')');
    if (parser_refuses_group(parser))
        return NULL;
    if (parser->depth == PATTERN_DEPTH_MAX)
        return parser_fail(parser, begin, begin + 1, NULL, "groups nest more than %u deep",
                           PATTERN_DEPTH_MAX);
    struct parser_flags outer = parser->flags;
    if (!group_open(parser))
        return NULL;
    parser->depth++;
    struct pattern *inside = parse_alternatives(parser);
    parser->depth--;
    parser->flags = outer;
    if (!inside)
        return NULL;
    if (parser_peek(parser, 0) != ')')
        return parser_fail(parser, begin, begin + 1, "a literal one is \\(", "`(` without its `)`");
    parser->at++;
    return inside;
}

/* `$` at the very end: redundant. */
static bool is_last(struct parser *parser)
{
    uint32_t at = parser->at++;
    skip_ignored(parser);
    bool last = parser->depth == 0 && parser->at == parser->length;
    parser->at = at;
    return last;
}

static struct pattern *parse_escape(struct parser *parser)
{
    struct escape escape;
    if (!parser_escape(parser, false, &escape))
        return NULL;
    return escape.is_set ? pattern_set(parser->arena, escape.set) : literal(parser, escape.scalar);
}

static struct pattern *parse_anchor(struct parser *parser)
{
    uint32_t at = parser->at;
    bool end = parser_peek(parser, 0) == '$';
    if (end && is_last(parser)) {
        parser_edit_add(parser, at, at + 1, "", 0);
        parser->at++;
        skip_ignored(parser);
        return pattern_empty(parser->arena);
    }
    return parser_fail(
        parser, at, at + 1,
        end ? "leave it out, a pattern always matches the whole value; a literal one "
              "is \\$"
            : "leave it out, a pattern always matches the whole value; a literal one "
              "is \\^",
        end ? "`$` stands only at the end of a pattern"
            : "`^` stands only at the start of a pattern");
}

static struct pattern *parse_atom(struct parser *parser)
{
    uint32_t at = parser->at, scalar;
    switch (parser_peek(parser, 0)) {
    case '(':
        return parse_group(parser);
    case '[':
        return parser_class(parser);
    case '\\':
        return parse_escape(parser);
    case '^':
    case '$':
        return parse_anchor(parser);
    case '.':
        parser->at++;
        return any(parser);
    case '*':
    case '+':
    case '?':
        return parser_fail(parser, at, at + 1, "put a backslash before a literal one",
                           "`%c` with nothing before it to repeat", parser->text[at]);
    case '{':
        return parser_fail(parser, at, at + 1, "a literal one is \\{",
                           "`{` with nothing before it to repeat");
    default:
        return parser_scalar(parser, &scalar) ? literal(parser, scalar) : NULL;
    }
}

/* ---- quantifiers ----------------------------------------------------------------------------- */

static bool parse_number(struct parser *parser, uint32_t *number)
{
    uint32_t begin = parser->at, value = 0;
    for (int digit; (digit = parser_peek(parser, 0)) >= '0' && digit <= '9'; parser->at++)
        if (value <= PATTERN_REPEAT_MAX)
            value = value * 10 + (uint32_t)(digit - '0');
    *number = value;
    if (value > PATTERN_REPEAT_MAX)
        parser_fail(parser, begin, parser->at, NULL, "a repetition counts to %u at most",
                    PATTERN_REPEAT_MAX);
    return parser->at > begin;
}

/* {n}, {n,} or {n,m}; false after parser_fail. */
static bool parse_counts(struct parser *parser, uint32_t *minimum, uint32_t *maximum)
{
    uint32_t begin = parser->at++;
    bool fits = parse_number(parser, minimum);
    *maximum = *minimum;
    if (fits && parser_peek(parser, 0) == ',') {
        parser->at++;
        if (!parse_number(parser, maximum))
            *maximum = PATTERN_REPEAT_NONE;
    }
    if (!fits || parser_peek(parser, 0) != '}')
        return parser_fail(parser, begin, parser->at, "a literal one is \\{; a repetition, {n,m}",
                           "`{` without the numbers of a repetition");
    parser->at++;
    if (*minimum > *maximum)
        return parser_fail(parser, begin, parser->at, NULL,
                           "the repetition's first number is greater than its second");
    return !parser->failed;
}

/* What may follow an atom. */
static struct pattern *parse_quantifier(struct parser *parser, struct pattern *atom)
{
    skip_ignored(parser);
    uint32_t begin = parser->at, minimum = 0, maximum = PATTERN_REPEAT_NONE;
    switch (parser_peek(parser, 0)) {
    case '*':
        parser->at++;
        break;
    case '+':
        minimum = 1;
        parser->at++;
        break;
    case '?':
        maximum = 1;
        parser->at++;
        break;
    case '{':
        if (!parse_counts(parser, &minimum, &maximum))
            return NULL;
        break;
    default:
        return atom;
    }
    int mark = parser_peek(parser, 0);
    if (mark == '+')
        return parser_fail(parser, begin, parser->at + 1,
                           "leave out the last `+`; or `engine = pcre2` on the rule",
                           "a possessive quantifier is not part of the pattern language");
    if (mark == '?')
        parser->at++; /* lazy: the same language */
    uint32_t end = parser->at;
    skip_ignored(parser);
    int next = parser_peek(parser, 0);
    if (next == '*' || next == '+' || next == '?' || next == '{')
        return parser_fail(parser, begin, parser->at + 1, "put the first into a group, (?:...)",
                           end == parser->at
                               ? "a quantifier behind a quantifier"
                               : "a quantifier behind a quantifier, with space between");
    return pattern_repeat(parser->arena, atom, minimum, maximum);
}

/* ---- sequences ------------------------------------------------------------------------------- */

struct parts {
    struct pattern **items;
    size_t count, capacity;
};

static void parts_add(struct parser *parser, struct parts *parts, struct pattern *part)
{
    arena_grow(parser->arena, &parts->items, &parts->capacity, parts->count + 1,
               sizeof *parts->items);
    parts->items[parts->count++] = part;
}

/* Whether a tree has outgrown the limits, with the error for it. */
static bool is_too_large(struct parser *parser, const struct pattern *tree)
{
    if (tree->node_count > PATTERN_NODES_MAX)
        parser_fail(parser, 0, parser->length, NULL,
                    "the pattern has more than %u parts, named patterns counted",
                    PATTERN_NODES_MAX);
    else if (tree->depth > 4 * PATTERN_DEPTH_MAX)
        parser_fail(parser, 0, parser->length, NULL,
                    "the pattern nests more than %u deep, named patterns counted",
                    PATTERN_DEPTH_MAX);
    return parser->failed;
}

static struct pattern *parse_sequence(struct parser *parser)
{
    struct parts parts = {0};
    for (;;) {
        skip_ignored(parser);
        int next = parser_peek(parser, 0);
        if (next < 0 || next == '|' || next == ')')
            break;
        bool anchor = next == '$';
        struct pattern *atom = parse_atom(parser);
        if (atom && !anchor)
            atom = parse_quantifier(parser, atom);
        if (!atom || is_too_large(parser, atom))
            return NULL;
        parts_add(parser, &parts, atom);
    }
    return pattern_concat(parser->arena, parts.items, parts.count);
}

/* Recursion: PATTERN_DEPTH_MAX groups deep (parse_group counts). */
static struct pattern *parse_alternatives(struct parser *parser)
{
    struct parts parts = {0};
    for (;;) {
        struct pattern *sequence = parse_sequence(parser);
        if (!sequence)
            return NULL;
        parts_add(parser, &parts, sequence);
        if (parser_peek(parser, 0) != '|')
            break;
        parser->at++;
    }
    struct pattern *tree = pattern_alternate(parser->arena, parts.items, parts.count);
    return is_too_large(parser, tree) ? NULL : tree;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Options and one `^` at the very start; false after parser_fail. */
static bool parse_start(struct parser *parser)
{
    bool anchored = false;
    for (;;) {
        skip_ignored(parser);
        if (is_option_group(parser)) {
            struct parser_flags before = parser->flags;
            uint32_t begin = parser->at;
            int close = parse_options(parser);
            if (close == ':') { /* a group, not options for all of it */
                parser->flags = before;
                parser->at = begin;
                return true;
            }
            if (close == 0)
                return false;
        } else if (parser_peek(parser, 0) == '^' && !anchored) {
            anchored = true;
            parser_edit_add(parser, parser->at, parser->at + 1, "", 0);
            parser->at++;
        } else {
            return true;
        }
    }
}

/* Checked first, since comments and names are gone past unread; false after parser_fail. */
static bool is_text(struct parser *parser)
{
    uint32_t scalar;
    bool valid = true;
    while (valid && parser->at < parser->length)
        valid = parser_scalar(parser, &scalar);
    parser->at = 0;
    return valid;
}

struct pattern *parser_run(struct parser *parser)
{
    if (!is_text(parser))
        return NULL;
    if (parser->length > 1 && parser->text[0] == '@' && byte_is_letter(parser->text[1]))
        return parser_name(parser, 0, 1, -1);
    if (!parse_start(parser))
        return NULL;
    if (parser->at > 0 && parser_peek(parser, 0) == '@' && byte_is_letter(parser_peek(parser, 1)))
        return parser_fail(parser, parser->at, parser->at + 2,
                           "write (?@NAME) here; for a literal `@`, \\@",
                           "@NAME stands alone or not at all");
    struct pattern *tree = parse_alternatives(parser);
    parser->ends_extended = parser->flags.extended;
    if (tree && parser->at < parser->length)
        return parser_fail(parser, parser->at, parser->at + 1, "a literal one is \\)",
                           "`)` without its `(`");
    return tree;
}

bool parser_fits(struct parser *parser, size_t length)
{
    if (length <= PATTERN_LENGTH_MAX)
        return true;
    parser->length = 0;
    return parser_fail(parser, 0, 0, NULL, "the pattern is over %u bytes long", PATTERN_LENGTH_MAX);
}

const struct pattern *pattern_parse(struct arena *arena, const char *text, size_t length,
                                    const struct pattern_names *names, struct pattern_error *error)
{
    struct parser parser = {
        .arena = arena, .text = text, .length = (uint32_t)length, .names = names, .error = error};
    if (!parser_fits(&parser, length))
        return NULL;
    struct pattern *tree = parser_run(&parser);
    return tree && parser_asks_pcre2(&parser) ? tree : NULL;
}
