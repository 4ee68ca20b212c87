#include "compiler/regex/pairs.h"

#include <stdlib.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/readable.h"

struct pairs *pairs_new(struct arena *scratch, const struct automaton *a, const struct automaton *b,
                        enum pairs_over over, uint32_t limit)
{
    struct pairs *pairs = arena_alloc(scratch, sizeof *pairs);
    pairs->arena = scratch;
    pairs->a = a;
    pairs->b = b;
    pairs->over = over;
    pairs->limit = limit;
    return pairs;
}

static uint32_t pair_hash(uint32_t a, uint32_t b)
{
    uint64_t hash = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(hash >> 32) ^ (uint32_t)(hash >> 7);
}

static void table_grow(struct pairs *pairs)
{
    pairs->table_size = pairs->table_size ? pairs->table_size * 2 : 256;
    pairs->table = arena_array(pairs->arena, pairs->table_size, sizeof *pairs->table);
    for (uint32_t i = 0; i < pairs->count; i++) {
        uint32_t slot = pair_hash(pairs->items[i].a, pairs->items[i].b) & (pairs->table_size - 1);
        while (pairs->table[slot])
            slot = (slot + 1) & (pairs->table_size - 1);
        pairs->table[slot] = i + 1;
    }
}

uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b)
{
    if (pairs->count * (uint64_t)2 >= pairs->table_size)
        table_grow(pairs);
    uint32_t slot = pair_hash(a, b) & (pairs->table_size - 1);
    for (; pairs->table[slot]; slot = (slot + 1) & (pairs->table_size - 1)) {
        const struct pair *pair = &pairs->items[pairs->table[slot] - 1];
        if (pair->a == a && pair->b == b)
            return pairs->table[slot] - 1;
    }
    if (pairs->count == pairs->limit) {
        pairs->full = true;
        return 0;
    }
    arena_grow(pairs->arena, &pairs->items, &pairs->capacity, (size_t)pairs->count + 1,
               sizeof *pairs->items);
    pairs->items[pairs->count] = (struct pair){a, b, NONE, 0};
    pairs->table[slot] = pairs->count + 1;
    return pairs->count++;
}

uint32_t pairs_add_step(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t from, uint32_t scalar)
{
    uint32_t before = pairs->count;
    uint32_t index = pairs_add(pairs, a, b);
    if (pairs->count > before) {
        pairs->items[index].from = from;
        pairs->items[index].scalar = scalar;
    }
    return index;
}

struct pairs_walk pairs_walk(const struct pairs *pairs, uint32_t index)
{
    const struct pair *pair = &pairs->items[index];
    return (struct pairs_walk){
        .p = &pairs->a->states[pair->a],
        .q = pair->b == NONE ? NULL : &pairs->b->states[pair->b],
        .over = pairs->over,
    };
}

bool pairs_next(struct pairs_walk *walk, struct transition *step)
{
    while (walk->i < walk->p->transition_count) {
        const struct transition *x = &walk->p->transitions[walk->i];
        uint32_t low = walk->low > x->low ? walk->low : x->low, high = x->high;
        while (walk->q && walk->j < walk->q->transition_count &&
               walk->q->transitions[walk->j].high < low)
            walk->j++;
        const struct transition *y =
            walk->q && walk->j < walk->q->transition_count ? &walk->q->transitions[walk->j] : NULL;
        bool both = y && y->low <= low;
        if (both && y->high < high)
            high = y->high;
        else if (!both && y && y->low <= high)
            high = y->low - 1;
        walk->low = high + 1;
        if (walk->low > x->high)
            walk->i++;
        if (!both && walk->over == PAIRS_BOTH)
            continue;
        walk->next_a = x->target;
        walk->next_b = both ? y->target : NONE;
        *step = (struct transition){low, high, 0};
        return true;
    }
    return false;
}

/* ---- searching ------------------------------------------------------------------------------- */

static int choice_compare(const void *x, const void *y)
{
    uint32_t a = ((const struct pairs_choice *)x)->rank;
    uint32_t b = ((const struct pairs_choice *)y)->rank;
    return a < b ? -1 : a > b;
}

void pairs_choose(struct pairs *pairs, struct pairs_walk walk, struct pairs_choices *choices)
{
    choices->count = 0;
    for (struct transition step; pairs_next(&walk, &step);) {
        uint32_t scalar = readable_best(step.low, step.high);
        arena_grow(pairs->arena, &choices->items, &choices->capacity, choices->count + 1,
                   sizeof *choices->items);
        choices->items[choices->count++] =
            (struct pairs_choice){readable_rank(scalar), scalar, walk.next_a, walk.next_b};
    }
    if (choices->count > 1)
        qsort(choices->items, choices->count, sizeof *choices->items, choice_compare);
}

uint32_t pairs_search(struct pairs *pairs, pairs_wanted *wanted)
{
    struct pairs_choices choices = {0};
    pairs_add(pairs, 0, 0);
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (wanted(pairs, pairs->items[i].a, pairs->items[i].b))
            return i;
        if (pairs->full)
            continue; /* what is there already may still be it */
        pairs_choose(pairs, pairs_walk(pairs, i), &choices);
        for (size_t j = 0; j < choices.count; j++)
            pairs_add_step(pairs, choices.items[j].a, choices.items[j].b, i,
                           choices.items[j].scalar);
    }
    return NONE;
}

const char *pairs_value(struct arena *arena, const struct pairs *pairs, uint32_t index,
                        size_t *length)
{
    char spelled[4];
    *length = 0;
    for (uint32_t i = index; pairs->items[i].from != NONE; i = pairs->items[i].from)
        *length += utf8_encode(pairs->items[i].scalar, spelled);
    char *value = arena_alloc(arena, *length + 1);
    char *at = value + *length;
    for (uint32_t i = index; pairs->items[i].from != NONE; i = pairs->items[i].from) {
        size_t size = utf8_encode(pairs->items[i].scalar, spelled);
        at -= size;
        for (size_t j = 0; j < size; j++)
            at[j] = spelled[j];
    }
    return value;
}
