/* Automata: from patterns, operations, comparisons, budgets. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/regex_arena.h"

static bool accepts(const struct automaton *automaton, const char *value)
{
    return automaton_accepts(automaton, value, strlen(value));
}

/* Everything that struct automaton promises of its shape. */
static void assert_well_formed(const struct automaton *a)
{
    assert_true(a->state_count >= 1);
    uint32_t seen = 1;
    for (uint32_t i = 0; i < a->state_count; i++) {
        assert_true(i < seen); /* numbered breadth first */
        const struct automaton_state *state = &a->states[i];
        for (uint32_t j = 0; j < state->transition_count; j++) {
            struct transition t = state->transitions[j];
            assert_true(t.low <= t.high && t.high <= SCALAR_MAX);
            assert_false(t.low <= 0xDFFF && t.high >= 0xD800);
            assert_true(t.target <= seen && t.target < a->state_count);
            if (t.target == seen)
                seen++;
            if (j > 0)
                assert_true(state->transitions[j - 1].high < t.low &&
                            (state->transitions[j - 1].high + 1 < t.low ||
                             state->transitions[j - 1].target != t.target));
        }
    }
    assert_int_equal(seen, a->state_count);
}

static void assert_same(const struct automaton *a, const struct automaton *b)
{
    assert_non_null(a);
    assert_non_null(b);
    assert_well_formed(a);
    assert_well_formed(b);
    assert_true(automaton_equal(a, b));
}

static void test_equal_languages_are_equal_automata(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"abc|abd", "ab[cd]"},
        {"(a|b)*abb", "(a*b*)*abb"},
        {"a{2,4}", "aa|aaa|aaaa"},
        {"(?:ab){2,}", "abab(?:ab)*"},
        {"a*b*|b*a*", "b*a*|a*b*|a*"},
        {"[a-z]{1,3}", "[a-z][a-z]?[a-z]?"},
        {"(?:a|aa){3}", "a{3,6}"},
        {"(?:a{3}){2,3}", "a{6}|a{9}"},
        {"(?i)ok", "[oO](?:k|K|\\x{212a})"},
        {"\\0|a", "a"},
        {"x\\0", "\\0"},
        {"(?s).*", "[^\\0]*"},
        {".*a.{2,}", "(?:.*a)?.*a.{2}.*"},
        {"(?:a?b?){3}", "(?:a|b|ab|){3}"},
        {"(?:(?:a{0,3}b){0,4}c){2}", "(?:a{0,3}b){0,4}c(?:a{0,3}b){0,4}c"},
        {"\\p{L}", "(?:\\p{Lu}|\\p{Ll}|\\p{Lt}|\\p{Lm}|\\p{Lo})"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct automaton *a = build(rows[i][0]), *b = build(rows[i][1]);
        if (!automaton_equal(a, b))
            fail_msg("`%s` and `%s` differ", rows[i][0], rows[i][1]);
        assert_well_formed(a);
    }
    assert_false(automaton_equal(build("a{2,4}"), build("a{2,5}")));
    assert_false(automaton_equal(build("[a-z]"), build("[a-y]")));
}

static void test_sizes_are_minimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t states;
    } rows[] = {
        {"", 1},
        {"\\0", 1},
        {"a", 2},
        {"a*", 1},
        {"(?:a|b)*abb", 4},
        {"[\\x20-\\x7e]{0,4000}", 4001},
        {"[^\\x00-\\x1f]{0,4000}", 4001},
        {"[^\\x00-\\x1f]{0,19000}", 19001},
        {"([a-z]{1,200}/){1,10}", 2011},
        {"(/[a-zA-Z0-9._-]{1,255}){1,16}", 4097},
        {"[ab]*a[ab]{10}", 2048},
        {"[a-z]{0,400}[a-z0-9]{0,400}", 801},
        {"\\p{L}{0,400}", 401},
        {".{0,100}-.{0,100}", 5252},
        {"(?:foo|bar|baz){0,3000}", 15001},
        {".*a.{20,}", 22},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct automaton *automaton = build(rows[i].text);
        if (automaton->state_count != rows[i].states)
            fail_msg("`%s`: %u states, not %u", rows[i].text, automaton->state_count,
                     rows[i].states);
        assert_well_formed(automaton);
    }
}

/* Patterns that nothing small accepts, and patterns that only look so: bounded work for all. */
static void test_budgets(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "[ab]*a[ab]{20}",
        "((a{0,1000}){0,1000}){0,1000}",
        "((a|b){0,1000}c){0,1000}",
        "(?:(?:(?:a{1,60}b){1,60}c){1,60}d){1,60}",
        "[a-z]{0,65535}",
        "\\p{L}{0,19000}",
        "(?:\\p{Lu}\\p{Ll}\\p{N}){0,6000}",
        "(?:.*a){30}.*(?:[ab]*a[ab]{30})",
        "(?:[ab]*a[ab]{15}){15}",
        ".{0,2000}-.{0,2000}",
        "(?:(?:a?b?c?d?){0,5000}e?){0,5000}",
        "(?:a{0,100}b{0,100}){0,100}",
        "(?:(?:(?:a{0,40}b?){0,40}c?){0,40}d?){0,40}",
        "(.{0,100},){0,100}",
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct arena *own = arena_new(0);
        struct pattern_error error;
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        const struct pattern *tree = pattern_parse(own, bombs[i], strlen(bombs[i]), NULL, &error);
        assert_non_null(tree);
        struct automaton *automaton = automaton_from_pattern(own, tree, AUTOMATON_STATES_MAX);
        clock_gettime(CLOCK_MONOTONIC, &end);
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("    %-50s %6ld ms, %4ld MiB so far\n", bombs[i],
               (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
               usage.ru_maxrss / 1024);
        if (automaton)
            fail_msg("`%s` fits: %u states", bombs[i], automaton->state_count);
        arena_free(own);
    }
    assert_non_null(automaton_from_pattern(arena, parse("[a-z]{4}"), 5));
    assert_null(automaton_from_pattern(arena, parse("[a-z]{4}"), 4));
    assert_null(automaton_intersect(arena, build("[a-z]{4}"), build("[a-y]{4}"), 4));
    assert_null(
        automaton_concat(arena, (const struct automaton *const[]){build("ab"), build("cd")}, 2, 4));
}

static void test_literal_and_everything(void **state)
{
    (void)state;
    struct automaton *literal = automaton_literal(arena, "a\xc3\xa9\0x", 5);
    assert_well_formed(literal);
    assert_int_equal(literal->state_count, 5);
    assert_true(automaton_accepts(literal, "a\xc3\xa9\0x", 5));
    assert_false(automaton_accepts(literal, "a\xc3\xa9", 3));
    assert_same(automaton_literal(arena, "abc", 3), build("abc"));
    assert_same(automaton_literal(arena, "", 0), build(""));
    assert_true(automaton_is_empty(automaton_literal(arena, "a\xff", 2)));
    struct automaton *everything = automaton_everything(arena);
    assert_same(everything, build("(?s).*"));
    assert_true(accepts(everything, "") && accepts(everything, "\xf4\x8f\xbf\xbf"));
    assert_false(automaton_accepts(everything, "a\0b", 3));
    assert_false(automaton_accepts(everything, "a\xff", 2));
    assert_false(automaton_accepts(everything, "\xed\xa0\x80", 3));
    assert_true(automaton_is_empty(build("\\0")));
    assert_false(automaton_is_empty(build("")));
}

static struct automaton *intersect(const char *a, const char *b)
{
    return automaton_intersect(arena, build(a), build(b), AUTOMATON_STATES_MAX);
}

static struct automaton *subtract(const char *a, const char *b)
{
    return automaton_subtract(arena, build(a), build(b), AUTOMATON_STATES_MAX);
}

static void test_intersect_and_subtract(void **state)
{
    (void)state;
    assert_same(intersect("[a-m]{1,5}", "[k-z]{3,9}"), build("[k-m]{3,5}"));
    assert_same(intersect("(?s).*", "a.b"), build("a.b"));
    assert_same(intersect("a.b", "(?s).*"), build("a.b"));
    assert_same(intersect("(?:aa)*", "(?:aaa)*"), build("(?:a{6})*"));
    assert_same(intersect("a+", "b+"), build("\\0"));
    assert_same(intersect("a*", "b*"), build(""));
    assert_same(intersect("@hostname", "[a-z.]{1,9}"), intersect("[a-z.]{1,9}", "@hostname"));
    assert_same(subtract("[a-z]+", "[a-m]+"), build("[a-m]*[n-z][a-z]*"));
    assert_same(subtract("[a-c]{2}", "ab"), build("a[ac]|[bc][a-c]"));
    assert_same(subtract("a*", "\\0"), build("a*"));
    assert_same(subtract("a*", "a*"), build("\\0"));
    assert_same(subtract("a|b", "(?s).*"), build("\\0"));
    assert_same(subtract("(?:a|b)*", "(?s).*aa.*"), build("b*(?:ab+)*a?"));
    assert_same(subtract(".*", ".*\\.\\..*"), build("\\.?(?:[^.\\n]+\\.?)*|"));
    assert_same(subtract("\\p{L}{1,4}", "\\p{Lu}{1,4}|(?s:.*\\P{Lu}.*)"), build("\\0"));
    struct automaton *once = build("a.{0,30}b");
    assert_same(automaton_intersect(arena, once, once, 100), once);
}

static void test_union_concat_repeat(void **state)
{
    (void)state;
    const struct automaton *parts[] = {build("a+"), build("b{2,3}"), build("[a-c]")};
    assert_same(automaton_union(arena, parts, 3, 100), build("a+|b{2,3}|[a-c]"));
    assert_same(automaton_concat(arena, parts, 3, 100), build("a+b{2,3}[a-c]"));
    assert_same(automaton_union(arena, parts, 1, 100), build("a+"));
    assert_same(automaton_concat(arena, parts, 1, 100), build("a+"));
    assert_same(automaton_union(arena, parts, 0, 100), build("\\0"));
    assert_same(automaton_concat(arena, parts, 0, 100), build(""));
    static const struct {
        const char *part, *whole;
        uint32_t minimum, maximum;
    } repeats[] = {
        {"ab|c", "(?:ab|c){2,5}", 2, 5},
        {"ab|c", "(?:ab|c)*", 0, PATTERN_REPEAT_NONE},
        {"ab|c", "(?:ab|c){3,}", 3, PATTERN_REPEAT_NONE},
        {"ab|c", "", 0, 0},
        {"a?b?", "(?:a?b?){2,3}", 2, 3},
        {"a*", "a*", 1, PATTERN_REPEAT_NONE},
        {"a*", "a*", 1, 1},
        {"[^,]{0,9},", "(?:[^,]{0,9},){0,9}", 0, 9},
        {"\\0", "", 0, 5},
        {"\\0", "\\0", 1, 5},
        {"a", "a{0,9000}", 0, 9000},
    };
    for (size_t i = 0; i < sizeof repeats / sizeof *repeats; i++)
        assert_same(automaton_repeat(arena, build(repeats[i].part), repeats[i].minimum,
                                     repeats[i].maximum, AUTOMATON_STATES_MAX),
                    build(repeats[i].whole));
}

/* A command line, as the analyses see it: arguments with U+0000 between them. */
static void test_nul_as_a_separator(void **state)
{
    (void)state;
    struct automaton *nul = automaton_literal(arena, "\0", 1);
    const struct automaton *parts[] = {build("git"), nul, build("[a-z]+"), nul, build("(?s).*")};
    struct automaton *line = automaton_concat(arena, parts, 5, 100);
    assert_well_formed(line);
    assert_true(automaton_accepts(line, "git\0push\0x", 10));
    assert_false(automaton_accepts(line, "git\0push\0x\0y", 12));
    const struct automaton *other[] = {build("(?s).*"), nul, build("push"), nul, build("-.*")};
    struct automaton *dashed = automaton_concat(arena, other, 5, 100);
    const char *witness;
    size_t length;
    assert_true(automaton_overlaps(arena, line, dashed, &witness, &length));
    assert_int_equal(length, 10);
    assert_memory_equal(witness, "git\0push\0-", 10);
    struct automaton *everything = automaton_everything(arena);
    assert_true(automaton_is_empty(automaton_intersect(arena, line, everything, 100)));
    struct automaton *left = automaton_subtract(arena, line, dashed, 100);
    assert_true(automaton_accepts(left, "git\0push\0", 9));
    assert_false(automaton_accepts(left, "git\0push\0-f", 11));
}

static void test_without_dash(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"[a-z-]+", "[a-z][a-z-]*"},
        {"-.*", "\\0"},
        {"-?", ""},
        {"[^x]", "[^x-]"},
        {"[a-z]+", "[a-z]+"},
        {"-*a", "a"},
        {"-?a*", "a*"},
        {"(?:-a)*", ""},
        {"(?:-a|b)*", "(?:b(?:-a|b)*)?"},
        {"(?s).*", "(?:[^-](?s:.*))?"},
        {"-a|ab", "ab"},
        {"(?:a-|-a)*", "(?:a-(?:a-|-a)*)?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_same(automaton_without_dash(arena, build(rows[i][0])), build(rows[i][1]));
}

static void assert_witness(const char *expected, const char *witness, size_t length)
{
    assert_non_null(witness);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(witness, expected);
}

static void test_contains(void **state)
{
    (void)state;
    static const char *const within[][2] = {
        {"[a-z]{1,5}", "[a-z]{0,9}"},
        {"[ -~]{0,3999}", "[ -~]{0,4000}"},
        {"\\0", "a"},
        {"@relpath", "(?@ascii(1,200))|(?s:.*)"},
        {"a.b", "a.b"},
        {"@sha1", "@word"},
    };
    const char *witness = "";
    size_t length;
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        assert_true(
            automaton_contains(arena, build(within[i][1]), build(within[i][0]), &witness, &length));
        assert_null(witness);
        assert_true(
            automaton_contains(arena, build(within[i][1]), build(within[i][0]), NULL, NULL));
    }
    static const char *const outside[][3] = {
        {"[a-z]{0,9}", "[a-z]{1,9}", ""},
        {"[a-z]{1,6}", "[a-z]{1,5}", "aaaaaa"},
        {"[a-z0-9]+", "[0-9]+", "a"},
        {".*", "[a-z]*", "A"},
        {"[^x]", "[^y]", "y"},
        {"(?s).", ".", "\n"},
        {"@abspath", "/srv/.*", "/"},
        {"[\\x{100}-\\x{200}b]", "b", "\xc4\x80"},
        {"(?:a|b)*", "a*b?a*", "bb"},
    };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_false(automaton_contains(arena, build(outside[i][1]), build(outside[i][0]), &witness,
                                        &length));
        assert_witness(outside[i][2], witness, length);
        assert_false(
            automaton_contains(arena, build(outside[i][1]), build(outside[i][0]), NULL, NULL));
    }
}

static void test_overlaps(void **state)
{
    (void)state;
    const char *witness;
    size_t length;
    assert_true(automaton_overlaps(arena, build("[a-z]+[0-9]"), build("...?"), &witness, &length));
    assert_witness("a0", witness, length);
    assert_true(automaton_overlaps(arena, build("(?:aa)+"), build("(?:aaa)+"), &witness, &length));
    assert_witness("aaaaaa", witness, length);
    assert_true(automaton_overlaps(arena, build("a*"), build("b*"), &witness, &length));
    assert_witness("", witness, length);
    assert_true(automaton_overlaps(arena, build(".*x"), build("[x-z]{2}"), NULL, NULL));
    assert_false(automaton_overlaps(arena, build("a+"), build("b+"), &witness, &length));
    assert_null(witness);
    assert_false(automaton_overlaps(arena, build("\\0"), build(".*"), NULL, NULL));
}

/* Two long cycles whose lengths have no common divisor: their product has 361 million states. */
static void test_comparisons_give_up_carefully(void **state)
{
    (void)state;
    struct automaton *a = build("(?:a{18999})*"), *b = build("(?:a{18979})*");
    const char *witness = "";
    size_t length;
    assert_false(automaton_contains(arena, build("a*b"), a, NULL, NULL));
    struct automaton *both = automaton_intersect(arena, a, b, AUTOMATON_STATES_MAX);
    assert_null(both);
    const struct automaton *a_x[] = {a, build("x")}, *b_x[] = {b, build("y")};
    struct automaton *a_then = automaton_concat(arena, a_x, 2, AUTOMATON_STATES_MAX);
    struct automaton *b_then = automaton_concat(arena, b_x, 2, AUTOMATON_STATES_MAX);
    assert_true(automaton_overlaps(arena, a_then, b_then, &witness, &length));
    assert_null(witness);
    witness = "";
    assert_false(automaton_contains(arena,
                                    automaton_subtract(arena, build("(?s).*"), b_then, 20000),
                                    a_then, &witness, &length));
    assert_null(witness);
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t shortest, longest;
    } rows[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"a{2,9}", 2, 9},
        {"a|bcd", 1, 3},
        {"a*", 0, UINT32_MAX},
        {"xa+", 2, UINT32_MAX},
        {"[\\x{e9}\\x{1F600}]{0,4000}", 0, 4000},
        {"(?:ab?){2}c{0,3}", 2, 7},
        {"a(?:b|c(?:d|ef?))?", 1, 4},
        {"(?:abc)*d", 1, UINT32_MAX},
        {"ab*c", 2, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t shortest, longest;
        automaton_lengths(build(rows[i].text), &shortest, &longest);
        assert_int_equal(shortest, rows[i].shortest);
        assert_int_equal(longest, rows[i].longest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_languages_are_equal_automata),
        cmocka_unit_test(test_sizes_are_minimal),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_literal_and_everything),
        cmocka_unit_test(test_intersect_and_subtract),
        cmocka_unit_test(test_union_concat_repeat),
        cmocka_unit_test(test_nul_as_a_separator),
        cmocka_unit_test(test_without_dash),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_comparisons_give_up_carefully),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
