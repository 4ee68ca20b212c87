/* The second opinions: that they answer, that they can differ, and that they know their bounds. */
#include <string.h>

#include "compiler/regex/oracle.h"
#include "tests/unit/regex_arena.h"

static enum oracle_answer ask_pcre2(const char *text, const char *bytes, size_t length)
{
    struct oracle_pcre2 *oracle = oracle_pcre2_new(text, strlen(text));
    assert_non_null(oracle);
    enum oracle_answer answer = oracle_pcre2_accepts(oracle, bytes, length);
    oracle_pcre2_free(oracle);
    return answer;
}

static void test_pcre2(void **state)
{
    (void)state;
    assert_int_equal(ask_pcre2("a|ab", "ab", 2), ORACLE_YES);
    assert_int_equal(ask_pcre2("a|ab", "abc", 3), ORACLE_NO);
    assert_int_equal(ask_pcre2("a|ab", "xa", 2), ORACLE_NO);
    assert_int_equal(ask_pcre2("a$", "a\n", 2), ORACLE_NO);
    assert_int_equal(ask_pcre2(".", "\r", 1), ORACLE_YES);
    assert_int_equal(ask_pcre2(".", "\n", 1), ORACLE_NO);
    assert_int_equal(ask_pcre2("\\d", "\xd9\xa3", 2), ORACLE_NO);
    assert_int_equal(ask_pcre2(".", "\xc3\xa9", 2), ORACLE_YES);
    assert_int_equal(ask_pcre2("(?s).*", "a\xff", 2), ORACLE_NO);
    assert_int_equal(ask_pcre2("", "", 0), ORACLE_YES);
    assert_int_equal(ask_pcre2("(?:a|aa?)*[bx]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 41),
                     ORACLE_UNKNOWN);
    oracle_pcre2_free(NULL);
}

static void test_pcre2_compiles(void **state)
{
    (void)state;
    const char *message = NULL;
    size_t place = 99;
    assert_int_equal(oracle_pcre2_compiles(arena, "a(b", 3, &message, &place), ORACLE_NO);
    assert_string_equal(message, "missing closing parenthesis");
    assert_int_equal(place, 3);
    assert_int_equal(oracle_pcre2_compiles(arena, "a(b)", 4, &message, &place), ORACLE_YES);
    assert_int_equal(oracle_pcre2_compiles(arena, "\\C", 2, &message, &place), ORACLE_NO);
    assert_int_equal(oracle_pcre2_compiles(arena, "a\xff", 2, &message, &place), ORACLE_NO);
    const char *large = "(?:ab|[a-z]c){0,60000}";
    assert_int_equal(oracle_pcre2_compiles(arena, large, strlen(large), &message, &place),
                     ORACLE_UNKNOWN);
    assert_null(oracle_pcre2_new(large, strlen(large)));
    assert_null(oracle_pcre2_new("a(b", 3));
    parse(large); /* only too large for PCRE2: no error of the pattern's */
}

static void test_libfa_agrees(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\\0",
        "abc",
        "[a-z]+",
        "[ -~]{0,9}",
        "[!-/]",
        "[\\]^\\\\-]+",
        ".",
        "(?s).*",
        "[\\x01-\\x7f]",
        "[\\x{80}-\\x{10000}]",
        "(?:a{3}){2,3}",
        "(?i)stra\303\237e",
        "\\p{Greek}{1,3}|[^a]",
        "[ab]*a[ab]{5}",
        "(?:ab|c)*|d?e+",
        ".{0,40}x",
        "[\"'#;$&|<>]",
        "@ipv4",
        "\\p{L}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct pattern *tree = parse(texts[i]);
        const struct automaton *automaton = automaton_from_pattern(arena, tree, 20000);
        if (oracle_libfa_equal(arena, tree, automaton, NULL, NULL) != ORACLE_YES)
            fail_msg("`%s`", texts[i]);
    }
}

static void test_libfa_differs(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"[a-z]{1,3}", "[a-z]{1,4}", "aaaa"},
        {"a|b", "a", "b"},
        {"a*", "a+", ""},
        {"[^a]", "[^b]", "a"},
        {"\\x{e9}", "\\x{e8}", "\xc3\xa8"},
        {"\\0", "", ""},
        {"x\\x{10ffff}", "x", "x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *witness = NULL;
        size_t length = 99;
        const struct automaton *other = automaton_from_pattern(arena, parse(rows[i][1]), 100);
        assert_int_equal(oracle_libfa_equal(arena, parse(rows[i][0]), other, &witness, &length),
                         ORACLE_NO);
        assert_int_equal(length, strlen(rows[i][2]));
        assert_string_equal(witness, rows[i][2]);
    }
}

static void test_libfa_accepts(void **state)
{
    (void)state;
    const struct pattern *tree = parse("(?:ab|\\x{e9}){2}");
    assert_int_equal(oracle_libfa_accepts(tree, "ab\xc3\xa9", 4), ORACLE_YES);
    assert_int_equal(oracle_libfa_accepts(tree, "ab", 2), ORACLE_NO);
    assert_int_equal(oracle_libfa_accepts(tree, "ab\xc3", 3), ORACLE_NO);
}

static void test_libfa_is_kept_from_what_it_could_not_do(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[a-z]{0,60000}", "(?:a?b?){0,2500}",         "[ab]{0,190}a[ab]{0,190}",
        "\\p{L}{0,400}",  "(?:(?:.{0,60}x?){0,60}y)",
    };
    const struct automaton *any = automaton_everything(arena);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(oracle_libfa_equal(arena, parse(texts[i]), any, NULL, NULL),
                         ORACLE_UNKNOWN);
    assert_int_equal(oracle_libfa_accepts(parse(texts[0]), "a", 1), ORACLE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcre2),
        cmocka_unit_test(test_pcre2_compiles),
        cmocka_unit_test(test_libfa_agrees),
        cmocka_unit_test(test_libfa_differs),
        cmocka_unit_test(test_libfa_accepts),
        cmocka_unit_test(test_libfa_is_kept_from_what_it_could_not_do),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
