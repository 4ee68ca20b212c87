#include "compiler/regex/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/paths.h"

/* ---- making ---------------------------------------------------------------------------------- */

struct automaton *automaton_from_pattern(struct arena *arena, const struct pattern *pattern,
                                         uint32_t budget)
{
    struct arena *scratch = arena_new(0);
    struct nfa *nfa = nfa_from_pattern(scratch, pattern);
    struct automaton *result = nfa ? automaton_from_nfa(arena, nfa, budget) : NULL;
    arena_free(scratch);
    return result;
}

/* An automaton of `count` states without transitions, none accepting. */
static struct automaton *automaton_room(struct arena *arena, uint32_t count)
{
    struct automaton *automaton = arena_alloc(arena, sizeof *automaton);
    automaton->states = arena_array(arena, count, sizeof *automaton->states);
    automaton->state_count = count;
    return automaton;
}

struct automaton *automaton_literal(struct arena *arena, const char *utf8, size_t length)
{
    struct automaton *automaton = automaton_room(arena, (uint32_t)length + 1);
    uint32_t state = 0;
    for (size_t at = 0; at < length; state++) {
        uint32_t scalar;
        at += utf8_decode(utf8 + at, length - at, &scalar);
        if (scalar == UTF8_INVALID)
            return automaton_room(arena, 1); /* no value spells it */
        struct automaton_state *from = &automaton->states[state];
        from->transitions = arena_alloc(arena, sizeof *from->transitions);
        from->transitions[0] = (struct transition){scalar, scalar, state + 1};
        from->transition_count = 1;
    }
    automaton->states[state].accepting = true;
    automaton->state_count = state + 1;
    return automaton;
}

struct automaton *automaton_everything(struct arena *arena)
{
    struct automaton *automaton = automaton_room(arena, 1);
    struct charset all = charset_range(arena, 0, SCALAR_MAX);
    automaton->states[0].accepting = true;
    automaton->states[0].transitions = arena_array(arena, all.count, sizeof(struct transition));
    for (size_t i = 0; i < all.count; i++)
        automaton->states[0].transitions[automaton->states[0].transition_count++] =
            (struct transition){all.ranges[i].low, all.ranges[i].high, 0};
    return automaton;
}

/* ---- values without a leading '-' ------------------------------------------------------------ */

/* A row of transitions without one scalar. */
static struct automaton_state state_without(struct arena *arena,
                                            const struct automaton_state *state, uint32_t scalar)
{
    struct automaton_state result = {.accepting = state->accepting};
    result.transitions =
        arena_array(arena, (size_t)state->transition_count + 1, sizeof *result.transitions);
    for (uint32_t i = 0; i < state->transition_count; i++) {
        struct transition whole = state->transitions[i];
        bool inside = whole.low <= scalar && scalar <= whole.high;
        if (!inside)
            result.transitions[result.transition_count++] = whole;
        if (inside && whole.low < scalar)
            result.transitions[result.transition_count++] =
                (struct transition){whole.low, scalar - 1, whole.target};
        if (inside && whole.high > scalar)
            result.transitions[result.transition_count++] =
                (struct transition){scalar + 1, whole.high, whole.target};
    }
    return result;
}

static bool states_equal(const struct automaton_state *a, const struct automaton_state *b)
{
    return a->accepting == b->accepting && a->transition_count == b->transition_count &&
           (a->transition_count == 0 || memcmp(a->transitions, b->transitions,
                                               a->transition_count * sizeof *a->transitions) == 0);
}

/* The states of `a` reached from `start`, which is one of them or behind them, numbered again. */
static struct automaton *renumbered(struct arena *arena, const struct automaton *a,
                                    const struct automaton_state *start)
{
    uint32_t *number = memory_zeroed(a->state_count, sizeof *number); /* + 1; 0: none yet */
    struct automaton *result = automaton_room(arena, a->state_count + 1);
    result->states[0] = *start;
    result->state_count = 1;
    if (start >= a->states && start < a->states + a->state_count)
        number[start - a->states] = 1;
    for (uint32_t i = 0; i < result->state_count; i++) {
        struct automaton_state *state = &result->states[i];
        struct transition *row = arena_array(arena, state->transition_count, sizeof *row);
        for (uint32_t j = 0; j < state->transition_count; j++) {
            uint32_t target = state->transitions[j].target;
            if (number[target] == 0) {
                result->states[result->state_count] = a->states[target];
                number[target] = ++result->state_count;
            }
            row[j] = state->transitions[j];
            row[j].target = number[target] - 1;
        }
        state->transitions = row;
    }
    free(number);
    return result;
}

/* Only the start changes, so no general construction is needed, and no budget: the other states
 * stay as different from each other as they are, and the new start can be equal to one of them at
 * most. */
struct automaton *automaton_without_dash(struct arena *arena, const struct automaton *a)
{
    struct automaton_state start = state_without(arena, &a->states[0], '-');
    if (start.transition_count == 0 && !start.accepting)
        return automaton_room(arena, 1);
    for (uint32_t i = 0; i < a->state_count; i++)
        if (states_equal(&a->states[i], &start))
            return renumbered(arena, a, &a->states[i]);
    return renumbered(arena, a, &start);
}

/* ---- questions ------------------------------------------------------------------------------- */

bool automaton_is_empty(const struct automaton *a)
{
    return a->state_count == 1 && !a->states[0].accepting;
}

bool automaton_equal(const struct automaton *a, const struct automaton *b)
{
    if (a == b)
        return true;
    if (a->state_count != b->state_count)
        return false;
    for (uint32_t i = 0; i < a->state_count; i++)
        if (!states_equal(&a->states[i], &b->states[i]))
            return false;
    return true;
}

/* Where a scalar leads from a state; NONE for nowhere. */
static uint32_t state_step(const struct automaton_state *state, uint32_t scalar)
{
    uint32_t low = 0, high = state->transition_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->transitions[middle].high < scalar)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < state->transition_count && state->transitions[low].low <= scalar;
    return found ? state->transitions[low].target : NONE;
}

bool automaton_accepts(const struct automaton *a, const char *bytes, size_t length)
{
    uint32_t state = 0;
    for (size_t at = 0; at < length;) {
        uint32_t scalar;
        at += utf8_decode(bytes + at, length - at, &scalar);
        if (scalar == UTF8_INVALID)
            return false;
        state = state_step(&a->states[state], scalar);
        if (state == NONE)
            return false;
    }
    return a->states[state].accepting;
}

void automaton_lengths(const struct automaton *a, uint32_t *shortest, uint32_t *longest)
{
    struct arena *scratch = arena_new(0);
    *shortest = paths_find(scratch, a)->distance[0];
    uint32_t *order;
    uint32_t *length = arena_array(scratch, a->state_count, sizeof *length); /* longest way to it */
    bool bounded = states_sort(scratch, a, &order);
    *longest = bounded ? 0 : UINT32_MAX;
    for (uint32_t i = 0; bounded && i < a->state_count; i++) {
        const struct automaton_state *state = &a->states[order[i]];
        if (length[order[i]] > *longest)
            *longest = length[order[i]];
        for (uint32_t j = 0; j < state->transition_count; j++)
            if (length[state->transitions[j].target] <= length[order[i]])
                length[state->transitions[j].target] = length[order[i]] + 1;
    }
    arena_free(scratch);
}
