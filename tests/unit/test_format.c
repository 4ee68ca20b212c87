/* Messages come out as printf would write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/shared/format.h"

static char buffer[200];

#define ASSERT_AS_PRINTF(...)                                                                      \
    do {                                                                                           \
        char expected[200];                                                                        \
        struct text text;                                                                          \
        snprintf(expected, sizeof(expected), __VA_ARGS__);                                         \
        text_start(&text, buffer, sizeof(buffer));                                                 \
        text_append_format(&text, __VA_ARGS__);                                                    \
        assert_string_equal(buffer, expected);                                                     \
    } while (0)

static void conversions_are_printfs(void **state)
{
    const char *word = "word";

    (void)state;
    ASSERT_AS_PRINTF("plain");
    ASSERT_AS_PRINTF("100%% of %s, %s", word, "");
    ASSERT_AS_PRINTF("%.2s|%.0s|%.*s|%.*s|%.9s", word, word, 3, word, -1, word, word);
    ASSERT_AS_PRINTF("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    ASSERT_AS_PRINTF("%u %u %x %x", 0u, UINT_MAX, 255u, 0u);
    ASSERT_AS_PRINTF("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
    ASSERT_AS_PRINTF("%lld %llu", LLONG_MIN, ULLONG_MAX);
    ASSERT_AS_PRINTF("%zu %zd", SIZE_MAX, (ptrdiff_t)-5);
    ASSERT_AS_PRINTF("%c%c", 'a', '%');
    ASSERT_AS_PRINTF("%s%d%s%u", "a", 1, "b", 2u);
}

static void what_does_not_fit_is_dropped(void **state)
{
    struct text text;

    (void)state;
    text_start(&text, buffer, 8);
    text_append_format(&text, "%s %d", "longer than that", 12);
    assert_true(text.truncated);
    assert_string_equal(buffer, "longer ");
}

static void an_unterminated_string_is_read_to_its_precision(void **state)
{
    const char three[3] = {'a', 'b', 'c'};
    struct text text;

    (void)state;
    text_start(&text, buffer, sizeof(buffer));
    text_append_format(&text, "%.*s", 3, three);
    assert_string_equal(buffer, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions_are_printfs),
        cmocka_unit_test(what_does_not_fit_is_dropped),
        cmocka_unit_test(an_unterminated_string_is_read_to_its_precision),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
