/* libfa's opinion: built from the pattern's tree in bytes, with libfa's own union, concatenation,
 * iteration and minimisation, and compared with our byte automaton state by state. */
#include <fa.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/construction.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"

/* States that the subset construction may have without our shortcuts, which libfa does not know: it
 * has no budget of its own. */
#define LIBFA_STATES_MAX 4000u

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
    if (fa_minimize(checked(fa)) < 0)
        memory_exhausted("libfa");
    return fa;
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

/* The minimal automaton of libfa; NULL when the tree is not for it. */
static struct fa *fa_minimal(struct arena *scratch, const struct pattern *pattern)
{
    if (positions_count(scratch, pattern) > ORACLE_LIBFA_POSITIONS_MAX)
        return NULL;
    struct nfa *nfa = nfa_from_pattern(scratch, pattern);
    struct effort effort = {WORK_MAX / 40};
    for (uint32_t i = 0; nfa && i < nfa->count; i++)
        nfa->states[i].repeat = NONE;
    if (!nfa || !dfa_from_nfa(scratch, nfa, LIBFA_STATES_MAX, &effort))
        return NULL;
    struct fa *fa = fa_from_pattern(scratch, pattern);
    if (fa_minimize(fa) < 0)
        memory_exhausted("libfa");
    return fa;
}

/* ---- walking --------------------------------------------------------------------------------- */

/* libfa's states by number, and where each byte leads: a number + 1, or 0. */
struct walk {
    struct state **states;
    size_t count;
    uint32_t (*rows)[256];
};

static int pointer_compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (struct state *const *)a, y = (uintptr_t) * (struct state *const *)b;
    return x < y ? -1 : x > y;
}

static uint32_t walk_number(const struct walk *walk, struct state *state)
{
    struct state **found =
        bsearch(&state, walk->states, walk->count, sizeof state, pointer_compare);
    return (uint32_t)(found - walk->states);
}

static struct walk walk_new(struct arena *scratch, struct fa *fa)
{
    struct walk walk = {0};
    size_t capacity = 0;
    for (struct state *state = fa_state_initial(fa); state; state = fa_state_next(state)) {
        arena_grow(scratch, &walk.states, &capacity, walk.count + 1, sizeof *walk.states);
        walk.states[walk.count++] = state;
    }
    qsort(walk.states, walk.count, sizeof *walk.states, pointer_compare);
    walk.rows = arena_array(scratch, walk.count, sizeof *walk.rows);
    for (size_t i = 0; i < walk.count; i++) {
        size_t transitions = fa_state_num_trans(walk.states[i]);
        for (size_t j = 0; j < transitions; j++) {
            struct state *target;
            unsigned char low, high;
            if (fa_state_trans(walk.states[i], j, &target, &low, &high) < 0)
                memory_exhausted("libfa");
            for (unsigned byte = low; byte <= high; byte++)
                walk.rows[i][byte] = walk_number(&walk, target) + 1;
        }
    }
    return walk;
}

struct joint {
    uint32_t ours, theirs; /* theirs: a number + 1, or 0 for nowhere */
    uint32_t from;
    uint8_t byte;
};

struct comparison {
    struct arena *scratch;
    const struct byte_automaton *ours;
    const struct walk *theirs;
    struct joint *joints;
    size_t count, capacity;
    uint32_t *seen_with; /* for each of our states: 1 + the first joint with it */
    uint32_t *seen_next; /* for each joint: 1 + the next one with the same state of ours */
    size_t next_capacity;
};

static void joint_add(struct comparison *comparison, uint32_t ours, uint32_t theirs, uint32_t from,
                      uint8_t byte)
{
    if (ours == 0 && theirs == 0)
        return;
    for (uint32_t i = comparison->seen_with[ours]; i; i = comparison->seen_next[i - 1])
        if (comparison->joints[i - 1].theirs == theirs)
            return;
    arena_grow(comparison->scratch, &comparison->joints, &comparison->capacity,
               comparison->count + 1, sizeof *comparison->joints);
    arena_grow(comparison->scratch, &comparison->seen_next, &comparison->next_capacity,
               comparison->count + 1, sizeof *comparison->seen_next);
    comparison->joints[comparison->count] = (struct joint){ours, theirs, from, byte};
    comparison->seen_next[comparison->count] = comparison->seen_with[ours];
    comparison->seen_with[ours] = (uint32_t)++comparison->count;
}

static bool joint_differs(const struct comparison *comparison, const struct joint *joint)
{
    bool theirs = joint->theirs &&
                  fa_state_is_accepting(comparison->theirs->states[joint->theirs - 1]);
    return comparison->ours->accepting[joint->ours] != theirs;
}

/* The first joint that one accepts and the other does not, breadth first; NONE when they agree. */
static uint32_t comparison_search(struct comparison *comparison, uint32_t start)
{
    joint_add(comparison, 1, start + 1, NONE, 0);
    for (uint32_t i = 0; i < comparison->count; i++) {
        struct joint joint = comparison->joints[i];
        if (joint_differs(comparison, &joint))
            return i;
        for (unsigned byte = 0; byte < 256; byte++) {
            const struct byte_automaton *ours = comparison->ours;
            uint32_t mine = ours->next[joint.ours * ours->class_count + ours->classes[byte]];
            uint32_t other =
                joint.theirs ? comparison->theirs->rows[joint.theirs - 1][byte] : 0;
            joint_add(comparison, mine, other, i, (uint8_t)byte);
        }
    }
    return NONE;
}

static const char *joint_value(struct arena *arena, const struct comparison *comparison,
                               uint32_t found, size_t *length)
{
    *length = 0;
    for (uint32_t i = found; comparison->joints[i].from != NONE; i = comparison->joints[i].from)
        ++*length;
    char *bytes = arena_alloc(arena, *length + 1);
    size_t at = *length;
    for (uint32_t i = found; comparison->joints[i].from != NONE; i = comparison->joints[i].from)
        bytes[--at] = (char)comparison->joints[i].byte;
    return bytes;
}

enum oracle_answer oracle_libfa_equal(struct arena *arena, const struct pattern *pattern,
                                      const struct automaton *automaton, const char **witness,
                                      size_t *witness_length)
{
    struct arena *scratch = arena_new(0);
    enum oracle_answer answer = ORACLE_UNKNOWN;
    const struct byte_automaton *bytes = automaton_bytes(scratch, automaton, AUTOMATON_STATES_MAX);
    struct fa *fa = bytes ? fa_minimal(scratch, pattern) : NULL;
    if (fa) {
        struct state *initial = fa_state_initial(fa);
        struct walk walk = walk_new(scratch, fa);
        struct comparison comparison = {.scratch = scratch, .ours = bytes, .theirs = &walk};
        comparison.seen_with = arena_array(scratch, bytes->state_count, sizeof(uint32_t));
        uint32_t found = comparison_search(&comparison, walk_number(&walk, initial));
        answer = found == NONE ? ORACLE_YES : ORACLE_NO;
        if (found != NONE && witness)
            *witness = joint_value(arena, &comparison, found, witness_length);
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
    struct fa *fa = fa_minimal(scratch, pattern);
    if (fa) {
        struct state *initial = fa_state_initial(fa);
        struct walk walk = walk_new(scratch, fa);
        uint32_t state = walk_number(&walk, initial) + 1;
        for (size_t i = 0; i < length && state; i++)
            state = walk.rows[state - 1][(unsigned char)bytes[i]];
        bool accepts = state && fa_state_is_accepting(walk.states[state - 1]);
        answer = accepts ? ORACLE_YES : ORACLE_NO;
        fa_free(fa);
    }
    arena_free(scratch);
    return answer;
}
