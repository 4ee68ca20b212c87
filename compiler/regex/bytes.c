/* Automata over bytes, for tables: each step by a scalar becomes up to four steps by bytes.
 *
 * The states between the bytes of one scalar are interned by what they lead to, so that they are
 * shared wherever they are the same, and the result is minimal when the automaton is: a state
 * between bytes is never equal to one between scalars, which goes on with other bytes. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/charset.h"
#include "compiler/regex/construction.h"

#define ENTRIES_MAX 32000000u /* byte ranges of all states before numbering */

struct entry {
    uint8_t low, high;
    uint32_t target; /* a scalar state s as s, an inner node n as state_count + n */
};

struct node {
    uint32_t begin, count; /* in entries */
    uint32_t hash;
};

/* A byte sequence of a scalar state, and where it leads. */
struct path {
    struct byte_sequence sequence;
    uint32_t target;
};

struct bytes {
    struct arena *scratch;
    const struct automaton *automaton;
    uint32_t budget;
    bool failed;
    struct entry *entries;
    uint32_t entry_count;
    size_t entry_capacity;
    struct node *roots; /* of each scalar state */
    struct node *inner;
    uint32_t inner_count;
    size_t inner_capacity;
    uint32_t *table; /* of inner nodes: index + 1 */
    uint32_t table_size;
    struct path *paths; /* of the state being cut up */
    size_t path_count, path_capacity;
};

/* ---- cutting up ------------------------------------------------------------------------------ */

static void paths_fill(struct bytes *bytes, const struct automaton_state *state)
{
    bytes->path_count = 0;
    for (uint32_t i = 0; i < state->transition_count; i++) {
        struct scalar_range range = {state->transitions[i].low, state->transitions[i].high};
        struct byte_sequence *sequences;
        size_t count = charset_sequences(bytes->scratch, (struct charset){&range, 1}, &sequences);
        arena_grow(bytes->scratch, &bytes->paths, &bytes->path_capacity, bytes->path_count + count,
                   sizeof *bytes->paths);
        for (size_t j = 0; j < count; j++)
            bytes->paths[bytes->path_count++] =
                (struct path){sequences[j], state->transitions[i].target};
    }
}

static bool entries_equal(const struct bytes *bytes, struct node a, const struct entry *entries,
                          uint32_t count)
{
    if (a.count != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct entry *x = &bytes->entries[a.begin + i], *y = &entries[i];
        if (x->low != y->low || x->high != y->high || x->target != y->target)
            return false;
    }
    return true;
}

static struct node node_keep(struct bytes *bytes, const struct entry *entries, uint32_t count,
                             uint32_t hash)
{
    struct node node = {bytes->entry_count, count, hash};
    if (bytes->entry_count + (uint64_t)count > ENTRIES_MAX) {
        bytes->failed = true;
        return node;
    }
    arena_grow(bytes->scratch, &bytes->entries, &bytes->entry_capacity,
               (size_t)bytes->entry_count + count, sizeof *bytes->entries);
    if (count)
        memcpy(bytes->entries + bytes->entry_count, entries, count * sizeof *entries);
    bytes->entry_count += count;
    return node;
}

static void table_grow(struct bytes *bytes)
{
    bytes->table_size = bytes->table_size ? bytes->table_size * 2 : 64;
    bytes->table = arena_array(bytes->scratch, bytes->table_size, sizeof *bytes->table);
    for (uint32_t i = 0; i < bytes->inner_count; i++) {
        uint32_t slot = bytes->inner[i].hash & (bytes->table_size - 1);
        while (bytes->table[slot])
            slot = (slot + 1) & (bytes->table_size - 1);
        bytes->table[slot] = i + 1;
    }
}

/* The inner node with these entries. */
static uint32_t inner_node(struct bytes *bytes, const struct entry *entries, uint32_t count)
{
    uint32_t hash = 0x811C9DC5u;
    for (uint32_t i = 0; i < count; i++)
        hash = ((hash ^ entries[i].low) * 0x01000193u ^ entries[i].high) * 0x01000193u ^
               entries[i].target * 0x9E3779B1u ^ (hash >> 17);
    if (bytes->inner_count * (uint64_t)2 >= bytes->table_size)
        table_grow(bytes);
    uint32_t slot = hash & (bytes->table_size - 1);
    for (; bytes->table[slot]; slot = (slot + 1) & (bytes->table_size - 1))
        if (entries_equal(bytes, bytes->inner[bytes->table[slot] - 1], entries, count))
            return bytes->table[slot] - 1;
    /* With this one and the dead state: */
    if (bytes->automaton->state_count + (uint64_t)bytes->inner_count + 2 > bytes->budget) {
        bytes->failed = true;
        return 0;
    }
    arena_grow(bytes->scratch, &bytes->inner, &bytes->inner_capacity,
               (size_t)bytes->inner_count + 1, sizeof *bytes->inner);
    bytes->inner[bytes->inner_count] = node_keep(bytes, entries, count, hash);
    bytes->table[slot] = bytes->inner_count + 1;
    return bytes->inner_count++;
}

/* Gathers the entries of the paths begin..end-1, which agree on their first `depth` bytes, into
 * `entries` (256 of them); returns how many. Recursion: four levels, the bytes of a scalar. */
static uint32_t entries_gather(struct bytes *bytes, size_t begin, size_t end, unsigned depth,
                               struct entry entries[256])
{
    uint32_t count = 0;
    for (size_t i = begin, next; i < end && !bytes->failed; i = next) {
        const struct path *path = &bytes->paths[i];
        struct entry entry = {path->sequence.bytes[depth].low, path->sequence.bytes[depth].high,
                              path->target};
        next = i + 1;
        if (depth + 1u < path->sequence.length) {
            while (next < end && bytes->paths[next].sequence.bytes[depth].low == entry.low &&
                   bytes->paths[next].sequence.length > depth + 1u)
                next++;
            struct entry below[256];
            uint32_t below_count = entries_gather(bytes, i, next, depth + 1, below);
            entry.target = bytes->automaton->state_count + inner_node(bytes, below, below_count);
        }
        struct entry *last = count ? &entries[count - 1] : NULL;
        if (last && last->target == entry.target && last->high + 1 == entry.low)
            last->high = entry.high;
        else
            entries[count++] = entry;
    }
    return count;
}

static void roots_fill(struct bytes *bytes)
{
    const struct automaton *automaton = bytes->automaton;
    bytes->roots = arena_array(bytes->scratch, automaton->state_count, sizeof *bytes->roots);
    for (uint32_t i = 0; i < automaton->state_count && !bytes->failed; i++) {
        struct entry entries[256];
        paths_fill(bytes, &automaton->states[i]);
        uint32_t count = entries_gather(bytes, 0, bytes->path_count, 0, entries);
        bytes->roots[i] = node_keep(bytes, entries, count, 0);
    }
}

/* ---- numbering ------------------------------------------------------------------------------- */

struct numbering {
    const struct bytes *bytes;
    uint32_t *number; /* of each node, 0: none yet */
    uint32_t *node;   /* of each number */
    uint32_t count;   /* numbers given, 0 (the dead state) among them */
};

static struct node node_of(const struct bytes *bytes, uint32_t which)
{
    uint32_t states = bytes->automaton->state_count;
    return which < states ? bytes->roots[which] : bytes->inner[which - states];
}

static void number_give(struct numbering *numbering, uint32_t which)
{
    if (numbering->number[which])
        return;
    numbering->number[which] = numbering->count;
    numbering->node[numbering->count++] = which;
}

/* Numbers the nodes breadth first, from 1 on. */
static struct numbering number_all(const struct bytes *bytes)
{
    size_t total = (size_t)bytes->automaton->state_count + bytes->inner_count;
    struct numbering numbering = {
        .bytes = bytes,
        .number = arena_array(bytes->scratch, total, sizeof(uint32_t)),
        .node = arena_array(bytes->scratch, total + 1, sizeof(uint32_t)),
        .count = 1,
    };
    number_give(&numbering, 0);
    for (uint32_t i = 1; i < numbering.count; i++) {
        struct node node = node_of(bytes, numbering.node[i]);
        for (uint32_t j = 0; j < node.count; j++)
            number_give(&numbering, bytes->entries[node.begin + j].target);
    }
    return numbering;
}

/* Where each byte leads from a node: a number, 0 for nowhere. */
static void row_fill(const struct numbering *numbering, uint32_t state, uint32_t row[256])
{
    memset(row, 0, 256 * sizeof *row);
    if (state == 0)
        return;
    const struct bytes *bytes = numbering->bytes;
    struct node node = node_of(bytes, numbering->node[state]);
    for (uint32_t i = 0; i < node.count; i++) {
        const struct entry *entry = &bytes->entries[node.begin + i];
        for (unsigned byte = entry->low; byte <= entry->high; byte++)
            row[byte] = numbering->number[entry->target];
    }
}

/* Cuts the bytes into classes that no state tells apart. Returns how many. */
static uint32_t classes_find(const struct numbering *numbering, uint8_t classes[256])
{
    uint32_t row[256], count = 1;
    uint8_t first[256] = {0}; /* the first byte of each class */
    uint8_t origin[256];      /* the class that a new one was cut from */
    memset(classes, 0, 256);
    for (uint32_t state = 1; state < numbering->count && count < 256; state++) {
        uint32_t known = count;
        row_fill(numbering, state, row);
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t old = classes[byte];
            if (row[byte] == row[first[old]])
                continue;
            uint32_t fresh = known;
            while (fresh < count && (origin[fresh] != old || row[first[fresh]] != row[byte]))
                fresh++;
            if (fresh == count) {
                origin[count] = old;
                first[count++] = (uint8_t)byte;
            }
            classes[byte] = (uint8_t)fresh;
        }
    }
    return count;
}

static struct byte_automaton *table_write(struct arena *arena, const struct numbering *numbering)
{
    struct byte_automaton *result = arena_alloc(arena, sizeof *result);
    result->class_count = classes_find(numbering, result->classes);
    result->state_count = numbering->count;
    size_t size = (size_t)result->state_count * result->class_count;
    if (size > AUTOMATON_TABLE_MAX)
        return NULL;
    result->next = arena_array(arena, size, sizeof *result->next);
    result->accepting = arena_array(arena, result->state_count, sizeof *result->accepting);
    const struct automaton *automaton = numbering->bytes->automaton;
    for (uint32_t state = 1; state < result->state_count; state++) {
        uint32_t row[256], node = numbering->node[state];
        row_fill(numbering, state, row);
        for (unsigned byte = 0; byte < 256; byte++)
            result->next[state * result->class_count + result->classes[byte]] = row[byte];
        result->accepting[state] =
            node < automaton->state_count && automaton->states[node].accepting;
    }
    return result;
}

struct byte_automaton *automaton_bytes(struct arena *arena, const struct automaton *a,
                                       uint32_t budget)
{
    if (a->state_count >= budget)
        return NULL;
    struct bytes bytes = {.scratch = arena_new(0), .automaton = a, .budget = budget};
    roots_fill(&bytes);
    struct byte_automaton *result = NULL;
    if (!bytes.failed) {
        struct numbering numbering = number_all(&bytes);
        result = table_write(arena, &numbering);
    }
    arena_free(bytes.scratch);
    return result;
}
