/* Path templates: the broker's environment at start, the call's values, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/broker/template.h"

#define PIECES(...) ((const struct policy_template_piece[]){__VA_ARGS__})
#define TEMPLATE(...)                                                                              \
    ((struct policy_template){PIECES(__VA_ARGS__),                                                 \
                              sizeof PIECES(__VA_ARGS__) / sizeof(struct policy_template_piece)})
#define TEXT(text)                                                                                 \
    {                                                                                              \
        TEMPLATE_TEXT, text                                                                        \
    }
#define VALUE(kind)                                                                                \
    {                                                                                              \
        kind, NULL                                                                                 \
    }

static struct template_environment environment;

static void read_variables(const char *const *variables)
{
    memset(&environment, '#', sizeof environment);
    template_environment_read(&environment, (char *const *)(uintptr_t)variables);
}

static const struct template_call call = {
    .call = 42, .pid = 1234, .uid = 1000, .line = 17, .realtime_ms = 1709251199999u};

static void check(struct policy_template template, const char *expected)
{
    char path[TEMPLATE_PATH_MAX];
    struct failure failure;
    ssize_t length = template_expand(&template, &environment, &call, path, sizeof path, &failure);
    if (length < 0)
        fail_msg("%s", failure.text);
    assert_string_equal(path, expected);
    assert_int_equal((size_t)length, strlen(expected));
    assert_int_equal(template_check(&template, &environment, "logfile", &failure), 0);
}

static void check_refused(struct policy_template template, const char *expected)
{
    char path[TEMPLATE_PATH_MAX], whole[FAILURE_TEXT_MAX];
    struct failure failure;
    assert_int_equal(template_expand(&template, &environment, &call, path, sizeof path, &failure),
                     -1);
    assert_string_equal(failure.text, expected);
    snprintf(whole, sizeof whole, "rules:3: cwd: %s", expected);
    assert_int_equal(template_check(&template, &environment, "rules:3: cwd", &failure), -1);
    assert_string_equal(failure.text, whole);
}

static void test_every_piece(void **state)
{
    (void)state;
    read_variables((const char *[]){"HOME=/home/a", "XDG_RUNTIME_DIR=/run/user/1000",
                                    "XDG_STATE_HOME=/var/state", "XDG_CONFIG_HOME=/etc/a", NULL});
    check(TEMPLATE(TEXT("/var/log/m.jsonl")), "/var/log/m.jsonl");
    check(TEMPLATE(VALUE(TEMPLATE_HOME), TEXT("/x")), "/home/a/x");
    check(TEMPLATE(VALUE(TEMPLATE_XDG_RUNTIME_DIR), TEXT("/s")), "/run/user/1000/s");
    check(TEMPLATE(VALUE(TEMPLATE_XDG_STATE_HOME), TEXT("/s")), "/var/state/s");
    check(TEMPLATE(VALUE(TEMPLATE_XDG_CONFIG_HOME), TEXT("/s")), "/etc/a/s");
    check(TEMPLATE(TEXT("/l/"), VALUE(TEMPLATE_CALL), TEXT("."), VALUE(TEMPLATE_PID), TEXT("."),
                   VALUE(TEMPLATE_UID), TEXT("."), VALUE(TEMPLATE_RULE)),
          "/l/42.1234.1000.17");
    check(TEMPLATE(TEXT("/l/"), VALUE(TEMPLATE_TS), TEXT("-"), VALUE(TEMPLATE_TS_MS)),
          "/l/1709251199-1709251199999");
    check(TEMPLATE(TEXT("/l/"), VALUE(TEMPLATE_DATE), TEXT("/out")), "/l/2024-02-29/out");
}

static void test_the_date_is_utc_and_ten_characters_always(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *date;
    } dates[] = {
        {0, "/1970-01-01"},
        {86399999, "/1970-01-01"},
        {86400000, "/1970-01-02"},
        {4107542400000, "/2100-03-01"}, /* 2100 is no leap year */
        {253402300799999, "/9999-12-31"},
        {253402300800000, "/9999-12-31"},
        {UINT64_MAX, "/9999-12-31"},
    };
    struct policy_template template = TEMPLATE(TEXT("/"), VALUE(TEMPLATE_DATE));
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        struct template_call at = {.realtime_ms = dates[i].ms};
        char path[64];
        assert_int_equal(template_expand(&template, &environment, &at, path, sizeof path, NULL),
                         11);
        assert_string_equal(path, dates[i].date);
    }
}

static void test_xdg_defaults_lie_below_home(void **state)
{
    (void)state;
    read_variables((const char *[]){"HOMER=/no", "HOME=/home/a", "XDG_STATE_HOME=", NULL});
    check(TEMPLATE(VALUE(TEMPLATE_XDG_STATE_HOME)), "/home/a/.local/state");
    check(TEMPLATE(VALUE(TEMPLATE_XDG_CONFIG_HOME)), "/home/a/.config");
    check_refused(TEMPLATE(VALUE(TEMPLATE_XDG_RUNTIME_DIR), TEXT("/s")),
                  "XDG_RUNTIME_DIR is not set in the broker's environment");
}

static void test_an_unset_variable_is_named(void **state)
{
    (void)state;
    read_variables((const char *[]){"PATH=/bin", NULL});
    check_refused(TEMPLATE(VALUE(TEMPLATE_HOME), TEXT("/x")),
                  "HOME is not set in the broker's environment");
    check_refused(TEMPLATE(VALUE(TEMPLATE_XDG_STATE_HOME)),
                  "XDG_STATE_HOME (or HOME) is not set in the broker's environment");
    read_variables((const char *[]){"HOME=", NULL});
    check_refused(TEMPLATE(VALUE(TEMPLATE_HOME)), "HOME is not set in the broker's environment");
}

static void test_no_result_is_relative_or_climbs(void **state)
{
    (void)state;
    read_variables((const char *[]){"HOME=home/a", "XDG_RUNTIME_DIR=/run/../etc", NULL});
    check_refused(TEMPLATE(VALUE(TEMPLATE_HOME), TEXT("/x")),
                  "HOME is not an absolute path: home/a");
    check_refused(TEMPLATE(TEXT("/a"), VALUE(TEMPLATE_HOME)),
                  "HOME is not an absolute path: home/a");
    check_refused(TEMPLATE(VALUE(TEMPLATE_XDG_RUNTIME_DIR), TEXT("/s")),
                  "not an absolute path without \"..\": /run/../etc/s");
    check_refused(TEMPLATE(TEXT("logs/x")), "not an absolute path without \"..\": logs/x");
    check_refused(TEMPLATE(TEXT("/a/."), TEXT("./b")),
                  "not an absolute path without \"..\": /a/../b");
    check_refused(TEMPLATE(TEXT("/a/..")), "not an absolute path without \"..\": /a/..");
    check(TEMPLATE(TEXT("/a/..b/c../...")), "/a/..b/c../...");
}

static void test_a_path_too_long_is_refused_whole(void **state)
{
    (void)state;
    char longest[TEMPLATE_PATH_MAX + 8], variable[TEMPLATE_PATH_MAX + 32];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[TEMPLATE_PATH_MAX - 1] = '\0';
    check(TEMPLATE(TEXT(longest)), longest);
    longest[TEMPLATE_PATH_MAX - 1] = 'x';
    longest[TEMPLATE_PATH_MAX] = '\0';
    check_refused(TEMPLATE(TEXT(longest)), "longer than 4095 bytes");

    /* So is a variable: it counts as unset rather than cut. */
    snprintf(variable, sizeof variable, "HOME=%s", longest);
    read_variables((const char *[]){variable, NULL});
    check_refused(TEMPLATE(VALUE(TEMPLATE_HOME)), "HOME is not set in the broker's environment");
}

static void test_the_start_check_counts_the_longest_call(void **state)
{
    (void)state;
    /* Room for a call number of 19 digits, not of 20. */
    char text[TEMPLATE_PATH_MAX];
    memset(text, 'x', sizeof text);
    text[0] = '/';
    text[TEMPLATE_PATH_MAX - 20] = '\0';
    struct policy_template template = TEMPLATE(TEXT(text), VALUE(TEMPLATE_CALL));
    struct failure failure;
    char path[TEMPLATE_PATH_MAX];
    assert_true(template_expand(&template, &environment, &call, path, sizeof path, &failure) > 0);
    assert_int_equal(template_check(&template, &environment, "stdoutfile", &failure), -1);
    assert_string_equal(failure.text, "stdoutfile: longer than 4095 bytes");
}

static void test_what_is_per_call(void **state)
{
    (void)state;
    char path[64];
    struct failure failure;
    struct policy_template fixed = TEMPLATE(VALUE(TEMPLATE_HOME), TEXT("/x"));
    struct policy_template varies = TEMPLATE(TEXT("/x/"), VALUE(TEMPLATE_DATE));
    struct policy_template unset = {NULL, 0};
    assert_false(template_is_per_call(&fixed));
    assert_true(template_is_per_call(&varies));
    assert_false(template_is_set(&unset));
    assert_true(template_is_set(&fixed));
    assert_int_equal(template_expand(&varies, &environment, NULL, path, sizeof path, &failure), -1);
    assert_string_equal(failure.text, "a value of the call (#$...) has no meaning here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_piece),
        cmocka_unit_test(test_the_date_is_utc_and_ten_characters_always),
        cmocka_unit_test(test_xdg_defaults_lie_below_home),
        cmocka_unit_test(test_an_unset_variable_is_named),
        cmocka_unit_test(test_no_result_is_relative_or_climbs),
        cmocka_unit_test(test_a_path_too_long_is_refused_whole),
        cmocka_unit_test(test_the_start_check_counts_the_longest_call),
        cmocka_unit_test(test_what_is_per_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
