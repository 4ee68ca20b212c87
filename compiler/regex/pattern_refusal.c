/* What PCRE2 can say and a regular expression, or this dialect of them, cannot: each construct by
 * its name, with what to write instead. */
#include <string.h>

#include "compiler/regex/parser.h"

#define USE_ENGINE "`engine = pcre2` on the rule leaves the slot to PCRE2"
#define USE_EXCLUSION                                                                              \
    "say what must not match on a line of its own, `NAME != PATTERN`; or " USE_ENGINE
#define USE_GROUP "write (?:...), which accepts the same values"
#define WHOLE_VALUE "leave it out: a pattern always matches the whole value"
#define USE_HEX "write \\x{...} with the hexadecimal number"
#define USE_NAME "name the part in `patterns:` and write (?@NAME)"

struct refusal {
    const char *prefix; /* what it begins with, behind `(` or `\` */
    const char *name;
    const char *hint;
};

/* Longer prefixes first. */
static const struct refusal groups[] = {
    {"?<=", "a look-behind `(?<=...)`", USE_ENGINE},
    {"?<!", "a negative look-behind `(?<!...)`", USE_EXCLUSION},
    {"?<*", "a look-behind `(?<*...)`", USE_ENGINE},
    {"?P=", "a back reference `(?P=...)`", USE_ENGINE},
    {"?P>", "a subroutine call `(?P>...)`", USE_NAME "; or " USE_ENGINE},
    {"?=", "a look-ahead `(?=...)`", USE_ENGINE},
    {"?!", "a negative look-ahead `(?!...)`", USE_EXCLUSION},
    {"?*", "a look-ahead `(?*...)`", USE_ENGINE},
    {"?>", "an atomic group `(?>...)`", USE_GROUP ", or fewer of them: no value is tried twice"},
    {"?|", "a branch reset `(?|...)`", USE_GROUP},
    {"?#", "a comment `(?#...)`", "comments of a rules file begin with `;`"},
    {"?(", "a conditional group `(?(...)...)`", USE_ENGINE},
    {"?&", "a subroutine call `(?&...)`", USE_NAME "; or " USE_ENGINE},
    {"?R", "a recursion `(?R)`", USE_ENGINE},
    {"?C", "a callout `(?C...)`", "leave it out"},
    {"?'", "a named group `(?'...'...)`", "write (?<NAME>...) or (?:...)"},
    {"?^", "an option reset `(?^...)`", "name the options that end, as in (?-i:...)"},
    {"?+", "a subroutine call `(?+...)`", USE_NAME "; or " USE_ENGINE},
    {"*", "a verb or an assertion by name `(*...)`", "a literal star in a group is (\\*...)"},
};

static const struct refusal escapes[] = {
    {"A", "the assertion `\\A`", WHOLE_VALUE},
    {"B", "the assertion `\\B`", USE_ENGINE},
    {"C", "the single byte `\\C`", "values are UTF-8: write `.` or (?s:.)"},
    {"E", "the end of a quotation `\\E`", "put a backslash before each special character"},
    {"G", "the assertion `\\G`", WHOLE_VALUE},
    {"H", "the class `\\H`", "write [^\\t ], or the characters that you mean"},
    {"K", "the match reset `\\K`", WHOLE_VALUE},
    {"L", "the case change `\\L`", "write the letters in the case that you mean"},
    {"N", "the class `\\N`", "write `.` for anything but a newline"},
    {"Q", "a quotation `\\Q...\\E`", "put a backslash before each special character"},
    {"R", "the newline sequence `\\R`", "write (?:\\r\\n|[\\n\\r]), or \\n alone"},
    {"U", "the case change `\\U`", "write the letters in the case that you mean"},
    {"V", "the class `\\V`", "write [^\\n\\r], or the characters that you mean"},
    {"X", "the grapheme cluster `\\X`", "write (?s:.), which is one scalar value"},
    {"Z", "the assertion `\\Z`", WHOLE_VALUE},
    {"b", "the word boundary `\\b`", "write the characters that may stand there; or " USE_ENGINE},
    {"c", "a control character `\\c.`", USE_HEX},
    {"g", "a reference `\\g`", USE_ENGINE},
    {"h", "the class `\\h`", "write [\\t ], or the characters that you mean"},
    {"k", "a back reference `\\k`", USE_ENGINE},
    {"l", "the case change `\\l`", "write the letter in the case that you mean"},
    {"o", "an octal number `\\o{...}`", USE_HEX},
    {"u", "the escape `\\u`", USE_HEX},
    {"z", "the assertion `\\z`", WHOLE_VALUE},
};

static const char not_part[] = "is not part of the pattern language";

bool parser_refuses_group(struct parser *parser)
{
    uint32_t begin = parser->at;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        parser->at = begin + 1;
        bool found = parser_sees(parser, groups[i].prefix);
        parser->at = begin;
        if (found) {
            parser_fail(parser, begin, begin + 1 + (uint32_t)strlen(groups[i].prefix),
                        groups[i].hint, "%s %s", groups[i].name, not_part);
            return true;
        }
    }
    int sign = parser_peek(parser, 2);
    int digit = sign == '-' ? parser_peek(parser, 3) : sign;
    if (parser_peek(parser, 1) == '?' && digit >= '0' && digit <= '9') {
        parser_fail(parser, begin, begin + (sign == '-' ? 4 : 3), USE_ENGINE,
                    "a recursion `(?%s%c)` %s", sign == '-' ? "-" : "", digit, not_part);
        return true;
    }
    return false;
}

void parser_refuse_escape(struct parser *parser, bool in_class)
{
    uint32_t begin = parser->at;
    int letter = parser_peek(parser, 1);
    if (letter < 0) {
        parser_fail(parser, begin, begin + 1, "a literal backslash is `\\\\`",
                    "the pattern ends in a backslash");
    } else if (letter >= '0' && letter <= '9') {
        parser_fail(parser, begin, begin + 2,
                    letter == '0' || in_class ? USE_HEX : USE_ENGINE "; a character is \\x{...}",
                    "%s `\\%c` %s",
                    letter == '0' || in_class ? "an octal number" : "a back reference", letter,
                    not_part);
    } else if (in_class && letter == 'b') {
        parser_fail(parser, begin, begin + 2, "write \\x08",
                    "`\\b` in a class is a backspace in some engines and an error in others");
    } else {
        for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
            if (escapes[i].prefix[0] == letter) {
                parser_fail(parser, begin, begin + 2, escapes[i].hint, "%s %s", escapes[i].name,
                            not_part);
                return;
            }
        uint32_t scalar;
        parser->at++;
        if (!parser_scalar(parser, &scalar))
            return;
        if (scalar < ' ' || scalar == 0x7f)
            parser_fail(parser, begin, parser->at, USE_HEX,
                        "a backslash before a control character");
        else
            parser_fail(parser, begin, parser->at,
                        letter < 0x80
                            ? "letters and digits have special meanings behind a backslash"
                            : "only ASCII punctuation takes a backslash",
                        "`%.*s` means nothing", (int)(parser->at - begin), parser->text + begin);
    }
}
