#include "compiler/analysis/atoms.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/number_table.h"
#include "compiler/analysis/space.h"
#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

/* More call-time languages than this at one place are not multiplied out. */
#define OPAQUE_MAX 6u

struct answer {
    struct atom *atoms;
    size_t count;
    bool exhausted;
};

struct atoms {
    struct arena *arena;
    struct token_language *languages;
    size_t language_count, language_capacity;
    struct number_table shapes; /* hash of a language -> candidates, see atoms_language */
    uint32_t *chains;           /* per shape: a language's number plus one */
    size_t chain_capacity;
    uint32_t *next_of;          /* per language: the next of its shape, plus one */
    size_t next_capacity;
    struct number_table keys; /* set of languages -> index into answers */
    struct answer *answers;
    size_t answer_capacity;
};

struct atoms *atoms_new(struct arena *arena)
{
    struct atoms *atoms = arena_alloc(arena, sizeof *atoms);
    atoms->arena = arena;
    number_table_init(&atoms->shapes, arena);
    number_table_init(&atoms->keys, arena);
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

struct product {
    struct atoms *atoms;
    struct number_table table;
    struct product_state *states;
    size_t state_capacity;
    struct number_table accepted; /* sets of languages already seen, as atoms */
    struct answer *answer;
    size_t atom_capacity;
    uint32_t *cuts;
    size_t cut_capacity;
    uint32_t *next;
    size_t next_capacity;
    uint32_t *set;
    size_t set_capacity;
};

/* The value that leads to a product state. */
static struct value product_value(struct product *product, uint32_t state)
{
    size_t scalars = 0;
    for (uint32_t at = state; at; at = product->states[at].from)
        scalars++;
    char *bytes = arena_alloc(product->atoms->arena, scalars * 4 + 1);
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
    arena_grow(atoms->arena, &product->set, &product->set_capacity, key->count / 2 + 1,
               sizeof *product->set);
    for (size_t i = 0; i < key->count; i += 2)
        if (atoms->languages[key->numbers[i]].automaton->states[key->numbers[i + 1]].accepting)
            product->set[count++] = key->numbers[i];
    if (!count)
        return;
    int is_new;
    uint32_t at = number_table_intern(&product->accepted, product->set, count, &is_new);
    if (!is_new)
        return;
    struct answer *answer = product->answer;
    arena_grow(atoms->arena, &answer->atoms, &product->atom_capacity, answer->count + 1,
               sizeof *answer->atoms);
    struct atom *atom = &answer->atoms[answer->count++];
    *atom = (struct atom){product->accepted.keys[at].numbers, count, product_value(product, state),
                          false};
    atom->uncertain = value_is_over_a_cap(atoms, atom);
}

/* Which scalar of a range to show: a letter, else a digit, else printable, else the lowest. */
static uint32_t scalar_readable(uint32_t low, uint32_t high)
{
    static const uint32_t preferred[][2] = {{'a', 'z'}, {'0', '9'}, {'A', 'Z'}, {'!', '~'}, {' ', ' '}};
    for (size_t i = 0; i < sizeof preferred / sizeof *preferred; i++)
        if (low <= preferred[i][1] && high >= preferred[i][0])
            return low > preferred[i][0] ? low : preferred[i][0];
    return low;
}

static uint32_t scalar_rank(uint32_t low, uint32_t high)
{
    uint32_t scalar = scalar_readable(low, high);
    return scalar >= 'a' && scalar <= 'z' ? 0 : scalar > ' ' && scalar < 0x7F ? 1 : 2;
}

static int number_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Adds the state that `state` reaches by the scalars of one elementary range. */
static bool product_step(struct product *product, uint32_t state, uint32_t low, uint32_t high)
{
    struct number_key key = product->table.keys[state];
    struct atoms *atoms = product->atoms;
    size_t count = 0;
    uint32_t depth = product->states[state].depth + 1;
    for (size_t i = 0; i < key.count; i += 2) {
        const struct token_language *language = &atoms->languages[key.numbers[i]];
        const struct automaton_state *from = &language->automaton->states[key.numbers[i + 1]];
        if (depth > language_cap(language))
            continue;
        size_t first = 0, last = from->transition_count;
        while (first < last) {
            size_t middle = (first + last) / 2;
            if (from->transitions[middle].high < low)
                first = middle + 1;
            else
                last = middle;
        }
        if (first < from->transition_count && from->transitions[first].low <= low) {
            product->next[count++] = key.numbers[i];
            product->next[count++] = from->transitions[first].target;
        }
    }
    if (!count)
        return true;
    int is_new;
    uint32_t to = number_table_intern(&product->table, product->next, count, &is_new);
    if (!is_new)
        return true;
    if (to >= SPACE_PRODUCT_MAX)
        return false;
    arena_grow(atoms->arena, &product->states, &product->state_capacity, (size_t)to + 1,
               sizeof *product->states);
    product->states[to] = (struct product_state){state, scalar_readable(low, high), depth};
    product_accept(product, to);
    return true;
}

/* Steps over every elementary range that leaves a state, readable ones first so that witnesses are. */
static bool product_leave(struct product *product, uint32_t state)
{
    struct number_key key = product->table.keys[state];
    struct atoms *atoms = product->atoms;
    size_t cuts = 0, wanted = 0;
    for (size_t i = 0; i < key.count; i += 2)
        wanted += 2 * (size_t)atoms->languages[key.numbers[i]]
                          .automaton->states[key.numbers[i + 1]]
                          .transition_count;
    arena_grow(atoms->arena, &product->cuts, &product->cut_capacity, wanted + 1,
               sizeof *product->cuts);
    arena_grow(atoms->arena, &product->next, &product->next_capacity, key.count + 1,
               sizeof *product->next);
    for (size_t i = 0; i < key.count; i += 2) {
        const struct automaton_state *from =
            &atoms->languages[key.numbers[i]].automaton->states[key.numbers[i + 1]];
        for (uint32_t t = 0; t < from->transition_count; t++) {
            product->cuts[cuts++] = from->transitions[t].low;
            product->cuts[cuts++] = from->transitions[t].high + 1;
        }
    }
    qsort(product->cuts, cuts, sizeof *product->cuts, number_compare);
    for (uint32_t rank = 0; rank < 3; rank++)
        for (size_t i = 0; i + 1 < cuts; i++) {
            uint32_t low = product->cuts[i], high = product->cuts[i + 1] - 1;
            if (product->cuts[i] == product->cuts[i + 1] || scalar_rank(low, high) != rank)
                continue;
            if (!product_step(product, state, low, high))
                return false;
        }
    return true;
}

static void product_run(struct atoms *atoms, const uint32_t *languages, size_t count,
                        struct answer *answer)
{
    struct product product = {.atoms = atoms, .answer = answer};
    number_table_init(&product.table, atoms->arena);
    number_table_init(&product.accepted, atoms->arena);
    uint32_t *initial = arena_array(atoms->arena, count * 2 + 1, sizeof *initial);
    for (size_t i = 0; i < count; i++)
        initial[2 * i] = languages[i];
    int is_new;
    number_table_intern(&product.table, initial, count * 2, &is_new);
    arena_grow(atoms->arena, &product.states, &product.state_capacity, 1, sizeof *product.states);
    product_accept(&product, 0);
    for (uint32_t state = 0; state < product.table.count; state++) {
        /* One language has one atom: its shortest value ends the search. */
        if (count == 1 && answer->count)
            return;
        if (!product_leave(&product, state)) {
            answer->exhausted = true;
            return;
        }
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
        uint32_t *set = arena_array(atoms->arena, count, sizeof *set);
        size_t members = 0;
        for (size_t i = 0; i < count; i++)
            if (atoms->languages[languages[i]].cap >= cap)
                set[members++] = languages[i];
        arena_grow(atoms->arena, &answer->atoms, capacity, answer->count + 1,
                   sizeof *answer->atoms);
        answer->atoms[answer->count++] = (struct atom){
            set, members,
            {arena_format(atoms->arena, "<a value of %u to %u bytes>", done + 1, cap), 0}, true};
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
    if (opaque_count > OPAQUE_MAX) {
        answer->exhausted = true;
        opaque_count = OPAQUE_MAX;
    }
    if (!opaque_count)
        return;
    size_t plain = answer->count;
    for (uint32_t mask = 1; mask < 1u << opaque_count; mask++)
        for (size_t i = 0; i <= plain; i++) {
            size_t known = i < plain ? answer->atoms[i].language_count : 0;
            uint32_t *set = arena_array(atoms->arena, known + opaque_count, sizeof *set);
            size_t members = known;
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
            arena_grow(atoms->arena, &answer->atoms, capacity, answer->count + 1,
                       sizeof *answer->atoms);
            answer->atoms[answer->count++] = (struct atom){set, members, value, true};
        }
    for (size_t i = 0; i < plain; i++)
        answer->atoms[i].uncertain = true;
}

const struct atom *atoms_of(struct atoms *atoms, const uint32_t *languages, size_t count,
                            size_t *atom_count, bool *exhausted)
{
    int is_new;
    uint32_t at = number_table_intern(&atoms->keys, languages, count, &is_new);
    arena_grow(atoms->arena, &atoms->answers, &atoms->answer_capacity, (size_t)at + 1,
               sizeof *atoms->answers);
    if (is_new) {
        struct answer answer = {0};
        uint32_t *known = arena_array(atoms->arena, count + 1, sizeof *known);
        uint32_t *opaque = arena_array(atoms->arena, count + 1, sizeof *opaque);
        size_t known_count = 0, opaque_count = 0;
        for (size_t i = 0; i < count; i++) {
            if (atoms->languages[languages[i]].automaton)
                known[known_count++] = languages[i];
            else
                opaque[opaque_count++] = languages[i];
        }
        if (known_count)
            product_run(atoms, known, known_count, &answer);
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
