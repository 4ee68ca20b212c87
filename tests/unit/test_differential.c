/* Random patterns of the dialect: our automaton, libfa and PCRE2 must agree on all of them.
 *
 * Seeded, so that every run tries the same ones; SLUICE_SEED=N tries others, SLUICE_PATTERNS=N
 * more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"
#include "compiler/regex/witness.h"

#define PATTERNS 400
#define PCRE2_GIVES_UP_MAX 3 /* values of one pattern that PCRE2 may take too long for */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);
    return value ? strtoul(value, NULL, 10) : otherwise;
}

/* ---- random patterns ------------------------------------------------------------------------- */

static const char *const literals[] = {
    "a",        "b",        "c",     "k",       "S",          "0",         "9",   "-",
    "/",        "\\.",      "\\-",   " ",       "\\t",        "\\n",       "_",   "\\@",
    "\xc3\xa9", "\xce\xb1", "\\x41", "\\x{e9}", "\\x{1F600}", "\\x{212a}", "\\v", "\\\\",
    "\\$",      "ab",       "ba",    "]",       "}",
};

static const char *const sets[] = {
    ".",           "\\d",
    "\\w",         "\\s",
    "\\D",         "\\W",
    "\\S",         "[ab]",
    "[^ab]",       "[a-c]",
    "[^a-z]",      "[a-z0-9_-]",
    "[]a]",        "[^]a]",
    "[[:alpha:]]", "[[:^alpha:]0]",
    "[\\d\\s]",    "[\\x{80}-\\x{800}]",
    "[^\\n]",      "\\p{L}",
    "\\P{L}",      "\\p{Lu}",
    "\\p{Greek}",  "\\pN",
    "[\\p{Ll}9]",  "[^\\p{L}\\p{N}]",
    "[a-cx-z]",    "[K\xc3\xa9]",
    "[[:upper:]]", "[[:punct:]b]",
    "[\\v\\e]",    "(?s:.)",
    "(?:\\0)",     "[^\\0]",
};

static const char *const quantifiers[] = {
    "*",     "+",     "?",    "*?",  "+?",  "??",     "{2}",
    "{0,2}", "{1,3}", "{2,}", "{0}", "{1}", "{3,5}?", "{0,12}",
};

static const char *const names[] = {"(?@word)", "(?@int(3,12))", "(?@ipv4)", "(?@text(1,2))"};

#define PICK(array) (array)[draw(sizeof(array) / sizeof *(array))]

static void write_alternatives(struct buffer *out, unsigned depth);

static void write_atom(struct buffer *out, unsigned depth)
{
    static const char *const opens[] = {"(", "(?:", "(?:", "(?i:", "(?s:", "(?-i:"};
    uint32_t choice = draw(depth > 0 ? 10 : 7);
    if (choice < 4) {
        buffer_puts(out, PICK(literals));
    } else if (choice < 7) {
        if (draw(25) == 0)
            buffer_puts(out, PICK(names));
        else
            buffer_puts(out, PICK(sets));
    } else {
        buffer_puts(out, PICK(opens));
        write_alternatives(out, depth - 1);
        buffer_char(out, ')');
    }
}

static void write_sequence(struct buffer *out, unsigned depth)
{
    for (uint32_t i = draw(4); i > 0; i--) {
        write_atom(out, depth);
        if (draw(5) < 2)
            buffer_puts(out, PICK(quantifiers));
    }
}

static void write_alternatives(struct buffer *out, unsigned depth)
{
    write_sequence(out, depth);
    for (uint32_t i = draw(4); i > 1; i--) {
        buffer_char(out, '|');
        write_sequence(out, depth);
    }
}

static void write_pattern(struct buffer *out)
{
    static const char *const starts[] = {"", "", "", "", "(?i)", "(?s)", "^", "(?is)", "^(?i)"};
    buffer_clear(out);
    buffer_puts(out, PICK(starts));
    write_alternatives(out, 3);
    if (draw(8) == 0)
        buffer_char(out, '$');
}

/* ---- agreement ------------------------------------------------------------------------------- */

struct tally {
    size_t patterns, over_budget, libfa, values, pcre2_gave_up;
    size_t gave_up_here; /* for the current pattern */
};

static void compare_value(const char *text, const struct automaton *automaton,
                          struct oracle_pcre2 *oracle, struct value value, struct tally *tally)
{
    if (tally->gave_up_here == PCRE2_GIVES_UP_MAX)
        return;
    bool ours = automaton_accepts(automaton, value.bytes, value.length);
    enum oracle_answer theirs = oracle_pcre2_accepts(oracle, value.bytes, value.length);
    tally->values++;
    tally->pcre2_gave_up += theirs == ORACLE_UNKNOWN;
    tally->gave_up_here += theirs == ORACLE_UNKNOWN;
    if (theirs != ORACLE_UNKNOWN && ours != (theirs == ORACLE_YES))
        fail_msg("`%s` and `%s`: %s here, %s to PCRE2", text, value.bytes, ours ? "yes" : "no",
                 theirs == ORACLE_YES ? "yes" : "no");
}

static void compare_values(struct arena *arena, const char *text, const struct automaton *automaton,
                           struct tally *tally)
{
    struct pattern_error error;
    const char *expanded = pattern_pcre2(arena, text, strlen(text), NULL, &error);
    assert_non_null(expanded);
    struct oracle_pcre2 *oracle = oracle_pcre2_new(expanded, strlen(expanded));
    if (!oracle)
        fail_msg("PCRE2 does not take `%s`, of `%s`", expanded, text);
    struct value *values, *near;
    size_t count = witness_cover(arena, automaton, 24, &values);
    for (size_t i = 0; i < count; i++) {
        compare_value(text, automaton, oracle, values[i], tally);
        size_t near_count = witness_mutate(arena, values[i], 10, &near);
        for (size_t j = 0; j < near_count; j++)
            compare_value(text, automaton, oracle, near[j], tally);
    }
    count = witness_sample(arena, automaton, 12, &values);
    for (size_t i = 0; i < count; i++)
        compare_value(text, automaton, oracle, values[i], tally);
    static const char *const others[] = {"", "a", "b", "k", "K", "\n", "-", "ab", "aab", "0", "A"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        compare_value(text, automaton, oracle, (struct value){others[i], strlen(others[i])}, tally);
    oracle_pcre2_free(oracle);
}

static void compare_pattern(struct arena *arena, const char *text, struct tally *tally)
{
    struct pattern_error error;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
    if (!tree)
        fail_msg("`%s` is refused at %u: %s", text, error.begin, error.message);
    struct automaton *automaton = automaton_from_pattern(arena, tree, 5000);
    tally->patterns++;
    tally->gave_up_here = 0;
    if (!automaton) {
        tally->over_budget++;
        return;
    }
    compare_values(arena, text, automaton, tally);
    const char *witness;
    size_t length;
    enum oracle_answer same = automaton->state_count < 60
                                  ? oracle_libfa_equal(arena, tree, automaton, &witness, &length)
                                  : ORACLE_UNKNOWN;
    tally->libfa += same == ORACLE_YES;
    if (same == ORACLE_NO)
        fail_msg("`%s`: libfa differs on `%.*s`", text, (int)length, witness);
    /* The tree written out is the same tree. */
    const char *spelled = pattern_spelled(arena, tree);
    const struct pattern *again = pattern_parse(arena, spelled, strlen(spelled), NULL, &error);
    if (!again || !pattern_equal(again, tree))
        fail_msg("`%s` is spelled `%s`, which is another tree", text, spelled);
}

static void test_random_patterns(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct tally tally = {0};
    random_state = setting("SLUICE_SEED", 20);
    unsigned long count = setting("SLUICE_PATTERNS", PATTERNS);
    struct arena *arena = arena_new(0);
    for (unsigned long i = 0; i < count; i++) {
        if (i % 100 ==
            99) { /* an arena keeps what it learned of Unicode: not a new one each time */
            arena_free(arena);
            arena = arena_new(0);
        }
        write_pattern(&text);
        compare_pattern(arena, buffer_text(&text), &tally);
    }
    arena_free(arena);
    buffer_free(&text);
    printf("    %zu patterns (%zu over the budget), %zu equal to libfa's, %zu values (%zu over "
           "PCRE2's limits)\n",
           tally.patterns, tally.over_budget, tally.libfa, tally.values, tally.pcre2_gave_up);
    assert_true(tally.over_budget * 20 < tally.patterns);
    assert_true(tally.libfa * 2 > tally.patterns);
    assert_true(tally.pcre2_gave_up * 50 < tally.values);
}

/* Operations on automata against what they mean value by value. */
static void test_random_operations(void **state)
{
    (void)state;
    struct buffer text = {0};
    random_state = setting("SLUICE_SEED", 20) + 1;
    for (int i = 0; i < 200; i++) {
        struct arena *arena = arena_new(0);
        const struct automaton *a[2];
        for (int j = 0; j < 2; j++) {
            struct pattern_error error;
            buffer_clear(&text);
            for (uint32_t k = 1 + draw(3); k > 0; k--) {
                static const char *const units[] = {"a", "b",        "[ab]", "[a-c]", "(?:ab|c)",
                                                    ".", "(?:a|bc)", "c",    "-"};
                buffer_puts(&text, PICK(units));
                if (draw(2))
                    buffer_puts(&text, PICK(quantifiers));
            }
            const struct pattern *tree =
                pattern_parse(arena, buffer_text(&text), text.length, NULL, &error);
            a[j] = automaton_from_pattern(arena, tree, 2000);
            assert_non_null(a[j]);
        }
        const struct automaton *both = automaton_intersect(arena, a[0], a[1], 20000);
        const struct automaton *less = automaton_subtract(arena, a[0], a[1], 20000);
        const struct automaton *either = automaton_union(arena, a, 2, 20000);
        const struct automaton *bare = automaton_without_dash(arena, a[0]);
        const struct automaton *pair = automaton_concat(arena, a, 2, 20000);
        static const char letters[] = "abc-\n";
        char value[6];
        for (size_t size = 0; size < 6; size++)
            for (size_t n = 0, total = (size_t[]){1, 5, 25, 125, 625, 3125}[size]; n < total; n++) {
                for (size_t k = 0, rest = n; k < size; k++, rest /= 5)
                    value[k] = letters[rest % 5];
                bool in[2] = {automaton_accepts(a[0], value, size),
                              automaton_accepts(a[1], value, size)};
                bool splits = false;
                for (size_t k = 0; k <= size && !splits; k++)
                    splits = automaton_accepts(a[0], value, k) &&
                             automaton_accepts(a[1], value + k, size - k);
                assert_int_equal(automaton_accepts(both, value, size), in[0] && in[1]);
                assert_int_equal(automaton_accepts(less, value, size), in[0] && !in[1]);
                assert_int_equal(automaton_accepts(either, value, size), in[0] || in[1]);
                assert_int_equal(automaton_accepts(pair, value, size), splits);
                assert_int_equal(automaton_accepts(bare, value, size),
                                 in[0] && !(size && value[0] == '-'));
            }
        assert_int_equal(automaton_contains(arena, a[1], a[0], NULL, NULL),
                         automaton_is_empty(less));
        assert_int_equal(automaton_overlaps(arena, a[0], a[1], NULL, NULL),
                         !automaton_is_empty(both));
        arena_free(arena);
    }
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_patterns),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
