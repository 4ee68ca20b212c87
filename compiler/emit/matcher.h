/* In which form a pattern is matched: chosen per pattern, by what its tree and automaton are.
 *
 *   literal   one string: a length and a memcmp
 *   split     re2c code with a count beside it: `[a-z]{0,4000}` is `[a-z]*` and a length
 *   parts     parts in order, each matched as far as it goes, with its characters or repetitions
 *             counted, and then a matcher for all that is left
 *   any       several matchers, of which one must accept
 *   code      re2c code for the whole
 *   table     a minimal automaton over bytes, as data
 *
 * Owns the choice and its proof; writes no code. */
#ifndef SLUICE_MATCHER_H
#define SLUICE_MATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/regex/automaton.h"
#include "compiler/regex/pattern.h"

struct arena;

/* Sets and ranges, with repetitions written out, up to which re2c is given a tree. */
#define MATCHER_CODE_WEIGHT 4000u
/* Matchers of which one must accept. Each looks at the value once. */
#define MATCHER_ANY_MAX 8u
/* Matchers inside matchers. */
#define MATCHER_DEPTH_MAX 3u
/* States and entries (states times classes of bytes) up to which a table is written. */
#define MATCHER_TABLE_STATES 65535u
#define MATCHER_TABLE_ENTRIES (4u * 1024 * 1024)

/* Where one form gives way to the next; states are those of the byte automaton. */
struct matcher_limits {
    uint32_t small_states; /* code without looking for anything smaller */
    uint32_t code_states;  /* re2c code: above, the C compiler becomes slow */
    uint32_t set_repeats;  /* a set repeated as often as this is counted */
    uint32_t any_gain;     /* several matchers are taken for one if so many times smaller */
};
#define MATCHER_LIMITS ((struct matcher_limits){16, 500, 8, 3})

enum matcher_form {
    MATCHER_NOTHING, /* no value at all */
    MATCHER_LITERAL,
    MATCHER_SPLIT,
    MATCHER_PARTS,
    MATCHER_ANY,
    MATCHER_CODE,
    MATCHER_TABLE,
};

#define MATCHER_UNBOUNDED UINT32_MAX

/* `tree`, as long as it goes, `minimum` to `maximum` times; each time it must have taken
 * `least` to `most` scalars (0 to MATCHER_UNBOUNDED: not counted). */
struct matcher_part {
    const struct pattern *tree;
    uint32_t minimum, maximum;
    uint32_t least, most;
    bool ascii;    /* a scalar is a byte: every set of the tree is ASCII */
    bool nullable; /* the tree can take nothing */
};

struct matcher {
    enum matcher_form form;
    const char *literal; /* LITERAL */
    size_t literal_length;
    const struct pattern *tree;       /* CODE: simplified */
    const struct matcher_part *parts; /* SPLIT: one, for the whole value; PARTS */
    size_t part_count;
    const struct matcher *rest;         /* PARTS: for what is left after them; NULL: nothing may be */
    const struct matcher *const *others; /* ANY */
    size_t other_count;
    const struct byte_automaton *table; /* TABLE */
    uint32_t states; /* of the code that re2c makes for it, about */
};

/* Chooses. `tree` may be NULL where only the automaton is known: then it is a table. NULL when even a
 * table would be over its limit. */
const struct matcher *matcher_choose(struct arena *arena, const struct pattern *tree,
                                     const struct automaton *automaton,
                                     struct matcher_limits limits);

/* Whether re2c has work in it. */
bool matcher_needs_re2c(const struct matcher *matcher);

#endif
