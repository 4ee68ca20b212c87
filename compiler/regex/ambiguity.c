/* Whether a sequence of automata can take one value apart in two ways.
 *
 * Two readers go through the value side by side, each in some state of some part; a reader may go
 * on to the next part where its own accepts. The value is ambiguous when both come to the end,
 * having been in different parts at some place. A pair of readers that have agreed so far is one
 * reader (second state NONE); pairs that have differed are searched breadth first. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/pairs.h"

#define PAIRS_FACTOR 16u /* pairs of readers to look at, for each state of the budget */

struct readers {
    struct arena *scratch;
    const struct automaton *const *parts;
    uint32_t part_count;
    struct automaton flat; /* the states of all parts, one part behind the other */
    uint32_t *base;        /* of each part in there; one more for the end */
    uint32_t *part;        /* of each state there */
    struct pairs *pairs;
};

static void readers_flatten(struct readers *readers)
{
    uint32_t total = 0;
    readers->base = arena_array(readers->scratch, readers->part_count + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < readers->part_count; i++) {
        readers->base[i] = total;
        total += readers->parts[i]->state_count;
    }
    readers->base[readers->part_count] = total;
    readers->part = arena_array(readers->scratch, total, sizeof(uint32_t));
    readers->flat.states = arena_array(readers->scratch, total, sizeof *readers->flat.states);
    readers->flat.state_count = total;
    for (uint32_t i = 0; i < readers->part_count; i++)
        for (uint32_t j = 0; j < readers->parts[i]->state_count; j++) {
            const struct automaton_state *from = &readers->parts[i]->states[j];
            struct automaton_state *to = &readers->flat.states[readers->base[i] + j];
            readers->part[readers->base[i] + j] = i;
            *to = *from;
            to->transitions =
                arena_array(readers->scratch, from->transition_count, sizeof *to->transitions);
            for (uint32_t k = 0; k < from->transition_count; k++) {
                to->transitions[k] = from->transitions[k];
                to->transitions[k].target += readers->base[i];
            }
        }
}

/* Where a reader can go on from `state`: itself, or the start of a later part when those between it
 * accept what there is of them. Each as `next` of the one before; NONE behind the last. */
static uint32_t reader_next(const struct readers *readers, uint32_t state)
{
    uint32_t next = readers->part[state] + 1;
    bool ends = readers->flat.states[state].accepting && next < readers->part_count;
    return ends ? readers->base[next] : NONE;
}

/* Adds what one reader in `a` becomes at a place: itself, and pairs of readers that part here. */
static void add_one(struct readers *readers, uint32_t a, uint32_t from, uint32_t scalar)
{
    for (; a != NONE; a = reader_next(readers, a)) {
        pairs_add_step(readers->pairs, a, NONE, from, scalar);
        for (uint32_t b = reader_next(readers, a); b != NONE; b = reader_next(readers, b))
            pairs_add_step(readers->pairs, a, b, from, scalar);
    }
}

/* Adds what two readers that have parted become. */
static void add_two(struct readers *readers, uint32_t a, uint32_t b, uint32_t from, uint32_t scalar)
{
    for (; a != NONE; a = reader_next(readers, a))
        for (uint32_t other = b; other != NONE; other = reader_next(readers, other))
            pairs_add_step(readers->pairs, a, other, from, scalar);
}

static bool is_end(const struct readers *readers, uint32_t state)
{
    return readers->part[state] + 1 == readers->part_count && readers->flat.states[state].accepting;
}

/* The first pair that has parted and come to the end, or NONE. */
static uint32_t readers_search(struct readers *readers)
{
    struct pairs *pairs = readers->pairs;
    struct pairs_choices choices = {0};
    add_one(readers, 0, NONE, 0);
    for (uint32_t i = 0; i < pairs->count; i++) {
        uint32_t a = pairs->items[i].a, b = pairs->items[i].b;
        if (b != NONE && is_end(readers, a) && is_end(readers, b))
            return i;
        if (pairs->full)
            continue;
        struct pairs_walk walk = pairs_walk(pairs, i);
        walk.over = b == NONE ? PAIRS_FIRST : PAIRS_BOTH;
        pairs_choose(pairs, walk, &choices);
        for (size_t j = 0; j < choices.count; j++) {
            const struct pairs_choice *choice = &choices.items[j];
            if (b == NONE)
                add_one(readers, choice->a, i, choice->scalar);
            else
                add_two(readers, choice->a, choice->b, i, choice->scalar);
        }
    }
    return NONE;
}

/* Where each part but the first begins, for one of the two readers that came to `last`. */
static size_t *boundaries(struct arena *arena, const struct readers *readers, uint32_t last,
                          bool second, size_t length)
{
    const struct pairs *pairs = readers->pairs;
    size_t *result = arena_array(arena, readers->part_count, sizeof *result);
    uint32_t unset = readers->part_count - 1; /* boundaries from here on are set */
    size_t at = length, later = length;
    for (uint32_t i = last; i != NONE; i = pairs->items[i].from) {
        const struct pair *pair = &pairs->items[i];
        uint32_t part = readers->part[second && pair->b != NONE ? pair->b : pair->a];
        /* Going backwards: who is still in `part` here went on at the place seen just before. */
        while (unset > part)
            result[--unset] = later;
        later = at;
        char spelled[4];
        if (pair->from != NONE)
            at -= utf8_encode(pair->scalar, spelled);
    }
    while (unset > 0)
        result[--unset] = 0;
    return result;
}

bool automaton_ambiguous(struct arena *arena, const struct automaton *const *parts, size_t count,
                         uint32_t budget, const char **witness, size_t *witness_length,
                         size_t **split_a, size_t **split_b, bool *exhausted)
{
    *exhausted = false;
    if (count < 2)
        return false;
    struct arena *scratch = arena_new(0);
    struct readers readers = {.scratch = scratch, .parts = parts, .part_count = (uint32_t)count};
    readers_flatten(&readers);
    uint32_t limit =
        budget < AUTOMATON_PAIRS_MAX / PAIRS_FACTOR ? budget * PAIRS_FACTOR : AUTOMATON_PAIRS_MAX;
    readers.pairs = pairs_new(scratch, &readers.flat, &readers.flat, PAIRS_BOTH, limit);
    uint32_t found = readers_search(&readers);
    *exhausted = found == NONE && readers.pairs->full;
    if (found != NONE) {
        *witness = pairs_value(arena, readers.pairs, found, witness_length);
        *split_a = boundaries(arena, &readers, found, false, *witness_length);
        *split_b = boundaries(arena, &readers, found, true, *witness_length);
    }
    arena_free(scratch);
    return found != NONE;
}
