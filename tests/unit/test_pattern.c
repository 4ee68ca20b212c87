/* The pattern dialect: what is read, as which language, and each refusal with its place and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* The user's names in these tests; a name's text is parsed when it is asked for. */
struct name {
    const char *name, *text;
};
static const struct name names[] = {
    {"branch", "[a-z][a-z0-9-]{0,40}"},
    {"either", "yes|no"},
    {"anchored", "^(?i)yes|no$"},
    {"spaced", "(?x) a b # a comment, to the end"},
    {"grouped", "(?<n>a)+"},
    {"nested", "x(?@either)y"},
    {"word", "mine"},
    {"nothing", ""},
};

static const struct pattern_names all_names;

static const struct name *name_of(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
            return &names[i];
    return NULL;
}

static const struct pattern *names_find(void *context, const char *name, size_t length)
{
    (void)context;
    const struct name *found = name_of(name, length);
    struct pattern_error error;
    return found ? pattern_parse(arena, found->text, strlen(found->text), &all_names, &error) : NULL;
}

static const char *names_text(void *context, const char *name, size_t length, size_t *text_length)
{
    (void)context;
    const struct name *found = name_of(name, length);
    *text_length = found ? strlen(found->text) : 0;
    return found ? found->text : NULL;
}

static const struct pattern_names all_names = {names_find, NULL, names_text};
static const struct pattern_names trees_only = {names_find, NULL, NULL};

static const struct pattern *parse(const char *text)
{
    struct pattern_error error;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), &all_names, &error);
    if (!tree)
        fail_msg("`%s`: %u-%u: %s", text, error.begin, error.end, error.message);
    return tree;
}

/* Accepts and refuses these values: by the automaton, and by PCRE2. */
static void assert_language(const char *text, const char *const *accepted,
                            const char *const *refused)
{
    const struct automaton *automaton =
        automaton_from_pattern(arena, parse(text), AUTOMATON_STATES_MAX);
    assert_non_null(automaton);
    struct pattern_error error;
    const char *expanded = pattern_pcre2(arena, text, strlen(text), &all_names, &error);
    assert_non_null(expanded);
    struct oracle_pcre2 *oracle = oracle_pcre2_new(expanded, strlen(expanded));
    if (!oracle)
        fail_msg("PCRE2 refuses `%s`, from `%s`", expanded, text);
    for (int yes = 0; yes < 2; yes++)
        for (const char *const *value = yes ? accepted : refused; *value; value++) {
            if (automaton_accepts(automaton, *value, strlen(*value)) != (yes != 0))
                fail_msg("`%s` and `%s`: should be %d", text, *value, yes);
            if (oracle_pcre2_accepts(oracle, *value, strlen(*value)) !=
                (yes ? ORACLE_YES : ORACLE_NO))
                fail_msg("`%s`, to PCRE2 `%s`, and `%s`: should be %d", text, expanded, *value, yes);
        }
    oracle_pcre2_free(oracle);
}

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_VALUES ((const char *const[]){NULL})

static void test_literals_and_escapes(void **state)
{
    (void)state;
    assert_language("", VALUES(""), VALUES("a", "\n"));
    assert_language("abc", VALUES("abc"), VALUES("ab", "abcd", "xabc", "ABC", "abc\n"));
    assert_language("a\\.b\\*\\\\\\[\\ \\_\\#", VALUES("a.b*\\[ _#"), VALUES("axb*\\[ _#"));
    assert_language("\\t\\n\\r\\f\\v\\a\\e", VALUES("\t\n\r\f\v\a\x1b"), VALUES("\t\n\r\f\f\a\x1b"));
    assert_language("\\v", VALUES("\v"), VALUES("\n", "\f", "\r", "\xe2\x80\xa8"));
    assert_language("[\\v]", VALUES("\v"), VALUES("\n", "v"));
    assert_language("\\x41\\x{e9}\\x{1F600}", VALUES("A\xc3\xa9\xf0\x9f\x98\x80"), VALUES("A"));
    assert_language("gr\xc3\xbc\xc3\x9f", VALUES("gr\xc3\xbc\xc3\x9f"), VALUES("gr\xc3\xbc"));
    assert_language("a|\\0|b", VALUES("a", "b"), VALUES("", "0", "\\0"));
    assert_language("[^\\0]", VALUES("a", "\n"), VALUES(""));
    assert_language("user@host", VALUES("user@host"), VALUES("user"));
    assert_language("\\@word", VALUES("@word"), VALUES("word"));
    assert_language("@[a-z]+/x", VALUES("@scope/x"), VALUES("scope/x"));
    assert_language("@", VALUES("@"), VALUES(""));
    assert_language("]}-,:=!<>&~'\"`%;/", VALUES("]}-,:=!<>&~'\"`%;/"), VALUES(""));
}

static void test_dot_and_options(void **state)
{
    (void)state;
    assert_language(".", VALUES("a", "\r", "\xc3\xa9", "\xf0\x9f\x98\x80"), VALUES("\n", "", "ab"));
    assert_language("(?s).", VALUES("a", "\n"), VALUES("", "\n\n"));
    assert_language("(?s:.).", VALUES("\na"), VALUES("\n\n", "a\n"));
    assert_language("(?i)stra\xc3\x9f" "e", VALUES("STRA\xc3\x9f" "E", "\xc5\xbftra\xe1\xba\x9e" "e"),
                    VALUES("strasse"));
    assert_language("(?i)k", VALUES("k", "K", "\xe2\x84\xaa"), VALUES("x"));
    assert_language("(?i)[^k]", VALUES("x", "\xc3\xa9"), VALUES("k", "K", "\xe2\x84\xaa"));
    assert_language("a(?i:b)c", VALUES("abc", "aBc"), VALUES("Abc", "abC"));
    assert_language("(?i)a(?-i:b)c", VALUES("AbC", "abc"), VALUES("aBc"));
    assert_language("(?i)[[:upper:]][[:lower:]]", VALUES("aB", "Ab"), VALUES("1b"));
    assert_language("(?i)\\p{Lu}", VALUES("A"), VALUES("1"));
    assert_language("(?x) a \\  b # c\n [\\ ] (?: d | e ) + f", VALUES("a b df", "a b deedf"),
                    VALUES("ab df", "a b f"));
    assert_language("(?ix) A (?-x: b) # end", VALUES("a b", "A B"), VALUES("ab"));
    assert_language("(?i)(?s)^(?x) a . $ ", VALUES("a\n", "Ab"), VALUES("a"));
    assert_language("(?is-x:a.)", VALUES("A\n"), VALUES("a"));
}

static void test_classes(void **state)
{
    (void)state;
    assert_language("[abc]", VALUES("a", "b", "c"), VALUES("d", "", "ab"));
    assert_language("[^abc]", VALUES("d", "\n", "\xc3\xa9"), VALUES("a", "b", "c", ""));
    assert_language("[a-cx-z0]", VALUES("b", "y", "0"), VALUES("d", "-"));
    assert_language("[]a]", VALUES("]", "a"), VALUES("b", "[]a]"));
    assert_language("[^]a]", VALUES("b"), VALUES("]", "a"));
    assert_language("[-a]", VALUES("-", "a"), VALUES("b"));
    assert_language("[a-]", VALUES("-", "a"), VALUES("b"));
    assert_language("[a-c-e]", VALUES("b", "-", "e"), VALUES("d"));
    assert_language("[\\d-]", VALUES("7", "-"), VALUES("x"));
    assert_language("[\\]\\-\\\\^]", VALUES("]", "-", "\\", "^"), VALUES("a"));
    assert_language("[\\x41-\\x{43}]", VALUES("A", "B", "C"), VALUES("D"));
    assert_language("[.*+?{}()|$]", VALUES(".", "*", "$", "|"), VALUES("a"));
    assert_language("\\d\\w\\s", VALUES("7_\t", "0z\v", "9A "), VALUES("\xd9\xa3_ ", "7\xc3\xa9 ", "7_\xc2\xa0"));
    assert_language("\\D\\W\\S", VALUES("a-a", "\xd9\xa3\xc3\xa9\xc2\xa0"), VALUES("7-a", "a_a", "a- "));
    assert_language("[\\d\\s][^\\w\\s]", VALUES("7-", " -"), VALUES("a-", "7a", "7 "));
    assert_language("[[:alpha:]_][[:^digit:]]", VALUES("ax", "_-"), VALUES("1x", "a1"));
    assert_language("[[:punct:]][[:xdigit:]][[:blank:]]", VALUES("!f\t", "~9 "), VALUES("af ", "!g "));
    assert_language("[[:cntrl:]][[:graph:]][[:print:]][[:space:]][[:ascii:]]",
                    VALUES("\x01! \v\x7f"), VALUES("a! \v\x7f", "\x01  \v\x7f"));
    assert_language("[[:word:]][[:alnum:]][[:digit:]]", VALUES("_z0"), VALUES("-z0", "__0"));
    assert_language("\\p{Lu}\\p{Greek}\\pN\\P{L}\\PN", VALUES("A\xce\xb1" "1" "2x"), VALUES("a\xce\xb1" "12x"));
    assert_language("[\\p{Lu}\\p{Nd}_]+", VALUES("A1_", "\xc3\x89"), VALUES("a"));
    assert_language("[^\\p{L}]", VALUES("1"), VALUES("\xc3\xa9"));
}

static void test_groups_and_repetition(void **state)
{
    (void)state;
    assert_language("(a)(?:b)(?<n>c)(?P<m>d)", VALUES("abcd"), VALUES("abc"));
    assert_language("a|bc|", VALUES("a", "bc", ""), VALUES("b", "abc"));
    assert_language("(a|b(c|))d", VALUES("ad", "bcd", "bd"), VALUES("acd", "d"));
    assert_language("()", VALUES(""), VALUES("a"));
    assert_language("a*b+c?", VALUES("b", "aabbc"), VALUES("a", "", "bcc"));
    assert_language("a*?b+?c??", VALUES("b", "aabbc"), VALUES("a", "", "bcc"));
    assert_language("a{2}", VALUES("aa"), VALUES("a", "aaa"));
    assert_language("a{2,}", VALUES("aa", "aaaaa"), VALUES("a"));
    assert_language("a{1,3}?", VALUES("a", "aaa"), VALUES("", "aaaa"));
    assert_language("a{0}", VALUES(""), VALUES("a"));
    assert_language("(?:ab){2,3}", VALUES("abab", "ababab"), VALUES("ab", "abababab", "aba"));
    assert_language("(?:a{2,3}){2,3}", VALUES("aaaa", "aaaaaaaaa"), VALUES("aaa", "aaaaaaaaaa"));
    assert_language("(?:a{3}){2,3}", VALUES("aaaaaa", "aaaaaaaaa"), VALUES("aaaaaaa", "aaaaaaaa"));
    assert_language("(?:a*){3}|(?:b+){2}|(?:c+)?", VALUES("", "a", "bb", "bbb", "c", "cccc"),
                    VALUES("b", "ab"));
    assert_language("(?:(?:ab?){2,4}c){1,2}", VALUES("aac", "ababababc", "aacabac"),
                    VALUES("ac", "aaaaac", "aacaacaac"));
    assert_language("(?:a?b?){3}", VALUES("", "ababab", "bbb", "aab"), VALUES("abababa", "bbbb"));
    assert_language(".{0,3}-.{2,}", VALUES("-ab", "---", "abc-de"), VALUES("abcd-ef", "a-b"));
    assert_language("[ab]*a[ab]{2,3}", VALUES("abb", "aaaaaa", "babbb"), VALUES("bbb", "abbbb"));
}

static void test_anchors_at_the_ends_are_redundant(void **state)
{
    (void)state;
    assert_language("^abc$", VALUES("abc"), VALUES("^abc$", "abc\n", "xabc"));
    assert_language("^a|b$", VALUES("a", "b"), VALUES("ax", "xb"));
    assert_language("^$", VALUES(""), VALUES("\n"));
    assert_language("(?x)^ a $ # end", VALUES("a"), VALUES("a$"));
    assert_language("^[^^$]\\^\\$$", VALUES("a^$"), VALUES("^^$"));
    assert_true(pattern_equal(parse("^abc$"), parse("abc")));
}

static void test_names(void **state)
{
    (void)state;
    assert_language("@branch", VALUES("a", "x-9"), VALUES("-a", "9", ""));
    assert_language("v(?@either)!", VALUES("vyes!", "vno!"), VALUES("vyes", "no!"));
    assert_language("(?@anchored)+", VALUES("YES", "noYes"), VALUES("^yes"));
    assert_language("(?i:x(?@either))", VALUES("Xyes", "xno"), VALUES("xYES"));
    assert_language("(?@spaced)c", VALUES("abc"), VALUES("ab", "a bc"));
    assert_language("(?@grouped)-(?@grouped)", VALUES("aa-a"), VALUES("a-"));
    assert_language("(?@nested)|(?@nested)z", VALUES("xyesy", "xnoyz"), VALUES("yes"));
    assert_language("@word", VALUES("mine"), VALUES("yours"));
    assert_language("(?@nothing)a(?@nothing)*", VALUES("a"), VALUES(""));
    assert_language("(?@int(1,20)):(?@uuid)", VALUES("17:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
                    VALUES("0:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    assert_language("(?x) (?@under(/a b)) # c", VALUES("/a b/c"), VALUES("/ab"));
}

static void test_pcre2_text(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"[a-z]+", "[a-z]+"},
        {"^a\\v$", "a\\x0B"},
        {"@branch", "(?^:[a-z][a-z0-9-]{0,40})"},
        {"x(?@nested)", "x(?^:x(?^:yes|no)y)"},
        {"(?@spaced)c", "(?^:(?x) a b # a comment, to the end\n)c"},
        {"(?<n>a)(?@grouped)", "(?:a)(?^:(?:a)+)"},
        {"@sha1", "(?^:[0-9a-f]{40})"},
    };
    struct pattern_error error;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(pattern_pcre2(arena, rows[i][0], strlen(rows[i][0]), &all_names, &error),
                            rows[i][1]);
    assert_string_equal(pattern_pcre2(arena, "x(?@nested)", 11, &trees_only, &error),
                        "x(?^:x(?:yes|no)y)");
    assert_null(pattern_pcre2(arena, "(", 1, NULL, &error));
}

static void test_trees(void **state)
{
    (void)state;
    static const char *const equal[][2] = {
        {"a|b|c", "[a-c]"},       {"(?:a(?:b(?:c)))", "abc"}, {"(?:a|)", "a?"},
        {"a{1}", "a"},            {"(?:a*)*", "a*"},          {"(?:a?){0,5}", "a{0,5}"},
        {"(?:a{2}){3}", "a{6}"},  {"(?:a+)?", "a*"},          {"(?:a{2,3}){2}", "a{4,6}"},
        {"(?:a|b)|c|\\0", "[abc]"}, {"(?:){5}", ""},          {"(?:a*b*){3}", "(?:a*b*){0,3}"},
        {"aa*a?", "a+"},          {"[ab]{1,2}b(?:a|b){3}", "[ab]{1,2}b[ab]{3}"},
        {"x+x+x+", "x{3,}"},      {"x{60000}x{5535}", "x{65535}"}, {"(?:ab)*ab(?:ab)?", "(?:ab)*a(?:b)(?:ab)?"},
        {"a(?:|)b", "ab"},        {"(?i)a", "[aA]"},          {"a\\0|b", "b"},
    };
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
        if (!pattern_equal(parse(equal[i][0]), parse(equal[i][1])))
            fail_msg("`%s` is `%s`, not `%s`", equal[i][0],
                     pattern_canonical(arena, parse(equal[i][0])), equal[i][1]);
    static const char *const different[][2] = {
        {"a", "b"}, {"ab", "a"}, {"a{2,3}", "a{2,4}"}, {"x{60000}x{60000}", "x{60000}"}, {"aa", "a{2}"}, {"(?:a{3}){2,3}", "a{6,9}"}, {"a|bc", "bc|a"},
    };
    for (size_t i = 0; i < sizeof different / sizeof *different; i++)
        assert_false(pattern_equal(parse(different[i][0]), parse(different[i][1])));
    const struct pattern *tree = parse("(?:a|bc){2,3}d*");
    assert_int_equal(tree->node_count, 9);
    assert_int_equal(tree->depth, 5);
    assert_false(tree->nullable);
    assert_true(parse("a*(?:b|)c?")->nullable);
}

static void test_canonical_text_parses_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",        "abc",           "[a-z]{1,40}",      "(?:a|bc)*d",       "(?i)stra\xc3\x9f" "e",
        "a|",      "(?:ab){2,}",    "@gitref",          "(?:a{3}){2,3}",    "(?:a(?:b|cd)?)+",
        "\\0",     "\\@word",       "a\\ b\\#\\-",      "[^\\x{100}-\\x{200}]", "\\p{Lu}\\p{Lu}",
        "x{0,65535}", "(?:(?:a|bc)?){3}", "\\x{1F600}\\n", "[]^-]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct pattern *tree = parse(texts[i]);
        const char *spelled = pattern_spelled(arena, tree);
        assert_true(pattern_equal(parse(spelled), tree));
        assert_string_equal(pattern_canonical(arena, tree), pattern_canonical(arena, parse(spelled)));
        assert_null(strchr(spelled, ' '));
    }
    assert_string_equal(pattern_canonical(arena, parse("[a-z][a-z0-9-]{0,40}|x+y?")),
                        "[a-z][\\-0-9a-z]{0,40}|x+y?");
    /* A long set is written out once. */
    const char *twice = pattern_canonical(arena, parse("\\p{L}-\\p{L}"));
    assert_non_null(strstr(twice, "\\-[=0]"));
}

static void test_literal(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"abc", "abc"}, {"", ""}, {"a{3}b", "aaab"}, {"\\.\\x{e9}", ".\xc3\xa9"}, {"(?:ab){2}", "abab"},
        {"[x]", "x"},
    };
    const char *bytes;
    size_t length;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(pattern_literal(arena, parse(rows[i][0]), &bytes, &length));
        assert_int_equal(length, strlen(rows[i][1]));
        assert_string_equal(bytes, rows[i][1]);
    }
    static const char *const others[] = {"a|b", "a?", "[ab]", "\\0", "a{1,2}", "(?i)a", "a{60000}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pattern_literal(arena, parse(others[i]), &bytes, &length));
}

/* ---- refusals -------------------------------------------------------------------------------- */

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
    {"(?x)[a b]", 6, 7, "with (?x), white space and `#` in a class mean different things to "
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
    {"(?<a>x)(?<a>y)", 11, 12,
     "two named subpatterns have the same name (PCRE2_DUPNAMES not set)"},
    {"(?@either)(?<1>x)", 12, 13, "subpattern name must start with a non-digit"},
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

static void assert_too_much(const char *text, size_t length, const char *message)
{
    struct pattern_error error = {0};
    assert_null(pattern_parse(arena, text, length, &all_names, &error));
    assert_string_equal(error.message, message);
}

static char *repeated(const char *unit, size_t count, const char *middle, const char *closing)
{
    size_t size = strlen(unit), end = strlen(closing), length = count * (size + end);
    char *text = arena_alloc(arena, length + strlen(middle) + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    strcat(text, middle);
    for (size_t i = 0; i < count; i++)
        memcpy(text + count * size + strlen(middle) + i * end, closing, end);
    return text;
}

static void test_limits(void **state)
{
    (void)state;
    parse(repeated("(", 200, "a", ")"));
    assert_too_much(repeated("(", 201, "a", ")"), 403, "groups nest more than 200 deep");
    assert_too_much(repeated("(", 60000, "a", ""), 60001, "groups nest more than 200 deep");
    parse(repeated("a", 65536, "", ""));
    assert_too_much(repeated("a", 65537, "", ""), 65537, "the pattern is over 65536 bytes long");
    assert_too_much("a\0b", 3, "a NUL byte in the pattern");
    assert_too_much("(?x)a # \0", 9, "a NUL byte in the pattern");
    parse(repeated("(?:a|bc){2}", 200, "", ""));
    parse(repeated("(?:", 190, "ab", "d?c)+"));
}

/* Names p0, p1, ... of which each but the first is twice the one before it. */
#define LEVELS 64
struct doubling {
    const struct pattern *trees[LEVELS];
    char texts[LEVELS][32];
};

static const struct pattern *doubling_find(void *context, const char *name, size_t length)
{
    const struct doubling *doubling = context;
    return length < 4 ? doubling->trees[atoi(name + 1)] : NULL;
}

static const char *doubling_text(void *context, const char *name, size_t length, size_t *text_length)
{
    const struct doubling *doubling = context;
    (void)length;
    *text_length = strlen(doubling->texts[atoi(name + 1)]);
    return doubling->texts[atoi(name + 1)];
}

/* The first level that does not parse, with the error; LEVELS when all do. */
static int double_up(struct doubling *doubling, const char *innermost, struct pattern_error *error)
{
    struct pattern_names known = {doubling_find, doubling, doubling_text};
    for (int level = 0; level < LEVELS; level++) {
        char *text = doubling->texts[level];
        if (level == 0)
            snprintf(text, 32, "%s", innermost);
        else
            snprintf(text, 32, "(?@p%d)(?@p%d)", level - 1, level - 1);
        doubling->trees[level] = pattern_parse(arena, text, strlen(text), &known, error);
        if (!doubling->trees[level])
            return level;
    }
    return LEVELS;
}

static void test_doubling_names_end_early(void **state)
{
    (void)state;
    struct doubling doubling = {0};
    struct pattern_error error;
    assert_int_equal(double_up(&doubling, "a|bc", &error), 16);
    assert_string_equal(error.message,
                        "the pattern has more than 200000 parts, named patterns counted");
    /* Twice nothing is nothing, at any level; its text would still be 2^63 groups. */
    assert_int_equal(double_up(&doubling, "", &error), LEVELS);
    struct pattern_names known = {doubling_find, &doubling, doubling_text};
    assert_null(pattern_pcre2(arena, "@p63", 4, &known, &error));
    assert_null(pattern_pcre2(arena, "@p30", 4, &known, &error));
    assert_non_null(pattern_pcre2(arena, "@p10", 4, &known, &error));
}

static void test_check_for_the_pcre2_engine(void **state)
{
    (void)state;
    struct pattern_error error;
    const char *rich = "(?!x)\\bfoo(?=y)?.++\\1(a)";
    assert_true(pattern_check_pcre2(arena, rich, strlen(rich), &error));
    assert_false(pattern_check_pcre2(arena, "a(b", 3, &error));
    assert_string_equal(error.message, "missing closing parenthesis");
    assert_int_equal(error.begin, 2);
    assert_int_equal(error.end, 3);
    assert_false(pattern_check_pcre2(arena, "a\\Cb", 4, &error));
    assert_false(pattern_check_pcre2(arena, "a\xff" "b", 3, &error));
    assert_false(pattern_check_pcre2(arena, repeated("a", 65537, "", ""), 65537, &error));
    assert_string_equal(error.message, "the pattern is over 65536 bytes long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_and_escapes),
        cmocka_unit_test(test_dot_and_options),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_groups_and_repetition),
        cmocka_unit_test(test_anchors_at_the_ends_are_redundant),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_pcre2_text),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_canonical_text_parses_back),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_doubling_names_end_early),
        cmocka_unit_test(test_check_for_the_pcre2_engine),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
