#include "compiler/analysis/atoms.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/number_table.h"
#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/readable.h"

/* Scalars for which a cut is a mark in a table: ASCII, and what stands behind it. */
#define LOW_SCALARS 129u

/* What a number costs in a sort, for each halving of all, in steps. */
#define SORT_STEPS 4u

/* Answers are forgotten when they are more than this, and worked out again where need be. */
#define KEPT_MEMORY_MAX ((size_t)64 * 1024 * 1024)

/* What a state of a product costs besides its pairs, in steps. */
#define STATE_STEPS 100u

struct answer {
    struct atom *atoms;
    size_t count;
    bool exhausted;
};

struct atoms {
    struct arena *arena;
    struct arena *kept; /* answers, until they are too much */
    struct work *work;
    bool call_time_met; /* ATOMS_CALL_TIME_MAX */
    struct token_language *languages;
    size_t language_count, language_capacity;
    uint32_t *shortest; /* per language: the characters of its shortest value */
    size_t shortest_capacity;
    struct number_table shapes; /* hash of a language -> candidates, see atoms_language */
    uint32_t *chains;           /* per shape: a language's number plus one */
    size_t chain_capacity;
    uint32_t *next_of;          /* per language: the next of its shape, plus one */
    size_t next_capacity;
    struct number_table keys; /* set of languages -> index into answers */
    struct answer *answers;
    size_t answer_capacity;
};

struct atoms *atoms_new(struct arena *arena, struct work *work)
{
    struct atoms *atoms = arena_alloc(arena, sizeof *atoms);
    atoms->arena = arena;
    atoms->work = work;
    number_table_init(&atoms->shapes, arena);
    atoms->kept = arena_new(0);
    number_table_init(&atoms->keys, atoms->kept);
    return atoms;
}

static bool language_equal(struct token_language a, struct token_language b)
{
    if (a.cap != b.cap || a.uncapped != b.uncapped || !a.automaton != !b.automaton)
        return false;
    if (!a.automaton)
        return strcmp(a.opaque, b.opaque) == 0;
    return a.automaton == b.automaton || automaton_equal(a.automaton, b.automaton);
}

/* A few numbers that equal languages share: automata are minimal and numbered canonically. */
static size_t language_shape(struct token_language language, uint32_t shape[8])
{
    if (!language.automaton) {
        shape[0] = UINT32_MAX;
        shape[1] = (uint32_t)strlen(language.opaque);
        return 2;
    }
    const struct automaton *a = language.automaton;
    const struct automaton_state *last = &a->states[a->state_count - 1];
    shape[0] = a->state_count;
    shape[1] = language.cap;
    uint32_t mixed = 0;
    for (uint32_t s = 0; s < a->state_count && s < 64; s++)
        for (uint32_t t = 0; t < a->states[s].transition_count && t < 8; t++)
            mixed = (mixed ^ a->states[s].transitions[t].low * 31u ^
                     a->states[s].transitions[t].high) *
                    16777619u;
    shape[2] = mixed;
    shape[3] = a->states[0].transition_count;
    shape[4] = last->transition_count;
    return 5;
}

uint32_t atoms_language(struct atoms *atoms, struct token_language language)
{
    uint32_t shape[8];
    int is_new;
    uint32_t chain =
        number_table_intern(&atoms->shapes, shape, language_shape(language, shape), &is_new);
    arena_grow(atoms->arena, &atoms->chains, &atoms->chain_capacity, (size_t)chain + 1,
               sizeof *atoms->chains);
    if (is_new)
        atoms->chains[chain] = 0;
    for (uint32_t at = atoms->chains[chain]; at; at = atoms->next_of[at - 1])
        if (language_equal(atoms->languages[at - 1], language))
            return at - 1;
    arena_grow(atoms->arena, &atoms->languages, &atoms->language_capacity,
               atoms->language_count + 1, sizeof *atoms->languages);
    arena_grow(atoms->arena, &atoms->next_of, &atoms->next_capacity, atoms->language_count + 1,
               sizeof *atoms->next_of);
    arena_grow(atoms->arena, &atoms->shortest, &atoms->shortest_capacity,
               atoms->language_count + 1, sizeof *atoms->shortest);
    uint32_t shortest = 0, longest;
    if (language.automaton && !automaton_is_empty(language.automaton))
        automaton_lengths(language.automaton, &shortest, &longest);
    atoms->shortest[atoms->language_count] = shortest;
    atoms->languages[atoms->language_count] = language;
    atoms->next_of[atoms->language_count] = atoms->chains[chain];
    atoms->chains[chain] = (uint32_t)++atoms->language_count;
    return (uint32_t)atoms->language_count - 1;
}

/* ---- the product ------------------------------------------------------------------------------ */

/* One product state: pairs (language, state) of those still alive, flattened. Reached from `from` by
 * `scalar`. */
struct product_state {
    uint32_t from;
    uint32_t scalar;
    uint32_t depth; /* scalars of the shortest value that leads here */
};

/* The scalars from one cut to the next: every language alive takes them all to one state, or none. */
struct range {
    uint32_t low, high;
    uint32_t rank;        /* of its most readable scalar */
    size_t begin, count; /* its pairs, in product.targets */
};

struct product {
    struct atoms *atoms;
    struct arena *arena; /* of its own; atoms go to where answers are kept */
    struct number_table table;
    struct product_state *states;
    size_t state_capacity;
    struct number_table accepted; /* sets of languages already seen, as atoms */
    struct answer *answer;
    size_t atom_capacity;
    uint32_t *cuts;
    size_t cut_capacity;
    uint8_t low_cuts[LOW_SCALARS];    /* whether there is a cut before the scalar */
    uint32_t low_places[LOW_SCALARS]; /* then: where in cuts */
    struct range *ranges;
    size_t range_capacity;
    uint32_t *targets; /* pairs that ranges lead to */
    size_t target_capacity;
    uint32_t *set;
    size_t set_capacity;
};

/* The value that leads to a product state. */
static struct value product_value(struct product *product, uint32_t state)
{
    size_t scalars = 0;
    for (uint32_t at = state; at; at = product->states[at].from)
        scalars++;
    char *bytes = arena_alloc(product->atoms->kept, scalars * 4 + 1);
    char *end = bytes + scalars * 4, *begin = end;
    for (uint32_t at = state; at; at = product->states[at].from) {
        char encoded[4];
        size_t length = utf8_encode(product->states[at].scalar, encoded);
        begin -= length;
        memcpy(begin, encoded, length);
    }
    memmove(bytes, begin, (size_t)(end - begin));
    bytes[end - begin] = '\0';
    return (struct value){bytes, (size_t)(end - begin)};
}

/* The longest value of a language that a request can hold, in bytes. */
static uint32_t language_cap(const struct token_language *language)
{
    return language->uncapped ? UINT32_MAX : language->cap ? language->cap : POLICY_VALUE_MAX;
}

/* Whether some language of an atom would refuse its value for its length: another value of as many
 * characters, but fewer bytes, may be accepted. */
static bool value_is_over_a_cap(const struct atoms *atoms, const struct atom *atom)
{
    for (size_t i = 0; i < atom->language_count; i++)
        if (atom->value.length > language_cap(&atoms->languages[atom->languages[i]]))
            return true;
    return false;
}

static void product_accept(struct product *product, uint32_t state)
{
    const struct number_key *key = &product->table.keys[state];
    struct atoms *atoms = product->atoms;
    size_t count = 0;
    arena_grow(product->arena, &product->set, &product->set_capacity, key->count / 2 + 1,
               sizeof *product->set);
    for (size_t i = 0; i < key->count; i += 2)
        if (atoms->languages[key->numbers[i]].automaton->states[key->numbers[i + 1]].accepting)
            product->set[count++] = key->numbers[i];
    if (!count)
        return;
    int is_new;
    number_table_intern(&product->accepted, product->set, count, &is_new);
    if (!is_new)
        return;
    struct answer *answer = product->answer;
    uint32_t *set = arena_array(atoms->kept, count, sizeof *set);
    memcpy(set, product->set, count * sizeof *set);
    arena_grow(atoms->kept, &answer->atoms, &product->atom_capacity, answer->count + 1,
               sizeof *answer->atoms);
    struct atom *atom = &answer->atoms[answer->count++];
    *atom = (struct atom){set, count, product_value(product, state), false};
    atom->uncertain = value_is_over_a_cap(atoms, atom);
}

static int number_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The state of a language at a pair of a product state, NULL when no longer value can be accepted. */
static const struct automaton_state *pair_state(const struct product *product, uint32_t state,
                                                const uint32_t *pair)
{
    const struct token_language *language = &product->atoms->languages[pair[0]];
    if (product->states[state].depth + 1 > language_cap(language))
        return NULL;
    return &language->automaton->states[pair[1]];
}

/* Adds where a transition begins, or one ends: of the low scalars, which are most, by a mark. */
static void cut_add(struct product *product, size_t *others, uint32_t scalar)
{
    if (scalar < LOW_SCALARS)
        product->low_cuts[scalar] = 1;
    else if (!*others || product->cuts[*others - 1] != scalar)
        product->cuts[(*others)++] = scalar;
}

/* The marked cuts in front of the other ones, all ascending and each once; their number. */
static size_t cuts_order(struct product *product, size_t others)
{
    size_t low = 0, kept;
    if (others)
        qsort(product->cuts, others, sizeof *product->cuts, number_compare);
    for (uint32_t scalar = 0; scalar < LOW_SCALARS; scalar++)
        low += product->low_cuts[scalar];
    arena_grow(product->arena, &product->cuts, &product->cut_capacity, low + others + 1,
               sizeof *product->cuts);
    if (others)
        memmove(product->cuts + low, product->cuts, others * sizeof *product->cuts);
    kept = 0;
    for (uint32_t scalar = 0; scalar < LOW_SCALARS; scalar++)
        if (product->low_cuts[scalar])
            product->cuts[product->low_places[scalar] = (uint32_t)kept++] = scalar;
    for (size_t i = low; i < low + others; i++)
        if (!kept || product->cuts[kept - 1] != product->cuts[i])
            product->cuts[kept++] = product->cuts[i];
    return kept;
}

/* Where the transitions of a state's pairs begin and end, each place once; their number. */
static size_t product_cut(struct product *product, uint32_t state, struct number_key key)
{
    size_t others = 0, transitions = 0;
    memset(product->low_cuts, 0, sizeof product->low_cuts);
    for (size_t i = 0; i < key.count; i += 2) {
        const struct automaton_state *from = pair_state(product, state, key.numbers + i);
        if (!from)
            continue;
        transitions += from->transition_count;
        arena_grow(product->arena, &product->cuts, &product->cut_capacity,
                   others + 2 * (size_t)from->transition_count + 1, sizeof *product->cuts);
        for (uint32_t t = 0; t < from->transition_count; t++) {
            cut_add(product, &others, from->transitions[t].low);
            cut_add(product, &others, from->transitions[t].high + 1);
        }
    }
    /* What is not marked is sorted, and searched for three times. */
    uint64_t halvings = 1;
    for (size_t left = others; left; left /= 2)
        halvings++;
    work_spend(product->atoms->work,
               key.count + transitions * 2 + others * halvings * (SORT_STEPS + 3));
    return transitions ? cuts_order(product, others) : 0;
}

static size_t cut_find(const struct product *product, size_t count, uint32_t scalar)
{
    if (scalar < LOW_SCALARS)
        return product->low_places[scalar];
    size_t first = 0, last = count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (product->cuts[middle] < scalar)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

/* How many pairs each range has: counted where a transition's ranges begin and end. Where each range's
 * begin follows. False when they are too many. */
static bool ranges_count(struct product *product, uint32_t state, struct number_key key, size_t cuts)
{
    struct atoms *atoms = product->atoms;
    arena_grow(product->arena, &product->ranges, &product->range_capacity, cuts + 1,
               sizeof *product->ranges);
    for (size_t i = 0; i < cuts; i++)
        product->ranges[i] = (struct range){.low = product->cuts[i],
                                            .high = i + 1 < cuts ? product->cuts[i + 1] - 1 : 0};
    for (size_t i = 0; i < key.count; i += 2) {
        const struct automaton_state *from = pair_state(product, state, key.numbers + i);
        for (uint32_t t = 0; from && t < from->transition_count; t++) {
            product->ranges[cut_find(product, cuts, from->transitions[t].low)].count += 2;
            product->ranges[cut_find(product, cuts, from->transitions[t].high + 1)].count -= 2;
        }
    }
    size_t begin = 0, open = 0;
    for (size_t i = 0; i < cuts; i++) {
        open += product->ranges[i].count;
        product->ranges[i].begin = begin;
        product->ranges[i].count = 0;
        begin += open;
    }
    if (!work_spend(atoms->work, begin * 2) ||
        !work_may_hold(atoms->work, product->arena, begin * sizeof *product->targets))
        return false;
    arena_grow(product->arena, &product->targets, &product->target_capacity, begin + 1,
               sizeof *product->targets);
    return true;
}

/* The ranges between cuts, each with its pairs, in *count. */
static bool product_ranges(struct product *product, uint32_t state, struct number_key key,
                           size_t *count)
{
    size_t cuts = product_cut(product, state, key);
    *count = cuts ? cuts - 1 : 0;
    if (!cuts)
        return true;
    if (!ranges_count(product, state, key, cuts))
        return false;
    for (size_t i = 0; i < key.count; i += 2) {
        const struct automaton_state *from = pair_state(product, state, key.numbers + i);
        for (uint32_t t = 0; from && t < from->transition_count; t++) {
            const struct transition *step = &from->transitions[t];
            size_t at = cut_find(product, cuts, step->low);
            for (; product->cuts[at] <= step->high; at++) {
                struct range *range = &product->ranges[at];
                uint32_t *pair = product->targets + range->begin + range->count;
                pair[0] = key.numbers[i];
                pair[1] = step->target;
                range->count += 2;
            }
        }
    }
    return true;
}

static int range_compare(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Adds the states that a state leads to, by the most readable scalars first so that witnesses are. */
static bool product_leave(struct product *product, uint32_t state)
{
    struct atoms *atoms = product->atoms;
    size_t kept = 0, count;
    if (!product_ranges(product, state, product->table.keys[state], &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (product->ranges[i].count) {
            struct range range = product->ranges[i];
            range.rank = readable_rank(readable_best(range.low, range.high));
            product->ranges[kept++] = range;
        }
    if (kept)
        qsort(product->ranges, kept, sizeof *product->ranges, range_compare);
    for (size_t i = 0; i < kept && atoms->work->steps; i++) {
        const struct range *range = &product->ranges[i];
        int is_new;
        uint32_t to = number_table_intern(&product->table, product->targets + range->begin,
                                          range->count, &is_new);
        if (!is_new)
            continue;
        arena_grow(product->arena, &product->states, &product->state_capacity, (size_t)to + 1,
                   sizeof *product->states);
        product->states[to] = (struct product_state){
            state, readable_best(range->low, range->high), product->states[state].depth + 1};
        product_accept(product, to);
        if (!work_spend(atoms->work, STATE_STEPS + range->count) ||
            !work_may_hold(atoms->work, product->arena, 0) ||
            !work_may_hold(atoms->work, atoms->kept, 0))
            return false;
    }
    return atoms->work->steps != 0;
}

static void product_run(struct product *product, const uint32_t *languages, size_t count)
{
    struct answer *answer = product->answer;
    number_table_init(&product->table, product->arena);
    number_table_init(&product->accepted, product->arena);
    uint32_t *initial = arena_array(product->arena, count * 2 + 1, sizeof *initial);
    for (size_t i = 0; i < count; i++)
        initial[2 * i] = languages[i];
    int is_new;
    number_table_intern(&product->table, initial, count * 2, &is_new);
    arena_grow(product->arena, &product->states, &product->state_capacity, 1,
               sizeof *product->states);
    product_accept(product, 0);
    for (uint32_t state = 0; state < product->table.count && !answer->exhausted; state++) {
        /* One language has one atom: its shortest value ends the search. */
        if (count == 1 && answer->count)
            return;
        answer->exhausted = !product_leave(product, state);
    }
}

/* ---- caps and call-time patterns ----------------------------------------------------------------- */

/* Values over the default cap, for slots that allow_max raises: one more atom for each raised cap, of
 * the languages that still take values so long. Whether they share one is not worked out. */
static void answer_add_long(struct atoms *atoms, const uint32_t *languages, size_t count,
                            struct answer *answer, size_t *capacity)
{
    uint32_t done = POLICY_VALUE_MAX;
    for (;;) {
        uint32_t cap = UINT32_MAX;
        for (size_t i = 0; i < count; i++)
            if (atoms->languages[languages[i]].cap > done &&
                atoms->languages[languages[i]].cap < cap)
                cap = atoms->languages[languages[i]].cap;
        if (cap == UINT32_MAX)
            return;
        uint32_t *set = arena_array(atoms->kept, count, sizeof *set);
        size_t members = 0;
        for (size_t i = 0; i < count; i++)
            if (atoms->languages[languages[i]].cap >= cap)
                set[members++] = languages[i];
        arena_grow(atoms->kept, &answer->atoms, capacity, answer->count + 1,
                   sizeof *answer->atoms);
        answer->atoms[answer->count++] = (struct atom){
            set, members,
            {arena_format(atoms->kept, "<a value of %u to %u bytes>", done + 1, cap), 0}, true};
        answer->atoms[answer->count - 1].value.length =
            strlen(answer->atoms[answer->count - 1].value.bytes);
        done = cap;
    }
}

static int set_contains(const uint32_t *set, size_t count, uint32_t number)
{
    return bsearch(&number, set, count, sizeof number, number_compare) != NULL;
}

/* Every atom once with and once without each call-time language, and these alone. */
static void answer_add_opaque(struct atoms *atoms, const uint32_t *opaque, size_t opaque_count,
                              struct answer *answer, size_t *capacity)
{
    if (opaque_count > ATOMS_CALL_TIME_MAX) {
        answer->exhausted = atoms->call_time_met = true;
        opaque_count = ATOMS_CALL_TIME_MAX;
    }
    if (!opaque_count)
        return;
    size_t plain = answer->count;
    for (uint32_t mask = 1; mask < 1u << opaque_count; mask++)
        for (size_t i = 0; i <= plain; i++) {
            size_t known = i < plain ? answer->atoms[i].language_count : 0;
            uint32_t *set = arena_array(atoms->kept, known + opaque_count, sizeof *set);
            size_t members = known;
            if (!work_spend(atoms->work, STATE_STEPS + known * 4) ||
                !work_may_hold(atoms->work, atoms->kept, 0)) {
                answer->exhausted = true;
                return;
            }
            if (known)
                memcpy(set, answer->atoms[i].languages, known * sizeof *set);
            for (size_t o = 0; o < opaque_count; o++)
                if (mask >> o & 1 &&
                    !(known && set_contains(answer->atoms[i].languages, known, opaque[o])))
                    set[members++] = opaque[o];
            qsort(set, members, sizeof *set, number_compare);
            struct value value = {"<a value that PCRE2 accepts>", 28};
            if (i < plain)
                value = answer->atoms[i].value;
            arena_grow(atoms->kept, &answer->atoms, capacity, answer->count + 1,
                       sizeof *answer->atoms);
            answer->atoms[answer->count++] = (struct atom){set, members, value, true};
        }
    for (size_t i = 0; i < plain; i++)
        answer->atoms[i].uncertain = true;
}

static void atoms_forget(struct atoms *atoms)
{
    arena_free(atoms->kept);
    atoms->kept = arena_new(0);
    number_table_init(&atoms->keys, atoms->kept);
    atoms->answers = NULL;
    atoms->answer_capacity = 0;
}

const struct atom *atoms_of(struct atoms *atoms, const uint32_t *languages, size_t count,
                            size_t *atom_count, bool *exhausted)
{
    int is_new;
    if (arena_used(atoms->kept) > KEPT_MEMORY_MAX)
        atoms_forget(atoms);
    uint32_t at = number_table_intern(&atoms->keys, languages, count, &is_new);
    arena_grow(atoms->kept, &atoms->answers, &atoms->answer_capacity, (size_t)at + 1,
               sizeof *atoms->answers);
    if (is_new) {
        struct answer answer = {0};
        uint32_t *known = arena_array(atoms->kept, count + 1, sizeof *known);
        uint32_t *opaque = arena_array(atoms->kept, count + 1, sizeof *opaque);
        size_t known_count = 0, opaque_count = 0;
        for (size_t i = 0; i < count; i++) {
            if (atoms->languages[languages[i]].automaton)
                known[known_count++] = languages[i];
            else
                opaque[opaque_count++] = languages[i];
        }
        if (known_count) {
            struct product product = {.atoms = atoms, .answer = &answer, .arena = arena_new(0)};
            product_run(&product, known, known_count);
            arena_free(product.arena);
        }
        size_t capacity = answer.count;
        answer_add_long(atoms, known, known_count, &answer, &capacity);
        answer_add_opaque(atoms, opaque, opaque_count, &answer, &capacity);
        atoms->answers[at] = answer;
    }
    const struct answer *answer = &atoms->answers[at];
    *atom_count = answer->count;
    *exhausted = answer->exhausted;
    return answer->atoms;
}

void atoms_free(struct atoms *atoms)
{
    arena_free(atoms->kept);
}

bool atoms_call_time_met(const struct atoms *atoms)
{
    return atoms->call_time_met;
}

uint32_t atoms_shortest(const struct atoms *atoms, uint32_t language)
{
    return atoms->shortest[language];
}

size_t atoms_language_count(const struct atoms *atoms)
{
    return atoms->language_count;
}
