/* How automata are made; nothing outside of compiler/regex includes this.
 *
 *   pattern or automata → nfa → (alphabet) → dfa → minimal, trimmed, numbered automaton
 *
 * Sets of scalars are interned in the nfa, and cut into classes: scalars that no set of the nfa
 * tells apart. All work between is on classes, so that \p{L} costs as much as [a-z]; ranges of
 * scalars come back in the last step. Everything but the result lives in a scratch arena that the
 * caller ends.
 *
 * Every step spends from one struct effort and gives up when it is used up: time and memory are
 * bounded whatever the input. */
#ifndef SLUICE_CONSTRUCTION_H
#define SLUICE_CONSTRUCTION_H

#include "compiler/regex/automaton.h"
#include "compiler/regex/charset.h"

struct arena;

#define NONE UINT32_MAX

/* Bounds of what is between a pattern and its automaton. */
#define NFA_STATES_MAX 1000000u     /* positions and forks, repetitions written out */
#define NFA_EDGES_MAX 4000000u
#define SET_RANGES_MAX 4000000u     /* ranges of all different sets together */
#define SET_CLASSES_MAX 16000000u   /* classes of all different sets together */
#define DFA_EDGES_MAX 4000000u      /* (state, class) pairs that lead somewhere */
#define DFA_POSITIONS_MAX 16000000u /* nfa states in all dfa states together */
#define WORK_MAX 200000000u         /* elementary steps: about a second */
#define INTERMEDIATE_FACTOR 4u      /* states before minimisation, for each state of the budget */

struct effort {
    uint64_t left; /* steps; 0: given up */
};
/* Spends some; false when there is not that much left, now or ever again. */
bool effort_spend(struct effort *effort, uint64_t steps);

/* ---- nfa ------------------------------------------------------------------------------------- */

struct nfa_edge {
    uint32_t set, target;
};

struct nfa_state {
    uint32_t edge_begin, edge_count; /* consuming edges */
    uint32_t forks[2];               /* states reached without consuming, or NONE */
    uint32_t repeat;                 /* the innermost struct nfa_repeat it is in, or NONE */
    bool accepting;
};

/* Copies of one body, state by state: copy k has states base + k*size and so on. What a state
 * accepts is then within what the same state of another copy accepts: in the optional copies of
 * X{n,m}, of an earlier one (more may follow); in the copies of X{n,}, of a later one (fewer must
 * follow). A set of states needs only the widest of each such chain. */
struct nfa_repeat {
    uint32_t parent; /* the repeat it is in, or NONE */
    uint32_t base, size, copies;
    uint32_t slot;   /* size slots of nfa.slot_count: one a chain */
    bool first_wins; /* the copy with the lowest states is the widest */
};

struct set_pool {
    struct charset *sets;
    uint32_t count;
    size_t capacity;
    uint32_t *table; /* open addressing: index + 1 */
    uint32_t table_size;
    uint64_t range_count;
    uint32_t last; /* of the last lookup: copies of a body ask for the same one */
};

struct nfa {
    struct arena *arena; /* scratch */
    struct nfa_state *states;
    uint32_t count;
    size_t capacity;
    struct nfa_edge *edges;
    uint32_t edge_count;
    size_t edge_capacity;
    struct nfa_repeat *repeats;
    uint32_t repeat_count;
    size_t repeat_capacity;
    uint32_t slot_count;
    uint32_t repeat; /* where states are being added; NONE at the top */
    struct set_pool sets;
    struct transition *row;      /* of the automaton state being added */
    struct scalar_range *ranges; /* of the edge being added */
    size_t row_capacity, range_capacity;
    uint32_t start;
    bool failed; /* over NFA_STATES_MAX, NFA_EDGES_MAX or SET_RANGES_MAX */
};

struct nfa *nfa_new(struct arena *scratch);
/* A state without edges; its number. After nfa.failed it is 0 again and again. */
uint32_t nfa_add(struct nfa *nfa);
uint32_t nfa_add_fork(struct nfa *nfa, uint32_t first, uint32_t second);
/* Adds an edge to the state that was added last. An empty set adds none. */
void nfa_edge(struct nfa *nfa, struct charset set, uint32_t target);
/* Adds every state of an automaton; the number of its state 0. When `exit` is not NONE, its
 * accepting states get a fork to there and accept no more. */
uint32_t nfa_add_automaton(struct nfa *nfa, const struct automaton *a, uint32_t exit);
/* Puts copies of a body, added by `body` with what follows as its argument, before `next`. */
typedef uint32_t nfa_body(struct nfa *nfa, const void *what, uint32_t next);
uint32_t nfa_add_repeat(struct nfa *nfa, nfa_body *body, const void *what, uint32_t minimum,
                        uint32_t maximum, uint32_t next);
/* The nfa of a pattern; NULL over the limits. */
struct nfa *nfa_from_pattern(struct arena *scratch, const struct pattern *pattern);

/* ---- alphabet -------------------------------------------------------------------------------- */

struct alphabet {
    uint32_t interval_count;
    struct scalar_range *intervals; /* ascending; every set is a union of some */
    uint32_t class_count;
    uint32_t *class_begin, *class_intervals; /* intervals of class c: from class_begin[c] on */
    uint32_t *set_begin, *set_classes;       /* classes of set s: from set_begin[s] on */
};

/* NULL when it is too much. */
struct alphabet *alphabet_new(struct arena *scratch, const struct charset *sets, uint32_t count,
                              struct effort *effort);

/* ---- dfa ------------------------------------------------------------------------------------- */

/* States 0..state_count-1, 0 the initial one, all of them reachable; edges sorted by source, at
 * most one for each source and class. */
struct dfa {
    const struct alphabet *alphabet;
    uint32_t state_count, edge_count;
    bool *accepting;
    uint32_t *edge_begin; /* state_count + 1 */
    uint32_t *edge_class, *edge_target;
};

/* Subset construction; NULL over `state_limit` or the other limits. */
struct dfa *dfa_from_nfa(struct arena *scratch, const struct nfa *nfa, uint32_t state_limit,
                         struct effort *effort);
/* A deterministic automaton, neither minimal nor trimmed, as classes; NULL over the limits. */
struct dfa *dfa_from_automaton(struct arena *scratch, const struct automaton *a,
                               struct effort *effort);
/* Trimmed, minimal, numbered breadth first, in `arena`. NULL over `budget` or
 * AUTOMATON_TRANSITIONS_MAX. */
struct automaton *automaton_from_dfa(struct arena *arena, struct arena *scratch,
                                     const struct dfa *dfa, uint32_t budget, struct effort *effort);
/* All of it, from the nfa on. */
struct automaton *automaton_from_nfa(struct arena *arena, const struct nfa *nfa, uint32_t budget);

/* The most states to look at on the way to a result of `budget`. */
uint32_t intermediate_limit(uint32_t budget);

#endif
