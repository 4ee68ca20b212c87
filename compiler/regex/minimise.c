/* Trims and minimises a dfa, and writes it out over ranges of scalars.
 *
 * Minimisation refines a partition of the states and one of the edges by turns, each by the other,
 * always splitting off the smaller part: O(edges × log states), for partial automata as they are
 * (A. Valmari, "Fast brief practical DFA minimization", Inf. Process. Lett. 112, 2012). */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"

/* ---- partitions ------------------------------------------------------------------------------ */

/* Disjoint blocks of the numbers 0..n-1; some members of a block can be marked, to be split off. */
struct partition {
    uint32_t count;                 /* blocks */
    uint32_t *members;              /* block by block, the marked ones of each first */
    uint32_t *place;                /* of each number, in `members` */
    uint32_t *block;                /* of each number */
    uint32_t *begin, *end, *marked; /* of each block */
    uint32_t *touched;              /* blocks with marks */
    uint32_t touched_count;
};

/* One block of all of 0..size-1. */
static struct partition *partition_new(struct arena *arena, uint32_t size)
{
    struct partition *partition = arena_alloc(arena, sizeof *partition);
    uint32_t **arrays[] = {&partition->members, &partition->place, &partition->block,
                           &partition->begin,   &partition->end,   &partition->marked,
                           &partition->touched};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = arena_array(arena, (size_t)size + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < size; i++)
        partition->members[i] = partition->place[i] = i;
    partition->end[0] = size;
    partition->count = size > 0;
    return partition;
}

static void partition_mark(struct partition *partition, uint32_t number)
{
    uint32_t block = partition->block[number];
    uint32_t from = partition->place[number];
    uint32_t to = partition->begin[block] + partition->marked[block];
    if (from < to)
        return; /* marked already */
    uint32_t other = partition->members[to];
    partition->members[from] = other;
    partition->place[other] = from;
    partition->members[to] = number;
    partition->place[number] = to;
    if (partition->marked[block]++ == 0)
        partition->touched[partition->touched_count++] = block;
}

/* Makes a block of its own of the smaller part, marked or unmarked, of each block with both. */
static void partition_split(struct partition *partition)
{
    while (partition->touched_count > 0) {
        uint32_t block = partition->touched[--partition->touched_count];
        uint32_t middle = partition->begin[block] + partition->marked[block];
        uint32_t end = partition->end[block];
        partition->marked[block] = 0;
        if (middle == end)
            continue;
        uint32_t fresh = partition->count++;
        if (middle - partition->begin[block] <= end - middle) {
            partition->begin[fresh] = partition->begin[block];
            partition->end[fresh] = partition->begin[block] = middle;
        } else {
            partition->begin[fresh] = partition->end[block] = middle;
            partition->end[fresh] = end;
        }
        for (uint32_t i = partition->begin[fresh]; i < partition->end[fresh]; i++)
            partition->block[partition->members[i]] = fresh;
    }
}

/* ---- trimming -------------------------------------------------------------------------------- */

/* What is worked on: the live states of a dfa and the edges between them. */
struct graph {
    struct arena *scratch;
    const struct dfa *dfa;
    uint32_t live;    /* states from which an accepting one can be reached */
    uint32_t *number; /* of each dfa state among the live ones, or NONE */
    uint32_t *origin; /* the dfa state of each live one */
    uint32_t edge_count;
    uint32_t *source, *class, *target; /* in live numbers */
    uint32_t *into_begin, *into;       /* edges into each live state */
};

/* Edge indices by the number that `key` gives them, below `keys`. */
static void edges_sort(struct arena *scratch, const uint32_t *key, uint32_t count, uint32_t keys,
                       uint32_t **begin, uint32_t **sorted)
{
    *begin = arena_array(scratch, (size_t)keys + 2, sizeof **begin);
    *sorted = arena_array(scratch, (size_t)count + 1, sizeof **sorted);
    for (uint32_t i = 0; i < count; i++)
        (*begin)[key[i] + 2]++;
    for (uint32_t i = 0; i < keys; i++)
        (*begin)[i + 2] += (*begin)[i + 1];
    for (uint32_t i = 0; i < count; i++)
        (*sorted)[(*begin)[key[i] + 1]++] = i;
}

static uint32_t *edge_sources(struct arena *scratch, const struct dfa *dfa)
{
    uint32_t *sources = arena_array(scratch, (size_t)dfa->edge_count + 1, sizeof *sources);
    for (uint32_t state = 0; state < dfa->state_count; state++)
        for (uint32_t i = dfa->edge_begin[state]; i < dfa->edge_begin[state + 1]; i++)
            sources[i] = state;
    return sources;
}

/* Numbers the states that can reach an accepting one. */
static void live_find(struct graph *graph, const uint32_t *sources)
{
    const struct dfa *dfa = graph->dfa;
    uint32_t *begin, *into;
    edges_sort(graph->scratch, dfa->edge_target, dfa->edge_count, dfa->state_count, &begin, &into);
    graph->number = arena_array(graph->scratch, dfa->state_count, sizeof(uint32_t));
    graph->origin = arena_array(graph->scratch, dfa->state_count, sizeof(uint32_t));
    memset(graph->number, 0xff, dfa->state_count * sizeof(uint32_t));
    for (uint32_t state = 0; state < dfa->state_count; state++)
        if (dfa->accepting[state]) {
            graph->origin[graph->live] = state;
            graph->number[state] = graph->live++;
        }
    for (uint32_t i = 0; i < graph->live; i++) {
        uint32_t state = graph->origin[i];
        for (uint32_t j = begin[state]; j < begin[state + 1]; j++) {
            uint32_t source = sources[into[j]];
            if (graph->number[source] == NONE) {
                graph->origin[graph->live] = source;
                graph->number[source] = graph->live++;
            }
        }
    }
}

static struct graph *graph_new(struct arena *scratch, const struct dfa *dfa)
{
    struct graph *graph = arena_alloc(scratch, sizeof *graph);
    graph->scratch = scratch;
    graph->dfa = dfa;
    uint32_t *sources = edge_sources(scratch, dfa);
    live_find(graph, sources);
    size_t room = (size_t)dfa->edge_count + 1;
    graph->source = arena_array(scratch, room, sizeof(uint32_t));
    graph->class = arena_array(scratch, room, sizeof(uint32_t));
    graph->target = arena_array(scratch, room, sizeof(uint32_t));
    for (uint32_t i = 0; i < dfa->edge_count; i++) {
        uint32_t source = graph->number[sources[i]];
        uint32_t target = graph->number[dfa->edge_target[i]];
        if (source == NONE || target == NONE)
            continue;
        graph->source[graph->edge_count] = source;
        graph->class[graph->edge_count] = dfa->edge_class[i];
        graph->target[graph->edge_count++] = target;
    }
    edges_sort(scratch, graph->target, graph->edge_count, graph->live, &graph->into_begin,
               &graph->into);
    return graph;
}

/* ---- minimisation ---------------------------------------------------------------------------- */

/* The first partition of the edges: by class. */
static struct partition *edges_by_class(const struct graph *graph)
{
    struct partition *edges = partition_new(graph->scratch, graph->edge_count);
    uint32_t *begin, *sorted;
    edges_sort(graph->scratch, graph->class, graph->edge_count, graph->dfa->alphabet->class_count,
               &begin, &sorted);
    edges->count = 0;
    for (uint32_t class = 0; class < graph->dfa->alphabet->class_count; class++) {
        if (begin[class] == begin[class + 1])
            continue;
        edges->begin[edges->count] = begin[class];
        edges->end[edges->count] = begin[class + 1];
        for (uint32_t i = begin[class]; i < begin[class + 1]; i++) {
            edges->members[i] = sorted[i];
            edges->place[sorted[i]] = i;
            edges->block[sorted[i]] = edges->count;
        }
        edges->count++;
    }
    return edges;
}

/* The states, in blocks of those that accept the same. */
static struct partition *states_minimise(const struct graph *graph)
{
    struct partition *states = partition_new(graph->scratch, graph->live);
    for (uint32_t i = 0; i < graph->live; i++)
        if (graph->dfa->accepting[graph->origin[i]])
            partition_mark(states, i);
    partition_split(states);
    struct partition *edges = edges_by_class(graph);
    /* Edges of one class and into one block of states tell their sources from all others. */
    for (uint32_t by = 0, done = 1; by < edges->count; by++) {
        for (uint32_t i = edges->begin[by]; i < edges->end[by]; i++)
            partition_mark(states, graph->source[edges->members[i]]);
        partition_split(states);
        for (; done < states->count; done++) {
            for (uint32_t i = states->begin[done]; i < states->end[done]; i++) {
                uint32_t state = states->members[i];
                for (uint32_t j = graph->into_begin[state]; j < graph->into_begin[state + 1]; j++)
                    partition_mark(edges, graph->into[j]);
            }
            partition_split(edges);
        }
    }
    return states;
}

/* ---- writing out ----------------------------------------------------------------------------- */

struct step {
    uint32_t interval, target; /* target: a block of states */
};

struct output {
    struct arena *arena;
    const struct graph *graph;
    const struct partition *states;
    struct automaton *automaton;
    uint32_t *number;     /* of each block in the automaton, or NONE */
    uint32_t *block;      /* of each state of the automaton */
    uint64_t transitions; /* so far */
    struct step *steps;   /* of the state being written */
    size_t step_capacity;
    uint32_t *interval_target, *interval_stamp; /* for sorting many steps */
};

static int step_compare(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    return x->interval < y->interval ? -1 : x->interval > y->interval;
}

/* Sorts by interval: each occurs once. */
static void steps_sort(struct output *output, uint32_t count, uint32_t state)
{
    struct step *steps = output->steps;
    bool sorted = true;
    uint32_t low = steps[0].interval, high = low;
    for (uint32_t i = 1; i < count; i++) {
        sorted = sorted && steps[i - 1].interval < steps[i].interval;
        low = steps[i].interval < low ? steps[i].interval : low;
        high = steps[i].interval > high ? steps[i].interval : high;
    }
    if (sorted)
        return;
    if (count < (high - low) / 16) {
        qsort(steps, count, sizeof *steps, step_compare);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        output->interval_target[steps[i].interval] = steps[i].target;
        output->interval_stamp[steps[i].interval] = state + 1;
    }
    for (uint32_t interval = low, i = 0; interval <= high; interval++)
        if (output->interval_stamp[interval] == state + 1)
            steps[i++] = (struct step){interval, output->interval_target[interval]};
}

/* The steps of a state of the dfa, sorted; returns how many. */
static uint32_t steps_gather(struct output *output, uint32_t origin, uint32_t state)
{
    const struct dfa *dfa = output->graph->dfa;
    const struct alphabet *alphabet = dfa->alphabet;
    uint32_t count = 0;
    for (uint32_t i = dfa->edge_begin[origin]; i < dfa->edge_begin[origin + 1]; i++) {
        uint32_t target = output->graph->number[dfa->edge_target[i]];
        if (target == NONE)
            continue;
        uint32_t begin = alphabet->class_begin[dfa->edge_class[i]];
        uint32_t end = alphabet->class_begin[dfa->edge_class[i] + 1];
        arena_grow(output->graph->scratch, &output->steps, &output->step_capacity,
                   (size_t)count + (end - begin), sizeof *output->steps);
        for (uint32_t j = begin; j < end; j++)
            output->steps[count++] =
                (struct step){alphabet->class_intervals[j], output->states->block[target]};
    }
    if (count > 1)
        steps_sort(output, count, state);
    return count;
}

static bool touches(const struct scalar_range *intervals, const struct step *a,
                    const struct step *b)
{
    return a->target == b->target && intervals[a->interval].high + 1 == intervals[b->interval].low;
}

static uint32_t output_number(struct output *output, uint32_t block)
{
    if (output->number[block] == NONE) {
        output->block[output->automaton->state_count] = block;
        output->number[block] = output->automaton->state_count++;
    }
    return output->number[block];
}

/* Writes a state's transitions, and numbers the states that it is the first to lead to. */
static bool output_state(struct output *output, uint32_t state, struct effort *effort)
{
    const struct graph *graph = output->graph;
    const struct scalar_range *intervals = graph->dfa->alphabet->intervals;
    uint32_t block = output->block[state];
    uint32_t origin = graph->origin[output->states->members[output->states->begin[block]]];
    struct automaton_state *to = &output->automaton->states[state];
    to->accepting = graph->dfa->accepting[origin];
    uint32_t count = steps_gather(output, origin, state);
    const struct step *steps = output->steps;
    uint32_t merged = count > 0;
    for (uint32_t i = 1; i < count; i++)
        merged += !touches(intervals, &steps[i - 1], &steps[i]);
    output->transitions += merged;
    if (!effort_spend(effort, count + 1) || output->transitions > AUTOMATON_TRANSITIONS_MAX)
        return false;
    to->transitions = arena_array(output->arena, merged, sizeof *to->transitions);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && touches(intervals, &steps[i - 1], &steps[i])) {
            to->transitions[to->transition_count - 1].high = intervals[steps[i].interval].high;
            continue;
        }
        to->transitions[to->transition_count++] =
            (struct transition){intervals[steps[i].interval].low, intervals[steps[i].interval].high,
                                output_number(output, steps[i].target)};
    }
    return true;
}

static struct automaton *automaton_empty(struct arena *arena)
{
    struct automaton *automaton = arena_alloc(arena, sizeof *automaton);
    automaton->states = arena_alloc(arena, sizeof *automaton->states);
    automaton->state_count = 1;
    return automaton;
}

struct automaton *automaton_from_dfa(struct arena *arena, struct arena *scratch,
                                     const struct dfa *dfa, uint32_t budget, struct effort *effort)
{
    /* Refinement handles each edge about log2(states) times, in the worst case. */
    if (!effort_spend(effort, (uint64_t)dfa->edge_count * 8 + dfa->state_count))
        return NULL;
    struct graph *graph = graph_new(scratch, dfa);
    if (graph->number[0] == NONE)
        return automaton_empty(arena);
    struct partition *states = states_minimise(graph);
    if (states->count > budget)
        return NULL;
    struct output output = {
        .arena = arena,
        .graph = graph,
        .states = states,
        .automaton = arena_alloc(arena, sizeof(struct automaton)),
        .number = arena_array(scratch, states->count, sizeof(uint32_t)),
        .block = arena_array(scratch, states->count, sizeof(uint32_t)),
        .interval_target = arena_array(scratch, dfa->alphabet->interval_count, sizeof(uint32_t)),
        .interval_stamp = arena_array(scratch, dfa->alphabet->interval_count, sizeof(uint32_t)),
    };
    memset(output.number, 0xff, states->count * sizeof(uint32_t));
    output.automaton->states = arena_array(arena, states->count, sizeof *output.automaton->states);
    output_number(&output, states->block[graph->number[0]]);
    for (uint32_t i = 0; i < output.automaton->state_count; i++)
        if (!output_state(&output, i, effort))
            return NULL;
    return output.automaton;
}

struct automaton *automaton_from_nfa(struct arena *arena, const struct nfa *nfa, uint32_t budget)
{
    struct effort effort = {WORK_MAX};
    struct dfa *dfa =
        nfa->failed ? NULL : dfa_from_nfa(nfa->arena, nfa, intermediate_limit(budget), &effort);
    return dfa ? automaton_from_dfa(arena, nfa->arena, dfa, budget, &effort) : NULL;
}
