/* Example values: accepted, readable, different, and covering what they say they cover. */
#include <stdio.h>
#include <string.h>

#include "compiler/base/utf8.h"
#include "compiler/regex/readable.h"
#include "compiler/regex/witness.h"
#include "tests/unit/regex_arena.h"

static bool has_value(const struct value *values, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].bytes, text) == 0)
            return true;
    return false;
}

static void assert_different(const struct value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(values[i].length == values[j].length &&
                         memcmp(values[i].bytes, values[j].bytes, values[i].length) == 0);
}

static bool is_valid_value(struct value value)
{
    for (size_t at = 0; at < value.length;) {
        uint32_t scalar;
        at += utf8_decode(value.bytes + at, value.length - at, &scalar);
        if (scalar == UTF8_INVALID || scalar == 0)
            return false;
    }
    return value.bytes[value.length] == '\0';
}

static const char *const patterns[] = {
    "",
    "abc",
    "[a-z]{1,5}",
    "(?s).*",
    "[^a-z]+",
    "[a-z][a-z0-9-]{0,40}",
    "(?:ab|cd)*e",
    "a|bcd",
    "[\\x20-\\x7e]{0,400}",
    "@gitref",
    "@ipv6",
    "@semver",
    "@text(1,20)",
    "\\p{Greek}{2,3}",
    "[\\x01-\\x1f]",
    "(?:[a-z]{1,20}/){1,10}",
    "x(?:a{2}|b{3})*y",
    "(?i)stra\303\237e",
};

#define PATTERNS (sizeof patterns / sizeof *patterns)

static void test_shortest(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"[a-z]{2,5}", "aa"},
        {"[0-9a]", "a"},
        {"[A-Z0-9]", "A"},
        {"[/0-9]", "0"},
        {"[ -/]", "-"},
        {"[^a-zA-Z0-9]", "_"},
        {"b|aa", "b"},
        {"ba|ab", "ab"},
        {"[\\x01-\\x20]", " "},
        {"\\n+", "\n"},
        {"[\\x{4e00}-\\x{4e10}]", "\xe4\xb8\x80"},
        {"(?s).*z", "z"},
        {"[\\x01-\\x09]", "\x01"},
        {"[\\x80-\\xa2]", "\xc2\xa1"},
        {"@uuid", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"},
        {"@url(https,a.b)", "https://a.b"},
    };
    struct value value;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(witness_shortest(arena, build(rows[i][0]), &value));
        if (strcmp(value.bytes, rows[i][1]) != 0)
            fail_msg("`%s`: `%s`", rows[i][0], value.bytes);
        assert_int_equal(value.length, strlen(rows[i][1]));
    }
    assert_false(witness_shortest(arena, build("\\0"), &value));
}

static void test_readable_order(void **state)
{
    (void)state;
    static const uint32_t order[] = {'a', 'z', 'A',  'Z',   '0',    '9', '_',  '-',  ':',   '!',
                                     '~', ' ', 0xE9, 0x3B1, 0x4E00, 1,   '\n', 0x7F, 0x200B};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (size_t j = 0; j < i; j++) {
            bool less = readable_rank(order[j]) < readable_rank(order[i]);
            if (!less && order[i] > 0x20 && order[i] != 0x7F && order[i] != 0x200B)
                fail_msg("U+%04X is not before U+%04X", order[j], order[i]);
        }
    for (uint32_t low = 1; low < 0x180; low++)
        for (uint32_t high = low; high < 0x180; high++) {
            uint32_t best = readable_best(low, high);
            assert_true(best >= low && best <= high);
            for (uint32_t c = low; c <= high; c++)
                assert_true(c == best || readable_rank(best) < readable_rank(c));
            uint32_t some = readable_some(low, high, low * 7 + high);
            assert_true(some >= low && some <= high);
        }
}

static void test_cover(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct automaton *automaton = build(patterns[i]);
        struct value *values;
        size_t count = witness_cover(arena, automaton, 500, &values);
        assert_in_range(count, 1, 500);
        assert_different(values, count);
        uint32_t shortest, longest;
        automaton_lengths(automaton, &shortest, &longest);
        size_t most = 0;
        for (size_t j = 0; j < count; j++) {
            assert_true(is_valid_value(values[j]));
            if (!automaton_accepts(automaton, values[j].bytes, values[j].length))
                fail_msg("`%s` does not accept `%s`", patterns[i], values[j].bytes);
            most = values[j].length > most ? values[j].length : most;
        }
        if (longest != UINT32_MAX)
            assert_true(most >= longest);
    }
    struct value *values;
    assert_int_equal(witness_cover(arena, build("\\0"), 10, &values), 0);
    assert_int_equal(witness_cover(arena, build("[a-c]{1,9}"), 3, &values), 3);
}

/* With room enough, every transition is gone through, at both ends of its range. */
static void test_cover_takes_every_transition(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct automaton *automaton = build(patterns[i]);
        struct value *values;
        size_t count = witness_cover(arena, automaton, 100000, &values);
        size_t total = 0;
        uint32_t **low = arena_array(arena, automaton->state_count, sizeof *low);
        uint32_t **high = arena_array(arena, automaton->state_count, sizeof *high);
        for (uint32_t s = 0; s < automaton->state_count; s++) {
            low[s] = arena_array(arena, automaton->states[s].transition_count, sizeof **low);
            high[s] = arena_array(arena, automaton->states[s].transition_count, sizeof **high);
            total += automaton->states[s].transition_count;
        }
        for (size_t j = 0; j < count; j++) {
            uint32_t s = 0;
            for (size_t at = 0; at < values[j].length;) {
                uint32_t scalar, t = 0;
                at += utf8_decode(values[j].bytes + at, values[j].length - at, &scalar);
                const struct automaton_state *from = &automaton->states[s];
                while (from->transitions[t].high < scalar)
                    t++;
                low[s][t] |= from->transitions[t].low == scalar;
                high[s][t] |= from->transitions[t].high == scalar;
                s = from->transitions[t].target;
            }
        }
        for (uint32_t s = 0; s < automaton->state_count; s++)
            for (uint32_t t = 0; t < automaton->states[s].transition_count; t++)
                if (!low[s][t] || !high[s][t])
                    fail_msg("`%s`: state %u, transition %u of %zu in all", patterns[i], s, t,
                             total);
    }
}

static void test_cover_goes_round_loops(void **state)
{
    (void)state;
    struct value *values;
    size_t count = witness_cover(arena, build("x(?:ab)*y"), 100, &values);
    assert_true(has_value(values, count, "xy"));
    assert_true(has_value(values, count, "xaby"));
    count = witness_cover(arena, build("a{2,4}"), 100, &values);
    assert_true(has_value(values, count, "aa") && has_value(values, count, "aaaa"));
}

static void test_mutate(void **state)
{
    (void)state;
    static const char *const texts[] = {"abc",
                                        "",
                                        "x",
                                        "gr\303\274\303\237e",
                                        "a/b-c",
                                        "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct value value = {texts[i], strlen(texts[i])}, *values, *again;
        size_t count = witness_mutate(arena, value, 60, &values);
        assert_in_range(count, 3, 60);
        assert_different(values, count);
        for (size_t j = 0; j < count; j++) {
            assert_true(is_valid_value(values[j]));
            assert_string_not_equal(values[j].bytes, texts[i]);
        }
        assert_int_equal(witness_mutate(arena, value, 60, &again), count);
        for (size_t j = 0; j < count; j++)
            assert_string_equal(values[j].bytes, again[j].bytes);
        assert_int_equal(witness_mutate(arena, value, 2, &values), 2);
        assert_int_equal(witness_mutate(arena, value, 0, &values), 0);
    }
    struct value value = {"abc", 3}, *values;
    size_t count = witness_mutate(arena, value, 100, &values);
    static const char *const wanted[] = {"ab",  "abcc", "bc",  "abc\n", "-abc", "abbc",
                                         "acc", "aac",  "abd", "aabc",  "ac"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!has_value(values, count, wanted[i]))
            fail_msg("`%s` is not there", wanted[i]);
}

static void test_sample(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct automaton *automaton = build(patterns[i]);
        struct value *values, *again, shortest;
        size_t count = witness_sample(arena, automaton, 25, &values);
        assert_in_range(count, 1, 25);
        assert_different(values, count);
        assert_true(witness_shortest(arena, automaton, &shortest));
        assert_int_equal(values[0].length, shortest.length);
        for (size_t j = 0; j < count; j++) {
            assert_true(automaton_accepts(automaton, values[j].bytes, values[j].length));
            assert_true(j == 0 || values[j - 1].length <= values[j].length);
        }
        assert_int_equal(witness_sample(arena, automaton, 25, &again), count);
        for (size_t j = 0; j < count; j++)
            assert_string_equal(values[j].bytes, again[j].bytes);
    }
    struct value *values;
    assert_int_equal(witness_sample(arena, build("\\0"), 5, &values), 0);
    assert_int_equal(witness_sample(arena, build("[a-z]+"), 0, &values), 0);
    assert_int_equal(witness_sample(arena, build("[a-z0-9]{1,30}"), 200, &values), 200);
}

/* A small language is given whole. */
static void test_sample_of_few_is_all(void **state)
{
    (void)state;
    struct value *values;
    assert_int_equal(witness_sample(arena, build("(?:on|off|[0-3])?"), 20, &values), 7);
    static const char *const all[] = {"", "0", "1", "2", "3", "on", "off"};
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(values[i].bytes, all[i]);
    assert_int_equal(witness_sample(arena, build("a{0,4000}"), 4001, &values), 4001);
    assert_int_equal(values[4000].length, 4000);
    assert_int_equal(witness_sample(arena, build("[ab]{3}"), 8, &values), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shortest),
        cmocka_unit_test(test_readable_order),
        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_cover_takes_every_transition),
        cmocka_unit_test(test_cover_goes_round_loops),
        cmocka_unit_test(test_mutate),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_sample_of_few_is_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
