/* Subset construction, with sets of states kept small: of each chain of a repetition (struct
 * nfa_repeat) only the widest state stays in a set. So `.{0,100}-.{0,100}` takes some thousand
 * states, not 2^100. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"

#define REPEAT_LEVELS_MAX 8u /* of nested repetitions, how many are looked at for a state */
#define MEMO_SIZE 256u       /* target lists remembered while one dfa state is expanded */

struct position_set {
    uint32_t begin, count; /* in subset.positions */
    uint32_t hash;
    bool accepting;
};

struct memo {
    uint32_t stamp; /* of the dfa state that it is for */
    uint32_t class; /* its list of targets */
    uint32_t target;
};

/* One target of one class, for the dfa state that is being expanded. */
struct pending {
    uint32_t target, next; /* next: index + 1 of the one before it */
};

struct subset {
    struct arena *arena;
    const struct nfa *nfa;
    const struct alphabet *alphabet;
    struct effort *effort;
    uint32_t state_limit;
    bool failed;
    struct dfa *dfa;
    size_t accepting_capacity, begin_capacity, class_capacity, target_capacity;
    struct position_set *sets; /* of each dfa state */
    size_t set_capacity;
    uint32_t *positions;
    uint32_t position_count;
    size_t position_capacity;
    uint32_t *table; /* open addressing: dfa state + 1 */
    uint32_t table_size;
    uint32_t *single; /* for each nfa state: 1 + the dfa state of its closure, once known */
    /* The closure being computed. */
    uint32_t round;
    uint32_t *seen;       /* round in which an nfa state was visited */
    uint32_t *slot_round; /* round in which a chain was met */
    uint32_t *slot_rank;  /* the widest copy met, 0 the widest of all */
    uint32_t *stack, *visited;
    uint32_t visited_count;
    /* The dfa state being expanded. */
    uint32_t *class_stamp, *class_head, *classes;
    struct pending *pending;
    size_t pending_capacity;
    uint32_t pending_count;
    struct memo memos[MEMO_SIZE];
};

/* ---- closures -------------------------------------------------------------------------------- */

/* The chain of a state in one repetition around it, and how many copies are wider. */
static uint32_t chain_of(const struct nfa_repeat *repeat, uint32_t state, uint32_t *rank)
{
    uint32_t copy = (state - repeat->base) / repeat->size;
    *rank = repeat->first_wins ? copy : repeat->copies - 1 - copy;
    return repeat->slot + (state - repeat->base) % repeat->size;
}

/* Whether a state as wide or wider is in this closure, on some chain. */
static bool is_covered(const struct subset *subset, uint32_t state)
{
    uint32_t repeat = subset->nfa->states[state].repeat, rank;
    for (unsigned level = 0; repeat != NONE && level < REPEAT_LEVELS_MAX; level++) {
        uint32_t slot = chain_of(&subset->nfa->repeats[repeat], state, &rank);
        if (subset->slot_round[slot] == subset->round && subset->slot_rank[slot] < rank)
            return true;
        repeat = subset->nfa->repeats[repeat].parent;
    }
    return false;
}

static void cover(struct subset *subset, uint32_t state)
{
    uint32_t repeat = subset->nfa->states[state].repeat, rank;
    for (unsigned level = 0; repeat != NONE && level < REPEAT_LEVELS_MAX; level++) {
        uint32_t slot = chain_of(&subset->nfa->repeats[repeat], state, &rank);
        subset->slot_round[slot] = subset->round;
        subset->slot_rank[slot] = rank;
        repeat = subset->nfa->repeats[repeat].parent;
    }
}

/* Visits what `state` reaches without consuming. */
static void closure_add(struct subset *subset, uint32_t state)
{
    uint32_t depth = 0;
    subset->stack[depth++] = state;
    while (depth > 0) {
        state = subset->stack[--depth];
        if (subset->seen[state] == subset->round || is_covered(subset, state))
            continue;
        subset->seen[state] = subset->round;
        cover(subset, state);
        subset->visited[subset->visited_count++] = state;
        const struct nfa_state *from = &subset->nfa->states[state];
        /* The first fork is visited first: in a repetition it leads into the wider copy. */
        for (int i = 1; i >= 0; i--)
            if (from->forks[i] != NONE)
                subset->stack[depth++] = from->forks[i];
    }
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void positions_sort(uint32_t *positions, uint32_t count)
{
    if (count > 16) {
        qsort(positions, count, sizeof *positions, number_compare);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t value = positions[i], j = i;
        for (; j > 0 && positions[j - 1] > value; j--)
            positions[j] = positions[j - 1];
        positions[j] = value;
    }
}

/* What the closure comes to: the states that consume, sorted, none covered by another. */
static struct position_set closure_take(struct subset *subset)
{
    struct position_set set = {.begin = subset->position_count, .hash = 0x811C9DC5u};
    arena_grow(subset->arena, &subset->positions, &subset->position_capacity,
               (size_t)subset->position_count + subset->visited_count, sizeof *subset->positions);
    uint32_t *positions = subset->positions + set.begin;
    for (uint32_t i = 0; i < subset->visited_count; i++) {
        uint32_t state = subset->visited[i];
        set.accepting = set.accepting || subset->nfa->states[state].accepting;
        if (subset->nfa->states[state].edge_count && !is_covered(subset, state))
            positions[set.count++] = state;
    }
    positions_sort(positions, set.count);
    for (uint32_t i = 0; i < set.count; i++)
        set.hash = (set.hash ^ positions[i]) * 0x01000193u ^ (set.hash >> 15);
    set.hash ^= set.accepting;
    return set;
}

/* ---- dfa states ------------------------------------------------------------------------------ */

static void table_grow(struct subset *subset)
{
    subset->table_size = subset->table_size ? subset->table_size * 2 : 256;
    subset->table = arena_array(subset->arena, subset->table_size, sizeof *subset->table);
    for (uint32_t i = 0; i < subset->dfa->state_count; i++) {
        uint32_t slot = subset->sets[i].hash & (subset->table_size - 1);
        while (subset->table[slot])
            slot = (slot + 1) & (subset->table_size - 1);
        subset->table[slot] = i + 1;
    }
}

static bool sets_equal(const struct subset *subset, const struct position_set *a,
                       const struct position_set *b)
{
    return a->hash == b->hash && a->count == b->count && a->accepting == b->accepting &&
           memcmp(subset->positions + a->begin, subset->positions + b->begin,
                  a->count * sizeof *subset->positions) == 0;
}

/* The dfa state of a set that lies at the end of the positions; kept there when it is new. */
static uint32_t state_of(struct subset *subset, struct position_set set)
{
    struct dfa *dfa = subset->dfa;
    if (dfa->state_count * 2 >= subset->table_size)
        table_grow(subset);
    uint32_t slot = set.hash & (subset->table_size - 1);
    for (; subset->table[slot]; slot = (slot + 1) & (subset->table_size - 1))
        if (sets_equal(subset, &subset->sets[subset->table[slot] - 1], &set))
            return subset->table[slot] - 1;
    if (dfa->state_count == subset->state_limit ||
        subset->position_count + (uint64_t)set.count > DFA_POSITIONS_MAX) {
        subset->failed = true;
        return 0;
    }
    subset->position_count += set.count;
    size_t needed = (size_t)dfa->state_count + 1;
    arena_grow(subset->arena, &subset->sets, &subset->set_capacity, needed, sizeof set);
    arena_grow(subset->arena, &dfa->accepting, &subset->accepting_capacity, needed, sizeof(bool));
    subset->sets[dfa->state_count] = set;
    dfa->accepting[dfa->state_count] = set.accepting;
    subset->table[slot] = dfa->state_count + 1;
    return dfa->state_count++;
}

/* The dfa state for a list of targets. */
static uint32_t state_of_targets(struct subset *subset, uint32_t head)
{
    const struct pending *first = &subset->pending[head - 1];
    uint32_t only = first->next == 0 ? first->target : NONE;
    if (only != NONE && subset->single[only])
        return subset->single[only] - 1;
    subset->round++;
    subset->visited_count = 0;
    for (uint32_t i = head; i; i = subset->pending[i - 1].next)
        closure_add(subset, subset->pending[i - 1].target);
    if (!effort_spend(subset->effort, (uint64_t)subset->visited_count * 4 + 1))
        subset->failed = true;
    uint32_t state = state_of(subset, closure_take(subset));
    if (only != NONE && !subset->failed)
        subset->single[only] = state + 1;
    return state;
}

/* ---- expansion ------------------------------------------------------------------------------- */

static uint32_t targets_hash(const struct subset *subset, uint32_t head)
{
    uint32_t hash = 0x811C9DC5u;
    for (uint32_t i = head; i; i = subset->pending[i - 1].next)
        hash = (hash ^ subset->pending[i - 1].target) * 0x01000193u;
    return hash ^ (hash >> 13);
}

static bool targets_equal(const struct subset *subset, uint32_t a, uint32_t b)
{
    while (a && b && subset->pending[a - 1].target == subset->pending[b - 1].target) {
        a = subset->pending[a - 1].next;
        b = subset->pending[b - 1].next;
    }
    return a == 0 && b == 0;
}

static void edge_add(struct subset *subset, uint32_t class, uint32_t target)
{
    struct dfa *dfa = subset->dfa;
    if (dfa->edge_count == DFA_EDGES_MAX) {
        subset->failed = true;
        return;
    }
    size_t needed = (size_t)dfa->edge_count + 1;
    arena_grow(subset->arena, &dfa->edge_class, &subset->class_capacity, needed, sizeof class);
    arena_grow(subset->arena, &dfa->edge_target, &subset->target_capacity, needed, sizeof target);
    dfa->edge_class[dfa->edge_count] = class;
    dfa->edge_target[dfa->edge_count++] = target;
}

/* Sorts what the positions of a dfa state lead to by class; returns how many classes. */
static uint32_t targets_gather(struct subset *subset, uint32_t state)
{
    const struct nfa *nfa = subset->nfa;
    const struct alphabet *alphabet = subset->alphabet;
    uint32_t class_count = 0, stamp = state + 1;
    subset->pending_count = 0;
    for (uint32_t i = 0; i < subset->sets[state].count; i++) {
        const struct nfa_state *from =
            &nfa->states[subset->positions[subset->sets[state].begin + i]];
        for (uint32_t j = 0; j < from->edge_count; j++) {
            struct nfa_edge edge = nfa->edges[from->edge_begin + j];
            uint32_t begin = alphabet->set_begin[edge.set], end = alphabet->set_begin[edge.set + 1];
            if (!effort_spend(subset->effort, end - begin + 1)) {
                subset->failed = true;
                return 0;
            }
            arena_grow(subset->arena, &subset->pending, &subset->pending_capacity,
                       (size_t)subset->pending_count + (end - begin), sizeof *subset->pending);
            for (uint32_t k = begin; k < end; k++) {
                uint32_t class = alphabet->set_classes[k];
                bool known = subset->class_stamp[class] == stamp;
                if (!known)
                    subset->classes[class_count++] = class;
                subset->pending[subset->pending_count++] =
                    (struct pending){edge.target, known ? subset->class_head[class] : 0};
                subset->class_stamp[class] = stamp;
                subset->class_head[class] = subset->pending_count;
            }
        }
    }
    return class_count;
}

static void state_expand(struct subset *subset, uint32_t state)
{
    struct dfa *dfa = subset->dfa;
    arena_grow(subset->arena, &dfa->edge_begin, &subset->begin_capacity, (size_t)state + 2,
               sizeof *dfa->edge_begin);
    dfa->edge_begin[state] = dfa->edge_count;
    uint32_t class_count = targets_gather(subset, state);
    for (uint32_t i = 0; i < class_count && !subset->failed; i++) {
        uint32_t class = subset->classes[i], head = subset->class_head[class];
        struct memo *memo = &subset->memos[targets_hash(subset, head) % MEMO_SIZE];
        if (memo->stamp != state + 1 ||
            !targets_equal(subset, subset->class_head[memo->class], head))
            *memo = (struct memo){state + 1, class, state_of_targets(subset, head)};
        edge_add(subset, class, memo->target);
    }
    dfa->edge_begin[state + 1] = dfa->edge_count;
}

static void subset_prepare(struct subset *subset)
{
    struct arena *arena = subset->arena;
    size_t states = (size_t)subset->nfa->count + 1;
    size_t slots = (size_t)subset->nfa->slot_count + 1;
    size_t classes = (size_t)subset->alphabet->class_count + 1;
    subset->dfa = arena_alloc(arena, sizeof *subset->dfa);
    subset->dfa->alphabet = subset->alphabet;
    subset->single = arena_array(arena, states, sizeof(uint32_t));
    subset->seen = arena_array(arena, states, sizeof(uint32_t));
    subset->visited = arena_array(arena, states, sizeof(uint32_t));
    subset->stack = arena_array(arena, states * 2, sizeof(uint32_t));
    subset->slot_round = arena_array(arena, slots, sizeof(uint32_t));
    subset->slot_rank = arena_array(arena, slots, sizeof(uint32_t));
    subset->class_stamp = arena_array(arena, classes, sizeof(uint32_t));
    subset->class_head = arena_array(arena, classes, sizeof(uint32_t));
    subset->classes = arena_array(arena, classes, sizeof(uint32_t));
}

struct dfa *dfa_from_nfa(struct arena *scratch, const struct nfa *nfa, uint32_t state_limit,
                         struct effort *effort)
{
    const struct alphabet *alphabet =
        alphabet_new(scratch, nfa->sets.sets, nfa->sets.count, effort);
    if (!alphabet)
        return NULL;
    struct subset *subset = arena_alloc(scratch, sizeof *subset);
    subset->arena = scratch;
    subset->nfa = nfa;
    subset->alphabet = alphabet;
    subset->effort = effort;
    subset->state_limit = state_limit;
    subset_prepare(subset);
    subset->round = 1;
    closure_add(subset, nfa->start);
    state_of(subset, closure_take(subset));
    for (uint32_t state = 0; state < subset->dfa->state_count && !subset->failed; state++)
        state_expand(subset, state);
    return subset->failed ? NULL : subset->dfa;
}

uint32_t intermediate_limit(uint32_t budget)
{
    return budget < UINT32_MAX / INTERMEDIATE_FACTOR ? budget * INTERMEDIATE_FACTOR
                                                     : UINT32_MAX - 1;
}
