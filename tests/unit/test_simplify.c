/* Simplified trees mean what the trees meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/emit/simplify.h"
#include "compiler/regex/automaton.h"

static const struct pattern *parsed(struct arena *arena, const char *text)
{
    struct pattern_error error;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
    if (!tree)
        print_message("%s: %s\n", text, error.message);
    assert_non_null(tree);
    return tree;
}

static const char *const same_language[] = {
    "a", "", "abc", "a|b|c", "a|bc|d", "(a|b)(c|d)", "((a))", "(ab)(cd)", "a*", "(a*)*", "(a+)*",
    "(a*)+", "(a{2,3}){2}", "(a{2,3}){0,4}", "(a{3,4}){1,5}", "(a{2,})*", "(a{2,})?", "(a{0,1}){7}",
    "(a?)*", "(a{5}){3}", "(a{5}){2,3}", "(a{3,7}){2,9}", "(|a)b", "(|a|)", "a{0}b", "(a{0}){3}",
    "()*", "[ab]|[cd]|e|fg", "(a|(b|(c|d)))", "(a(b(c(d))))", "\\x00a|b", "[^a]", ".*", "(?s).{0,3}",
    "(?i)straSSe", "(\\p{Greek}|x){1,3}", "(a{2,4}){3,}", "(a{1,2}){0,3}(b|)", "((a|b){2}){2,3}c?",
};

static void languages_stay_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof same_language / sizeof *same_language; i++) {
        struct arena *arena = arena_new(0);
        const struct pattern *tree = parsed(arena, same_language[i]);
        const struct pattern *simple = tree_simplify(arena, tree);
        const struct automaton *before = automaton_from_pattern(arena, tree, AUTOMATON_STATES_MAX);
        assert_non_null(simple);
        const struct automaton *after = automaton_from_pattern(arena, simple, AUTOMATON_STATES_MAX);
        if (!automaton_equal(before, after))
            fail_msg("%s changes when simplified", same_language[i]);
        arena_free(arena);
    }
}

/* What is asserted to merge, and what must not. */
static void repetitions_merge_where_nothing_is_left_out(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const struct {
        const char *text;
        bool merges;
        uint32_t minimum, maximum;
    } all[] = {
        {"(a*)*", true, 0, PATTERN_REPEAT_NONE}, {"(a+)?", true, 0, PATTERN_REPEAT_NONE},
        {"(a{1,63})?", true, 0, 63},             {"(a{2,3}){2}", true, 4, 6},
        {"(a{2,3}){2,9}", true, 4, 27},          {"(a{2,3})?", false, 0, 0},
        {"(a{2,})*", false, 0, 0},               {"(a{5}){2,3}", false, 0, 0},
        {"(a{5}){3}", true, 15, 15},             {"(a{3,4}){1,2}", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct pattern *simple = tree_simplify(arena, parsed(arena, all[i].text));
        bool merged = simple->kind == PATTERN_REPEAT && simple->children[0]->kind == PATTERN_SET;
        if (merged != all[i].merges)
            fail_msg("%s: merged %d", all[i].text, merged);
        if (merged) {
            assert_int_equal(simple->minimum, all[i].minimum);
            assert_int_equal(simple->maximum, all[i].maximum);
        }
    }
    arena_free(arena);
}

static void nothing_is_null(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    assert_null(tree_simplify(arena, parsed(arena, "a\\x00b")));
    assert_non_null(tree_simplify(arena, parsed(arena, "(a\\x00b)*")));
    assert_int_equal(tree_simplify(arena, parsed(arena, "(a\\x00b)*"))->kind, PATTERN_EMPTY);
    arena_free(arena);
}

static void lengths_are_known(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const struct {
        const char *text;
        bool fixed;
        uint32_t length;
    } all[] = {
        {"", true, 0},         {"abc", true, 3},    {"[a-f]{40}", true, 40}, {"ab|cd", true, 2},
        {"a|bc", false, 0},    {"a?", false, 0},    {"(ab|cd){3}x", true, 7}, {"a*", false, 0},
        {"\\p{Greek}{2}", true, 2},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint32_t length = 0;
        bool fixed = tree_fixed_length(tree_simplify(arena, parsed(arena, all[i].text)), &length);
        if (fixed != all[i].fixed || (fixed && length != all[i].length))
            fail_msg("%s: fixed %d, length %u", all[i].text, fixed, length);
    }
    arena_free(arena);
}

static void weights_count_what_is_written_out(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    assert_int_equal(tree_weight(parsed(arena, "a")), 1);
    assert_true(tree_weight(parsed(arena, "(a{100}){100}")) >= 10000);
    assert_int_equal(tree_weight(parsed(arena, "((((a{1000}){1000}){1000}){1000}){1000}")),
                     UINT32_MAX);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_stay_the_same),
        cmocka_unit_test(repetitions_merge_where_nothing_is_left_out),
        cmocka_unit_test(nothing_is_null),
        cmocka_unit_test(lengths_are_known),
        cmocka_unit_test(weights_count_what_is_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
