/* Sets of scalars: their algebra, UTF-8, and that properties and case folding are PCRE2's. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "compiler/base/utf8.h"
#include "compiler/regex/charset.h"
#include "tests/unit/regex_arena.h"

static void assert_set(struct charset set, const char *expected)
{
    char text[512] = "";
    for (size_t i = 0; i < set.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%x-%x", i ? " " : "",
                 set.ranges[i].low, set.ranges[i].high);
    assert_string_equal(text, expected);
}

static struct charset range(uint32_t low, uint32_t high)
{
    return charset_range(arena, low, high);
}

static void test_ranges_have_no_nul_and_no_surrogates(void **state)
{
    (void)state;
    assert_set(range(0, SCALAR_MAX), "1-d7ff e000-10ffff");
    assert_set(range(0, 0), "");
    assert_set(range(0xD800, 0xDFFF), "");
    assert_set(range(0xD7FF, 0xD900), "d7ff-d7ff");
    assert_set(range(0xDFFF, 0xE000), "e000-e000");
    assert_set(range('a', 'a'), "61-61");
}

static void test_normal_sorts_and_joins(void **state)
{
    (void)state;
    struct scalar_range ranges[] = {{'x', 'z'}, {'a', 'c'}, {'d', 'f'},
                                    {0, 1},     {'b', 'b'}, {0xD000, 0xE010}};
    assert_set(charset_normal(arena, ranges, 6), "1-1 61-66 78-7a d000-d7ff e000-e010");
    assert_set(charset_normal(arena, NULL, 0), "");
    struct scalar_range wide[] = {{1, SCALAR_MAX}, {2, 3}, {0xD7FF, 0xE001}};
    assert_set(charset_normal(arena, wide, 3), "1-d7ff e000-10ffff");
}

static void test_algebra(void **state)
{
    (void)state;
    struct charset a = charset_union(arena, range('a', 'm'), range('0', '9'));
    struct charset b = range('k', 'p');
    assert_set(a, "30-39 61-6d");
    assert_set(charset_union(arena, a, b), "30-39 61-70");
    assert_set(charset_intersect(arena, a, b), "6b-6d");
    assert_set(charset_subtract(arena, a, b), "30-39 61-6a");
    assert_set(charset_subtract(arena, a, a), "");
    assert_set(charset_complement(arena, range(1, 0x10FFFE)), "10ffff-10ffff");
    assert_set(charset_complement(arena, charset_empty()), "1-d7ff e000-10ffff");
    assert_set(charset_complement(arena, charset_complement(arena, a)), "30-39 61-6d");
    assert_int_equal(charset_size(a), 23);
    assert_true(charset_contains(a, 'a') && charset_contains(a, 'm') && charset_contains(a, '5'));
    assert_false(charset_contains(a, 'n') || charset_contains(a, '/') || charset_contains(a, ':'));
    assert_false(charset_contains(charset_empty(), 'a'));
    assert_true(charset_equal(a, charset_complement(arena, charset_complement(arena, a))));
    assert_false(charset_equal(a, b));
}

/* Whether some sequence spells these bytes. */
static unsigned sequences_match(const struct byte_sequence *sequences, size_t count,
                                const char *bytes, size_t length)
{
    unsigned matches = 0;
    for (size_t i = 0; i < count; i++) {
        bool all = sequences[i].length == length;
        for (size_t j = 0; all && j < length; j++)
            all = (unsigned char)bytes[j] >= sequences[i].bytes[j].low &&
                  (unsigned char)bytes[j] <= sequences[i].bytes[j].high;
        matches += all;
    }
    return matches;
}

static void test_sequences_spell_the_set_and_nothing_else(void **state)
{
    (void)state;
    static const struct scalar_range samples[] = {
        {1, SCALAR_MAX},     {0x7f, 0x80},     {0x7ff, 0x800},     {0xffff, 0x10000},
        {0x80, 0x7ff},       {0x123, 0x4567},  {0x3f, 0x40},       {0xd7ff, 0xe000},
        {0x900, 0x10ffff},   {'a', 'z'},       {0x10000, 0x1ffff}, {0x12345, 0x54321},
        {0xfffff, 0x100000}, {0x1000, 0x1fff},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct charset set = range(samples[i].low, samples[i].high);
        struct byte_sequence *sequences;
        size_t count = charset_sequences(arena, set, &sequences);
        assert_true(count <= 24);
        uint32_t around[] = {samples[i].low - 1,  samples[i].low,  samples[i].low + 1,
                             samples[i].high - 1, samples[i].high, samples[i].high + 1};
        for (uint32_t c = 1; c <= SCALAR_MAX; c += c < 0x1200 ? 1 : 61) {
            uint32_t scalar = c < 7 ? around[c - 1] : c;
            char bytes[4];
            if (scalar == 0 || scalar > SCALAR_MAX || (scalar >= 0xD800 && scalar <= 0xDFFF))
                continue;
            size_t length = utf8_encode(scalar, bytes);
            assert_int_equal(sequences_match(sequences, count, bytes, length),
                             charset_contains(set, scalar));
        }
        for (size_t j = 1; j < count; j++)
            assert_true(sequences[j - 1].length < sequences[j].length ||
                        sequences[j - 1].bytes[0].low <= sequences[j].bytes[0].low);
    }
}

static void test_sequences_have_no_surrogates_and_no_overlong_forms(void **state)
{
    (void)state;
    struct byte_sequence *sequences;
    size_t count = charset_sequences(arena, range(1, SCALAR_MAX), &sequences);
    assert_int_equal(sequences_match(sequences, count, "\xed\xa0\x80", 3), 0);
    assert_int_equal(sequences_match(sequences, count, "\xed\x9f\xbf", 3), 1);
    assert_int_equal(sequences_match(sequences, count, "\xc1\xbf", 2), 0);
    assert_int_equal(sequences_match(sequences, count, "\xe0\x9f\xbf", 3), 0);
    assert_int_equal(sequences_match(sequences, count, "\xf0\x8f\xbf\xbf", 4), 0);
    assert_int_equal(sequences_match(sequences, count, "\xf4\x90\x80\x80", 4), 0);
    assert_int_equal(count, 9); /* the rows of RFC 3629, section 4 */
}

static bool property(const char *name, struct charset *set)
{
    return charset_property(arena, name, strlen(name), set);
}

static void test_properties(void **state)
{
    (void)state;
    struct charset set;
    assert_true(property("Nd", &set));
    assert_true(charset_contains(set, '7') && charset_contains(set, 0x0663));
    assert_false(charset_contains(set, 'x') || charset_contains(set, 0x2160));
    assert_true(property("Greek", &set));
    assert_true(charset_contains(set, 0x3B1) && !charset_contains(set, 'a'));
    assert_true(property("Any", &set));
    assert_set(set, "1-d7ff e000-10ffff");
    assert_true(property("Cs", &set));
    assert_set(set, "");
    assert_true(property("L&", &set) && property("Yi", &set) && property("Latin", &set));
    static const char *const unknown[] = {"",   "Foo",  "Lx",   "Xan",  "Alphabetic",  "^Lu", "lu",
                                          "L*", "Lu}|", "Lu\\", "Any ", "bidiclass:al"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_false(property(unknown[i], &set));
    assert_false(charset_property(arena, "Latin", 200, &set));
}

/* Every scalar, one by one, against a match of its own. */
static void test_properties_are_pcre2s(void **state)
{
    (void)state;
    static const char *const names[] = {"L", "Lu", "Cyrillic", "P", "Cf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct charset set;
        assert_true(property(names[i], &set));
        char text[32];
        snprintf(text, sizeof text, "^\\p{%s}$", names[i]);
        int error;
        PCRE2_SIZE offset;
        pcre2_code *code =
            pcre2_compile((PCRE2_SPTR)text, strlen(text), PCRE2_UTF, &error, &offset, NULL);
        assert_non_null(code);
        pcre2_match_data *match = pcre2_match_data_create(1, NULL);
        for (uint32_t c = 1; c < 0x20000; c++) {
            char bytes[4];
            if (c >= 0xD800 && c <= 0xDFFF)
                continue;
            size_t length = utf8_encode(c, bytes);
            int status = pcre2_match(code, (PCRE2_SPTR)bytes, length, 0, 0, match, NULL);
            if ((status >= 0) != charset_contains(set, c))
                fail_msg("\\p{%s} and U+%04X", names[i], c);
        }
        pcre2_match_data_free(match);
        pcre2_code_free(code);
    }
}

static struct charset fold(uint32_t low, uint32_t high)
{
    return charset_fold(arena, range(low, high));
}

static void test_fold(void **state)
{
    (void)state;
    assert_set(fold('a', 'a'), "41-41 61-61");
    assert_set(fold('k', 'k'), "4b-4b 6b-6b 212a-212a");
    assert_set(fold(0x212A, 0x212A), "4b-4b 6b-6b 212a-212a");
    assert_set(fold('S', 'S'), "53-53 73-73 17f-17f");
    assert_set(fold(0xB5, 0xB5), "b5-b5 39c-39c 3bc-3bc");
    assert_set(fold(0x345, 0x345), "345-345 399-399 3b9-3b9 1fbe-1fbe");
    assert_set(fold(0x2160, 0x2160), "2160-2160 2170-2170");
    assert_set(fold(0x24D0, 0x24D0), "24b6-24b6 24d0-24d0");
    assert_set(fold('0', '9'), "30-39");
    assert_set(fold('a', 'z'), "41-5a 61-7a 17f-17f 212a-212a");
    assert_set(charset_fold(arena, charset_empty()), "");
    assert_set(fold(1, SCALAR_MAX), "1-d7ff e000-10ffff");
}

/* What PCRE2 matches without regard to case for a bracketed class of these ranges. */
static struct charset pcre2_fold(struct charset set)
{
    size_t room = set.count * 24 + 16;
    char *text = arena_alloc(arena, room);
    size_t length = 1;
    text[0] = '[';
    for (size_t i = 0; i < set.count; i++)
        length += (size_t)snprintf(text + length, room - length, "\\x{%x}-\\x{%x}",
                                   set.ranges[i].low, set.ranges[i].high);
    snprintf(text + length, room - length, "]++");
    int error;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_CASELESS, &error, &offset, NULL);
    assert_non_null(code);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    char *all = memory_alloc((SCALAR_MAX + 1) * 4);
    size_t end = 0, count = 0;
    for (uint32_t c = 1; c <= SCALAR_MAX; c++)
        if (c < 0xD800 || c > 0xDFFF)
            end += utf8_encode(c, all + end);
    struct scalar_range *ranges = arena_array(arena, 10000, sizeof *ranges);
    for (size_t at = 0;
         pcre2_match(code, (PCRE2_SPTR)all, end, at, PCRE2_NO_UTF_CHECK, match, NULL) >= 0;) {
        const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(match);
        utf8_decode(all + offsets[0], end - offsets[0], &ranges[count].low);
        ranges[count].high = SCALAR_MAX;
        if (offsets[1] < end) {
            utf8_decode(all + offsets[1], end - offsets[1], &ranges[count].high);
            ranges[count].high--;
        }
        at = offsets[1];
        assert_true(++count < 10000);
    }
    free(all);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return charset_normal(arena, ranges, count);
}

/* No scalar is left out of the cased ones: those without case variants here have none in PCRE2. */
static void test_fold_knows_every_cased_scalar(void **state)
{
    (void)state;
    struct scalar_range *ranges = arena_array(arena, 10000, sizeof *ranges);
    size_t count = 0;
    for (uint32_t c = 1; c <= SCALAR_MAX; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        bool cased = charset_size(fold(c, c)) > 1;
        if (cased && (count == 0 || ranges[count - 1].high + 1 != c))
            ranges[count++].low = c;
        if (cased)
            ranges[count - 1].high = c;
        assert_true(count < 10000);
    }
    struct charset all_cased = charset_normal(arena, ranges, count);
    assert_in_range(charset_size(all_cased), 2500, 6000);
    struct charset others = charset_complement(arena, all_cased);
    assert_true(charset_equal(pcre2_fold(others), others));
    assert_true(charset_equal(pcre2_fold(all_cased), all_cased));
}

static void test_fold_is_pcre2s(void **state)
{
    (void)state;
    static const struct scalar_range samples[] = {
        {'a', 'f'},         {'j', 'l'},       {0x100, 0x1ff},   {0x370, 0x3ff},
        {0x1c80, 0x1c90},   {0x10d0, 0x10e0}, {0x1e00, 0x1fff}, {0x13a0, 0x13ff},
        {0xab70, 0xab80},   {0x2c00, 0x2c5f}, {0xa640, 0xa7ff}, {0x10400, 0x10427},
        {0x1e900, 0x1e910}, {0xdf, 0xdf},     {0x1e9e, 0x1e9e}, {0x130, 0x131},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct charset set = range(samples[i].low, samples[i].high);
        assert_true(charset_equal(charset_fold(arena, set), pcre2_fold(set)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_have_no_nul_and_no_surrogates),
        cmocka_unit_test(test_normal_sorts_and_joins),
        cmocka_unit_test(test_algebra),
        cmocka_unit_test(test_sequences_spell_the_set_and_nothing_else),
        cmocka_unit_test(test_sequences_have_no_surrogates_and_no_overlong_forms),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_properties_are_pcre2s),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fold_knows_every_cased_scalar),
        cmocka_unit_test(test_fold_is_pcre2s),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
