/* Pairs of states of two automata, found breadth first: what products and comparisons walk.
 *
 * Owns the pairs met and how each was reached. In the order of the search, the way to each pair is
 * a shortest one, and of those the one that people read most easily (readable.h). */
#ifndef SLUICE_REGEX_PAIRS_H
#define SLUICE_REGEX_PAIRS_H

#include "compiler/regex/automaton.h"

struct arena;

enum pairs_over {
    PAIRS_BOTH,  /* scalars on which both go on */
    PAIRS_FIRST, /* scalars on which the first goes on; the second may have stopped (NONE) */
};

struct pair {
    uint32_t a, b;
    uint32_t from;   /* the pair before this one; NONE: this is a start */
    uint32_t scalar; /* the step from there */
};

struct pairs {
    struct arena *arena;
    const struct automaton *a, *b;
    enum pairs_over over;
    struct pair *items;
    uint32_t count, limit;
    size_t capacity;
    uint32_t *table; /* open addressing: index + 1 */
    uint32_t table_size;
    bool full; /* a pair over the limit was refused */
};

struct pairs *pairs_new(struct arena *scratch, const struct automaton *a, const struct automaton *b,
                        enum pairs_over over, uint32_t limit);
/* The index of a pair, which is added (as a start) when it is new; 0 when there is no room. */
uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b);

/* The same, reached from another by a scalar; how it is reached stays when the pair is known. */
uint32_t pairs_add_step(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t from,
                        uint32_t scalar);

/* The steps that a pair has, in ascending order of scalars. */
struct pairs_walk {
    const struct automaton_state *p, *q; /* q NULL: stopped */
    enum pairs_over over;
    uint32_t i, j;           /* transitions that are next */
    uint32_t low;            /* the first scalar not looked at */
    uint32_t next_a, next_b; /* of the step that pairs_next gave last */
};
struct pairs_walk pairs_walk(const struct pairs *pairs, uint32_t index);
/* The next range of scalars that lead to one pair (its target is not filled); false at the end. */
bool pairs_next(struct pairs_walk *walk, struct transition *step);

/* A step of a pair, by its most readable scalar. */
struct pairs_choice {
    uint32_t rank, scalar, a, b;
};
struct pairs_choices {
    struct pairs_choice *items;
    size_t count, capacity;
};
/* Fills `choices` with the steps of a walk, the most readable first. */
void pairs_choose(struct pairs *pairs, struct pairs_walk walk, struct pairs_choices *choices);

/* Searches from the initial states for a pair that `wanted` takes, breadth first, each state's
 * steps from the most readable scalar on. Its index, or NONE (see pairs.full). */
typedef bool pairs_wanted(const struct pairs *pairs, uint32_t a, uint32_t b);
uint32_t pairs_search(struct pairs *pairs, pairs_wanted *wanted);
/* The value that leads to a pair, in `arena`. */
const char *pairs_value(struct arena *arena, const struct pairs *pairs, uint32_t index,
                        size_t *length);

#endif
