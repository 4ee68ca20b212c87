/* Ways through one automaton: from its start to each state, and from each state to acceptance.
 *
 * Owns both searches' results, in the scratch arena given. Shortest ways, and of those the most
 * readable ones (readable.h). */
#ifndef SLUICE_REGEX_PATHS_H
#define SLUICE_REGEX_PATHS_H

#include "compiler/regex/automaton.h"

struct arena;

struct paths {
    const struct automaton *automaton;
    /* Of each state: */
    uint32_t *from;        /* the one before it on the way from the start; UINT32_MAX: the start */
    uint32_t *from_scalar; /* and the step from there */
    uint32_t *depth;       /* steps from the start */
    uint32_t *distance;    /* steps to acceptance; UINT32_MAX for none (the empty language) */
    uint32_t *next;        /* unless it accepts: the next one on the way to acceptance */
    uint32_t *next_scalar; /* and the step to there */
};

struct paths *paths_find(struct arena *scratch, const struct automaton *a);

/* A value being put together, in scalars. */
struct spelling {
    struct arena *arena;
    uint32_t *scalars;
    size_t count, capacity;
};
void spelling_add(struct spelling *spelling, uint32_t scalar);
/* Adds the way from the start to a state, and from a state to acceptance. */
void spelling_to(struct spelling *spelling, const struct paths *paths, uint32_t state);
void spelling_from(struct spelling *spelling, const struct paths *paths, uint32_t state);

/* The states in an order in which each is before those that it leads to; false when there is a
 * cycle. */
bool states_sort(struct arena *scratch, const struct automaton *a, uint32_t **order);

#endif
