/* Requests that wait come back as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/broker/kept.h"

static struct policy_bytes bytes(const char *text)
{
    return (struct policy_bytes){text, (uint32_t)strlen(text)};
}

static void assert_same(struct policy_bytes a, struct policy_bytes b)
{
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.bytes, b.bytes, a.length);
    assert_int_equal(a.bytes[a.length], '\0');
}

static void all_strings_come_back(void **state)
{
    struct wire_request *asked = calloc(1, sizeof(*asked));
    struct wire_request *back = calloc(1, sizeof(*back));

    (void)state;
    asked->version = 2;
    asked->type = WIRE_CALL;
    asked->argument_count = 3;
    asked->arguments[0] = bytes("git");
    asked->arguments[1] = bytes("");
    asked->arguments[2] = bytes("\xc3\xa9t\xc3\xa9");
    asked->variable_count = 2;
    asked->variables[0] = bytes("A=1");
    asked->variables[1] = bytes("B=");
    asked->cwd = bytes("/srv");
    struct kept_request *kept = kept_make(asked);
    assert_non_null(kept);
    assert_int_equal(kept_bytes(kept), kept_size(asked));
    kept_restore(kept, back);
    assert_int_equal(back->version, 2);
    assert_int_equal(back->type, WIRE_CALL);
    assert_int_equal(back->reply_at, -1);
    assert_int_equal(back->body_at, -1);
    assert_int_equal(back->argument_count, 3);
    assert_int_equal(back->variable_count, 2);
    for (int i = 0; i < 3; i++)
        assert_same(back->arguments[i], asked->arguments[i]);
    for (int i = 0; i < 2; i++)
        assert_same(back->variables[i], asked->variables[i]);
    assert_same(back->cwd, asked->cwd);
    kept_release(kept);
    kept_release(NULL);
    free(asked);
    free(back);
}

static void the_largest_request_is_kept(void **state)
{
    struct wire_request *asked = calloc(1, sizeof(*asked));
    struct wire_request *back = calloc(1, sizeof(*back));
    char *long_one = malloc(4096);

    (void)state;
    memset(long_one, 'x', 4095);
    long_one[4095] = '\0';
    asked->argument_count = WIRE_ARGUMENTS_MAX;
    asked->variable_count = WIRE_VARIABLES_MAX;
    for (uint32_t i = 0; i < WIRE_ARGUMENTS_MAX; i++)
        asked->arguments[i] = asked->variables[i] = bytes(long_one);
    struct kept_request *kept = kept_make(asked);
    assert_non_null(kept);
    assert_true(kept_bytes(kept) >= 512 * 4096);
    assert_int_equal(kept_bytes(kept) % 4096, 0);
    kept_restore(kept, back);
    for (uint32_t i = 0; i < WIRE_VARIABLES_MAX; i++)
        assert_same(back->variables[i], asked->variables[i]);
    assert_int_equal(back->cwd.length, 0);
    kept_release(kept);
    free(long_one);
    free(asked);
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_strings_come_back),
        cmocka_unit_test(the_largest_request_is_kept),
    };

    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
