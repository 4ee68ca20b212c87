/* The broker's command line: what each form means, and what is said of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/broker/options.h"

#define READ(...) read_words((const char *[]){"agent-broker", __VA_ARGS__, NULL})

static struct options options;
static const char *word;

static const char *read_words(const char **words)
{
    int count = 0;

    while (words[count])
        count++;
    return options_read(&options, count, (char *const *)(uintptr_t)words, &word);
}

static void serving_is_the_default(void **state)
{
    (void)state;
    assert_null(read_words((const char *[]){"agent-broker", NULL}));
    assert_int_equal(options.command, COMMAND_SERVE);
    assert_null(options.socket);
    assert_int_equal(options.ready_descriptor, -1);
    assert_int_equal(options.resume, -1);
    assert_null(READ("serve"));
    assert_null(READ("--socket", "/run/x", "--ready-fd=7"));
    assert_string_equal(options.socket, "/run/x");
    assert_int_equal(options.ready_descriptor, 7);
    assert_null(READ("serve", "--socket=rel", "--resume", "9"));
    assert_string_equal(options.socket, "rel");
    assert_int_equal(options.resume, 9);
}

static void each_command_is_known(void **state)
{
    (void)state;
    assert_null(READ("list"));
    assert_int_equal(options.command, COMMAND_LIST);
    assert_false(options.json);
    assert_null(READ("policy", "--json"));
    assert_int_equal(options.command, COMMAND_POLICY);
    assert_true(options.json);
    assert_null(READ("check-host", "--takes-over=3"));
    assert_int_equal(options.takes_over, 3);
    assert_null(READ("--version"));
    assert_int_equal(options.command, COMMAND_VERSION);
    assert_null(READ("-h"));
    assert_int_equal(options.command, COMMAND_HELP);
}

static void match_takes_any_words(void **state)
{
    (void)state;
    assert_null(READ("match", "git", "--json", "--help"));
    assert_int_equal(options.command, COMMAND_MATCH);
    assert_int_equal(options.argument_count, 3);
    assert_string_equal(options.arguments[1], "--json");
    assert_null(READ("match", "--", "--socket"));
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "--socket");
    assert_non_null(READ("match"));
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_non_null(READ("sevre"));
    assert_string_equal(word, "sevre");
    assert_non_null(READ("--sockets", "x"));
    assert_string_equal(word, "--sockets");
    assert_non_null(READ("--socket"));
    assert_non_null(READ("--socket="));
    assert_non_null(READ("--ready-fd", "x"));
    assert_non_null(READ("--ready-fd", "-1"));
    assert_non_null(READ("list", "all"));
    assert_string_equal(word, "all");
    assert_non_null(READ("check-host", "--takes-over", "0"));
    assert_non_null(READ("--version", "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serving_is_the_default),
        cmocka_unit_test(each_command_is_known),
        cmocka_unit_test(match_takes_any_words),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
