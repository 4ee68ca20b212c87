#include "compiler/analysis/space.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/number_table.h"
#include "compiler/base/arena.h"

/* What a node, and an edge, cost besides their places, in steps. */
#define NODE_STEPS 200u

struct node {
    uint32_t from;      /* the node that the best way comes from */
    struct value value; /* and the argument on it */
    size_t length;      /* bytes of the best command line to here */
    uint32_t depth;     /* arguments */
    bool uncertain, done;
};

struct numbers {
    uint32_t *items;
    size_t count, capacity;
};

/* Which of some numbered things were met in the present round. */
struct stamps {
    uint32_t *items, round;
};

struct space {
    struct arena *arena; /* of its own */
    struct work *work;
    const struct model_rule *const *rules;
    size_t rule_count;
    struct atoms *atoms;
    struct places places;
    struct number_table table; /* places -> node */
    struct node *nodes;
    size_t node_capacity;
    struct numbers heap; /* nodes, the best first */
    struct numbers next, ended, waiting; /* scratch */
    struct stamps of_places, of_rules, of_languages, of_residuals[2];
    const struct space_reader *reader;
    uint32_t at; /* the node being expanded */
    bool call_time_met;
};

bool space_way_is_better(const struct space_way *way, const struct space_way *than)
{
    return way->uncertain != than->uncertain ? than->uncertain : way->length < than->length;
}

struct space_way space_way_keep(struct arena *arena, const struct space_way *way)
{
    struct space_way kept = *way;
    kept.value.bytes = arena_copy(arena, way->value.bytes, way->value.length);
    return kept;
}

/* ---- scratch ------------------------------------------------------------------------------------ */

static void numbers_push(struct space *space, struct numbers *numbers, uint32_t number)
{
    if (numbers->count == numbers->capacity)
        arena_grow(space->arena, &numbers->items, &numbers->capacity, numbers->count + 1,
                   sizeof *numbers->items);
    numbers->items[numbers->count++] = number;
}

static void stamps_init(struct space *space, struct stamps *stamps, size_t count)
{
    *stamps = (struct stamps){arena_array(space->arena, count + 1, sizeof *stamps->items), 0};
}

/* Whether a thing is met for the first time in this round. */
static bool stamps_meet(struct stamps *stamps, uint32_t number)
{
    bool first = stamps->items[number] != stamps->round;
    stamps->items[number] = stamps->round;
    return first;
}

/* Numbers that are almost in order. */
static void numbers_sort(struct numbers *numbers)
{
    for (size_t i = 1; i < numbers->count; i++) {
        uint32_t number = numbers->items[i];
        size_t at = i;
        for (; at && numbers->items[at - 1] > number; at--)
            numbers->items[at] = numbers->items[at - 1];
        numbers->items[at] = number;
    }
}

static int number_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* ---- the best first ----------------------------------------------------------------------------- */

static bool heap_before(const struct space *space, uint32_t a, uint32_t b)
{
    const struct node *x = &space->nodes[a], *y = &space->nodes[b];
    if (x->uncertain != y->uncertain)
        return y->uncertain;
    return x->length != y->length ? x->length < y->length : a < b;
}

static void heap_push(struct space *space, uint32_t node)
{
    struct numbers *heap = &space->heap;
    numbers_push(space, heap, node);
    size_t at = heap->count - 1;
    for (; at && heap_before(space, node, heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = node;
}

static uint32_t heap_pop(struct space *space)
{
    struct numbers *heap = &space->heap;
    uint32_t top = heap->items[0], moved = heap->items[--heap->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count &&
            heap_before(space, heap->items[child + 1], heap->items[child]))
            child++;
        if (!heap_before(space, heap->items[child], moved))
            break;
        heap->items[at] = heap->items[child];
    }
    heap->items[at] = moved;
    return top;
}

/* ---- nodes -------------------------------------------------------------------------------------- */

/* Leaves of the places in space->next only those of the first rule of each residual and side. */
static void next_reduce(struct space *space)
{
    size_t kept = 0;
    if (!space->reader->side)
        return;
    space->of_residuals[0].round++;
    space->of_residuals[1].round++;
    for (size_t i = 0; i < space->next.count; i++) {
        const struct place *place = &space->places.items[space->next.items[i]];
        if (stamps_meet(&space->of_residuals[space->reader->side[place->rule]], place->residual))
            space->next.items[kept++] = space->next.items[i];
    }
    space->next.count = kept;
}

/* Adds a place that is reached: to where a rule ends, or to those that wait. */
static void next_add(struct space *space, uint32_t number)
{
    if (number == PLACE_NONE || !stamps_meet(&space->of_places, number))
        return;
    const struct place *place = &space->places.items[number];
    if (!place->ends)
        numbers_push(space, &space->next, number);
    else if (stamps_meet(&space->of_rules, place->rule))
        numbers_push(space, &space->ended, place->rule);
}

static void next_begin(struct space *space)
{
    space->next.count = space->ended.count = 0;
    space->of_places.round++;
    space->of_rules.round++;
}

/* The places in space->next as a node that `way` reaches. False: a limit was met. */
static bool space_reach(struct space *space, const struct space_way *way)
{
    numbers_sort(&space->next);
    next_reduce(space);
    if (!space->next.count)
        return true;
    int is_new;
    uint32_t at =
        number_table_intern(&space->table, space->next.items, space->next.count, &is_new);
    if (is_new) {
        arena_grow(space->arena, &space->nodes, &space->node_capacity, (size_t)at + 1,
                   sizeof *space->nodes);
    } else {
        struct node *known = &space->nodes[at];
        struct space_way best = {.length = known->length, .uncertain = known->uncertain};
        if (known->done || !space_way_is_better(way, &best))
            return true;
    }
    uint32_t depth = way->from == PLACE_NONE ? 0 : space->nodes[way->from].depth + 1;
    struct value value = {arena_copy(space->arena, way->value.bytes, way->value.length),
                          way->value.length};
    space->nodes[at] = (struct node){.from = way->from, .value = value, .length = way->length,
                                     .depth = depth, .uncertain = way->uncertain};
    heap_push(space, at);
    return work_spend(space->work, NODE_STEPS) && work_may_hold(space->work, space->arena, 0);
}

/* Tells of the rules that end here, and goes on with those that wait. */
static bool space_arrive(struct space *space, const struct space_way *way)
{
    if (space->ended.count) {
        numbers_sort(&space->ended);
        uint64_t steps = space->reader->ends(space->reader->context, space->ended.items,
                                             space->ended.count, way);
        if (!work_spend(space->work, steps))
            return false;
    }
    return space_reach(space, way);
}

/* The different languages that a node's places wait for, ascending, in space->waiting. */
static void space_wait(struct space *space, struct number_key key)
{
    space->waiting.count = 0;
    space->of_languages.round++;
    for (size_t i = 0; i < key.count; i++) {
        uint32_t language = space->places.items[key.numbers[i]].language;
        if (stamps_meet(&space->of_languages, language))
            numbers_push(space, &space->waiting, language);
    }
    if (space->waiting.count)
        qsort(space->waiting.items, space->waiting.count, sizeof *space->waiting.items,
              number_compare);
}

/* Every atom of the languages that a node's places wait for leads to a node. */
static bool space_expand(struct space *space, uint32_t node)
{
    struct number_key key = space->table.keys[node];
    const struct place *places = space->places.items;
    size_t atom_count;
    bool exhausted;
    space_wait(space, key);
    const struct atom *atoms = atoms_of(space->atoms, space->waiting.items, space->waiting.count,
                                        &atom_count, &exhausted);
    for (size_t a = 0; a < atom_count; a++) {
        const struct atom *atom = &atoms[a];
        next_begin(space);
        space->of_languages.round++;
        for (size_t i = 0; i < atom->language_count; i++)
            stamps_meet(&space->of_languages, atom->languages[i]);
        for (size_t i = 0; i < key.count; i++) {
            const struct place *place = &places[key.numbers[i]];
            if (space->of_languages.items[place->language] != space->of_languages.round)
                continue;
            next_add(space, place->next[0]);
            next_add(space, place->next[1]);
        }
        struct space_way way = {node, atom->value,
                                space->nodes[node].length + atom->value.length + 1,
                                atom->uncertain || space->nodes[node].uncertain};
        if (!work_spend(space->work, NODE_STEPS + atom->language_count + key.count +
                                         (space->next.count + space->ended.count) * 2) ||
            !space_arrive(space, &way))
            return false;
    }
    space->call_time_met = atoms_call_time_met(space->atoms);
    return !exhausted || (space->call_time_met && space->work->steps);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

struct space *space_new(const struct model_rule *const *rules, size_t rule_count, struct work *work)
{
    struct arena *arena = arena_new(0);
    struct space *space = arena_alloc(arena, sizeof *space);
    *space = (struct space){.arena = arena, .work = work, .rules = rules, .rule_count = rule_count,
                            .atoms = atoms_new(arena, work), .at = PLACE_NONE};
    number_table_init(&space->table, arena);
    return space;
}

void space_free(struct space *space)
{
    atoms_free(space->atoms);
    arena_free(space->arena);
}

static bool space_begin(struct space *space)
{
    if (!places_new(&space->places, space->arena, space->rules, space->rule_count, space->atoms,
                    space->work))
        return false;
    stamps_init(space, &space->of_places, space->places.count);
    stamps_init(space, &space->of_residuals[0], space->places.count);
    stamps_init(space, &space->of_residuals[1], space->places.count);
    stamps_init(space, &space->of_rules, space->rule_count);
    stamps_init(space, &space->of_languages, atoms_language_count(space->atoms));
    next_begin(space);
    for (size_t r = 0; r < space->rule_count; r++)
        for (size_t i = 0; i < PLACE_NEXT; i++)
            next_add(space, space->places.first[r][i]);
    struct space_way nothing = {.from = PLACE_NONE, .value = {"", 0}};
    return space_arrive(space, &nothing);
}

bool space_explore(struct space *space, const struct space_reader *reader)
{
    space->reader = reader;
    bool whole = space_begin(space);
    while (whole && space->heap.count) {
        uint32_t node = heap_pop(space);
        if (space->nodes[node].done)
            continue;
        space->nodes[node].done = true;
        space->at = node;
        struct number_key key = space->table.keys[node];
        uint64_t steps = 0;
        bool matters = reader->matters(reader->context, &space->places, key.numbers, key.count,
                                       space->nodes[node].length, &steps);
        whole = work_spend(space->work, steps) &&
                (!matters || space->nodes[node].depth >= MODEL_TOKENS_MAX ||
                 space_expand(space, node));
    }
    return whole && !space->call_time_met;
}

struct space_limit space_limit(const struct space *space, struct arena *arena)
{
    struct space_limit limit = {.text = work_limit(arena, space->work)};
    if (space->call_time_met && space->work->steps && !space->work->memory_met)
        limit.text = arena_format(arena, "at one place over %u slots are left to PCRE2",
                                  ATOMS_CALL_TIME_MAX);
    uint32_t *rules = arena_array(arena, space->rule_count + 1, sizeof *rules);
    limit.rules = rules;
    if (space->at == PLACE_NONE) {
        for (; limit.rule_count < space->rule_count; limit.rule_count++)
            rules[limit.rule_count] = (uint32_t)limit.rule_count;
        return limit;
    }
    struct number_key key = space->table.keys[space->at];
    for (size_t i = 0; i < key.count; i++) {
        uint32_t rule = space->places.items[key.numbers[i]].rule;
        if (!limit.rule_count || rules[limit.rule_count - 1] != rule)
            rules[limit.rule_count++] = rule;
    }
    return limit;
}

struct command_line space_command_line(const struct space *space, struct arena *arena,
                                       const struct space_way *way)
{
    struct command_line command = {0};
    if (way->from == PLACE_NONE)
        return command;
    command.count = space->nodes[way->from].depth + 1;
    command.arguments = arena_array(arena, command.count, sizeof *command.arguments);
    command.lengths = arena_array(arena, command.count, sizeof *command.lengths);
    struct value value = way->value;
    uint32_t node = way->from;
    for (size_t i = command.count; i > 0; i--) {
        command.arguments[i - 1] = arena_copy(arena, value.bytes, value.length);
        command.lengths[i - 1] = value.length;
        value = space->nodes[node].value;
        node = space->nodes[node].from;
    }
    return command;
}
