/* Escapes and bracketed classes. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/parser.h"

struct named_ranges {
    const char *name;
    struct scalar_range ranges[4]; /* up to the first with high == 0 */
};

/* \d \w \s and the POSIX classes: ASCII, as PCRE2 has them without PCRE2_UCP. */
static const struct named_ranges posix_classes[] = {
    {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
    {"lower", {{'a', 'z'}}},
    {"upper", {{'A', 'Z'}}},
    {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
    {"ascii", {{1, 0x7f}}},
    {"blank", {{'\t', '\t'}, {' ', ' '}}},
    {"cntrl", {{1, 0x1f}, {0x7f, 0x7f}}},
    {"digit", {{'0', '9'}}},
    {"graph", {{0x21, 0x7e}}},
    {"print", {{0x20, 0x7e}}},
    {"punct", {{0x21, 0x2f}, {0x3a, 0x40}, {0x5b, 0x60}, {0x7b, 0x7e}}},
    {"space", {{'\t', '\r'}, {' ', ' '}}},
    {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
};

static bool posix_class(struct parser *parser, const char *name, size_t length, struct charset *set)
{
    for (size_t i = 0; i < sizeof posix_classes / sizeof *posix_classes; i++) {
        const struct named_ranges *class = &posix_classes[i];
        if (strlen(class->name) != length || memcmp(class->name, name, length) != 0)
            continue;
        *set = charset_empty();
        for (size_t j = 0; j < 4 && class->ranges[j].high; j++)
            *set = charset_union(
                parser->arena, *set,
                charset_range(parser->arena, class->ranges[j].low, class->ranges[j].high));
        return true;
    }
    return false;
}

/* ---- escapes --------------------------------------------------------------------------------- */

static int hex_value(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    int lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_hex(const struct parser *parser, uint32_t ahead)
{
    return hex_value(parser_peek(parser, ahead)) >= 0;
}

/* \xHH or \x{H...}, from the backslash on. */
static bool escape_hex(struct parser *parser, uint32_t *scalar)
{
    uint32_t begin = parser->at, value = 0;
    parser->at += 2;
    bool braced = parser_peek(parser, 0) == '{';
    uint32_t digits = parser->at + braced;
    parser->at = digits;
    while (is_hex(parser, 0) && (braced || parser->at - digits < 2)) {
        value =
            value > SCALAR_MAX ? value : value * 16 + (uint32_t)hex_value(parser_peek(parser, 0));
        parser->at++;
    }
    uint32_t count = parser->at - digits;
    if (braced ? count == 0 || parser_peek(parser, 0) != '}' : count != 2) {
        uint32_t end = parser->at < parser->length ? parser->at + braced : parser->at;
        return parser_fail(parser, begin, end,
                           "write \\xHH with two hexadecimal digits, or \\x{H...}",
                           "`\\x` without its hexadecimal number");
    }
    parser->at += braced;
    if (value > SCALAR_MAX || (value >= 0xD800 && value <= 0xDFFF))
        return parser_fail(parser, begin, parser->at, NULL,
                           value > SCALAR_MAX
                               ? "the number is over 10FFFF, the last Unicode character"
                               : "D800 to DFFF are surrogates, not characters: no value has them");
    *scalar = value;
    return true;
}

/* \p{NAME}, \pL and their negations, from the backslash on. */
static bool escape_property(struct parser *parser, struct charset *set)
{
    uint32_t begin = parser->at;
    bool negated = parser_peek(parser, 1) == 'P';
    parser->at += 2;
    const char *name = parser->text + parser->at;
    size_t length = 0;
    if (parser_peek(parser, 0) == '{') {
        name++;
        const char *close = memchr(name, '}', parser->length - parser->at - 1);
        if (!close) {
            return parser_fail(parser, begin, parser->length, NULL, "`\\%c{` without its `}`",
                               negated ? 'P' : 'p');
        }
        length = (size_t)(close - name);
        parser->at += (uint32_t)length + 2;
    } else if (parser->at < parser->length) {
        uint32_t scalar;
        if (!parser_scalar(parser, &scalar))
            return false;
        length = (size_t)(parser->text + parser->at - name);
    }
    if (length > 0 && name[0] == '^')
        return parser_fail(parser, begin, parser->at, NULL, "`^` in a property: write \\%c instead",
                           negated ? 'p' : 'P');
    if (!charset_property(parser->arena, name, length, set))
        return parser_fail(
            parser, begin, parser->at,
            "general categories (L, Lu, Nd, ...) and scripts (Greek, Han, ...) are known",
            "there is no such Unicode property");
    if (negated)
        *set = charset_complement(parser->arena, *set);
    return true;
}

/* \d \w \s and their negations. */
static bool escape_set(struct parser *parser, int letter, struct charset *set)
{
    int lower = letter | 0x20;
    const char *name = lower == 'd' ? "digit" : lower == 'w' ? "word" : lower == 's' ? "space" : "";
    if (!posix_class(parser, name, strlen(name), set))
        return false;
    if (letter != lower)
        *set = charset_complement(parser->arena, *set);
    parser->at += 2;
    return true;
}

static bool is_ascii_punctuation(int byte)
{
    return byte >= ' ' && byte < 0x7f && hex_value(byte) < 0 &&
           !((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

bool parser_escape(struct parser *parser, bool in_class, struct escape *escape)
{
    static const char letters[] = "tnrfvae", scalars[] = "\t\n\r\f\v\a\x1b";
    int letter = parser_peek(parser, 1);
    escape->is_set = true;
    if (letter == 'p' || letter == 'P')
        return escape_property(parser, &escape->set);
    if (letter > 0 && escape_set(parser, letter, &escape->set))
        return true;
    escape->is_set = false;
    if (letter == 'x')
        return escape_hex(parser, &escape->scalar);
    const char *known = letter > 0 ? strchr(letters, letter) : NULL;
    if (letter == '0' && !(parser_peek(parser, 2) >= '0' && parser_peek(parser, 2) <= '9')) {
        escape->scalar = 0; /* no value has NUL: the set that it makes is empty */
    } else if (known) {
        escape->scalar = (uint32_t)scalars[known - letters];
    } else if (is_ascii_punctuation(letter) || letter == '\t') {
        escape->scalar = (uint32_t)letter;
    } else {
        parser_refuse_escape(parser, in_class);
        return false;
    }
    /* To PCRE2, \v is a class of vertical spaces; to other engines, and here, U+000B. */
    if (letter == 'v')
        parser_edit_add(parser, parser->at, parser->at + 2, "\\x0B", 4);
    parser->at += 2;
    return true;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* Ranges collected before they are sorted and merged: long classes of large sets stay small. */
#define CLASS_RANGES_MAX 65536u

struct class
{
    struct scalar_range *typed; /* characters and ranges: (?i) widens them */
    size_t typed_count, typed_capacity;
    struct scalar_range *named; /* of \d, \p{...}, [:alpha:]: (?i) does not */
    size_t named_count, named_capacity;
};

static void class_add_set(struct parser *parser, struct class *class, struct charset set)
{
    if (class->named_count + set.count > CLASS_RANGES_MAX) {
        struct charset named = charset_normal(parser->arena, class->named, class->named_count);
        memcpy(class->named, named.ranges, named.count * sizeof *named.ranges);
        class->named_count = named.count;
    }
    arena_grow(parser->arena, &class->named, &class->named_capacity, class->named_count + set.count,
               sizeof *class->named);
    if (set.count)
        memcpy(class->named + class->named_count, set.ranges, set.count * sizeof *set.ranges);
    class->named_count += set.count;
}

/* [:name:] or [:^name:], at its '['. */
static bool class_posix(struct parser *parser, struct class *class)
{
    uint32_t begin = parser->at;
    uint32_t name = begin + 2, end;
    bool negated = parser_peek(parser, 2) == '^';
    name += negated;
    for (end = name; end < parser->length && (parser->text[end] | 0x20) >= 'a' &&
                     (parser->text[end] | 0x20) <= 'z';)
        end++;
    parser->at = end;
    if (!parser_sees(parser, ":]"))
        return parser_fail(parser, begin, end, "a literal one is \\[",
                           "`[:` in a class without its `:]`");
    parser->at += 2;
    struct charset set;
    const char *text = parser->text + name;
    size_t length = end - name;
    /* Without regard to case, "upper" and "lower" are the letters of both (PCRE2 does the same). */
    if (parser->flags.fold && length == 5 &&
        (!memcmp(text, "upper", 5) || !memcmp(text, "lower", 5)))
        text = "alpha";
    if (!posix_class(parser, text, length, &set))
        return parser_fail(parser, begin, parser->at,
                           "alpha, lower, upper, alnum, ascii, blank, cntrl, digit, graph, print, "
                           "punct, space, word, xdigit",
                           "there is no POSIX class `[:%.*s:]`", (int)length, text);
    if (negated)
        set = charset_complement(parser->arena, set);
    class_add_set(parser, class, set);
    return true;
}

/* One character of a class or an escape. Engines differ on some unescaped ones: refused. */
static bool class_member(struct parser *parser, struct escape *member)
{
    uint32_t begin = parser->at;
    int byte = parser_peek(parser, 0);
    if (byte == '\\')
        return parser_escape(parser, true, member);
    if (byte == '[')
        return parser_fail(parser, begin, begin + 1, "a literal one is \\[",
                           "`[` in a class means different things to different engines");
    static const char *const doubled[] = {"&&", "--", "~~"};
    for (size_t i = 0; i < 3; i++)
        if (parser_sees(parser, doubled[i]))
            return parser_fail(parser, begin, begin + 2, "put a backslash before a literal one",
                               "`%s` in a class is an operator to some engines", doubled[i]);
    member->is_set = false;
    if (!parser_scalar(parser, &member->scalar))
        return false;
    if (parser->flags.extended &&
        (member->scalar == '#' || scalar_is_pattern_space(member->scalar)))
        return parser_fail(parser, begin, parser->at, "put a backslash before a literal one",
                           "with (?x), white space and `#` in a class mean different things to "
                           "different engines");
    return true;
}

/* A character, a range, an escape or a POSIX class. */
static bool class_item(struct parser *parser, struct class *class)
{
    uint32_t begin = parser->at;
    struct escape low = {0}, high = {0};
    if (parser_sees(parser, "[:"))
        low.is_set = true;
    if (parser_sees(parser, "[.") || parser_sees(parser, "[="))
        return parser_fail(parser, begin, begin + 2, "a literal `[` is \\[",
                           "collating elements are not part of the pattern language");
    if (parser_sees(parser, "[:") ? !class_posix(parser, class) : !class_member(parser, &low))
        return false;
    bool posix = parser->text[begin] == '[';
    bool range = parser_peek(parser, 0) == '-' && parser_peek(parser, 1) != ']' &&
                 parser_peek(parser, 1) >= 0;
    if (low.is_set && !posix)
        class_add_set(parser, class, low.set);
    if (range && !parser_sees(parser, "--")) {
        parser->at++;
        if (parser_sees(parser, "[:"))
            high.is_set = true;
        else if (!class_member(parser, &high))
            return false;
        if (low.is_set || high.is_set)
            return parser_fail(parser, begin, parser->at, "a literal `-` is \\-",
                               "a range needs a character at both ends");
    } else if (low.is_set) {
        return true;
    } else {
        high = low;
    }
    if (low.scalar > high.scalar)
        return parser_fail(parser, begin, parser->at, NULL, "the range ends before it begins");
    arena_grow(parser->arena, &class->typed, &class->typed_capacity, class->typed_count + 1,
               sizeof *class->typed);
    class->typed[class->typed_count++] = (struct scalar_range){low.scalar, high.scalar};
    return true;
}

struct pattern *parser_class(struct parser *parser)
{
    uint32_t begin = parser->at++;
    bool negated = parser_peek(parser, 0) == '^';
    parser->at += negated;
    struct class class = {0};
    /* A ']' that comes first is a literal. */
    for (uint32_t first = parser->at; parser->at == first || parser_peek(parser, 0) != ']';) {
        if (parser->at >= parser->length)
            return parser_fail(parser, begin, begin + 1, "a literal one is \\[",
                               "`[` without its `]`");
        if (!class_item(parser, &class))
            return NULL;
    }
    parser->at++;
    char edge = parser->text[begin + 1];
    if (strchr(":.=", edge) && edge == parser->text[parser->at - 2] && parser->at - begin > 3)
        return parser_fail(parser, begin, parser->at, "write [[:alpha:]]",
                           "a POSIX class stands inside of brackets");
    struct charset typed = charset_normal(parser->arena, class.typed, class.typed_count);
    if (parser->flags.fold)
        typed = charset_fold(parser->arena, typed);
    struct charset named = charset_normal(parser->arena, class.named, class.named_count);
    struct charset set = charset_union(parser->arena, typed, named);
    return pattern_set(parser->arena, negated ? charset_complement(parser->arena, set) : set);
}
