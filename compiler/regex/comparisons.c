/* Questions about two automata, with the shortest value that answers them. */
#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/pairs.h"

static bool is_outside(const struct pairs *pairs, uint32_t a, uint32_t b)
{
    return pairs->a->states[a].accepting && (b == NONE || !pairs->b->states[b].accepting);
}

static bool is_in_both(const struct pairs *pairs, uint32_t a, uint32_t b)
{
    return pairs->a->states[a].accepting && pairs->b->states[b].accepting;
}

/* Searches the pairs of two automata for a value; *exhausted when they were too many to know. */
static bool find_value(struct arena *arena, const struct automaton *a, const struct automaton *b,
                       enum pairs_over over, pairs_wanted *wanted, const char **witness,
                       size_t *witness_length, bool *exhausted)
{
    struct arena *scratch = arena_new(0);
    struct pairs *pairs = pairs_new(scratch, a, b, over, AUTOMATON_PAIRS_MAX);
    uint32_t found = pairs_search(pairs, wanted);
    *exhausted = found == NONE && pairs->full;
    if (found != NONE && witness)
        *witness = pairs_value(arena, pairs, found, witness_length);
    arena_free(scratch);
    return found != NONE;
}

bool automaton_contains(struct arena *arena, const struct automaton *b, const struct automaton *a,
                        const char **witness, size_t *witness_length)
{
    bool exhausted;
    if (witness)
        *witness = NULL;
    if (a == b)
        return true;
    return !find_value(arena, a, b, PAIRS_FIRST, is_outside, witness, witness_length, &exhausted) &&
           !exhausted;
}

bool automaton_overlaps(struct arena *arena, const struct automaton *a, const struct automaton *b,
                        const char **witness, size_t *witness_length)
{
    bool exhausted;
    if (witness)
        *witness = NULL;
    return find_value(arena, a, b, PAIRS_BOTH, is_in_both, witness, witness_length, &exhausted) ||
           exhausted;
}
