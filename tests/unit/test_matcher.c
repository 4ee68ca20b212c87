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
        {"[a-z][a-z0-9-]{0,40}", MATCHER_SPLIT, 1},
        {"[\\x20-\\x7e]{0,4000}", MATCHER_SPLIT, 1},
        {"[^\\x00-\\x1f]{0,4000}", MATCHER_SPLIT, 1},
        {"[0-9a-f]{64}", MATCHER_SPLIT, 1},
        {"v[0-9]{1,60}-[a-z]{3}", MATCHER_SPLIT, 1},
        {"([a-z]{1,200}/){1,10}", MATCHER_PARTS, 1},
        {"(/[a-zA-Z0-9._-]{1,255}){1,16}", MATCHER_PARTS, 1},
        {"([a-z]{1,200}/){0,10}[a-z]{1,200}", MATCHER_PARTS, 2},
        {"[a-z]{1,64}@[a-z0-9.-]{1,255}", MATCHER_PARTS, 3},
        {"[a-z]{1,40}(/[a-z]{1,40})?", MATCHER_PARTS, 2},
        {"(?:\\p{L}|\\p{N}){1,40}", MATCHER_SPLIT, 1},
        /* Several lengths, several shapes. */
        {"[a-z][a-z._-]{0,80}\\.(tar\\.gz|whl|deb)", MATCHER_ANY, 0},
        {"v?[a-z]{1,60}(\\.gz)?", MATCHER_ANY, 0},
        {"HEAD|[0-9a-f]{40}|[a-z][a-z-]{0,60}|main", MATCHER_ANY, 0},
        {"[0-9]{1,12}-[a-z0-9][a-z0-9._-]{0,80}\\.(tar\\.gz|whl|deb)", MATCHER_PARTS, 1},
        /* No count tells the parts of these apart. */
        {"[a-z]{1,20}[a-z0-9]{1,20}", MATCHER_CODE, 0},
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

/* A part's tree as an automaton; made once for each part. */
struct bodies {
    struct arena *arena;
    const struct automaton *of[64];
    const struct pattern *trees[64];
    size_t count;
};

static const struct automaton *body_of(struct bodies *bodies, const struct pattern *tree)
{
    for (size_t i = 0; i < bodies->count; i++)
        if (bodies->trees[i] == tree)
            return bodies->of[i];
    assert_true(bodies->count < 64);
    bodies->trees[bodies->count] = tree;
    return bodies->of[bodies->count++] = automaton_from_pattern(bodies->arena, tree, 2000);
}

static bool part_take(struct bodies *bodies, const struct matcher_part *part, const char *text,
                      size_t length, size_t *at)
{
    size_t took = longest(body_of(bodies, part->tree), text + *at, length - *at);
    if (took == SIZE_MAX || took < part->least || took > part->most)
        return false;
    *at += took;
    return true;
}

static bool accepts(struct bodies *bodies, const struct matcher *matcher, const char *text,
                    size_t length);

static bool parts_accept(struct bodies *bodies, const struct matcher *matcher, const char *text,
                         size_t length)
{
    size_t at = 0;
    for (size_t i = 0; i < matcher->part_count; i++) {
        const struct matcher_part *part = &matcher->parts[i];
        uint32_t times = 0;
        while (times < part->maximum && part_take(bodies, part, text, length, &at))
            times++;
        if (times < part->minimum)
            return false;
    }
    if (matcher->rest)
        return accepts(bodies, matcher->rest, text + at, length - at);
    return at == length;
}

static bool accepts(struct bodies *bodies, const struct matcher *matcher, const char *text,
                    size_t length)
{
    const struct matcher_part *part = matcher->parts;
    switch (matcher->form) {
    case MATCHER_NOTHING:
        return false;
    case MATCHER_LITERAL:
        return length == matcher->literal_length && memcmp(text, matcher->literal, length) == 0;
    case MATCHER_SPLIT:
        return automaton_accepts(body_of(bodies, part->tree), text, length) &&
               length >= part->least && length <= part->most;
    case MATCHER_PARTS:
        return parts_accept(bodies, matcher, text, length);
    case MATCHER_ANY:
        for (size_t i = 0; i < matcher->other_count; i++)
            if (accepts(bodies, matcher->others[i], text, length))
                return true;
        return false;
    case MATCHER_CODE:
        return automaton_accepts(body_of(bodies, matcher->tree), text, length);
    case MATCHER_TABLE:
        fail_msg("a table");
    }
    return false;
}

/* Every text over four letters up to this length: 5,461 of them. */
#define LETTERS "ab/."
#define TEXT_MAX 6

static void compare_on_all_texts(const char *pattern, const struct matcher *matcher,
                                 struct bodies *bodies, const struct automaton *automaton)
{
    char text[TEXT_MAX];
    unsigned digits[TEXT_MAX];
    for (size_t length = 0; length <= TEXT_MAX; length++) {
        memset(digits, 0, sizeof digits);
        for (bool more = true; more;) {
            for (size_t i = 0; i < length; i++)
                text[i] = LETTERS[digits[i]];
            bool expected = automaton_accepts(automaton, text, length);
            if (accepts(bodies, matcher, text, length) != expected)
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

/* Whether the pattern is matched by counting; then it is compared. */
static bool compare_if_counted(const char *pattern)
{
    struct arena *arena = arena_new(0);
    const struct automaton *automaton;
    const struct matcher *matcher =
        chosen(arena, pattern, (struct matcher_limits){0, 500, 2, 0}, &automaton);
    bool counted = matcher && (matcher->form == MATCHER_SPLIT || matcher->form == MATCHER_PARTS ||
                               matcher->form == MATCHER_ANY);
    if (counted) {
        struct bodies bodies = {.arena = arena};
        compare_on_all_texts(pattern, matcher, &bodies, automaton);
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
        "[ab/]{2,4}", 
        "a?[ab]{1,3}(/b)?", "a/|[ab]{2,4}\\.", "[ab]{1,2}/[ab.]{0,3}\\.(a|ba)","(a[/.]{0,2}b){1,2}", "([ab]{0,2}/){2}",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!compare_if_counted(all[i]))
            fail_msg("%s was not counted", all[i]);
}

/* Taking all that can be taken would be wrong for each of these, at least in its first part. */
static void counting_stops_where_it_would_be_wrong(void **state)
{
    (void)state;
    static const char *const all[] = {
        "(a/){0,2}a/b", "(a/)?a/\\.", "(a/){1,2}a/", "(ab){0,2}(ab/|b)", "([ab]/){1,2}a/",
        "[ab]{1,2}[ab/]{1,3}", "(a[b/]?){2}/", "(/a?){1,2}a", "a{1,2}(a/)?b{0,1}",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        compare_if_counted(all[i]);
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
        cmocka_unit_test(counting_stops_where_it_would_be_wrong),
        cmocka_unit_test(patterns_made_by_chance_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
