/* Text that nobody would write: whatever comes, an answer comes, with a place and words, or a
 * pattern that PCRE2 reads as the same language. And the time that ordinary patterns take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"
#include "compiler/regex/witness.h"

#define SOUPS 6000

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

/* One name of the user's, which is put into soups. */
static const char named[] = "(?x) a | b # or";

static const struct pattern *names_find(void *context, const char *name, size_t length)
{
    struct pattern_error error;
    return length == 1 && name[0] == 'n'
               ? pattern_parse(context, named, strlen(named), NULL, &error)
               : NULL;
}

static const char *names_text(void *context, const char *name, size_t length, size_t *text_length)
{
    (void)context;
    (void)name;
    (void)length;
    *text_length = strlen(named);
    return named;
}

/* Values that the pieces of a soup may be about. */
static void compare_values(const char *text, const char *expanded,
                           const struct automaton *automaton)
{
    static const char *const values[] = {"",   "a",   "b", "ab", "#", " ",  "a b", "aa", "A",
                                         "-",  "]",   "[", "^",  "$", "\\", "0",   "\n", "x",
                                         "a#", "a\n", "n", "@n", "}", ":",  "aab", "ba", "B"};
    struct oracle_pcre2 *oracle = oracle_pcre2_new(expanded, strlen(expanded));
    if (!oracle)
        fail_msg("PCRE2 does not take `%s`, of `%s`", expanded, text);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bool ours = automaton_accepts(automaton, values[i], strlen(values[i]));
        enum oracle_answer theirs = oracle_pcre2_accepts(oracle, values[i], strlen(values[i]));
        if (theirs != ORACLE_UNKNOWN && ours != (theirs == ORACLE_YES))
            fail_msg("`%s`, to PCRE2 `%s`, and `%s`: %d here", text, expanded, values[i], ours);
    }
    struct arena *arena = arena_new(0);
    struct value *more;
    size_t count = witness_cover(arena, automaton, 12, &more);
    for (size_t i = 0; i < count; i++)
        if (oracle_pcre2_accepts(oracle, more[i].bytes, more[i].length) == ORACLE_NO)
            fail_msg("`%s`, to PCRE2 `%s`, and `%s`: only here", text, expanded, more[i].bytes);
    arena_free(arena);
    oracle_pcre2_free(oracle);
}

/* Whether it was taken; all promises about the answer are checked. */
static bool check_text(struct arena *arena, const char *text, size_t length)
{
    struct pattern_names names = {names_find, arena, names_text};
    struct pattern_error error = {UINT32_MAX, UINT32_MAX, NULL, NULL}, second;
    const struct pattern *tree = pattern_parse(arena, text, length, &names, &error);
    const char *expanded = pattern_pcre2(arena, text, length, &names, &second);
    if (!tree) {
        assert_non_null(error.message);
        assert_true(strlen(error.message) > 5);
        assert_true(error.begin <= error.end && error.end <= length);
        return false;
    }
    assert_non_null(expanded);
    const char *spelled = pattern_spelled(arena, tree);
    const struct pattern *again = pattern_parse(arena, spelled, strlen(spelled), NULL, &error);
    if (!again || !pattern_equal(again, tree))
        fail_msg("`%s` is spelled `%s`", text, spelled);
    const struct automaton *automaton = automaton_from_pattern(arena, tree, 300);
    if (automaton)
        compare_values(text, expanded, automaton);
    return true;
}

static const char *const pieces[] = {
    "a",      "b",         "a",           "b",      "ab",       "0",     "x",       "n",
    " ",      "#",         "\n",          "-",      ",",        ":",     "@",       "^",
    "$",      ".",         "|",           "|",      "(",        ")",     "(",       ")",
    "[",      "]",         "[",           "]",      "{",        "}",     "*",       "+",
    "?",      "\\",        "(?:",         "(?i)",   "(?x)",     "(?s)",  "(?i:",    "(?x:",
    "(?-x:",  "(?is-x:",   "(?^",         "(?=",    "(?!",      "(?#",   "(?|",     "(?>",
    "(?<n>",  "(?P<m>",    "(?P=",        "(?@n)",  "(?@word)", "(?@",   "@n",      "@word",
    "[^",     "[:alpha:]", "[[:alpha:]]", "[:",     ":]",       "[.",    "[=",      "{2}",
    "{1,2}",  "{2,}",      "{,2}",        "{0}",    "*?",       "+?",    "++",      "\\d",
    "\\w",    "\\s",       "\\D",         "\\n",    "\\t",      "\\v",   "\\0",     "\\1",
    "\\x41",  "\\x{42}",   "\\x",         "\\p{L}", "\\pN",     "\\p{",  "\\P{Lu}", "\\Q",
    "\\E",    "\\b",       "\\A",         "\\z",    "\\K",      "\\ ",   "\\#",     "\\-",
    "\\]",    "\\^",       "\\$",         "\\@",    "\\\\",     "[a-b]", "[^a]",    "[]",
    "[]a]",   "a-b",       "--",          "&&",     "\xc3\xa9", "\xff",  "\xc3",    "(*",
    "(*UTF)", "\x7f",
};

static void test_soup(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct arena *arena = arena_new(0);
    size_t taken = 0;
    random_state = setting("SLUICE_SEED", 7);
    unsigned long soups = setting("SLUICE_PATTERNS", SOUPS);
    for (unsigned long i = 0; i < soups; i++) {
        buffer_clear(&text);
        for (uint32_t length = 1 + draw(7); length > 0; length--)
            buffer_puts(&text, pieces[draw(sizeof pieces / sizeof *pieces)]);
        taken += check_text(arena, buffer_text(&text), text.length);
    }
    printf("    %zu of %lu soups are patterns\n", taken, soups);
    assert_true(taken * 12 > soups);
    arena_free(arena);
    buffer_free(&text);
}

static const char *const whole[] = {
    "(?i)^(?<n>[a-z\\d_-]{1,40}|x(?@word)\\.(?s:.)+?)$",
    "(?x) a # c\n | \\p{Lu}[[:^digit:]\\]^-]* (?-x: )",
    "@int(-12,345)",
    "\\x{1F600}\\x41[^\\x00-\\x1f]{0,12}(?:ab|c(?:d|e)?)*",
    "@url(https,a.example)",
};

/* Cut anywhere, with any byte changed to any of a few, and with any byte doubled. */
static void test_damaged_patterns(void **state)
{
    (void)state;
    static const char changes[] = "()[]{}|*+?\\^$.@#a0-:, \n\x01\x80\xff";
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        struct arena *arena = arena_new(0);
        size_t length = strlen(whole[i]);
        assert_true(check_text(arena, whole[i], length));
        char *text = arena_alloc(arena, length + 2);
        for (size_t at = 0; at <= length; at++) {
            memcpy(text, whole[i], length + 1);
            text[at] = '\0';
            check_text(arena, text, at);
            memcpy(text + at, whole[i] + at, length + 1 - at);
            for (size_t j = 0; at < length && j < sizeof changes; j++) {
                text[at] = changes[j];
                check_text(arena, text, length);
            }
            memcpy(text, whole[i], at);
            memcpy(text + at + 1, whole[i] + at, length + 1 - at);
            text[at] = at ? text[at - 1] : '(';
            check_text(arena, text, length + 1);
        }
        arena_free(arena);
    }
}

static void test_every_byte(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char text[3] = {(char)first, (char)second, '\0'};
            check_text(arena, text, 2);
        }
    arena_free(arena);
}

static char *repeated(struct arena *arena, const char *unit, size_t count)
{
    size_t size = strlen(unit);
    char *text = arena_alloc(arena, size * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    return text;
}

/* 64 KiB of one thing: time and memory stay bounded; what comes out is not the point. */
static void test_long_patterns(void **state)
{
    (void)state;
    static const char *const units[] = {
        "a",
        "(",
        "[",
        "a|",
        "(a|b)",
        "\\p{L}",
        "[\\p{L}a]",
        "[^a]",
        ".*",
        "(?:a?b?){0,9}",
        "a{0,65535}",
        "[a-z]{0,99}",
        "(?i:k)",
        "\\",
        "(?:",
        "x*y+",
        "@",
        "(?@word)",
        "[[:alpha:]]",
        "\xe4\xb8\xad|",
        "(?x) ",
        "|",
        "a{3}{",
        "\\x{10ffff}",
        "$",
        "^",
        "(?@int(1,9))?",
        "[a\xe4\xb8\x80-\xe4\xb8\xad]*b",
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct arena *arena = arena_new((size_t)1 << 30);
        const char *text = repeated(arena, units[i], PATTERN_LENGTH_MAX / strlen(units[i]));
        struct pattern_error error;
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
        const struct automaton *automaton =
            tree ? automaton_from_pattern(arena, tree, AUTOMATON_STATES_MAX) : NULL;
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("    %-32s %6ld ms, %4zu MiB, %s\n", units[i],
               (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
               arena_used(arena) >> 20,
               automaton ? "an automaton"
               : tree    ? "over the budget"
                         : error.message);
        if (tree)
            assert_non_null(pattern_canonical(arena, tree));
        arena_free(arena);
    }
}

/* 300 patterns such as people write, all that a compile does with each. */
static void test_time_of_ordinary_patterns(void **state)
{
    (void)state;
    static const char *const forms[][2] = {
        /* with a number between */
        {"[a-z][a-z0-9-]{0,", "}"},
        {"@int(1,", ")"},
        {"feature/[A-Za-z0-9._-]{1,", "}"},
        {"[\\x20-\\x7e]{0,", "}"},
        {"(?i)(?:yes|no|maybe){1,", "}"},
        {"@text(1,", ")"},
        {"/srv/w", "(?:/[a-zA-Z0-9._-]{1,60}){1,8}"},
        {"(?@hostname):(?@int(1,", "))"},
        {"v[0-9]{1,", "}\\.[0-9]+"},
        {"[^\\n]{0,", "}:[^\\n]{0,30}"},
    };
    struct arena *arena = arena_new(0);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    size_t states = 0;
    for (int i = 0; i < 300; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s%d%s", forms[i % 10][0], 10 + i, forms[i % 10][1]);
        struct pattern_error error;
        const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
        assert_non_null(tree);
        const struct automaton *automaton =
            automaton_from_pattern(arena, tree, AUTOMATON_STATES_MAX);
        assert_non_null(automaton);
        assert_non_null(pattern_canonical(arena, tree));
        assert_non_null(pattern_pcre2(arena, text, strlen(text), NULL, &error));
        assert_non_null(automaton_without_dash(arena, automaton));
        assert_non_null(automaton_bytes(arena, automaton, 200000));
        states += automaton->state_count;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("    300 patterns, %zu states: %ld ms, %zu MiB\n", states,
           (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
           arena_used(arena) >> 20);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soup),
        cmocka_unit_test(test_damaged_patterns),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_long_patterns),
        cmocka_unit_test(test_time_of_ordinary_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
