/* The pattern dialect: what is refused, each with its place, its words and its hint. */
#include <string.h>

#include "tests/unit/regex_arena.h"

/* The user's one name in these tests. */
static const struct pattern *names_find(void *context, const char *name, size_t length)
{
    struct pattern_error error;
    (void)context;
    return length == 6 && memcmp(name, "branch", 6) == 0
               ? pattern_parse(arena, "[a-z]+", 6, NULL, &error)
               : NULL;
}

static const struct pattern_names all_names = {names_find, NULL, NULL};

struct refusal {
    const char *text;
    uint32_t begin, end;
    const char *message;
};

#define NOT_PART " is not part of the pattern language"

static const struct refusal refusals[] = {
    {"a(?=b)", 1, 4, "a look-ahead `(?=...)`" NOT_PART},
    {"(?!b)", 0, 3, "a negative look-ahead `(?!...)`" NOT_PART},
    {"(?<=b)", 0, 4, "a look-behind `(?<=...)`" NOT_PART},
    {"(?<!b)", 0, 4, "a negative look-behind `(?<!...)`" NOT_PART},
    {"(?*b)", 0, 3, "a look-ahead `(?*...)`" NOT_PART},
    {"(?<*b)", 0, 4, "a look-behind `(?<*...)`" NOT_PART},
    {"(?>ab)", 0, 3, "an atomic group `(?>...)`" NOT_PART},
    {"(?|a|b)", 0, 3, "a branch reset `(?|...)`" NOT_PART},
    {"(?#x)", 0, 3, "a comment `(?#...)`" NOT_PART},
    {"(a)?(?(1)b)", 4, 7, "a conditional group `(?(...)...)`" NOT_PART},
    {"(?&n)", 0, 3, "a subroutine call `(?&...)`" NOT_PART},
    {"(?R)", 0, 3, "a recursion `(?R)`" NOT_PART},
    {"(?1)", 0, 3, "a recursion `(?1)`" NOT_PART},
    {"(?-1)", 0, 4, "a recursion `(?-1)`" NOT_PART},
    {"(?+1)", 0, 3, "a subroutine call `(?+...)`" NOT_PART},
    {"(?P>n)", 0, 4, "a subroutine call `(?P>...)`" NOT_PART},
    {"(?P=n)", 0, 4, "a back reference `(?P=...)`" NOT_PART},
    {"(?C1)", 0, 3, "a callout `(?C...)`" NOT_PART},
    {"(?'n'a)", 0, 3, "a named group `(?'...'...)`" NOT_PART},
    {"(?^:a)", 0, 3, "an option reset `(?^...)`" NOT_PART},
    {"(*ACCEPT)", 0, 2, "a verb or an assertion by name `(*...)`" NOT_PART},
    {"(*UCP)a", 0, 2, "a verb or an assertion by name `(*...)`" NOT_PART},
    {"(*pla:a)", 0, 2, "a verb or an assertion by name `(*...)`" NOT_PART},
    {"(?Px)", 0, 3, "`(?` begins no group that is known"},
    {"(?", 0, 2, "`(?` begins no group that is known"},
    {"(?_)", 0, 3, "`(?` begins no group that is known"},
    {"(?m)a", 2, 3, "the option `m`" NOT_PART},
    {"(?xx)a", 2, 4, "the option `xx`" NOT_PART},
    {"(?i-J:a)", 4, 5, "the option `J`" NOT_PART},
    {"(?)a", 0, 3, "options that are not complete"},
    {"(?i", 0, 3, "options that are not complete"},
    {"(?i-)", 0, 5, "options that are not complete"},
    {"a(?i)b", 1, 5, "options for the rest of a pattern stand at its start"},
    {"(?i:a)(?s)b", 6, 10, "options for the rest of a pattern stand at its start"},
    {"a++", 1, 3, "a possessive quantifier" NOT_PART},
    {"a*+", 1, 3, "a possessive quantifier" NOT_PART},
    {"a{2}+", 1, 5, "a possessive quantifier" NOT_PART},
    {"a**", 1, 3, "a quantifier behind a quantifier"},
    {"a{2}{3}", 1, 5, "a quantifier behind a quantifier"},
    {"a???", 1, 4, "a quantifier behind a quantifier"},
    {"(?x)a+ ?", 5, 8, "a quantifier behind a quantifier, with space between"},
    {"*a", 0, 1, "`*` with nothing before it to repeat"},
    {"a|+", 2, 3, "`+` with nothing before it to repeat"},
    {"(?)", 0, 3, "options that are not complete"},
    {"(?:?)", 3, 4, "`?` with nothing before it to repeat"},
    {"^*", 1, 2, "`*` with nothing before it to repeat"},
    {"{", 0, 1, "`{` with nothing before it to repeat"},
    {"a{", 1, 2, "`{` without the numbers of a repetition"},
    {"a{x}", 1, 2, "`{` without the numbers of a repetition"},
    {"a{,3}", 1, 2, "`{` without the numbers of a repetition"},
    {"a{1,2", 1, 5, "`{` without the numbers of a repetition"},
    {"a{ 1}", 1, 2, "`{` without the numbers of a repetition"},
    {"a{3,2}", 1, 6, "the repetition's first number is greater than its second"},
    {"a{65536}", 2, 7, "a repetition counts to 65535 at most"},
    {"a{1,99999999999999999999}", 4, 24, "a repetition counts to 65535 at most"},
    {"a^b", 1, 2, "`^` stands only at the start of a pattern"},
    {"(^a)", 1, 2, "`^` stands only at the start of a pattern"},
    {"^^a", 1, 2, "`^` stands only at the start of a pattern"},
    {"a$b", 1, 2, "`$` stands only at the end of a pattern"},
    {"(a$)", 2, 3, "`$` stands only at the end of a pattern"},
    {"a$|b", 1, 2, "`$` stands only at the end of a pattern"},
    {"(a", 0, 1, "`(` without its `)`"},
    {"(?:a|(b)", 0, 1, "`(` without its `)`"},
    {"a)b", 1, 2, "`)` without its `(`"},
    {"safe)|(?:ok", 4, 5, "`)` without its `(`"},
    {"safe)|(ok", 4, 5, "`)` without its `(`"},
    {"(?x)a # )\n)", 10, 11, "`)` without its `(`"},
    {"(?x)(a # )", 4, 5, "`(` without its `)`"},
    {"(?<n", 0, 3, "the name of a group without its `>`"},
    {"[a", 0, 1, "`[` without its `]`"},
    {"[]", 0, 1, "`[` without its `]`"},
    {"[^]", 0, 1, "`[` without its `]`"},
    {"[z-a]", 1, 4, "the range ends before it begins"},
    {"[a-\\d]", 1, 5, "a range needs a character at both ends"},
    {"[\\d-z]", 1, 5, "a range needs a character at both ends"},
    {"[[:alpha:]-z]", 1, 12, "a range needs a character at both ends"},
    {"[a[b]", 2, 3, "`[` in a class means different things to different engines"},
    {"[a&&b]", 2, 4, "`&&` in a class is an operator to some engines"},
    {"[a--b]", 2, 4, "`--` in a class is an operator to some engines"},
    {"[~~]", 1, 3, "`~~` in a class is an operator to some engines"},
    {"[[:foo:]]", 1, 8, "there is no POSIX class `[:foo:]`"},
    {"[[:alpha]", 1, 8, "`[:` in a class without its `:]`"},
    {"[:alpha:]", 0, 9, "a POSIX class stands inside of brackets"},
    {"[[.a.]]", 1, 3, "collating elements are not part of the pattern language"},
    {"[[=a=]]", 1, 3, "collating elements are not part of the pattern language"},
    {"(?x)[a b]", 6, 7,
     "with (?x), white space and `#` in a class mean different things to "
     "different engines"},
    {"[\\b]", 1, 3, "`\\b` in a class is a backspace in some engines and an error in others"},
    {"[\\1]", 1, 3, "an octal number `\\1`" NOT_PART},
    {"[\\R]", 1, 3, "the newline sequence `\\R`" NOT_PART},
    {"\\", 0, 1, "the pattern ends in a backslash"},
    {"\\1", 0, 2, "a back reference `\\1`" NOT_PART},
    {"\\012", 0, 2, "an octal number `\\0`" NOT_PART},
    {"\\A", 0, 2, "the assertion `\\A`" NOT_PART},
    {"\\B", 0, 2, "the assertion `\\B`" NOT_PART},
    {"\\C", 0, 2, "the single byte `\\C`" NOT_PART},
    {"\\Q.\\E", 0, 2, "a quotation `\\Q...\\E`" NOT_PART},
    {"a\\E", 1, 3, "the end of a quotation `\\E`" NOT_PART},
    {"\\G", 0, 2, "the assertion `\\G`" NOT_PART},
    {"\\H", 0, 2, "the class `\\H`" NOT_PART},
    {"\\K", 0, 2, "the match reset `\\K`" NOT_PART},
    {"\\L", 0, 2, "the case change `\\L`" NOT_PART},
    {"\\N", 0, 2, "the class `\\N`" NOT_PART},
    {"\\R", 0, 2, "the newline sequence `\\R`" NOT_PART},
    {"\\U", 0, 2, "the case change `\\U`" NOT_PART},
    {"\\V", 0, 2, "the class `\\V`" NOT_PART},
    {"\\X", 0, 2, "the grapheme cluster `\\X`" NOT_PART},
    {"\\Z", 0, 2, "the assertion `\\Z`" NOT_PART},
    {"\\b", 0, 2, "the word boundary `\\b`" NOT_PART},
    {"\\cA", 0, 2, "a control character `\\c.`" NOT_PART},
    {"\\g1", 0, 2, "a reference `\\g`" NOT_PART},
    {"\\h", 0, 2, "the class `\\h`" NOT_PART},
    {"\\k<n>", 0, 2, "a back reference `\\k`" NOT_PART},
    {"\\l", 0, 2, "the case change `\\l`" NOT_PART},
    {"\\o{101}", 0, 2, "an octal number `\\o{...}`" NOT_PART},
    {"\\u0041", 0, 2, "the escape `\\u`" NOT_PART},
    {"\\z", 0, 2, "the assertion `\\z`" NOT_PART},
    {"\\q", 0, 2, "`\\q` means nothing"},
    {"\\\xc3\xa9", 0, 3, "`\\\xc3\xa9` means nothing"},
    {"\\\x01", 0, 2, "a backslash before a control character"},
    {"\\x4", 0, 3, "`\\x` without its hexadecimal number"},
    {"\\xg1", 0, 2, "`\\x` without its hexadecimal number"},
    {"\\x{}", 0, 4, "`\\x` without its hexadecimal number"},
    {"\\x{12", 0, 5, "`\\x` without its hexadecimal number"},
    {"\\x{110000}", 0, 10, "the number is over 10FFFF, the last Unicode character"},
    {"\\x{fffffffffffffff}", 0, 19, "the number is over 10FFFF, the last Unicode character"},
    {"\\x{D800}", 0, 8, "D800 to DFFF are surrogates, not characters: no value has them"},
    {"\\p{Foo}", 0, 7, "there is no such Unicode property"},
    {"\\pX", 0, 3, "there is no such Unicode property"},
    {"\\p", 0, 2, "there is no such Unicode property"},
    {"\\p{L", 0, 4, "`\\p{` without its `}`"},
    {"\\p{^L}", 0, 6, "`^` in a property: write \\P instead"},
    {"a\xff", 1, 2, "not valid UTF-8"},
    {"[\xed\xa0\x80]", 1, 2, "not valid UTF-8"},
    {"(?x)a # \xff", 8, 9, "not valid UTF-8"},
    {"(?<\xff>a)", 3, 4, "not valid UTF-8"},
    {"@nowhere", 0, 8, "there is no pattern named @nowhere"},
    {"a(?@hostnam)", 1, 12, "there is no pattern named @hostnam"},
    {"@branch-", 0, 8, "there is no pattern named @branch-"},
    {"@branch/", 0, 7, "@branch stands alone or not at all"},
    {"^@branch", 1, 3, "@NAME stands alone or not at all"},
    {"@branch(1,2)", 0, 12, "@branch takes no arguments"},
    {"@int(1,2", 4, 5, "the arguments of @int without their `)`"},
    {"(?@)", 0, 4, "a reference to a named pattern is not complete"},
    {"(?@int", 0, 6, "a reference to a named pattern is not complete"},
    {"(?@int!)", 0, 7, "a reference to a named pattern is not complete"},
    {"x(?@int(1,0))", 8, 11, "@int: the first integer is greater than the second"},
    {"@sha1(3)", 0, 8, "@sha1: takes no arguments"},
    {"(?<a>x)(?<a>y)", 11, 12, "two named subpatterns have the same name (PCRE2_DUPNAMES not set)"},
    {"(?@branch)(?<1>x)", 12, 13, "subpattern name must start with a non-digit"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *refusal = &refusals[i];
        struct pattern_error error = {0};
        if (pattern_parse(arena, refusal->text, strlen(refusal->text), &all_names, &error))
            fail_msg("`%s` is taken", refusal->text);
        if (strcmp(error.message, refusal->message) != 0 || error.begin != refusal->begin ||
            error.end != refusal->end)
            fail_msg("`%s`: %u-%u: %s", refusal->text, error.begin, error.end, error.message);
    }
}

static void test_hints(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"(?!a)", "say what must not match on a line of its own, `NAME != PATTERN`; or `engine = "
                  "pcre2` on the rule leaves the slot to PCRE2"},
        {"(?=a)", "`engine = pcre2` on the rule leaves the slot to PCRE2"},
        {"a++", "leave out the last `+`; or `engine = pcre2` on the rule"},
        {"a{", "a literal one is \\{; a repetition, {n,m}"},
        {"@wrod", "did you mean @word?"},
        {"@text", "as in @text(1,200)"},
        {"^a^", "leave it out, a pattern always matches the whole value; a literal one is \\^"},
    };
    struct pattern_error error;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(pattern_parse(arena, rows[i][0], strlen(rows[i][0]), NULL, &error));
        assert_non_null(error.hint);
        assert_string_equal(error.hint, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hints),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
