/* Which form a pattern's matcher takes, and that the counted form is exact: its parts, matched one
 * after the other as far as each goes, accept what the pattern's automaton accepts. */
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
#include "compiler/emit/matcher.h"
#include "compiler/regex/automaton.h"

static const struct matcher *chosen(struct arena *arena, const char *text,
                                    struct matcher_limits limits,
                                    const struct automaton **automaton)
{
    struct pattern_error error;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, &error);
    if (!tree)
        fail_msg("%s: %s", text, error.message);
    *automaton = automaton_from_pattern(arena, tree, AUTOMATON_STATES_MAX);
    if (!*automaton)
        return NULL;
    return matcher_choose(arena, tree, *automaton, limits);
}

/* ---- forms ----------------------------------------------------------------------------------- */

static void each_pattern_takes_its_form(void **state)
{
    (void)state;
    const struct {
        const char *text;
        enum matcher_form form;
        size_t parts;
    } all[] = {
        {"main", MATCHER_LITERAL, 0},
        {"", MATCHER_LITERAL, 0},
        {"a{3}", MATCHER_LITERAL, 0},
        {"a\\x00", MATCHER_NOTHING, 0},
        {"[a-z]+", MATCHER_CODE, 0},
        {"[a-z]{1,3}", MATCHER_CODE, 0},
        {"(main|master|[0-9]{2})", MATCHER_CODE, 0},
        {"[a-z][a-z0-9-]{0,40}", MATCHER_COUNTED, 1},
        {"[\\x20-\\x7e]{0,4000}", MATCHER_COUNTED, 1},
        {"[^\\x00-\\x1f]{0,4000}", MATCHER_COUNTED, 1},
        {"[0-9a-f]{64}", MATCHER_COUNTED, 1},
        {"v[0-9]{1,60}-[a-z]{3}", MATCHER_COUNTED, 1},
        {"([a-z]{1,200}/){1,10}", MATCHER_COUNTED, 1},
        {"(/[a-zA-Z0-9._-]{1,255}){1,16}", MATCHER_COUNTED, 1},
        {"([a-z]{1,200}/){0,10}[a-z]{1,200}", MATCHER_COUNTED, 2},
        {"[a-z]{1,64}@[a-z0-9.-]{1,255}", MATCHER_COUNTED, 3},
        {"[a-z]{1,40}(/[a-z]{1,40})?", MATCHER_COUNTED, 2},
        {"(?:\\p{L}|\\p{N}){1,40}", MATCHER_COUNTED, 1},
        /* No count tells the parts of these apart. */
        {"[a-z]{1,40}[a-z0-9]{1,40}", MATCHER_CODE, 0},
        {"[ab]*a[ab]{6}", MATCHER_CODE, 0},
        {"[ab]*a[ab]{10}", MATCHER_TABLE, 0},
        {"[a-z]{0,300}[a-z0-9]{0,300}", MATCHER_TABLE, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct arena *arena = arena_new(0);
        const struct automaton *automaton;
        const struct matcher *matcher = chosen(arena, all[i].text, MATCHER_LIMITS, &automaton);
        if (!matcher)
            fail_msg("%s: too large", all[i].text);
        if (matcher->form != all[i].form || matcher->part_count != all[i].parts)
            fail_msg("%s: form %d of %zu parts", all[i].text, matcher->form, matcher->part_count);
        arena_free(arena);
    }
}

/* ---- parts, matched as the generated code does ----------------------------------------------- */

/* Bytes of the longest value of `a` at the start of the text; SIZE_MAX when there is none. ASCII. */
static size_t longest(const struct automaton *a, const char *text, size_t length)
{
    uint32_t state = 0;
    size_t found = a->states[0].accepting ? 0 : SIZE_MAX;
    for (size_t at = 0; at < length; at++) {
        const struct automaton_state *from = &a->states[state];
        uint32_t next = UINT32_MAX;
        for (uint32_t i = 0; i < from->transition_count; i++)
            if ((unsigned char)text[at] >= from->transitions[i].low &&
                (unsigned char)text[at] <= from->transitions[i].high)
                next = from->transitions[i].target;
        if (next == UINT32_MAX)
            break;
        state = next;
        if (a->states[state].accepting)
            found = at + 1;
    }
    return found;
}

static bool part_take(const struct matcher_part *part, const struct automaton *body,
                      const char *text, size_t length, size_t *at)
{
    size_t took = longest(body, text + *at, length - *at);
    if (took == SIZE_MAX || took < part->least || took > part->most)
        return false;
    *at += took;
    return true;
}

static bool parts_accept(const struct matcher *matcher, const struct automaton *const *bodies,
                         const char *text, size_t length)
{
    size_t at = 0;
    for (size_t i = 0; i < matcher->part_count; i++) {
        const struct matcher_part *part = &matcher->parts[i];
        uint32_t times = 0;
        while (times < part->maximum && part_take(part, bodies[i], text, length, &at))
            times++;
        if (times < part->minimum)
            return false;
    }
    return at == length;
}

/* Every text over four letters up to this length: 5,461 of them. */
#define LETTERS "ab/."
#define TEXT_MAX 6

static void compare_on_all_texts(const char *pattern, const struct matcher *matcher,
                                 const struct automaton *const *bodies,
                                 const struct automaton *automaton)
{
    char text[TEXT_MAX];
    unsigned digits[TEXT_MAX];
    for (size_t length = 0; length <= TEXT_MAX; length++) {
        memset(digits, 0, sizeof digits);
        for (bool more = true; more;) {
            for (size_t i = 0; i < length; i++)
                text[i] = LETTERS[digits[i]];
            bool expected = automaton_accepts(automaton, text, length);
            if (parts_accept(matcher, bodies, text, length) != expected)
                fail_msg("%s on \"%.*s\": the automaton says %d", pattern, (int)length, text,
                         expected);
            more = false;
            for (size_t i = 0; i < length && !more; i++) {
                digits[i] = (digits[i] + 1) % 4;
                more = digits[i] != 0;
            }
        }
    }
}

/* Whether the pattern took the counted form; then it is compared. */
static bool compare_if_counted(const char *pattern)
{
    struct arena *arena = arena_new(0);
    const struct automaton *automaton;
    const struct matcher *matcher =
        chosen(arena, pattern, (struct matcher_limits){0, 500, 2}, &automaton);
    bool counted = matcher && matcher->form == MATCHER_COUNTED;
    if (counted) {
        const struct automaton **bodies = arena_array(arena, matcher->part_count, sizeof *bodies);
        for (size_t i = 0; i < matcher->part_count; i++)
            bodies[i] = automaton_from_pattern(arena, matcher->parts[i].tree, 2000);
        compare_on_all_texts(pattern, matcher, bodies, automaton);
    }
    arena_free(arena);
    return counted;
}

static void counted_patterns_are_exact(void **state)
{
    (void)state;
    static const char *const all[] = {
        "[ab]{0,4}", "a[ab]{1,3}", "[ab]{2,4}/", "/[ab]{0,3}\\.", "[ab]{3}", "(a[ab]{2})",
        "([ab]{1,2}/){1,2}", "(/[ab]{1,2}){1,2}", "([ab]{1,2}/){0,2}[ab]{1,3}",
        "[ab]{1,2}/[ab.]{1,3}", "[ab]{1,2}(/[ab]{1,2})?", "(\\.[ab]{2})?/[ab]{0,2}",
        "(\\./){0,2}[ab]{0,2}", "([ab]{2}){2}", "(ab?/){1,2}", "(a/|b){2,3}", "[ab]{1,2}(\\.a)?/?",
        "[ab/]{2,4}", "(a[/.]{0,2}b){1,2}", "([ab]{0,2}/){2}",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!compare_if_counted(all[i]))
            fail_msg("%s was not counted", all[i]);
}

/* Taking all that can be taken would be wrong for each of these. */
static void counting_is_not_chosen_where_it_would_be_wrong(void **state)
{
    (void)state;
    static const char *const all[] = {
        "(a/){0,2}a/b", "(a/)?a/\\.", "(a/){1,2}a/", "(ab){0,2}(ab/|b)", "([ab]/){1,2}a/",
        "[ab]{1,2}[ab/]{1,3}", "(a[b/]?){2}/", "(/a?){1,2}a", "a{1,2}(a/)?b{0,1}",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (compare_if_counted(all[i]))
            fail_msg("%s was counted", all[i]);
}

/* ---- patterns made by chance ----------------------------------------------------------------- */

/* Numerical Recipes' generator: the same everywhere. */
static uint32_t chance(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void item_add(struct buffer *out, uint32_t *seed, unsigned depth)
{
    static const char *const atoms[] = {"a", "b", "/", "\\.", "[ab]", "[ab/]", "[a.]", "[^/]"};
    uint32_t kind = chance(seed, depth ? 6 : 4);
    if (kind < 4) {
        buffer_puts(out, atoms[chance(seed, sizeof atoms / sizeof *atoms)]);
    } else {
        buffer_char(out, '(');
        uint32_t count = 1 + chance(seed, 3);
        for (uint32_t i = 0; i < count; i++) {
            if (i && chance(seed, 4) == 0)
                buffer_char(out, '|');
            item_add(out, seed, depth - 1);
        }
        buffer_char(out, ')');
    }
    static const char *const repeats[] = {"", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,2}",
                                          "{1,3}", "{2,3}", "{0,3}"};
    buffer_puts(out, repeats[chance(seed, sizeof repeats / sizeof *repeats)]);
}

static void patterns_made_by_chance_are_exact(void **state)
{
    (void)state;
    uint32_t seed = 20240917;
    unsigned counted = 0;
    for (unsigned i = 0; i < 2500; i++) {
        struct buffer pattern = {0};
        uint32_t items = 1 + chance(&seed, 4);
        for (uint32_t k = 0; k < items; k++)
            item_add(&pattern, &seed, 2);
        counted += compare_if_counted(buffer_text(&pattern));
        buffer_free(&pattern);
    }
    /* The comparison must have been made often enough to mean something. */
    assert_true(counted >= 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pattern_takes_its_form),
        cmocka_unit_test(counted_patterns_are_exact),
        cmocka_unit_test(counting_is_not_chosen_where_it_would_be_wrong),
        cmocka_unit_test(patterns_made_by_chance_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
