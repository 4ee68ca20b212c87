/* Byte automata: the same language, and as small as can be. */
#include <stdio.h>
#include <string.h>

#include "compiler/base/utf8.h"
#include "tests/unit/regex_arena.h"

static bool table_accepts(const struct byte_automaton *table, const char *bytes, size_t length)
{
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++)
        state = table->next[state * table->class_count + table->classes[(unsigned char)bytes[i]]];
    return table->accepting[state];
}

static void assert_well_formed(const struct byte_automaton *table)
{
    assert_in_range(table->class_count, 1, 256);
    assert_true(table->state_count >= 2);
    bool *used = arena_array(arena, table->class_count, sizeof *used);
    for (unsigned byte = 0; byte < 256; byte++) {
        assert_true(table->classes[byte] < table->class_count);
        used[table->classes[byte]] = true;
    }
    for (uint32_t class = 0; class < table->class_count; class ++) {
        assert_true(used[class]);
        assert_int_equal(table->next[class], 0); /* the dead state leads nowhere else */
        for (uint32_t other = 0; other < class; other++) {
            bool differ = false;
            for (uint32_t i = 1; i < table->state_count; i++)
                differ = differ || table->next[i * table->class_count + class] !=
                                       table->next[i * table->class_count + other];
            assert_true(differ); /* no two classes are the same */
        }
    }
    assert_false(table->accepting[0]);
    for (size_t i = 0; i < (size_t)table->state_count * table->class_count; i++)
        assert_true(table->next[i] < table->state_count);
}

/* How many states are left when those that cannot be told apart are one (Moore's refinement). */
static uint32_t minimal_states(const struct byte_automaton *table)
{
    uint32_t *block = arena_array(arena, table->state_count, sizeof *block);
    uint32_t *next = arena_array(arena, table->state_count, sizeof *next);
    uint32_t count = 1, before;
    for (uint32_t i = 0; i < table->state_count; i++)
        block[i] = table->accepting[i];
    do {
        before = count;
        count = 0;
        for (uint32_t i = 0; i < table->state_count; i++) {
            uint32_t j = 0;
            for (; j < i; j++) {
                bool same = block[i] == block[j];
                for (uint32_t c = 0; same && c < table->class_count; c++)
                    same = block[table->next[i * table->class_count + c]] ==
                           block[table->next[j * table->class_count + c]];
                if (same)
                    break;
            }
            next[i] = j < i ? next[j] : count++;
        }
        memcpy(block, next, table->state_count * sizeof *block);
    } while (count != before);
    return count;
}

static const char *const patterns[] = {
    "",
    "\\0",
    "abc",
    "[a-z]{1,5}",
    "(?s).*",
    ".",
    "[^\\x00-\\x1f]{0,3}",
    "\\p{Greek}+",
    "[\\x{7f}-\\x{80}]",
    "[\\x{7ff}-\\x{800}]x",
    "[\\x{ffff}\\x{10000}]",
    "(?i)stra\303\237e",
    "[\\x{d7ff}-\\x{e000}]{2}",
    "\\x{10ffff}|\\x{10fffe}a",
    "[\\x{20ac}\\x{20ad}]|\\x{20ac}a",
    "@gitref",
    "@text(1,3)",
    "@ipv6",
    "[^a]|[\\x{c0}-\\x{17f}]b",
    "\\p{Lu}\\p{Ll}*",
    "(?:[ab]*a[ab]{4})",
};

static void test_tables_are_minimal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct byte_automaton *table = automaton_bytes(arena, build(patterns[i]), 60000);
        assert_non_null(table);
        assert_well_formed(table);
        if (table->state_count > 600)
            continue;
        uint32_t least = minimal_states(table);
        /* The dead state and an initial one that accepts nothing are one, but have two numbers. */
        bool nothing = automaton_is_empty(build(patterns[i]));
        if (least + nothing != table->state_count)
            fail_msg("`%s`: %u states, %u would do", patterns[i], table->state_count, least);
    }
    assert_int_equal(automaton_bytes(arena, build("(?s).*"), 100)->state_count, 9);
    assert_int_equal(automaton_bytes(arena, build("abc"), 100)->state_count, 5);
}

/* Every scalar as the whole value, as its beginning and as its end. */
static void test_tables_accept_the_same_scalars(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct automaton *automaton = build(patterns[i]);
        struct byte_automaton *table = automaton_bytes(arena, automaton, 60000);
        for (uint32_t scalar = 1; scalar <= 0x10FFFF; scalar += scalar < 0x3000 ? 1 : 13) {
            if (scalar >= 0xD800 && scalar <= 0xDFFF)
                continue;
            char value[12] = "a";
            size_t length = 1 + utf8_encode(scalar, value + 1);
            value[length] = 'b';
            for (int from = 0; from < 2; from++)
                for (size_t end = length; end <= length + 1; end++) {
                    bool expected = automaton_accepts(automaton, value + from, end - (size_t)from);
                    if (table_accepts(table, value + from, end - (size_t)from) != expected)
                        fail_msg("`%s` and U+%04X", patterns[i], scalar);
                }
        }
    }
}

static void test_tables_refuse_what_is_not_utf8(void **state)
{
    (void)state;
    struct byte_automaton *table = automaton_bytes(arena, build("(?s).*"), 100);
    static const char *const bad[] = {
        "\x80",     "\xc3",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",
        "\xe2\x82", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",     "a\xc3(",       "\xe2\x28\xa1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(table_accepts(table, bad[i], strlen(bad[i])));
    assert_false(table_accepts(table, "a\0b", 3));
    assert_true(table_accepts(table, "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10));
}

static void test_budgets(void **state)
{
    (void)state;
    assert_null(automaton_bytes(arena, build("abc"), 4));
    assert_non_null(automaton_bytes(arena, build("abc"), 5));
    assert_null(automaton_bytes(arena, build("\\x{20ac}"), 4));
    assert_non_null(automaton_bytes(arena, build("\\x{20ac}"), 5));
    assert_null(automaton_bytes(arena, build("\\p{L}{0,4000}"), 65535));
    assert_null(automaton_bytes(arena, build("\\p{L}{0,10000}"), 5000000));
    struct byte_automaton *long_one =
        automaton_bytes(arena, build("[^\\x01-\\x1f]{0,19000}"), 200000);
    assert_non_null(long_one);
    assert_int_equal(long_one->state_count, 2 + 19000 * 8);
    assert_int_equal(long_one->class_count, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_minimal),
        cmocka_unit_test(test_tables_accept_the_same_scalars),
        cmocka_unit_test(test_tables_refuse_what_is_not_utf8),
        cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
