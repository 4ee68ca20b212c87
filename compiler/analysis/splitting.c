#include "compiler/analysis/splitting.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

#define NOWHERE UINT32_MAX

/* One part's run over the whole value, from every place where the part can begin, at once. Two runs
 * that meet in one state are one from there on: in a token whose split is unique neither of them
 * can belong to a whole split, so which one is kept does not matter. */
struct run {
    const struct automaton *automaton;
    uint32_t *origin, *next; /* by state: where the run in that state began; NOWHERE: no run */
    uint32_t *active, *next_active;
    size_t active_count;
};

static uint32_t step(const struct automaton_state *state, uint32_t scalar)
{
    uint32_t low = 0, high = state->transition_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct transition *transition = &state->transitions[middle];
        if (scalar < transition->low)
            high = middle;
        else if (scalar > transition->high)
            low = middle + 1;
        else
            return transition->target;
    }
    return NOWHERE;
}

static void enter(uint32_t *origin, uint32_t *active, size_t *count, uint32_t state, uint32_t from)
{
    if (origin[state] != NOWHERE)
        return;
    origin[state] = from;
    active[(*count)++] = state;
}

static void advance(struct run *run, uint32_t scalar)
{
    size_t count = 0;
    for (size_t i = 0; i < run->active_count; i++) {
        uint32_t state = run->active[i];
        uint32_t target = step(&run->automaton->states[state], scalar);
        if (target != NOWHERE)
            enter(run->next, run->next_active, &count, target, run->origin[state]);
        run->origin[state] = NOWHERE;
    }
    uint32_t *origin = run->origin, *active = run->active;
    run->origin = run->next;
    run->active = run->next_active;
    run->next = origin;
    run->next_active = active;
    run->active_count = count;
}

/* For each place where the part can end: where it began; NOWHERE elsewhere. `begins` says where it
 * can begin. */
static uint32_t *run_part(struct arena *arena, const struct automaton *automaton,
                          const uint32_t *begins, struct policy_bytes value)
{
    size_t states = automaton->state_count;
    struct run run = {automaton, arena_array(arena, states, sizeof(uint32_t)),
                      arena_array(arena, states, sizeof(uint32_t)),
                      arena_array(arena, states, sizeof(uint32_t)),
                      arena_array(arena, states, sizeof(uint32_t)), 0};
    memset(run.origin, 0xFF, states * sizeof(uint32_t));
    memset(run.next, 0xFF, states * sizeof(uint32_t));
    uint32_t *ends = arena_array(arena, (size_t)value.length + 1, sizeof *ends);
    memset(ends, 0xFF, ((size_t)value.length + 1) * sizeof *ends);
    for (uint32_t at = 0;;) {
        if (begins[at] != NOWHERE)
            enter(run.origin, run.active, &run.active_count, 0, at);
        for (size_t i = 0; i < run.active_count; i++)
            if (automaton->states[run.active[i]].accepting)
                ends[at] = run.origin[run.active[i]];
        if (at == value.length)
            return ends;
        uint32_t scalar;
        at += (uint32_t)utf8_decode(value.bytes + at, value.length - at, &scalar);
        advance(&run, scalar);
    }
}

uint32_t *splitting_find(struct arena *arena, const struct automaton *const *parts, size_t count,
                         struct policy_bytes value)
{
    uint32_t **ends = arena_array(arena, count + 1, sizeof *ends);
    ends[0] = arena_array(arena, (size_t)value.length + 1, sizeof **ends);
    memset(ends[0], 0xFF, ((size_t)value.length + 1) * sizeof **ends);
    ends[0][0] = 0;
    for (size_t i = 0; i < count; i++)
        ends[i + 1] = run_part(arena, parts[i], ends[i], value);
    if (ends[count][value.length] == NOWHERE)
        return NULL;
    uint32_t *split = arena_array(arena, count, sizeof *split);
    uint32_t end = value.length;
    for (size_t i = count; i > 0; i--) {
        split[i - 1] = end;
        end = ends[i][end];
    }
    return split;
}
