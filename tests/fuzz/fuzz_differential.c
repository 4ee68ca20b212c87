/* Pattern and value: our automaton, PCRE2, libfa, the automaton over bytes and every form of matcher
 * that the emitter could choose must say the same. The input is the pattern, a NUL, and the value;
 * values that the automaton itself suggests are tried as well. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/emit/matcher.h"
#include "compiler/emit/simplify.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"
#include "compiler/regex/witness.h"
#include "tests/fuzz/support.h"
#include "tests/fuzz/with_matcher.h"

#define STATES_MAX 2000u
#define LIBFA_STATES_MAX 40u
#define SUGGESTED 6u
#define NEAR 3u
#define GIVES_UP_MAX 2u /* values of one pattern that PCRE2 may take too long for */

/* Limits under which the emitter would choose differently: as it does, code wherever it can be,
 * counting wherever it can be, tables. */
static const struct matcher_limits limits[] = {
    MATCHER_LIMITS,
    {16, 100000, UINT32_MAX, UINT32_MAX},
    {0, 500, 2, 0},
    {0, 0, UINT32_MAX, UINT32_MAX},
};
#define LIMITS_COUNT (sizeof limits / sizeof limits[0])

/* One pattern in all its forms. */
struct forms {
    struct arena *arena;
    const struct automaton *automaton;
    const struct byte_automaton *bytes;
    const struct matcher *matchers[LIMITS_COUNT];
    struct oracle_pcre2 *pcre2;
    unsigned gave_up;
};

static void compare(struct forms *forms, const char *bytes, size_t length)
{
    bool expected = automaton_accepts(forms->automaton, bytes, length);

    /* No value has a NUL; PCRE2 does not know. */
    if (length && memchr(bytes, '\0', length)) {
        FUZZ_CHECK(!expected);
        return;
    }
    if (forms->pcre2 && forms->gave_up < GIVES_UP_MAX) {
        enum oracle_answer answer = oracle_pcre2_accepts(forms->pcre2, bytes, length);
        forms->gave_up += answer == ORACLE_UNKNOWN;
        FUZZ_CHECK(answer == ORACLE_UNKNOWN || expected == (answer == ORACLE_YES));
    }
    /* What comes to a matcher is text; the decoder of requests saw to that. */
    if (!is_text(bytes, length))
        return;
    if (forms->bytes) {
        uint32_t state = 1;
        for (size_t i = 0; i < length; i++)
            state = forms->bytes->next[state * forms->bytes->class_count +
                                       forms->bytes->classes[(unsigned char)bytes[i]]];
        FUZZ_CHECK(forms->bytes->accepting[state] == expected);
    }
    for (size_t i = 0; i < LIMITS_COUNT; i++) {
        bool unknown = false;
        if (!forms->matchers[i])
            continue;
        bool taken = matcher_run(forms->arena, forms->matchers[i], bytes, length, &unknown);
        FUZZ_CHECK(unknown || taken == expected);
    }
}

static void compare_suggested(struct forms *forms)
{
    struct value *values, *near;
    size_t count = witness_cover(forms->arena, forms->automaton, SUGGESTED, &values);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(automaton_accepts(forms->automaton, values[i].bytes, values[i].length));
        compare(forms, values[i].bytes, values[i].length);
        size_t near_count = witness_mutate(forms->arena, values[i], NEAR, &near);
        for (size_t k = 0; k < near_count; k++)
            compare(forms, near[k].bytes, near[k].length);
    }
}

static void compare_pattern(struct arena *arena, const struct pattern *tree, const char *text,
                            size_t length, const char *value, size_t value_length)
{
    struct forms forms = {.arena = arena,
                          .automaton = automaton_from_pattern(arena, tree, STATES_MAX)};
    struct pattern_error error;

    if (!forms.automaton)
        return;
    const char *expanded = pattern_pcre2(arena, text, length, NULL, &error);
    if (expanded)
        forms.pcre2 = oracle_pcre2_new(expanded, strlen(expanded));
    forms.bytes = automaton_bytes(arena, forms.automaton, STATES_MAX);
    for (size_t i = 0; i < LIMITS_COUNT; i++)
        forms.matchers[i] = matcher_choose(arena, tree, forms.automaton, limits[i]);
    compare(&forms, value, value_length);
    compare_suggested(&forms);
    if (forms.automaton->state_count <= LIBFA_STATES_MAX)
        FUZZ_CHECK(oracle_libfa_equal(arena, tree, forms.automaton, NULL, NULL) != ORACLE_NO);
    const struct pattern *plain = tree_simplify(arena, tree);
    const struct automaton *again =
        plain ? automaton_from_pattern(arena, plain, STATES_MAX) : NULL;
    if (again && !memchr(text, '0', length)) /* U+0000 is left out of a simplified tree */
        FUZZ_CHECK(automaton_contains(arena, forms.automaton, again, NULL, NULL));
    oracle_pcre2_free(forms.pcre2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t length, value_length;
    char *text = input_text(&input, &length), *value = input_rest(&input, &value_length);
    struct arena *arena = arena_new((size_t)1 << 30);
    struct pattern_error error;

    const struct pattern *tree = pattern_parse(arena, text, length, NULL, &error);
    if (tree)
        compare_pattern(arena, tree, text, length, value, value_length);
    arena_free(arena);
    free(text);
    free(value);
    return 0;
}
