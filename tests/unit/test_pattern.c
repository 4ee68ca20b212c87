/* The pattern dialect: what is read, as which language, and each refusal with its place and words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/regex/oracle.h"
#include "tests/unit/regex_arena.h"

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
    return found ? pattern_parse(arena, found->text, strlen(found->text), &all_names, &error)
                 : NULL;
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

static const struct pattern *parse_named(const char *text)
{
    return parse_with(text, &all_names);
}

/* Accepts and refuses these values: by the automaton, and by PCRE2. */
static void assert_language(const char *text, const char *const *accepted,
                            const char *const *refused)
{
    const struct automaton *automaton =
        automaton_from_pattern(arena, parse_named(text), AUTOMATON_STATES_MAX);
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
                fail_msg("`%s`, to PCRE2 `%s`, and `%s`: should be %d", text, expanded, *value,
                         yes);
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
    assert_language("\\t\\n\\r\\f\\v\\a\\e", VALUES("\t\n\r\f\v\a\x1b"),
                    VALUES("\t\n\r\f\f\a\x1b"));
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
    assert_language("(?i)stra\303\237e",
                    VALUES("STRA\xc3\x9f"
                           "E",
                           "\xc5\xbftra\xe1\xba\x9e"
                           "e"),
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
    assert_language("\\d\\w\\s", VALUES("7_\t", "0z\v", "9A "),
                    VALUES("\xd9\xa3_ ", "7\xc3\xa9 ", "7_\xc2\xa0"));
    assert_language("\\D\\W\\S", VALUES("a-a", "\xd9\xa3\xc3\xa9\xc2\xa0"),
                    VALUES("7-a", "a_a", "a- "));
    assert_language("[\\d\\s][^\\w\\s]", VALUES("7-", " -"), VALUES("a-", "7a", "7 "));
    assert_language("[[:alpha:]_][[:^digit:]]", VALUES("ax", "_-"), VALUES("1x", "a1"));
    assert_language("[[:punct:]][[:xdigit:]][[:blank:]]", VALUES("!f\t", "~9 "),
                    VALUES("af ", "!g "));
    assert_language("[[:cntrl:]][[:graph:]][[:print:]][[:space:]][[:ascii:]]",
                    VALUES("\x01! \v\x7f"), VALUES("a! \v\x7f", "\x01  \v\x7f"));
    assert_language("[[:word:]][[:alnum:]][[:digit:]]", VALUES("_z0"), VALUES("-z0", "__0"));
    assert_language("\\p{Lu}\\p{Greek}\\pN\\P{L}\\PN",
                    VALUES("A\xce\xb1"
                           "1"
                           "2x"),
                    VALUES("a\xce\xb1"
                           "12x"));
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
    assert_true(pattern_equal(parse_named("^abc$"), parse_named("abc")));
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
        assert_string_equal(
            pattern_pcre2(arena, rows[i][0], strlen(rows[i][0]), &all_names, &error), rows[i][1]);
    assert_string_equal(pattern_pcre2(arena, "x(?@nested)", 11, &trees_only, &error),
                        "x(?^:x(?:yes|no)y)");
    assert_null(pattern_pcre2(arena, "(", 1, NULL, &error));
}

static void test_trees(void **state)
{
    (void)state;
    static const char *const equal[][2] = {
        {"a|b|c", "[a-c]"},
        {"(?:a(?:b(?:c)))", "abc"},
        {"(?:a|)", "a?"},
        {"a{1}", "a"},
        {"(?:a*)*", "a*"},
        {"(?:a?){0,5}", "a{0,5}"},
        {"(?:a{2}){3}", "a{6}"},
        {"(?:a+)?", "a*"},
        {"(?:a{2,3}){2}", "a{4,6}"},
        {"(?:a|b)|c|\\0", "[abc]"},
        {"(?:){5}", ""},
        {"(?:a*b*){3}", "(?:a*b*){0,3}"},
        {"aa*a?", "a+"},
        {"[ab]{1,2}b(?:a|b){3}", "[ab]{1,2}b[ab]{3}"},
        {"x+x+x+", "x{3,}"},
        {"yxxx*", "yx{2,}"},
        {"xxx*?xx", "x{4,}"},
        {"x{60000}x{5535}", "x{65535}"},
        {"(?:ab)*ab(?:ab)?", "(?:ab)*a(?:b)(?:ab)?"},
        {"a(?:|)b", "ab"},
        {"(?i)a", "[aA]"},
        {"a\\0|b", "b"},
    };
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
        if (!pattern_equal(parse_named(equal[i][0]), parse_named(equal[i][1])))
            fail_msg("`%s` is `%s`, not `%s`", equal[i][0],
                     pattern_canonical(arena, parse_named(equal[i][0])), equal[i][1]);
    static const char *const different[][2] = {
        {"a", "b"},           {"ab", "a"},
        {"a{2,3}", "a{2,4}"}, {"x{60000}x{60000}", "x{60000}"},
        {"aa", "a{2}"},       {"(?:a{3}){2,3}", "a{6,9}"},
        {"a|bc", "bc|a"},
    };
    for (size_t i = 0; i < sizeof different / sizeof *different; i++)
        assert_false(pattern_equal(parse_named(different[i][0]), parse_named(different[i][1])));
    const struct pattern *tree = parse_named("(?:a|bc){2,3}d*");
    assert_int_equal(tree->node_count, 9);
    assert_int_equal(tree->depth, 5);
    assert_false(tree->nullable);
    assert_true(parse_named("a*(?:b|)c?")->nullable);
}

static void test_canonical_text_parses_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "abc",
        "[a-z]{1,40}",
        "(?:a|bc)*d",
        "(?i)stra\303\237e",
        "a|",
        "(?:ab){2,}",
        "@gitref",
        "(?:a{3}){2,3}",
        "(?:a(?:b|cd)?)+",
        "\\0",
        "\\@word",
        "a\\ b\\#\\-",
        "[^\\x{100}-\\x{200}]",
        "\\p{Lu}\\p{Lu}",
        "x{0,65535}",
        "(?:(?:a|bc)?){3}",
        "\\x{1F600}\\n",
        "[]^-]",
        "xxx*y",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct pattern *tree = parse_named(texts[i]);
        const char *spelled = pattern_spelled(arena, tree);
        assert_true(pattern_equal(parse_named(spelled), tree));
        assert_string_equal(pattern_canonical(arena, tree),
                            pattern_canonical(arena, parse_named(spelled)));
        assert_null(strchr(spelled, ' '));
    }
    assert_string_equal(pattern_canonical(arena, parse_named("[a-z][a-z0-9-]{0,40}|x+y?")),
                        "[a-z][\\-0-9a-z]{0,40}|x+y?");
    /* A long set is written out once. */
    const char *twice = pattern_canonical(arena, parse_named("\\p{L}-\\p{L}"));
    assert_non_null(strstr(twice, "\\-[=0]"));
}

static void test_literal(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"abc", "abc"},        {"", ""},     {"a{3}b", "aaab"}, {"\\.\\x{e9}", ".\xc3\xa9"},
        {"(?:ab){2}", "abab"}, {"[x]", "x"},
    };
    const char *bytes;
    size_t length;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(pattern_literal(arena, parse_named(rows[i][0]), &bytes, &length));
        assert_int_equal(length, strlen(rows[i][1]));
        assert_string_equal(bytes, rows[i][1]);
    }
    static const char *const others[] = {"a|b", "a?", "[ab]", "\\0", "a{1,2}", "(?i)a", "a{60000}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pattern_literal(arena, parse_named(others[i]), &bytes, &length));
}

/* ---- limits ---------------------------------------------------------------------------------- */

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
    parse_named(repeated("(", 200, "a", ")"));
    assert_too_much(repeated("(", 201, "a", ")"), 403, "groups nest more than 200 deep");
    assert_too_much(repeated("(", 60000, "a", ""), 60001, "groups nest more than 200 deep");
    parse_named(repeated("a", 65536, "", ""));
    assert_too_much(repeated("a", 65537, "", ""), 65537, "the pattern is over 65536 bytes long");
    assert_too_much("a\0b", 3, "a NUL byte in the pattern");
    assert_too_much("(?x)a # \0", 9, "a NUL byte in the pattern");
    parse_named(repeated("(?:a|bc){2}", 200, "", ""));
    parse_named(repeated("(?:", 190, "ab", "d?c)+"));
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

static const char *doubling_text(void *context, const char *name, size_t length,
                                 size_t *text_length)
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
    assert_false(pattern_check_pcre2(arena,
                                     "a\xff"
                                     "b",
                                     3, &error));
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
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_doubling_names_end_early),
        cmocka_unit_test(test_check_for_the_pcre2_engine),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
