/* Patterns and automata as one nondeterministic automaton, built from its end to its start. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/pattern.h"

struct nfa *nfa_new(struct arena *scratch)
{
    struct nfa *nfa = arena_alloc(scratch, sizeof *nfa);
    nfa->arena = scratch;
    nfa->repeat = NONE;
    nfa->sets.last = NONE;
    return nfa;
}

uint32_t nfa_add(struct nfa *nfa)
{
    if (nfa->failed || nfa->count == NFA_STATES_MAX) {
        nfa->failed = true;
        return 0;
    }
    arena_grow(nfa->arena, &nfa->states, &nfa->capacity, nfa->count + 1, sizeof *nfa->states);
    nfa->states[nfa->count] = (struct nfa_state){
        .edge_begin = nfa->edge_count, .forks = {NONE, NONE}, .repeat = nfa->repeat};
    return nfa->count++;
}

uint32_t nfa_add_fork(struct nfa *nfa, uint32_t first, uint32_t second)
{
    uint32_t state = nfa_add(nfa);
    if (!nfa->failed) {
        nfa->states[state].forks[0] = first;
        nfa->states[state].forks[1] = second;
    }
    return state;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static uint32_t set_hash(struct charset set)
{
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < set.count; i++) {
        hash = (hash ^ set.ranges[i].low) * 0xFF51AFD7ED558CCDu;
        hash = (hash ^ (hash >> 32) ^ set.ranges[i].high) * 0xC4CEB9FE1A85EC53u;
    }
    return (uint32_t)(hash >> 32);
}

static void table_grow(struct nfa *nfa)
{
    struct set_pool *pool = &nfa->sets;
    pool->table_size = pool->table_size ? pool->table_size * 2 : 64;
    pool->table = arena_array(nfa->arena, pool->table_size, sizeof *pool->table);
    for (uint32_t i = 0; i < pool->count; i++) {
        uint32_t slot = set_hash(pool->sets[i]) & (pool->table_size - 1);
        while (pool->table[slot])
            slot = (slot + 1) & (pool->table_size - 1);
        pool->table[slot] = i + 1;
    }
}

/* The number of a set; equal sets have equal numbers. Its ranges are copied if `borrowed`. */
static uint32_t set_number(struct nfa *nfa, struct charset set, bool borrowed)
{
    struct set_pool *pool = &nfa->sets;
    if (!borrowed && pool->last != NONE && pool->sets[pool->last].ranges == set.ranges &&
        pool->sets[pool->last].count == set.count)
        return pool->last;
    if (pool->count * 2 >= pool->table_size)
        table_grow(nfa);
    uint32_t slot = set_hash(set) & (pool->table_size - 1);
    for (; pool->table[slot]; slot = (slot + 1) & (pool->table_size - 1))
        if (charset_equal(pool->sets[pool->table[slot] - 1], set))
            return pool->last = pool->table[slot] - 1;
    pool->range_count += set.count;
    if (pool->range_count > SET_RANGES_MAX)
        nfa->failed = true;
    if (borrowed) {
        struct scalar_range *copy = arena_array(nfa->arena, set.count, sizeof *copy);
        set.ranges = memcpy(copy, set.ranges, set.count * sizeof *copy);
    }
    arena_grow(nfa->arena, &pool->sets, &pool->capacity, (size_t)pool->count + 1,
               sizeof *pool->sets);
    pool->sets[pool->count] = set;
    pool->table[slot] = pool->count + 1;
    return pool->last = pool->count++;
}

static void edge_add(struct nfa *nfa, struct charset set, uint32_t target, bool borrowed)
{
    if (nfa->failed || set.count == 0)
        return;
    if (nfa->edge_count == NFA_EDGES_MAX) {
        nfa->failed = true;
        return;
    }
    arena_grow(nfa->arena, &nfa->edges, &nfa->edge_capacity, nfa->edge_count + 1,
               sizeof *nfa->edges);
    nfa->edges[nfa->edge_count++] = (struct nfa_edge){set_number(nfa, set, borrowed), target};
    nfa->states[nfa->count - 1].edge_count++;
}

void nfa_edge(struct nfa *nfa, struct charset set, uint32_t target)
{
    edge_add(nfa, set, target, false);
}

/* ---- repetition ------------------------------------------------------------------------------ */

static uint32_t repeat_open(struct nfa *nfa, uint32_t copies, bool first_wins)
{
    if (copies < 2)
        return NONE;
    arena_grow(nfa->arena, &nfa->repeats, &nfa->repeat_capacity, nfa->repeat_count + 1,
               sizeof *nfa->repeats);
    nfa->repeats[nfa->repeat_count] = (struct nfa_repeat){
        .parent = nfa->repeat, .base = nfa->count, .copies = copies, .first_wins = first_wins};
    return nfa->repeat = nfa->repeat_count++;
}

/* After the first copy: now its size is known. */
static void repeat_measure(struct nfa *nfa, uint32_t repeat)
{
    if (repeat == NONE || nfa->repeats[repeat].size)
        return;
    nfa->repeats[repeat].size = nfa->count - nfa->repeats[repeat].base;
    nfa->repeats[repeat].slot = nfa->slot_count;
    nfa->slot_count += nfa->repeats[repeat].size;
}

static void repeat_close(struct nfa *nfa, uint32_t repeat)
{
    if (repeat != NONE)
        nfa->repeat = nfa->repeats[repeat].parent;
}

/* X{n,}: n copies (at least one), of which the last goes round. */
static uint32_t add_unbounded(struct nfa *nfa, nfa_body *body, const void *what, uint32_t minimum,
                              uint32_t next)
{
    uint32_t loop = nfa_add_fork(nfa, NONE, next);
    uint32_t repeat = repeat_open(nfa, minimum, true);
    uint32_t entry = loop;
    for (uint32_t i = 0; i < (minimum ? minimum : 1) && !nfa->failed; i++) {
        entry = body(nfa, what, entry);
        repeat_measure(nfa, repeat);
        if (i == 0 && !nfa->failed)
            nfa->states[loop].forks[0] = entry;
    }
    repeat_close(nfa, repeat);
    return minimum ? entry : loop;
}

uint32_t nfa_add_repeat(struct nfa *nfa, nfa_body *body, const void *what, uint32_t minimum,
                        uint32_t maximum, uint32_t next)
{
    if (maximum == PATTERN_REPEAT_NONE)
        return add_unbounded(nfa, body, what, minimum, next);
    uint32_t optional = maximum - minimum, entry = next;
    uint32_t repeat = repeat_open(nfa, optional, false);
    for (uint32_t i = 0; i < optional && !nfa->failed; i++) {
        entry = nfa_add_fork(nfa, body(nfa, what, entry), next);
        repeat_measure(nfa, repeat);
    }
    repeat_close(nfa, repeat);
    for (uint32_t i = 0; i < minimum && !nfa->failed; i++)
        entry = body(nfa, what, entry);
    return entry;
}

/* ---- patterns -------------------------------------------------------------------------------- */

/* How many states a pattern takes, without building them. Recursion: as deep as the tree. */
static uint64_t pattern_size(const struct pattern *pattern)
{
    uint64_t size = pattern->kind == PATTERN_SET;
    for (size_t i = 0; i < pattern->child_count; i++)
        size += pattern_size(pattern->children[i]);
    if (pattern->kind == PATTERN_ALTERNATE)
        size += pattern->child_count - 1;
    if (pattern->kind == PATTERN_REPEAT) {
        bool unbounded = pattern->maximum == PATTERN_REPEAT_NONE;
        uint64_t copies = unbounded ? (pattern->minimum ? pattern->minimum : 1) : pattern->maximum;
        size = size * copies + (unbounded ? 1 : pattern->maximum - pattern->minimum);
    }
    return size < NFA_STATES_MAX ? size : NFA_STATES_MAX;
}

/* Adds a pattern before `next`; its entry. Recursion: as deep as the tree. */
static uint32_t add_pattern(struct nfa *nfa, const void *what, uint32_t next)
{
    const struct pattern *pattern = what;
    uint32_t entry = next;
    switch (pattern->kind) {
    case PATTERN_EMPTY:
        break;
    case PATTERN_SET:
        entry = nfa_add(nfa);
        nfa_edge(nfa, pattern->set, next);
        break;
    case PATTERN_CONCAT:
        for (size_t i = pattern->child_count; i > 0 && !nfa->failed; i--)
            entry = add_pattern(nfa, pattern->children[i - 1], entry);
        break;
    case PATTERN_ALTERNATE:
        for (size_t i = pattern->child_count; i > 0 && !nfa->failed; i--) {
            uint32_t part = add_pattern(nfa, pattern->children[i - 1], next);
            entry = i == pattern->child_count ? part : nfa_add_fork(nfa, part, entry);
        }
        break;
    case PATTERN_REPEAT:
        entry = nfa_add_repeat(nfa, add_pattern, pattern->children[0], pattern->minimum,
                               pattern->maximum, next);
        break;
    }
    return entry;
}

struct nfa *nfa_from_pattern(struct arena *scratch, const struct pattern *pattern)
{
    if (pattern_size(pattern) + 1 > NFA_STATES_MAX)
        return NULL;
    struct nfa *nfa = nfa_new(scratch);
    uint32_t end = nfa_add(nfa);
    nfa->states[end].accepting = true;
    nfa->start = add_pattern(nfa, pattern, end);
    return nfa->failed ? NULL : nfa;
}

/* ---- automata -------------------------------------------------------------------------------- */

static int by_target(const void *a, const void *b)
{
    const struct transition *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->low < y->low ? -1 : x->low > y->low;
}

/* An edge for each state that `state` leads to, with all the ranges that lead there. */
static void add_edges(struct nfa *nfa, const struct automaton_state *state, uint32_t base)
{
    uint32_t count = state->transition_count;
    if (count == 0)
        return;
    arena_grow(nfa->arena, &nfa->row, &nfa->row_capacity, count, sizeof *nfa->row);
    arena_grow(nfa->arena, &nfa->ranges, &nfa->range_capacity, count, sizeof *nfa->ranges);
    struct transition *row = nfa->row;
    memcpy(row, state->transitions, count * sizeof *row);
    for (uint32_t i = 1; i < count; i++)
        if (row[i].target != row[0].target) {
            qsort(row, count, sizeof *row, by_target);
            break;
        }
    for (uint32_t i = 0, end; i < count; i = end) {
        struct charset set = {nfa->ranges, 0};
        for (end = i; end < count && row[end].target == row[i].target; end++)
            set.ranges[set.count++] = (struct scalar_range){row[end].low, row[end].high};
        edge_add(nfa, set, base + row[i].target, true);
    }
}

uint32_t nfa_add_automaton(struct nfa *nfa, const struct automaton *a, uint32_t exit)
{
    uint32_t base = nfa->count;
    for (uint32_t i = 0; i < a->state_count && !nfa->failed; i++) {
        uint32_t state = nfa_add(nfa);
        if (nfa->failed)
            break;
        nfa->states[state].accepting = a->states[i].accepting && exit == NONE;
        if (a->states[i].accepting)
            nfa->states[state].forks[0] = exit;
        add_edges(nfa, &a->states[i], base);
    }
    return base;
}
