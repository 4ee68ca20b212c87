/* Tokens made of several parts: whether one value can be taken apart in two ways. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/regex_arena.h"

#define PARTS_MAX 5

struct sample {
    const char *parts[PARTS_MAX];
    const char *witness; /* NULL: not ambiguous */
};

static const struct sample samples[] = {
    {{"[a-z]+", ":", "[a-z]+"}, NULL},
    {{"[a-z:]+", ":", "[a-z]+"}, NULL},
    {{"[a-z:]+", ":", "[a-z:]+"}, "a::a"},
    {{"a*", "a*"}, "a"},
    {{"[a-z]+", "[a-z]+"}, "aaa"},
    {{"[a-z]+", "[0-9]+"}, NULL},
    {{"[a-z]{3}", "[a-z]{2}"}, NULL},
    {{"[a-z]{2,3}", "[a-z]{2,3}"}, "aaaaa"},
    {{"a?", "b?", "c?"}, NULL},
    {{"a?", "b?", "a?"}, "a"},
    {{"(?:ab)*", "(?:ba)*"}, NULL},
    {{"(?:ab)*a?", "(?:ba)*b?"}, "ab"},
    {{".*", "\\.", ".*"}, ".."},
    {{"x", "y"}, NULL},
    {{"\\0", "a*"}, NULL},
    {{"a*", "\\0", "a*"}, NULL},
    {{"", "", "a"}, NULL},
    {{"--opt=", ".*"}, NULL},
    {{"a|ab", "c|bc", "d"}, "abcd"},
    {{"\\x{e9}?", "[\\x{e8}-\\x{e9}]?", "x"}, "\xc3\xa9x"},
    {{"[a-z]*", "=", "[a-z=]*", ";"}, NULL},
};

/* Whether the boundaries cut the value into parts that the automata accept. */
static bool is_split(const struct automaton *const *parts, size_t count, const char *value,
                     size_t length, const size_t *split)
{
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? split[i] : length;
        if (end < begin || end > length || !automaton_accepts(parts[i], value + begin, end - begin))
            return false;
        begin = end;
    }
    return true;
}

/* In how many ways a value can be taken apart, all tried. */
static unsigned count_splits(const struct automaton *const *parts, size_t count, const char *value,
                             size_t length)
{
    if (count == 1)
        return automaton_accepts(parts[0], value, length);
    unsigned ways = 0;
    for (size_t first = 0; first <= length; first++)
        if (automaton_accepts(parts[0], value, first))
            ways += count_splits(parts + 1, count - 1, value + first, length - first);
    return ways;
}

static void check(const struct automaton *const *parts, size_t count, const char *name)
{
    const char *witness;
    size_t length, *a, *b;
    bool exhausted;
    bool ambiguous =
        automaton_ambiguous(arena, parts, count, 20000, &witness, &length, &a, &b, &exhausted);
    assert_false(exhausted);
    if (ambiguous) {
        assert_true(is_split(parts, count, witness, length, a));
        assert_true(is_split(parts, count, witness, length, b));
        if (memcmp(a, b, (count - 1) * sizeof *a) == 0)
            fail_msg("%s: the two splits of `%s` are one", name, witness);
    }
    /* Every value over a few letters, up to the length below which there is none. */
    static const char letters[] = "ab:.cx";
    char value[8] = "";
    size_t longest = ambiguous && length < 5 ? length : 5;
    for (size_t size = 0; size < longest; size++) {
        size_t total = 1;
        for (size_t i = 0; i < size; i++)
            total *= 6;
        for (size_t n = 0; n < total; n++) {
            for (size_t i = 0, rest = n; i < size; i++, rest /= 6)
                value[i] = letters[rest % 6];
            if (count_splits(parts, count, value, size) > 1)
                fail_msg("%s: `%.*s` is ambiguous, and shorter", name, (int)size, value);
        }
    }
}

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct automaton *parts[PARTS_MAX];
        size_t count = 0;
        for (; count < PARTS_MAX && samples[i].parts[count]; count++)
            parts[count] = build(samples[i].parts[count]);
        const char *witness;
        size_t length, *a, *b;
        bool exhausted;
        bool ambiguous =
            automaton_ambiguous(arena, parts, count, 20000, &witness, &length, &a, &b, &exhausted);
        if (ambiguous != (samples[i].witness != NULL))
            fail_msg("%s, %s: %d", samples[i].parts[0], samples[i].parts[1], ambiguous);
        check(parts, count, samples[i].parts[0]);
        if (ambiguous && strcmp(samples[i].witness, witness) != 0)
            fail_msg("%s, %s: `%s`", samples[i].parts[0], samples[i].parts[1], witness);
    }
}

static void test_splits_of_a_known_value(void **state)
{
    (void)state;
    const struct automaton *parts[] = {build("[a-z-]+"), build("-"), build("[a-z-]+")};
    const char *witness;
    size_t length, *a, *b;
    bool exhausted;
    assert_true(automaton_ambiguous(arena, parts, 3, 20000, &witness, &length, &a, &b, &exhausted));
    assert_string_equal(witness, "a--a");
    size_t lower = a[0] < b[0] ? a[0] : b[0], higher = a[0] < b[0] ? b[0] : a[0];
    assert_int_equal(lower, 1);
    assert_int_equal(higher, 2);
}

static void test_one_part_is_never_ambiguous(void **state)
{
    (void)state;
    const struct automaton *parts[] = {build("a*a*")};
    const char *witness;
    size_t length, *a, *b;
    bool exhausted = true;
    assert_false(automaton_ambiguous(arena, parts, 1, 10, &witness, &length, &a, &b, &exhausted));
    assert_false(exhausted);
    assert_false(automaton_ambiguous(arena, parts, 0, 10, &witness, &length, &a, &b, &exhausted));
}

static void test_long_parts(void **state)
{
    (void)state;
    const struct automaton *clear[] = {build("[a-z]{0,9000}"), build(":"), build("[a-z:]{0,9000}")};
    const char *witness;
    size_t length, *a, *b;
    bool exhausted;
    assert_false(
        automaton_ambiguous(arena, clear, 3, 20000, &witness, &length, &a, &b, &exhausted));
    assert_false(exhausted);
    /* Too much to know within the budget: readers that part at each place, and never both end. */
    const struct automaton *hard[] = {build("(?:a{1009})*"), build("(?:a{1013})*b{2}"), build("c")};
    assert_false(automaton_ambiguous(arena, hard, 3, 100, &witness, &length, &a, &b, &exhausted));
    assert_true(exhausted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_splits_of_a_known_value),
        cmocka_unit_test(test_one_part_is_never_ambiguous),
        cmocka_unit_test(test_long_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
