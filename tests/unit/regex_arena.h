/* What the tests of compiler/regex share: an arena, and patterns and automata in it from texts that must
 * be right. */
#ifndef SLUICE_TESTS_REGEX_ARENA_H
#define SLUICE_TESTS_REGEX_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/regex/automaton.h"
#include "compiler/regex/pattern.h"

static struct arena *arena;

static inline int set_up(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* `names` may be NULL: then the text uses none. */
static inline const struct pattern *parse_with(const char *text, const struct pattern_names *names)
{
    struct pattern_error error;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), names, &error);
    if (!tree)
        fail_msg("`%s`: %u-%u: %s", text, error.begin, error.end, error.message);
    return tree;
}

static inline const struct pattern *parse(const char *text)
{
    return parse_with(text, NULL);
}

static inline struct automaton *build(const char *text)
{
    struct automaton *automaton = automaton_from_pattern(arena, parse(text), AUTOMATON_STATES_MAX);
    if (!automaton)
        fail_msg("`%s` is over the budget", text);
    return automaton;
}

#endif
