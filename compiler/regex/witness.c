#include "compiler/regex/witness.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/charset.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/paths.h"
#include "compiler/regex/readable.h"

#define LOOPS_LENGTH_MAX 4096u /* steps of the walk that goes round the loops */
#define SAMPLE_LENGTH_MORE 40u /* how much longer than the shortest value samples get */
#define SAMPLE_TRIES 20u       /* draws for each sample that is wanted */

/* ---- collecting ------------------------------------------------------------------------------ */

/* Different values, in the order in which they were added. */
struct collection {
    struct arena *arena; /* of the values */
    struct arena *scratch;
    struct value *values;
    size_t count, capacity, limit;
    size_t *table; /* open addressing: index + 1 */
    size_t table_size;
    struct spelling spelling; /* of the value being put together */
};

static struct collection collection_new(struct arena *arena, size_t limit)
{
    struct collection all = {.arena = arena, .scratch = arena_new(0), .limit = limit};
    all.spelling.arena = all.scratch;
    return all;
}

static size_t bytes_hash(const char *bytes, size_t length)
{
    size_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3u;
    return hash ^ (hash >> 29);
}

static size_t *collection_slot(struct collection *all, const char *bytes, size_t length)
{
    size_t slot = bytes_hash(bytes, length) & (all->table_size - 1);
    for (; all->table[slot]; slot = (slot + 1) & (all->table_size - 1)) {
        const struct value *value = &all->values[all->table[slot] - 1];
        if (value->length == length && memcmp(value->bytes, bytes, length) == 0)
            break;
    }
    return &all->table[slot];
}

/* Adds a value (in `arena`) unless it is there or the limit is reached. */
static void collection_add(struct collection *all, const char *bytes, size_t length)
{
    if (all->count == all->limit)
        return;
    if (all->count * 2 >= all->table_size) {
        all->table_size = all->table_size ? all->table_size * 2 : 64;
        all->table = arena_array(all->scratch, all->table_size, sizeof *all->table);
        for (size_t i = 0; i < all->count; i++)
            *collection_slot(all, all->values[i].bytes, all->values[i].length) = i + 1;
    }
    size_t *slot = collection_slot(all, bytes, length);
    if (*slot)
        return;
    arena_grow(all->arena, &all->values, &all->capacity, all->count + 1, sizeof *all->values);
    all->values[all->count++] = (struct value){bytes, length};
    *slot = all->count;
}

static struct value value_spell(struct arena *arena, const uint32_t *scalars, size_t count)
{
    size_t length = 0;
    char spelled[4];
    for (size_t i = 0; i < count; i++)
        length += utf8_encode(scalars[i], spelled);
    char *bytes = arena_alloc(arena, length + 1);
    length = 0;
    for (size_t i = 0; i < count; i++)
        length += utf8_encode(scalars[i], bytes + length);
    return (struct value){bytes, length};
}

/* Begins a value; collection_spell adds it. */
static struct spelling *spelling_begin(struct collection *all)
{
    all->spelling.count = 0;
    return &all->spelling;
}

static void collection_spell(struct collection *all)
{
    if (all->count == all->limit)
        return;
    struct value value = value_spell(all->arena, all->spelling.scalars, all->spelling.count);
    collection_add(all, value.bytes, value.length);
}

static size_t collection_end(struct collection *all, struct value **values)
{
    *values = all->values;
    arena_free(all->scratch);
    return all->count;
}

/* ---- the shortest ---------------------------------------------------------------------------- */

bool witness_shortest(struct arena *arena, const struct automaton *a, struct value *value)
{
    if (automaton_is_empty(a))
        return false;
    struct arena *scratch = arena_new(0);
    struct spelling spelling = {.arena = scratch};
    spelling_from(&spelling, paths_find(scratch, a), 0);
    *value = value_spell(arena, spelling.scalars, spelling.count);
    arena_free(scratch);
    return true;
}

/* ---- cover ----------------------------------------------------------------------------------- */

/* Which scalar of a range stands for it. */
enum pick { PICK_READABLE, PICK_LOW, PICK_HIGH, PICKS };

static uint32_t pick_scalar(const struct transition *step, enum pick pick)
{
    return pick == PICK_LOW    ? step->low
           : pick == PICK_HIGH ? step->high
                               : readable_best(step->low, step->high);
}

/* A longest value of a language without loops. */
static void longest_add(struct collection *all, const struct automaton *a, const uint32_t *order,
                        enum pick pick)
{
    uint32_t *length = arena_array(all->scratch, a->state_count, sizeof *length);
    const struct transition **step = arena_array(all->scratch, a->state_count, sizeof(void *));
    for (uint32_t i = a->state_count; i > 0; i--) {
        uint32_t from = order[i - 1];
        for (uint32_t j = 0; j < a->states[from].transition_count; j++) {
            const struct transition *to = &a->states[from].transitions[j];
            if (length[to->target] + 1 > length[from]) {
                length[from] = length[to->target] + 1;
                step[from] = to;
            }
        }
    }
    struct spelling *spelling = spelling_begin(all);
    for (uint32_t state = 0; step[state]; state = step[state]->target)
        spelling_add(spelling, pick_scalar(step[state], pick));
    collection_spell(all);
}

/* A value that takes new transitions as long as it can, so that it goes round the loops. */
static void loops_add(struct collection *all, const struct paths *paths, enum pick pick)
{
    const struct automaton *a = paths->automaton;
    uint32_t *taken = arena_array(all->scratch, a->state_count, sizeof *taken);
    struct spelling *spelling = spelling_begin(all);
    uint32_t state = 0;
    while (spelling->count < LOOPS_LENGTH_MAX && taken[state] < a->states[state].transition_count) {
        const struct transition *step = &a->states[state].transitions[taken[state]++];
        spelling_add(spelling, pick_scalar(step, pick));
        state = step->target;
    }
    spelling_from(spelling, paths, state);
    collection_spell(all);
}

/* The value through one transition. */
static void through_add(struct collection *all, const struct paths *paths, uint32_t state,
                        uint32_t transition, enum pick pick)
{
    const struct transition *step = &paths->automaton->states[state].transitions[transition];
    struct spelling *spelling = spelling_begin(all);
    if (pick != PICK_READABLE && pick_scalar(step, pick) == pick_scalar(step, PICK_READABLE))
        return;
    if (pick == PICK_HIGH && step->low == step->high)
        return;
    spelling_to(spelling, paths, state);
    spelling_add(spelling, pick_scalar(step, pick));
    spelling_from(spelling, paths, step->target);
    collection_spell(all);
}

/* The values through every `total / room`th of all transitions and picks. */
static void transitions_add(struct collection *all, const struct paths *paths, size_t room)
{
    const struct automaton *a = paths->automaton;
    uint64_t total = 0, at = 0, next = 0, taken = 0;
    for (uint32_t i = 0; i < a->state_count; i++)
        total += (uint64_t)a->states[i].transition_count * PICKS;
    uint64_t wanted = total < room ? total : room;
    for (uint32_t i = 0; i < a->state_count && taken < wanted; i++) {
        uint64_t here = (uint64_t)a->states[i].transition_count * PICKS;
        for (; next < at + here && taken < wanted; next = ++taken * total / wanted)
            through_add(all, paths, i, (uint32_t)((next - at) / PICKS), (next - at) % PICKS);
        at += here;
    }
}

size_t witness_cover(struct arena *arena, const struct automaton *a, size_t limit,
                     struct value **values)
{
    struct collection all = collection_new(arena, limit);
    struct value shortest;
    if (witness_shortest(arena, a, &shortest)) {
        collection_add(&all, shortest.bytes, shortest.length);
        const struct paths *paths = paths_find(all.scratch, a);
        uint32_t *order;
        bool bounded = states_sort(all.scratch, a, &order);
        for (enum pick pick = 0; pick < PICKS; pick++) {
            if (bounded)
                longest_add(&all, a, order, pick);
            else
                loops_add(&all, paths, pick);
        }
        transitions_add(&all, paths, limit - all.count);
    }
    return collection_end(&all, values);
}

/* ---- mutations ------------------------------------------------------------------------------- */

/* What is put in: next to the ends of common sets, and what is dangerous in a command line. */
static const uint32_t strangers[] = {'\n', '-',    ' ',  '/',    'a',     'Z', '0',
                                     '.',  0x7F,   0xE9, '@',    0x1F600, '_', 1,
                                     '{',  0x2028, ':',  0xFFFD, 0x10FFFF};

#define STRANGERS (sizeof strangers / sizeof *strangers)

struct mutation {
    struct collection *all;
    const uint32_t *scalars;
    size_t count;
};

/* The value with `drop` scalars at a place replaced by one, or by none (0). */
static void mutation_add(const struct mutation *mutation, size_t at, size_t drop, uint32_t scalar)
{
    if (drop && mutation->scalars[at] == scalar)
        return;
    struct spelling *spelling = spelling_begin(mutation->all);
    for (size_t i = 0; i < at; i++)
        spelling_add(spelling, mutation->scalars[i]);
    if (scalar)
        spelling_add(spelling, scalar);
    for (size_t i = at + drop; i < mutation->count; i++)
        spelling_add(spelling, mutation->scalars[i]);
    collection_spell(mutation->all);
}

static uint32_t scalar_before(uint32_t scalar)
{
    return scalar == 0xE000 ? 0xD7FF : scalar > 1 ? scalar - 1 : 2;
}

static uint32_t scalar_behind(uint32_t scalar)
{
    return scalar == 0xD7FF ? 0xE000 : scalar < SCALAR_MAX ? scalar + 1 : SCALAR_MAX - 1;
}

/* One of the changes at one place. */
static void mutation_try(const struct mutation *mutation, size_t at, size_t which)
{
    uint32_t here = mutation->scalars[at];
    switch (which % 6) {
    case 0:
        mutation_add(mutation, at, 1, scalar_behind(here));
        break;
    case 1:
        mutation_add(mutation, at, 1, 0);
        break;
    case 2:
        mutation_add(mutation, at, 0, here);
        break;
    case 3:
        mutation_add(mutation, at, 1, scalar_before(here));
        break;
    case 4:
        mutation_add(mutation, at, 1, strangers[(at + which) % STRANGERS]);
        break;
    default:
        mutation_add(mutation, at, 0, strangers[(at + which / 6) % STRANGERS]);
        break;
    }
}

size_t witness_mutate(struct arena *arena, struct value value, size_t limit, struct value **values)
{
    struct collection all = collection_new(arena, limit);
    struct spelling spelling = {.arena = all.scratch};
    for (size_t at = 0; at < value.length;) {
        uint32_t scalar;
        at += utf8_decode(value.bytes + at, value.length - at, &scalar);
        spelling_add(&spelling, scalar);
    }
    struct mutation mutation = {&all, spelling.scalars, spelling.count};
    size_t count = spelling.count;
    if (count) {
        mutation_add(&mutation, count - 1, 1, 0);
        mutation_add(&mutation, count, 0, spelling.scalars[count - 1]);
        mutation_add(&mutation, 0, 1, 0);
    }
    mutation_add(&mutation, count, 0, '\n');
    mutation_add(&mutation, 0, 0, '-');
    mutation_add(&mutation, count, 0, 'a');
    /* Then every change at places spread over the value, a kind of change a round. */
    size_t places = limit / 6 + 1 < count ? limit / 6 + 1 : count;
    for (size_t which = 0; which < 12 && all.count < limit; which++)
        for (size_t i = 0; i < places && all.count < limit; i++)
            mutation_try(&mutation, i * count / places, which);
    return collection_end(&all, values);
}

/* ---- samples --------------------------------------------------------------------------------- */

static uint32_t draw(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

/* A walk of about `length` steps, then the shortest way to the end. */
static void walk_add(struct collection *all, const struct paths *paths, uint32_t length,
                     uint64_t *random)
{
    const struct automaton *a = paths->automaton;
    struct spelling *spelling = spelling_begin(all);
    uint32_t state = 0;
    for (uint32_t i = 0; i < length && a->states[state].transition_count; i++) {
        const struct automaton_state *from = &a->states[state];
        const struct transition *step = &from->transitions[draw(random) % from->transition_count];
        spelling_add(spelling, draw(random) % 8 == 0
                                   ? step->low + draw(random) % (step->high - step->low + 1)
                                   : readable_some(step->low, step->high, draw(random)));
        state = step->target;
    }
    spelling_from(spelling, paths, state);
    collection_spell(all);
}

/* How many values there are, capped; only for a language without loops. */
static uint64_t values_count(struct arena *scratch, const struct automaton *a,
                             const uint32_t *order, uint64_t cap)
{
    uint64_t *count = arena_array(scratch, a->state_count, sizeof *count);
    for (uint32_t i = a->state_count; i > 0; i--) {
        const struct automaton_state *state = &a->states[order[i - 1]];
        uint64_t total = state->accepting;
        for (uint32_t j = 0; j < state->transition_count && total <= cap; j++) {
            const struct transition *step = &state->transitions[j];
            total += (step->high - step->low + 1) * count[step->target];
        }
        count[order[i - 1]] = total <= cap ? total : cap + 1;
    }
    return count[0];
}

/* Every value; they are few, but may be long. */
static void values_add(struct collection *all, const struct automaton *a)
{
    struct level {
        uint32_t state, transition, scalar; /* the next step to take from the state */
        bool entered;
    } *levels = NULL;
    size_t depth = 1, capacity = 0;
    struct spelling *spelling = spelling_begin(all);
    arena_grow(all->scratch, &levels, &capacity, 1, sizeof *levels);
    levels[0] = (struct level){0};
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        const struct automaton_state *state = &a->states[level->state];
        spelling->count = depth - 1;
        if (!level->entered && state->accepting)
            collection_spell(all);
        level->entered = true;
        if (level->transition == state->transition_count) {
            depth--;
            continue;
        }
        const struct transition *step = &state->transitions[level->transition];
        uint32_t scalar = level->scalar > step->low ? level->scalar : step->low;
        level->scalar = scalar + 1;
        level->transition += scalar == step->high;
        spelling_add(spelling, scalar);
        arena_grow(all->scratch, &levels, &capacity, depth + 1, sizeof *levels);
        levels[depth++] = (struct level){.state = step->target};
    }
}

static int value_compare(const void *x, const void *y)
{
    const struct value *a = x, *b = y;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->length);
}

size_t witness_sample(struct arena *arena, const struct automaton *a, size_t count,
                      struct value **values)
{
    struct collection all = collection_new(arena, count);
    struct value shortest;
    if (witness_shortest(arena, a, &shortest)) {
        const struct paths *paths = paths_find(all.scratch, a);
        uint32_t *order;
        uint64_t random = 1;
        bool few = states_sort(all.scratch, a, &order) &&
                   values_count(all.scratch, a, order, count) <= count;
        if (few)
            values_add(&all, a);
        else
            collection_add(&all, shortest.bytes, shortest.length);
        for (size_t i = 0; !few && i < count * SAMPLE_TRIES && all.count < count; i++)
            walk_add(&all, paths,
                     paths->distance[0] +
                         (uint32_t)(i * SAMPLE_LENGTH_MORE / (count * 2 + 1)) % SAMPLE_LENGTH_MORE,
                     &random);
    }
    if (all.count > 1)
        qsort(all.values, all.count, sizeof *all.values, value_compare);
    return collection_end(&all, values);
}
