/* engine = pcre2: whole values, and no value that stalls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/broker/pcre2.h"

enum { WORD, NOT_DOTS, EXPONENTIAL, LINES, ALTERNATIVES };

static const struct policy_bytes patterns[] = {
    {"[a-z]+", 6}, {"(?!.*\\.\\.).*", 12}, {"(a+)+b", 6}, {".+", 2}, {"safe|ok", 7},
};
static const struct policy policy = {.pcre2_patterns = patterns, .pcre2_count = 5};

static enum policy_verdict match(uint32_t pattern, const char *text)
{
    return sluice_pcre2_match(pattern, text, (uint32_t)strlen(text));
}

static void nothing_matches_before_the_set_up(void **state)
{
    struct failure failure;

    (void)state;
    assert_int_equal(match(WORD, "abc"), POLICY_PATTERN_LIMIT);
    assert_int_equal(pcre2_prepare(&policy, &failure), 0);
    assert_int_equal(match(WORD, "abc"), POLICY_YES);
    assert_int_equal(match(99, "abc"), POLICY_PATTERN_LIMIT);
}

static void the_whole_value_counts(void **state)
{
    (void)state;
    assert_int_equal(match(WORD, "abc\n"), POLICY_NO);
    assert_int_equal(match(WORD, "xabc1"), POLICY_NO);
    assert_int_equal(match(WORD, ""), POLICY_NO);
    assert_int_equal(match(NOT_DOTS, "a.b"), POLICY_YES);
    assert_int_equal(match(NOT_DOTS, "a..b"), POLICY_NO);
    assert_int_equal(match(LINES, "a\nb"), POLICY_NO);
    assert_int_equal(match(LINES, "a\rb"), POLICY_YES);
    assert_int_equal(match(ALTERNATIVES, "safe"), POLICY_YES);
    assert_int_equal(match(ALTERNATIVES, "ok"), POLICY_YES);
    assert_int_equal(match(ALTERNATIVES, "okay"), POLICY_NO);
}

static void a_hostile_value_is_given_up_on_soon(void **state)
{
    char value[4097];

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    memcpy(value + sizeof(value) - 3, "cb", 3);
    clock_t before = clock();
    assert_int_equal(match(EXPONENTIAL, value), POLICY_PATTERN_LIMIT);
    assert_true(clock() - before < CLOCKS_PER_SEC);
    memcpy(value + 10, "cb", 3);
    assert_int_equal(match(EXPONENTIAL, value), POLICY_NO);
}

static void a_pattern_that_is_none_is_said(void **state)
{
    static const struct policy_bytes broken[] = {{"(", 1}};
    const struct policy wrong = {.pcre2_patterns = broken, .pcre2_count = 1};
    struct failure failure;

    (void)state;
    assert_int_equal(pcre2_prepare(&wrong, &failure), -1);
    assert_non_null(strstr(failure.text, "pattern (: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_matches_before_the_set_up),
        cmocka_unit_test(the_whole_value_counts),
        cmocka_unit_test(a_hostile_value_is_given_up_on_soon),
        cmocka_unit_test(a_pattern_that_is_none_is_said),
    };

    return cmocka_run_group_tests_name("pcre2", tests, NULL, NULL);
}
