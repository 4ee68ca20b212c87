/* Buffers, and the two escapings that others rely on: C strings and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/buffer.h"

static void starts_empty_and_grows(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_string_equal(buffer_text(&buffer), "");
    buffer_clear(&buffer);
    for (int i = 0; i < 10000; i++)
        buffer_char(&buffer, (char)('a' + i % 26));
    assert_int_equal(buffer.length, 10000);
    assert_int_equal(strlen(buffer_text(&buffer)), 10000);
    buffer_clear(&buffer);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_puts(&buffer, "x");
    buffer_format(&buffer, "%05d", 42);
    buffer_format(&buffer, "%s", "");
    buffer_add(&buffer, "y\0z", 3);
    assert_memory_equal(buffer.text, "x00042y\0z", 10);
    assert_int_equal(buffer.length, 9);
    buffer_free(&buffer);
    assert_null(buffer.text);
    assert_int_equal(buffer.capacity, 0);
}

static void escapes_c_strings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } cases[] = {
        {"plain ~", 7, "plain ~"},
        {"\"\\", 2, "\\\"\\\\"},
        {"\n\t\r", 3, "\\n\\t\\015"},
        {"\0" "7", 2, "\\0007"},   /* the digit stays a digit */
        {"\x01" "f", 2, "\\001f"},
        {"\x7f\xff", 2, "\\177\\377"},
        {"?\?=", 3, "?\\?="},       /* no trigraph */
        {"?\?\?/", 4, "?\\?\\?/"},
        {"a?b?", 4, "a?b?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer buffer = {0};
        buffer_c_string(&buffer, cases[i].bytes, cases[i].length);
        assert_string_equal(buffer_text(&buffer), cases[i].text);
        buffer_free(&buffer);
    }
}

static void escapes_json(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\n\r\t\b\0", 5, "\"\\n\\r\\t\\u0008\\u0000\""},
        {"\x1b[31m", 5, "\"\\u001b[31m\""},
        {"\x7f", 1, "\"\\u007f\""},
        {"\xc2\x9b", 2, "\"\\u009b\""},         /* a C1 control sequence introducer */
        {"\xe2\x80\xae", 3, "\"\\u202e\""},     /* right-to-left override */
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff" "a", 2, "\"\xef\xbf\xbd" "a\""},
        {"\xc3", 1, "\"\xef\xbf\xbd\""},         /* cut short */
        {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* overlong */
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer buffer = {0};
        buffer_json_string(&buffer, cases[i].bytes, cases[i].length);
        assert_string_equal(buffer_text(&buffer), cases[i].text);
        buffer_free(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty_and_grows),
        cmocka_unit_test(escapes_c_strings),
        cmocka_unit_test(escapes_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
