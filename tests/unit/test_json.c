/* JSON that is valid whatever its strings hold, in a buffer that is never overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/broker/json.h"

static char room[4096];

static struct json start(void)
{
    struct json json;
    memset(room, '#', sizeof room);
    json_init(&json, room, sizeof room - 1);
    return json;
}

static const char *written(struct json *json)
{
    assert_false(json->overflow);
    room[json->length] = '\0';
    return room;
}

static void test_commas_stand_between_and_nowhere_else(void **state)
{
    (void)state;
    struct json json = start();
    json_open_object(&json);
    json_key_unsigned(&json, "call", 1);
    json_key(&json, "argv");
    json_open_array(&json);
    json_text(&json, "git");
    json_text(&json, "push");
    json_open_array(&json);
    json_close_array(&json);
    json_open_object(&json);
    json_close_object(&json);
    json_null(&json);
    json_close_array(&json);
    json_key_signed(&json, "status", -12);
    json_key_bool(&json, "timed_out", true);
    json_key_bool(&json, "truncated", false);
    json_key_text(&json, "stdout", "/x");
    json_close_object(&json);
    json_newline(&json);
    json_open_object(&json);
    json_close_object(&json);
    assert_string_equal(written(&json),
                        "{\"call\":1,\"argv\":[\"git\",\"push\",[],{},null],\"status\":-12,"
                        "\"timed_out\":true,\"truncated\":false,\"stdout\":\"/x\"}\n{}");
}

static void test_numbers_at_their_ends(void **state)
{
    (void)state;
    struct json json = start();
    json_open_array(&json);
    json_unsigned(&json, 0);
    json_unsigned(&json, UINT64_MAX);
    json_signed(&json, INT64_MIN);
    json_signed(&json, INT64_MAX);
    json_signed(&json, 0);
    json_close_array(&json);
    assert_string_equal(written(&json), "[0,18446744073709551615,-9223372036854775808,"
                                        "9223372036854775807,0]");
}

static void check_string(const char *bytes, size_t length, const char *expected)
{
    struct json json = start();
    json_string(&json, bytes, length);
    assert_string_equal(written(&json), expected);
}

static void test_strings_escape_what_json_must(void **state)
{
    (void)state;
    check_string("", 0, "\"\"");
    check_string("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    check_string("\n\r\t\b\f\x1f\x01", 7, "\"\\n\\r\\t\\u0008\\u000c\\u001f\\u0001\"");
    check_string("a\0b", 3, "\"a\\u0000b\"");
    check_string("\x7f", 1, "\"\x7f\"");
    check_string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15,
                 "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

#define R "\xef\xbf\xbd"

static void test_what_is_not_utf8_becomes_replacement_characters(void **state)
{
    (void)state;
    check_string("a\xff"
                 "b",
                 3, "\"a" R "b\"");
    check_string("\x80", 1, "\"" R "\"");
    check_string("\xc0\xaf", 2, "\"" R R "\"");             /* overlong '/' */
    check_string("\xed\xa0\x80", 3, "\"" R R R "\"");       /* a surrogate */
    check_string("\xf4\x90\x80\x80", 4, "\"" R R R R "\""); /* above U+10FFFF */
    check_string("\xe2\x82", 2, "\"" R R "\"");             /* cut short at the end */
    check_string("\xe2\x82\"", 3, "\"" R R "\\\"\"");       /* the quote is still escaped */
    check_string("\xc3", 1, "\"" R "\"");
}

/* Every pair and many triples of bytes give a string whose only unescaped quotes are its ends, that
 * has no control character, and whose length keeps the stated bound. */
static void check_bounds(const char *bytes, size_t length)
{
    struct json json = start();
    json_string(&json, bytes, length);
    assert_false(json.overflow);
    assert_true(json.length <= JSON_STRING_MAX(length));
    assert_int_equal(room[0], '"');
    assert_int_equal(room[json.length - 1], '"');
    for (size_t i = 1; i < json.length - 1; i++) {
        assert_true((unsigned char)room[i] >= 0x20);
        if (room[i] == '\\')
            i++;
        else
            assert_true(room[i] != '"');
        assert_true(i < json.length - 1);
    }
}

static void test_no_bytes_break_out_of_a_string(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char three[3] = {(char)first, (char)second, '"'};
            check_bounds(three, 2);
            check_bounds(three, 3);
        }
}

static void test_what_does_not_fit_is_an_overflow_and_writes_nothing_beyond(void **state)
{
    (void)state;
    static const char text[] = "{\"k\":\"\\u0001\xc3\xbc"
                               "z\"}";
    for (size_t capacity = 0; capacity <= sizeof text; capacity++) {
        char *exact = malloc(capacity + 1);
        struct json json;
        assert_non_null(exact);
        exact[capacity] = '!';
        json_init(&json, exact, capacity);
        json_open_object(&json);
        json_key(&json, "k");
        json_text(&json, "\x01\xc3\xbc"
                         "z");
        json_close_object(&json);
        assert_int_equal(json.overflow, capacity < sizeof text - 1);
        if (!json.overflow)
            assert_memory_equal(exact, text, sizeof text - 1);
        assert_int_equal(exact[capacity], '!');
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commas_stand_between_and_nowhere_else),
        cmocka_unit_test(test_numbers_at_their_ends),
        cmocka_unit_test(test_strings_escape_what_json_must),
        cmocka_unit_test(test_what_is_not_utf8_becomes_replacement_characters),
        cmocka_unit_test(test_no_bytes_break_out_of_a_string),
        cmocka_unit_test(test_what_does_not_fit_is_an_overflow_and_writes_nothing_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
