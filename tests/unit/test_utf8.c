/* UTF-8 validation against the grammar of RFC 3629, section 4, written out a second way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/shared/utf8.h"

/* The table of RFC 3629: ranges for each byte of a sequence. */
static const struct {
    unsigned length;
    unsigned char low[4], high[4];
} sequences[] = {
    {1, {0x00}, {0x7f}},
    {2, {0xc2, 0x80}, {0xdf, 0xbf}},
    {3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
    {3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
    {3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
    {3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
    {4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
    {4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
    {4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
};

static unsigned oracle_length(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        unsigned at = 0;
        while (at < sequences[i].length && at < length && bytes[at] >= sequences[i].low[at] &&
               bytes[at] <= sequences[i].high[at])
            at++;
        if (at == sequences[i].length)
            return at;
    }
    return 0;
}

static void reads_what_the_grammar_accepts(void **state)
{
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xff};
    unsigned char bytes[4];
    uint32_t scalar;
    (void)state;

    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof(edges); third++)
                for (size_t fourth = 0; fourth < sizeof(edges); fourth++) {
                    bytes[0] = (unsigned char)first;
                    bytes[1] = (unsigned char)second;
                    bytes[2] = edges[third];
                    bytes[3] = edges[fourth];
                    for (size_t length = 0; length <= 4; length++)
                        if (utf8_read((const char *)bytes, length, &scalar) !=
                            oracle_length(bytes, length))
                            fail_msg("%02x %02x %02x %02x, %zu bytes", first, second, bytes[2],
                                     bytes[3], length);
                }
}

static size_t scalar_encode(uint32_t scalar, char *out)
{
    if (scalar < 0x80) {
        out[0] = (char)scalar;
        return 1;
    }
    unsigned more = scalar < 0x800 ? 1 : scalar < 0x10000 ? 2 : 3;
    out[0] = (char)((0xff00u >> (more + 1) & 0xffu) | scalar >> 6 * more);
    for (unsigned i = 1; i <= more; i++)
        out[i] = (char)(0x80u | (scalar >> 6 * (more - i) & 0x3fu));
    return more + 1;
}

static void reads_every_scalar_value_back(void **state)
{
    char bytes[4];
    uint32_t scalar;
    (void)state;

    for (uint32_t value = 0; value < 0x120000; value++) {
        bool is_scalar = value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
        size_t length = scalar_encode(value, bytes);
        size_t taken = utf8_read(bytes, length, &scalar);
        if (taken != (is_scalar ? length : 0) || (is_scalar && scalar != value))
            fail_msg("U+%04X", value);
    }
}

/* Each position of each length, on a block of exactly that size: the eight-byte steps may neither
 * miss a byte nor read beyond the end. */
static void finds_one_bad_byte_anywhere(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 40; length++) {
        char *bytes = malloc(length);
        assert_non_null(bytes);
        memset(bytes, 1, length);
        assert_true(utf8_is_text(bytes, length));
        for (size_t at = 0; at < length; at++) {
            static const unsigned char bad[] = {0x00, 0x80, 0xc3, 0xff};
            for (size_t i = 0; i < sizeof(bad); i++) {
                bytes[at] = (char)bad[i];
                assert_false(utf8_is_text(bytes, length));
            }
            bytes[at] = 0x7f;
            assert_true(utf8_is_text(bytes, length));
        }
        free(bytes);
    }
}

static void accepts_text_across_the_steps(void **state)
{
    static const char text[] = "aäbécö€d😀e日本語fghijklmnop";
    (void)state;

    assert_true(utf8_is_text(text, 0));
    for (size_t length = 0; length < sizeof(text); length++) {
        bool boundary = ((unsigned char)text[length] & 0xc0u) != 0x80u;
        assert_int_equal(utf8_is_text(text, length), boundary);
    }
}

static void knows_control_characters(void **state)
{
    (void)state;
    assert_true(utf8_is_control(0));
    assert_true(utf8_is_control(0x1f));
    assert_false(utf8_is_control(0x20));
    assert_false(utf8_is_control(0x7e));
    assert_true(utf8_is_control(0x7f));
    assert_true(utf8_is_control(0x80));
    assert_true(utf8_is_control(0x9f));
    assert_false(utf8_is_control(0xa0));
    assert_false(utf8_is_control(0x200b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_grammar_accepts),
        cmocka_unit_test(reads_every_scalar_value_back),
        cmocka_unit_test(finds_one_bad_byte_anywhere),
        cmocka_unit_test(accepts_text_across_the_steps),
        cmocka_unit_test(knows_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
