/* The child's environment: what the rule gives, what the caller may add, and that names are unique.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/broker/environment.h"

static struct environment environment;
static struct policy_bytes refused;
static char storage[256];

static const char *const broker_variables[] = {"LANG=de_DE",       "HOMER=no", "HOME=/home/b",
                                               "PATH=/broker/bin", "EMPTY=",   NULL};

static enum policy_verdict accept_digits(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] < '0' || bytes[i] > '9')
            return POLICY_NO;
    return length > 0 ? POLICY_YES : POLICY_NO;
}

static enum policy_verdict accept_nothing(const char *bytes, uint32_t length)
{
    (void)bytes, (void)length;
    return POLICY_PATTERN_LIMIT;
}

static const struct policy_variable rule_variables[] = {
    {"LANG", NULL}, {"HOME", NULL}, {"TZ", "UTC"}, {"UNSET", NULL}, {"EMPTY", NULL}, {"NONE", ""}};
static const struct policy_caller_variable caller_variables[] = {{"JOBS", "[0-9]+", accept_digits},
                                                                 {"LANG", NULL, NULL},
                                                                 {"PATH", NULL, NULL},
                                                                 {"COSTLY", "...", accept_nothing}};

static struct policy_attributes attributes;

static int setup(void **state)
{
    (void)state;
    memset(&environment, '#', sizeof environment);
    environment.storage = storage;
    environment.capacity = sizeof storage;
    attributes = (struct policy_attributes){
        .environment = rule_variables,
        .environment_count = 6,
        .exec_path = "/bin:/usr/bin",
        .caller_environment = caller_variables,
        .caller_environment_count = 4,
    };
    return 0;
}

static enum environment_result build(const struct policy_bytes *caller, uint32_t count)
{
    return environment_build(&environment, &attributes, (char *const *)(uintptr_t)broker_variables,
                             "/broker/bin", caller, count, &refused);
}

/* The entries, each followed by '|'. */
static const char *built(void)
{
    static char all[1024];
    size_t used = 0;
    for (uint32_t i = 0; i < environment.count; i++) {
        memcpy(all + used, environment.entries[i].bytes, environment.entries[i].length);
        used += environment.entries[i].length;
        all[used++] = '|';
    }
    all[used] = '\0';
    return all;
}

#define ENTRY(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static void test_path_is_always_there_and_is_exec_path(void **state)
{
    (void)state;
    attributes.environment_count = 0;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_string_equal(built(), "PATH=/bin:/usr/bin|");

    attributes.exec_path = NULL; /* inherit */
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_string_equal(built(), "PATH=/broker/bin|");
    assert_string_equal(environment_exec_path(&attributes, NULL), "");

    static const struct policy_variable path[] = {{"PATH", "/evil"}, {"PATH", NULL}};
    attributes.exec_path = "/bin";
    attributes.environment = path;
    attributes.environment_count = 2;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_string_equal(built(), "PATH=/bin|");
}

static void test_the_rules_variables(void **state)
{
    (void)state;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_string_equal(built(), "PATH=/bin:/usr/bin|LANG=de_DE|HOME=/home/b|TZ=UTC|EMPTY=|NONE=|");
}

static void test_a_later_entry_replaces_an_earlier_one(void **state)
{
    (void)state;
    static const struct policy_variable twice[] = {
        {"A", "1"}, {"AB", "x"}, {"A", "2"}, {"LANG", "C"}, {"LANG", NULL}};
    attributes.environment = twice;
    attributes.environment_count = 5;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_string_equal(built(), "PATH=/bin:/usr/bin|A=2|AB=x|LANG=de_DE|");
}

static void test_the_callers_value_replaces_the_rules(void **state)
{
    (void)state;
    static const struct policy_bytes caller[] = {ENTRY("LANG=fr=FR"), ENTRY("JOBS=12")};
    assert_int_equal(build(caller, 2), ENVIRONMENT_OK);
    assert_string_equal(built(),
                        "PATH=/bin:/usr/bin|LANG=fr=FR|HOME=/home/b|TZ=UTC|EMPTY=|NONE=|JOBS=12|");
}

static void check_refused(const char *entry, enum environment_result result, const char *name)
{
    struct policy_bytes caller[] = {ENTRY("JOBS=1"), {entry, (uint32_t)strlen(entry)}};
    assert_int_equal(build(caller, 2), result);
    assert_int_equal(refused.length, strlen(name));
    assert_memory_equal(refused.bytes, name, refused.length);
}

static void test_what_the_rule_does_not_list_is_refused_by_name(void **state)
{
    (void)state;
    check_refused("LD_PRELOAD=x.so", ENVIRONMENT_NOT_ALLOWED, "LD_PRELOAD");
    check_refused("LAN=x", ENVIRONMENT_NOT_ALLOWED, "LAN");
    check_refused("LANGUAGE=x", ENVIRONMENT_NOT_ALLOWED, "LANGUAGE");
    check_refused("lang=x", ENVIRONMENT_NOT_ALLOWED, "lang");
    check_refused("TZ=x", ENVIRONMENT_NOT_ALLOWED, "TZ");      /* the rule's own */
    check_refused("PATH=/x", ENVIRONMENT_NOT_ALLOWED, "PATH"); /* though listed */
    check_refused("JOBS=2", ENVIRONMENT_NOT_ALLOWED, "JOBS");  /* twice */
    check_refused("LANG", ENVIRONMENT_NOT_ALLOWED, "LANG");
    check_refused("=x", ENVIRONMENT_NOT_ALLOWED, "");
    check_refused("", ENVIRONMENT_NOT_ALLOWED, "");
}

static void test_values_must_be_accepted(void **state)
{
    (void)state;
    struct policy_bytes one[] = {ENTRY("JOBS=1x")};
    assert_int_equal(build(one, 1), ENVIRONMENT_VALUE);
    check_refused("COSTLY=1", ENVIRONMENT_VALUE, "COSTLY");
    /* Without a pattern: no control characters (Unicode Cc), and valid UTF-8. */
    check_refused("LANG=a\nb", ENVIRONMENT_VALUE, "LANG");
    check_refused("LANG=a\tb", ENVIRONMENT_VALUE, "LANG");
    check_refused("LANG=\x7f", ENVIRONMENT_VALUE, "LANG");
    check_refused("LANG=\xc2\x9b", ENVIRONMENT_VALUE, "LANG");
    check_refused("LANG=\xff", ENVIRONMENT_VALUE, "LANG");
    struct policy_bytes fine[] = {ENTRY("LANG=\xc3\xbc \xe2\x82\xac")};
    assert_int_equal(build(fine, 1), ENVIRONMENT_OK);
    struct policy_bytes empty[] = {ENTRY("LANG=")};
    assert_int_equal(build(empty, 1), ENVIRONMENT_OK);
}

static void test_storage_is_as_large_as_said(void **state)
{
    (void)state;
    const struct policy_attributes inherit = {.exec_path = NULL};
    const struct policy_rule rules[] = {{.attributes = &inherit}, {.attributes = &attributes}};
    const struct policy policy = {.rules = rules, .rule_count = 2};
    size_t needed = environment_storage_needed(&policy, "/broker/bin");
    assert_int_equal(needed, sizeof "PATH=/bin:/usr/bin" + sizeof "TZ=UTC" + sizeof "NONE=");
    environment.storage = malloc(needed);
    environment.capacity = needed;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_int_equal(environment.used, needed);
    environment.capacity = needed - 1;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_TOO_MANY);
    free(environment.storage);
    assert_int_equal(environment_storage_needed(&(struct policy){0}, NULL), 0);
}

static void test_entries_are_counted(void **state)
{
    (void)state;
    static struct policy_variable many[ENVIRONMENT_ENTRIES_MAX];
    static char names[ENVIRONMENT_ENTRIES_MAX][8], room[ENVIRONMENT_ENTRIES_MAX * 16];
    for (uint32_t i = 0; i < ENVIRONMENT_ENTRIES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "V%u", i % 10000);
        many[i] = (struct policy_variable){names[i], "1"};
    }
    environment.storage = room;
    environment.capacity = sizeof room;
    attributes.environment = many;
    attributes.environment_count = ENVIRONMENT_ENTRIES_MAX - 1;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_OK);
    assert_int_equal(environment.count, ENVIRONMENT_ENTRIES_MAX);
    attributes.environment_count = ENVIRONMENT_ENTRIES_MAX;
    assert_int_equal(build(NULL, 0), ENVIRONMENT_TOO_MANY);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_path_is_always_there_and_is_exec_path),
        TEST(test_the_rules_variables),
        TEST(test_a_later_entry_replaces_an_earlier_one),
        TEST(test_the_callers_value_replaces_the_rules),
        TEST(test_what_the_rule_does_not_list_is_refused_by_name),
        TEST(test_values_must_be_accepted),
        TEST(test_storage_is_as_large_as_said),
        TEST(test_entries_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
