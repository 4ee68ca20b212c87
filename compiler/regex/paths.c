#include "compiler/regex/paths.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/readable.h"

struct choice {
    uint32_t rank, scalar, target;
};

static int choice_compare(const void *x, const void *y)
{
    uint32_t a = ((const struct choice *)x)->rank, b = ((const struct choice *)y)->rank;
    return a < b ? -1 : a > b;
}

static void forward_find(struct arena *scratch, struct paths *paths)
{
    const struct automaton *a = paths->automaton;
    uint32_t *queue = arena_array(scratch, a->state_count, sizeof *queue);
    struct choice *choices = NULL;
    size_t capacity = 0;
    memset(paths->depth, 0xff, a->state_count * sizeof *paths->depth);
    paths->depth[0] = 0;
    paths->from[0] = NONE;
    for (uint32_t i = 0, queued = 1; i < queued; i++) {
        const struct automaton_state *state = &a->states[queue[i]];
        uint32_t count = 0;
        arena_grow(scratch, &choices, &capacity, state->transition_count, sizeof *choices);
        for (uint32_t j = 0; j < state->transition_count; j++) {
            const struct transition *step = &state->transitions[j];
            if (paths->depth[step->target] != NONE)
                continue;
            uint32_t scalar = readable_best(step->low, step->high);
            choices[count++] = (struct choice){readable_rank(scalar), scalar, step->target};
        }
        if (count > 1)
            qsort(choices, count, sizeof *choices, choice_compare);
        for (uint32_t j = 0; j < count; j++) {
            uint32_t target = choices[j].target;
            if (paths->depth[target] != NONE)
                continue;
            paths->depth[target] = paths->depth[queue[i]] + 1;
            paths->from[target] = queue[i];
            paths->from_scalar[target] = choices[j].scalar;
            queue[queued++] = target;
        }
    }
}

/* Distances to acceptance, backwards from the accepting states. */
static void distances_find(struct arena *scratch, struct paths *paths)
{
    const struct automaton *a = paths->automaton;
    size_t total = 0;
    for (uint32_t i = 0; i < a->state_count; i++)
        total += a->states[i].transition_count;
    uint32_t *begin = arena_array(scratch, (size_t)a->state_count + 2, sizeof *begin);
    uint32_t *sources = arena_array(scratch, total + 1, sizeof *sources);
    uint32_t *queue = arena_array(scratch, a->state_count, sizeof *queue);
    for (uint32_t i = 0; i < a->state_count; i++)
        for (uint32_t j = 0; j < a->states[i].transition_count; j++)
            begin[a->states[i].transitions[j].target + 2]++;
    for (uint32_t i = 0; i < a->state_count; i++)
        begin[i + 2] += begin[i + 1];
    for (uint32_t i = 0; i < a->state_count; i++)
        for (uint32_t j = 0; j < a->states[i].transition_count; j++)
            sources[begin[a->states[i].transitions[j].target + 1]++] = i;
    uint32_t queued = 0;
    for (uint32_t i = 0; i < a->state_count; i++) {
        paths->distance[i] = a->states[i].accepting ? 0 : NONE;
        if (a->states[i].accepting)
            queue[queued++] = i;
    }
    for (uint32_t i = 0; i < queued; i++)
        for (uint32_t j = begin[queue[i]]; j < begin[queue[i] + 1]; j++)
            if (paths->distance[sources[j]] == NONE) {
                paths->distance[sources[j]] = paths->distance[queue[i]] + 1;
                queue[queued++] = sources[j];
            }
}

static void next_find(struct paths *paths)
{
    const struct automaton *a = paths->automaton;
    for (uint32_t i = 0; i < a->state_count; i++) {
        uint32_t best = NONE;
        for (uint32_t j = 0; j < a->states[i].transition_count; j++) {
            const struct transition *step = &a->states[i].transitions[j];
            if (paths->distance[i] == 0 || paths->distance[step->target] != paths->distance[i] - 1)
                continue;
            uint32_t scalar = readable_best(step->low, step->high);
            if (readable_rank(scalar) >= best)
                continue;
            best = readable_rank(scalar);
            paths->next[i] = step->target;
            paths->next_scalar[i] = scalar;
        }
    }
}

struct paths *paths_find(struct arena *scratch, const struct automaton *a)
{
    struct paths *paths = arena_alloc(scratch, sizeof *paths);
    paths->automaton = a;
    uint32_t **arrays[] = {&paths->from,     &paths->from_scalar, &paths->depth,
                           &paths->distance, &paths->next,        &paths->next_scalar};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = arena_array(scratch, a->state_count, sizeof(uint32_t));
    forward_find(scratch, paths);
    distances_find(scratch, paths);
    next_find(paths);
    return paths;
}

void spelling_add(struct spelling *spelling, uint32_t scalar)
{
    arena_grow(spelling->arena, &spelling->scalars, &spelling->capacity, spelling->count + 1,
               sizeof *spelling->scalars);
    spelling->scalars[spelling->count++] = scalar;
}

void spelling_to(struct spelling *spelling, const struct paths *paths, uint32_t state)
{
    size_t begin = spelling->count;
    uint32_t depth = paths->depth[state];
    for (uint32_t i = 0; i < depth; i++)
        spelling_add(spelling, 0);
    for (uint32_t i = depth; i > 0; i--, state = paths->from[state])
        spelling->scalars[begin + i - 1] = paths->from_scalar[state];
}

void spelling_from(struct spelling *spelling, const struct paths *paths, uint32_t state)
{
    for (; !paths->automaton->states[state].accepting; state = paths->next[state])
        spelling_add(spelling, paths->next_scalar[state]);
}

bool states_sort(struct arena *scratch, const struct automaton *a, uint32_t **order)
{
    uint32_t *incoming = arena_array(scratch, a->state_count, sizeof *incoming);
    *order = arena_array(scratch, a->state_count, sizeof **order);
    for (uint32_t i = 0; i < a->state_count; i++)
        for (uint32_t j = 0; j < a->states[i].transition_count; j++)
            incoming[a->states[i].transitions[j].target]++;
    uint32_t sorted = incoming[0] == 0; /* every other state has a way in */
    for (uint32_t i = 0; i < sorted; i++) {
        const struct automaton_state *state = &a->states[(*order)[i]];
        for (uint32_t j = 0; j < state->transition_count; j++)
            if (--incoming[state->transitions[j].target] == 0)
                (*order)[sorted++] = state->transitions[j].target;
    }
    return sorted == a->state_count;
}
