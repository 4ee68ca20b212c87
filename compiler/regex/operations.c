/* New automata out of others: products for intersection and difference, nondeterministic automata
 * and the subset construction for the rest. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/pairs.h"
#include "compiler/regex/pattern.h"

/* ---- from an automaton to a dfa -------------------------------------------------------------- */

struct dfa *dfa_from_automaton(struct arena *scratch, const struct automaton *a,
                               struct effort *effort)
{
    struct nfa *nfa = nfa_new(scratch);
    nfa_add_automaton(nfa, a, NONE);
    if (nfa->failed)
        return NULL;
    const struct alphabet *alphabet =
        alphabet_new(scratch, nfa->sets.sets, nfa->sets.count, effort);
    if (!alphabet)
        return NULL;
    struct dfa *dfa = arena_alloc(scratch, sizeof *dfa);
    dfa->alphabet = alphabet;
    dfa->state_count = nfa->count;
    uint64_t edge_count = 0;
    for (uint32_t i = 0; i < nfa->edge_count; i++)
        edge_count +=
            alphabet->set_begin[nfa->edges[i].set + 1] - alphabet->set_begin[nfa->edges[i].set];
    if (edge_count > DFA_EDGES_MAX || !effort_spend(effort, edge_count))
        return NULL;
    dfa->accepting = arena_array(scratch, dfa->state_count, sizeof *dfa->accepting);
    dfa->edge_begin = arena_array(scratch, (size_t)dfa->state_count + 1, sizeof(uint32_t));
    dfa->edge_class = arena_array(scratch, edge_count + 1, sizeof(uint32_t));
    dfa->edge_target = arena_array(scratch, edge_count + 1, sizeof(uint32_t));
    for (uint32_t state = 0; state < nfa->count; state++) {
        dfa->accepting[state] = nfa->states[state].accepting;
        for (uint32_t i = 0; i < nfa->states[state].edge_count; i++) {
            struct nfa_edge edge = nfa->edges[nfa->states[state].edge_begin + i];
            for (uint32_t j = alphabet->set_begin[edge.set]; j < alphabet->set_begin[edge.set + 1];
                 j++) {
                dfa->edge_class[dfa->edge_count] = alphabet->set_classes[j];
                dfa->edge_target[dfa->edge_count++] = edge.target;
            }
        }
        dfa->edge_begin[state + 1] = dfa->edge_count;
    }
    return dfa;
}

/* ---- products -------------------------------------------------------------------------------- */

/* Adds a transition behind the last one of a row, joined to it where the two touch. */
static void row_append(struct arena *scratch, struct transition **row, size_t *capacity,
                       uint32_t *count, struct transition transition)
{
    struct transition *last = *count ? &(*row)[*count - 1] : NULL;
    if (last && last->target == transition.target && last->high + 1 == transition.low) {
        last->high = transition.high;
        return;
    }
    arena_grow(scratch, row, capacity, (size_t)*count + 1, sizeof **row);
    (*row)[(*count)++] = transition;
}

/* The product of two automata over the scalars on which `a` goes on: with `b` going on as well
 * (intersection), or with `b` allowed to have stopped (difference). Deterministic, not minimal. */
static struct automaton *product(struct arena *scratch, const struct automaton *a,
                                 const struct automaton *b, bool subtract, uint32_t state_limit)
{
    struct pairs *pairs =
        pairs_new(scratch, a, b, subtract ? PAIRS_FIRST : PAIRS_BOTH, state_limit);
    struct automaton *raw = arena_alloc(scratch, sizeof *raw);
    struct transition *row = NULL;
    size_t state_capacity = 0, row_capacity = 0;
    uint64_t transitions = 0;
    pairs_add(pairs, 0, 0);
    for (uint32_t i = 0; i < pairs->count && !pairs->full; i++) {
        arena_grow(scratch, &raw->states, &state_capacity, (size_t)i + 1, sizeof *raw->states);
        struct automaton_state *state = &raw->states[i];
        *state = (struct automaton_state){0};
        raw->state_count = i + 1;
        uint32_t p = pairs->items[i].a, q = pairs->items[i].b, count = 0;
        bool in_b = q != NONE && b->states[q].accepting;
        state->accepting = a->states[p].accepting && in_b != subtract;
        struct pairs_walk walk = pairs_walk(pairs, i);
        for (struct transition step; pairs_next(&walk, &step);) {
            step.target = pairs_add(pairs, walk.next_a, walk.next_b);
            row_append(scratch, &row, &row_capacity, &count, step);
        }
        transitions += count;
        if (transitions > AUTOMATON_TRANSITIONS_MAX)
            return NULL;
        state->transitions = arena_array(scratch, count, sizeof *row);
        state->transition_count = count;
        if (count)
            memcpy(state->transitions, row, count * sizeof *row);
    }
    return pairs->full ? NULL : raw;
}

static struct automaton *product_minimal(struct arena *arena, const struct automaton *a,
                                         const struct automaton *b, bool subtract, uint32_t budget)
{
    struct arena *scratch = arena_new(0);
    struct effort effort = {WORK_MAX};
    struct automaton *result = NULL;
    struct automaton *raw = product(scratch, a, b, subtract, intermediate_limit(budget));
    struct dfa *dfa = raw ? dfa_from_automaton(scratch, raw, &effort) : NULL;
    if (dfa)
        result = automaton_from_dfa(arena, scratch, dfa, budget, &effort);
    arena_free(scratch);
    return result;
}

/* The same automaton again: its states never change, so they are shared. */
static struct automaton *automaton_again(struct arena *arena, const struct automaton *a)
{
    struct automaton *copy = arena_alloc(arena, sizeof *copy);
    *copy = *a;
    return copy;
}

/* Whether it accepts every value (of scalars but U+0000), as automaton_everything does. */
static bool is_everything(const struct automaton *a)
{
    return a->state_count == 1 && a->states[0].accepting && a->states[0].transition_count == 2 &&
           a->states[0].transitions[0].low == 1 && a->states[0].transitions[1].high == SCALAR_MAX;
}

/* Whether U+0000 occurs in it; it could only at the head of a state's transitions. */
static bool has_nul(const struct automaton *a)
{
    for (uint32_t i = 0; i < a->state_count; i++)
        if (a->states[i].transition_count && a->states[i].transitions[0].low == 0)
            return true;
    return false;
}

struct automaton *automaton_intersect(struct arena *arena, const struct automaton *a,
                                      const struct automaton *b, uint32_t budget)
{
    if (a == b || (is_everything(b) && !has_nul(a)))
        return a->state_count <= budget ? automaton_again(arena, a) : NULL;
    if (is_everything(a) && !has_nul(b))
        return b->state_count <= budget ? automaton_again(arena, b) : NULL;
    return product_minimal(arena, a, b, false, budget);
}

struct automaton *automaton_subtract(struct arena *arena, const struct automaton *a,
                                     const struct automaton *b, uint32_t budget)
{
    if (automaton_is_empty(b))
        return a->state_count <= budget ? automaton_again(arena, a) : NULL;
    return product_minimal(arena, a, b, true, budget);
}

/* ---- unions, sequences, repetitions ---------------------------------------------------------- */

struct automaton *automaton_union(struct arena *arena, const struct automaton *const *parts,
                                  size_t count, uint32_t budget)
{
    if (count == 1 && parts[0]->state_count <= budget)
        return automaton_again(arena, parts[0]);
    struct arena *scratch = arena_new(0);
    struct nfa *nfa = nfa_new(scratch);
    uint32_t start = nfa_add(nfa);
    for (size_t i = 0; i < count && !nfa->failed; i++)
        start = nfa_add_fork(nfa, nfa_add_automaton(nfa, parts[i], NONE), start);
    nfa->start = start;
    struct automaton *result = automaton_from_nfa(arena, nfa, budget);
    arena_free(scratch);
    return result;
}

struct automaton *automaton_concat(struct arena *arena, const struct automaton *const *parts,
                                   size_t count, uint32_t budget)
{
    if (count == 1 && parts[0]->state_count <= budget)
        return automaton_again(arena, parts[0]);
    struct arena *scratch = arena_new(0);
    struct nfa *nfa = nfa_new(scratch);
    uint32_t next = nfa_add(nfa);
    nfa->states[next].accepting = true;
    for (size_t i = count; i > 0 && !nfa->failed; i--)
        next = nfa_add_automaton(nfa, parts[i - 1], next);
    nfa->start = next;
    struct automaton *result = automaton_from_nfa(arena, nfa, budget);
    arena_free(scratch);
    return result;
}

static uint32_t body_automaton(struct nfa *nfa, const void *what, uint32_t next)
{
    return nfa_add_automaton(nfa, what, next);
}

struct automaton *automaton_repeat(struct arena *arena, const struct automaton *part,
                                   uint32_t minimum, uint32_t maximum, uint32_t budget)
{
    struct arena *scratch = arena_new(0);
    struct nfa *nfa = nfa_new(scratch);
    uint32_t end = nfa_add(nfa);
    nfa->states[end].accepting = true;
    /* The empty string any number of times: as in patterns, no copy of it has to be there. */
    if (part->states[0].accepting && maximum > 0)
        minimum = 0;
    nfa->start = nfa_add_repeat(nfa, body_automaton, part, minimum, maximum, end);
    struct automaton *result = automaton_from_nfa(arena, nfa, budget);
    arena_free(scratch);
    return result;
}
