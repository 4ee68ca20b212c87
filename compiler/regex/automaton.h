/* Deterministic finite automata over Unicode scalar values: the one form in which the compiler
 * asks questions about languages.
 *
 * Every automaton here is deterministic, minimal and trimmed, so two of one language are equal
 * state by state. Transitions are sorted, disjoint scalar ranges; a scalar without one leads
 * nowhere. The alphabet has no surrogates; U+0000 occurs only where a caller puts it (as the
 * separator of tokens in a command line). They live in the arena and never change.
 *
 * Every operation has a budget of states, and fails (NULL) when its result would pass it, or the
 * construction on the way a small multiple of it (compiler/regex/construction.h has the bounds of
 * time and memory): no input makes it run away. */
#ifndef SLUICE_AUTOMATON_H
#define SLUICE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct pattern;

#define AUTOMATON_STATES_MAX 20000u /* of one pattern's automaton: the language's stated limit */
#define AUTOMATON_TRANSITIONS_MAX 8000000u /* of any automaton */
#define AUTOMATON_PAIRS_MAX 4000000u       /* pairs of states that a comparison of two looks at */
#define AUTOMATON_TABLE_MAX 16000000u      /* entries of a byte automaton's table */

struct transition {
    uint32_t low, high; /* scalars, both included */
    uint32_t target;
};

struct automaton_state {
    struct transition *transitions;
    uint32_t transition_count;
    bool accepting;
};

struct automaton {
    struct automaton_state *states; /* states[0] is the initial one; numbered breadth first, so that
                                     * equal languages give equal arrays */
    uint32_t state_count;           /* at least 1; the empty language is one state, not accepting */
};

struct automaton *automaton_from_pattern(struct arena *arena, const struct pattern *pattern,
                                         uint32_t budget);
struct automaton *automaton_literal(struct arena *arena, const char *utf8, size_t length);
struct automaton *automaton_everything(struct arena *arena); /* any scalar but U+0000, any length */
struct automaton *automaton_intersect(struct arena *arena, const struct automaton *a,
                                      const struct automaton *b, uint32_t budget);
struct automaton *automaton_subtract(struct arena *arena, const struct automaton *a,
                                     const struct automaton *b, uint32_t budget);
struct automaton *automaton_union(struct arena *arena, const struct automaton *const *parts,
                                  size_t count, uint32_t budget);
struct automaton *automaton_concat(struct arena *arena, const struct automaton *const *parts,
                                   size_t count, uint32_t budget);
struct automaton *automaton_repeat(struct arena *arena, const struct automaton *part,
                                   uint32_t minimum, uint32_t maximum, uint32_t budget);
/* What is left of `a` without the values that start with '-'. Never NULL. */
struct automaton *automaton_without_dash(struct arena *arena, const struct automaton *a);

bool automaton_is_empty(const struct automaton *a);
bool automaton_equal(const struct automaton *a, const struct automaton *b);
/* Whether L(a) is within L(b); when not and `witness` is not NULL, the shortest value of a outside
 * b. Both comparisons look at AUTOMATON_PAIRS_MAX pairs of states at most; when that does not
 * suffice, the answer is the careful one, "not within" or "they share one", with *witness NULL. */
bool automaton_contains(struct arena *arena, const struct automaton *b, const struct automaton *a,
                        const char **witness, size_t *witness_length);
/* Whether they share a value; the shortest one in *witness unless NULL. */
bool automaton_overlaps(struct arena *arena, const struct automaton *a, const struct automaton *b,
                        const char **witness, size_t *witness_length);
/* Whether it accepts these bytes (false for invalid UTF-8). */
bool automaton_accepts(const struct automaton *a, const char *bytes, size_t length);
/* Whether some value can be split in two ways into parts of the given automata, in order: true with
 * a shortest such value and the boundaries of both splits (count - 1 byte offsets each).
 * *exhausted is set when looking at 16 * `budget` pairs of states did not suffice to know. */
bool automaton_ambiguous(struct arena *arena, const struct automaton *const *parts, size_t count,
                         uint32_t budget, const char **witness, size_t *witness_length,
                         size_t **split_a, size_t **split_b, bool *exhausted);
/* Shortest and longest value in scalars; the longest is UINT32_MAX when there is no bound. The
 * automaton must not be empty. */
void automaton_lengths(const struct automaton *a, uint32_t *shortest, uint32_t *longest);

/* The same language over bytes: a DFA with at most 256 classes, for tables. states[0] is a dead
 * state, 1 the initial one. NULL over budget. */
struct byte_automaton {
    uint8_t classes[256];
    uint32_t class_count;
    uint32_t state_count;
    uint32_t *next;  /* state * class_count + class */
    bool *accepting; /* per state */
};
struct byte_automaton *automaton_bytes(struct arena *arena, const struct automaton *a,
                                       uint32_t budget);

#endif
