/* libfa's opinion: an automaton built from the pattern's tree in bytes, with libfa's own
 * expressions, union, concatenation and iteration, compared with our byte automaton step by step.
 *
 * libfa's result is walked as it is, by sets of its states: its own minimisation would be another
 * opinion, but takes minutes where the walk takes milliseconds, and cannot be bounded. */
#include <fa.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pairs.h"
#include "compiler/regex/pattern.h"

/* libfa has no budget of its own, and knows nothing of what struct nfa_repeat says. What it would
 * come to is estimated by a subset construction without that, and bounded. */
#define LIBFA_STATES_MAX 4000u
#define LIBFA_WORK_MAX 400000u
/* A set is minimised, so that it has one final state instead of many, but that is slow for long
 * ones: these weigh more. */
#define MINIMISED_SEQUENCES_MAX 100u
#define LONG_SET_WEIGHT 4u
/* What the walk looks at: sets of libfa's states, their members, the transitions of those. */
#define WALK_SETS_MAX 40000u
#define WALK_MEMBERS_MAX 4000000u
#define WALK_WORK_MAX 20000000u

/* ---- building -------------------------------------------------------------------------------- */

/* Byte positions of a tree, repetitions written out. Recursion: as deep as the tree. */
static uint64_t positions_count(struct arena *scratch, const struct pattern *pattern)
{
    uint64_t count = 0;
    if (pattern->kind == PATTERN_SET) {
        struct byte_sequence *sequences;
        size_t sequence_count = charset_sequences(scratch, pattern->set, &sequences);
        for (size_t i = 0; i < sequence_count; i++)
            count += sequences[i].length;
        if (sequence_count > MINIMISED_SEQUENCES_MAX)
            count *= LONG_SET_WEIGHT;
    }
    for (size_t i = 0; i < pattern->child_count && count <= ORACLE_LIBFA_POSITIONS_MAX; i++)
        count += positions_count(scratch, pattern->children[i]);
    if (pattern->kind == PATTERN_REPEAT)
        count *= pattern->maximum == PATTERN_REPEAT_NONE ? (uint64_t)pattern->minimum + 1
                                                         : pattern->maximum;
    return count <= ORACLE_LIBFA_POSITIONS_MAX ? count : ORACLE_LIBFA_POSITIONS_MAX + 1;
}

static struct fa *checked(struct fa *fa)
{
    if (!fa)
        memory_exhausted("libfa");
    return fa;
}

static struct fa *joined(struct fa *(*join)(struct fa *, struct fa *), struct fa *a, struct fa *b)
{
    struct fa *result = checked(join(a, b));
    fa_free(a);
    fa_free(b);
    return result;
}

/* A byte of a POSIX expression that stands for itself. */
static void write_byte(struct buffer *out, uint8_t byte)
{
    if (strchr("\\^$.[]|()*+?{}-/", byte) && byte)
        buffer_char(out, '\\');
    buffer_char(out, (char)byte);
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

/* A range of bytes: within brackets where its ends have no meaning there, else one by one. */
static void write_bytes(struct buffer *out, uint8_t low, uint8_t high)
{
    unsigned first = low, last = high;
    buffer_char(out, '(');
    for (; first <= last && !is_plain((uint8_t)first); first++) {
        write_byte(out, (uint8_t)first);
        if (first < last)
            buffer_char(out, '|');
    }
    unsigned end = last;
    while (end > first && !is_plain((uint8_t)end))
        end--;
    if (first <= last) {
        buffer_char(out, '[');
        buffer_char(out, (char)first);
        if (end > first) {
            buffer_char(out, '-');
            buffer_char(out, (char)end);
        }
        buffer_char(out, ']');
        for (unsigned byte = end + 1; byte <= last; byte++) {
            buffer_char(out, '|');
            write_byte(out, (uint8_t)byte);
        }
    }
    buffer_char(out, ')');
}

static struct fa *fa_from_set(struct arena *scratch, struct charset set)
{
    struct byte_sequence *sequences;
    size_t count = charset_sequences(scratch, set, &sequences);
    if (count == 0)
        return checked(fa_make_basic(FA_EMPTY));
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_char(&text, '|');
        for (unsigned j = 0; j < sequences[i].length; j++)
            write_bytes(&text, sequences[i].bytes[j].low, sequences[i].bytes[j].high);
    }
    struct fa *fa = NULL;
    if (fa_compile(text.text, text.length, &fa) != REG_NOERROR)
        memory_exhausted("libfa");
    buffer_free(&text);
    if (count <= MINIMISED_SEQUENCES_MAX && fa_minimize(checked(fa)) < 0)
        memory_exhausted("libfa");
    return checked(fa);
}

/* Recursion: as deep as the tree. */
static struct fa *fa_from_pattern(struct arena *scratch, const struct pattern *pattern)
{
    struct fa *result = NULL;
    switch (pattern->kind) {
    case PATTERN_EMPTY:
        result = fa_make_basic(FA_EPSILON);
        break;
    case PATTERN_SET:
        result = fa_from_set(scratch, pattern->set);
        break;
    case PATTERN_CONCAT:
    case PATTERN_ALTERNATE:
        for (size_t i = 0; i < pattern->child_count; i++) {
            struct fa *child = fa_from_pattern(scratch, pattern->children[i]);
            result = !result ? child
                             : joined(pattern->kind == PATTERN_CONCAT ? fa_concat : fa_union,
                                      result, child);
        }
        break;
    case PATTERN_REPEAT: {
        struct fa *child = fa_from_pattern(scratch, pattern->children[0]);
        result = fa_iter(child, (int)pattern->minimum,
                         pattern->maximum == PATTERN_REPEAT_NONE ? -1 : (int)pattern->maximum);
        fa_free(child);
        break;
    }
    }
    return checked(result);
}

/* libfa's automaton; NULL when the tree is not for it. */
static struct fa *fa_within_bounds(struct arena *scratch, const struct pattern *pattern)
{
    if (positions_count(scratch, pattern) > ORACLE_LIBFA_POSITIONS_MAX)
        return NULL;
    struct nfa *nfa = nfa_from_pattern(scratch, pattern);
    struct effort effort = {LIBFA_WORK_MAX};
    for (uint32_t i = 0; nfa && i < nfa->count; i++)
        nfa->states[i].repeat = NONE;
    if (!nfa || !dfa_from_nfa(scratch, nfa, LIBFA_STATES_MAX, &effort))
        return NULL;
    return fa_from_pattern(scratch, pattern);
}

/* ---- sets of libfa's states ------------------------------------------------------------------ */

struct step {
    uint8_t low, high;
    uint32_t target;
};

struct state_set {
    uint32_t begin, count; /* in walk.members */
    uint32_t hash;
};

struct walk {
    struct arena *scratch;
    struct state **states; /* libfa's, sorted by address: their numbers */
    size_t state_count;
    struct step *steps; /* of all states, one behind the other */
    uint32_t *step_begin;
    struct state_set *sets; /* sets[0] is the empty one */
    uint32_t set_count;
    size_t set_capacity;
    uint32_t *members;
    size_t member_count, member_capacity;
    uint32_t *table; /* open addressing: set + 1 */
    uint32_t *seen;  /* for each state, the last set that it was put into */
    uint32_t round;
    uint64_t work; /* transitions looked at */
    bool full;
};

#define TABLE_SIZE (2 * 65536u)

static int pointer_compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(struct state *const *)a);
    uintptr_t y = (uintptr_t)(*(struct state *const *)b);
    return x < y ? -1 : x > y;
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t state_number(const struct walk *walk, struct state *state)
{
    struct state **found =
        bsearch(&state, walk->states, walk->state_count, sizeof state, pointer_compare);
    return (uint32_t)(found - walk->states);
}

static void steps_fill(struct walk *walk)
{
    size_t count = 0, capacity = 0;
    walk->step_begin = arena_array(walk->scratch, walk->state_count + 1, sizeof(uint32_t));
    for (size_t i = 0; i < walk->state_count; i++) {
        size_t here = fa_state_num_trans(walk->states[i]);
        arena_grow(walk->scratch, &walk->steps, &capacity, count + here, sizeof *walk->steps);
        for (size_t j = 0; j < here; j++) {
            struct state *target;
            unsigned char low, high;
            if (fa_state_trans(walk->states[i], j, &target, &low, &high) < 0)
                memory_exhausted("libfa");
            walk->steps[count++] = (struct step){low, high, state_number(walk, target)};
        }
        walk->step_begin[i + 1] = (uint32_t)count;
    }
}

/* The number of the set of the last `count` members, which are kept when it is new. */
static uint32_t set_number(struct walk *walk, size_t count)
{
    uint32_t *members = walk->members + walk->member_count;
    if (count > 1)
        qsort(members, count, sizeof *members, number_compare);
    uint32_t hash = 0x811C9DC5u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ members[i]) * 0x01000193u ^ (hash >> 15);
    uint32_t slot = hash & (TABLE_SIZE - 1);
    for (; walk->table[slot]; slot = (slot + 1) & (TABLE_SIZE - 1)) {
        const struct state_set *set = &walk->sets[walk->table[slot] - 1];
        if (set->hash == hash && set->count == count &&
            (count == 0 ||
             memcmp(walk->members + set->begin, members, count * sizeof *members) == 0))
            return walk->table[slot] - 1;
    }
    if (walk->set_count == WALK_SETS_MAX || walk->member_count + count > WALK_MEMBERS_MAX) {
        walk->full = true;
        return 0;
    }
    arena_grow(walk->scratch, &walk->sets, &walk->set_capacity, (size_t)walk->set_count + 1,
               sizeof *walk->sets);
    walk->sets[walk->set_count] =
        (struct state_set){(uint32_t)walk->member_count, (uint32_t)count, hash};
    walk->member_count += count;
    walk->table[slot] = walk->set_count + 1;
    return walk->set_count++;
}

/* The set that a byte leads to. */
static uint32_t set_step(struct walk *walk, uint32_t set, uint8_t byte)
{
    size_t count = 0;
    walk->round++;
    for (uint32_t i = 0; i < walk->sets[set].count; i++) {
        uint32_t state = walk->members[walk->sets[set].begin + i];
        walk->work += walk->step_begin[state + 1] - walk->step_begin[state];
        for (uint32_t j = walk->step_begin[state]; j < walk->step_begin[state + 1]; j++) {
            struct step step = walk->steps[j];
            if (byte < step.low || byte > step.high || walk->seen[step.target] == walk->round)
                continue;
            walk->seen[step.target] = walk->round;
            arena_grow(walk->scratch, &walk->members, &walk->member_capacity,
                       walk->member_count + count + 1, sizeof *walk->members);
            walk->members[walk->member_count + count++] = step.target;
        }
    }
    walk->full = walk->full || walk->work > WALK_WORK_MAX;
    return set_number(walk, count);
}

static bool set_accepts(const struct walk *walk, uint32_t set)
{
    for (uint32_t i = 0; i < walk->sets[set].count; i++)
        if (fa_state_is_accepting(walk->states[walk->members[walk->sets[set].begin + i]]))
            return true;
    return false;
}

/* Ready to walk from set 1, the initial state alone. */
static struct walk *walk_new(struct arena *scratch, struct fa *fa)
{
    struct walk *walk = arena_alloc(scratch, sizeof *walk);
    walk->scratch = scratch;
    struct state *initial = fa_state_initial(fa);
    size_t capacity = 0;
    for (struct state *state = initial; state; state = fa_state_next(state)) {
        arena_grow(scratch, &walk->states, &capacity, walk->state_count + 1, sizeof *walk->states);
        walk->states[walk->state_count++] = state;
    }
    qsort(walk->states, walk->state_count, sizeof *walk->states, pointer_compare);
    steps_fill(walk);
    walk->seen = arena_array(scratch, walk->state_count, sizeof *walk->seen);
    walk->table = arena_array(scratch, TABLE_SIZE, sizeof *walk->table);
    arena_grow(scratch, &walk->members, &walk->member_capacity, 1, sizeof *walk->members);
    set_number(walk, 0);
    walk->members[0] = state_number(walk, initial);
    set_number(walk, 1);
    return walk;
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct comparison {
    const struct byte_automaton *ours;
    struct walk *theirs;
    struct pairs *pairs; /* of a state of ours and a set of libfa's; `scalar` is a byte */
};

/* Whether a byte can lead elsewhere than the one before it did. */
static void cuts_fill(const struct comparison *comparison, uint32_t theirs, bool cuts[257])
{
    const struct walk *walk = comparison->theirs;
    const struct state_set *set = &walk->sets[theirs];
    memset(cuts, 0, 257 * sizeof *cuts);
    for (unsigned byte = 1; byte < 256; byte++)
        cuts[byte] = comparison->ours->classes[byte] != comparison->ours->classes[byte - 1];
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t state = walk->members[set->begin + i];
        for (uint32_t j = walk->step_begin[state]; j < walk->step_begin[state + 1]; j++)
            cuts[walk->steps[j].low] = cuts[walk->steps[j].high + 1] = true;
    }
    cuts[0] = true;
}

/* The first pair that one accepts and the other does not, breadth first; NONE when they agree. */
static uint32_t comparison_search(struct comparison *comparison)
{
    const struct byte_automaton *ours = comparison->ours;
    struct pairs *pairs = comparison->pairs;
    pairs_add(pairs, 1, 1);
    for (uint32_t i = 0; i < pairs->count && !comparison->theirs->full; i++) {
        uint32_t state = pairs->items[i].a, set = pairs->items[i].b;
        if (ours->accepting[state] != set_accepts(comparison->theirs, set))
            return i;
        bool cuts[257];
        cuts_fill(comparison, set, cuts);
        for (unsigned byte = 0; byte < 256; byte++) {
            if (!cuts[byte])
                continue;
            uint32_t next = ours->next[state * ours->class_count + ours->classes[byte]];
            uint32_t next_set = set_step(comparison->theirs, set, (uint8_t)byte);
            if (next != 0 || next_set != 0)
                pairs_add_step(pairs, next, next_set, i, byte);
        }
    }
    return NONE;
}

/* The bytes that lead to a pair. */
static const char *bytes_value(struct arena *arena, const struct pairs *pairs, uint32_t found,
                               size_t *length)
{
    *length = 0;
    for (uint32_t i = found; pairs->items[i].from != NONE; i = pairs->items[i].from)
        ++*length;
    char *bytes = arena_alloc(arena, *length + 1);
    size_t at = *length;
    for (uint32_t i = found; pairs->items[i].from != NONE; i = pairs->items[i].from)
        bytes[--at] = (char)pairs->items[i].scalar;
    return bytes;
}

enum oracle_answer oracle_libfa_equal(struct arena *arena, const struct pattern *pattern,
                                      const struct automaton *automaton, const char **witness,
                                      size_t *witness_length)
{
    struct arena *scratch = arena_new(0);
    enum oracle_answer answer = ORACLE_UNKNOWN;
    const struct byte_automaton *bytes = automaton_bytes(scratch, automaton, AUTOMATON_STATES_MAX);
    struct fa *fa = bytes ? fa_within_bounds(scratch, pattern) : NULL;
    if (fa) {
        struct comparison comparison = {
            .ours = bytes,
            .theirs = walk_new(scratch, fa),
            .pairs = pairs_new(scratch, NULL, NULL, PAIRS_BOTH, AUTOMATON_PAIRS_MAX),
        };
        uint32_t found = comparison_search(&comparison);
        if (found != NONE)
            answer = ORACLE_NO;
        else if (!comparison.theirs->full && !comparison.pairs->full)
            answer = ORACLE_YES;
        if (found != NONE && witness)
            *witness = bytes_value(arena, comparison.pairs, found, witness_length);
        fa_free(fa);
    }
    arena_free(scratch);
    return answer;
}

enum oracle_answer oracle_libfa_accepts(const struct pattern *pattern, const char *bytes,
                                        size_t length)
{
    struct arena *scratch = arena_new(0);
    enum oracle_answer answer = ORACLE_UNKNOWN;
    struct fa *fa = fa_within_bounds(scratch, pattern);
    if (fa) {
        struct walk *walk = walk_new(scratch, fa);
        uint32_t set = 1;
        for (size_t i = 0; i < length; i++)
            set = set_step(walk, set, (uint8_t)bytes[i]);
        if (!walk->full)
            answer = set_accepts(walk, set) ? ORACLE_YES : ORACLE_NO;
        fa_free(fa);
    }
    arena_free(scratch);
    return answer;
}
