/* Cuts the scalars into the classes that a collection of sets does not tell apart. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/construction.h"

#define SORTED_MAX 4096u /* boundaries up to which sorting beats a bitmap of all scalars */

bool effort_spend(struct effort *effort, uint64_t steps)
{
    effort->left = effort->left > steps ? effort->left - steps : 0;
    return effort->left > 0;
}

static int number_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Where ranges begin, and where they have just ended: sorted, each once. */
static uint32_t boundaries_sort(uint32_t *boundaries, const struct charset *sets, uint32_t count)
{
    size_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j < sets[i].count; j++) {
            boundaries[found++] = sets[i].ranges[j].low;
            boundaries[found++] = sets[i].ranges[j].high + 1;
        }
    if (found)
        qsort(boundaries, found, sizeof *boundaries, number_compare);
    uint32_t kept = 0;
    for (size_t i = 0; i < found; i++)
        if (kept == 0 || boundaries[kept - 1] != boundaries[i])
            boundaries[kept++] = boundaries[i];
    return kept;
}

/* The same by a bitmap: linear in the number of ranges. */
static uint32_t boundaries_map(struct arena *scratch, uint32_t *boundaries,
                               const struct charset *sets, uint32_t count)
{
    uint64_t *bits = arena_array(scratch, (SCALAR_MAX + 2) / 64 + 1, sizeof *bits);
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j < sets[i].count; j++) {
            uint32_t low = sets[i].ranges[j].low, end = sets[i].ranges[j].high + 1;
            bits[low / 64] |= (uint64_t)1 << (low % 64);
            bits[end / 64] |= (uint64_t)1 << (end % 64);
        }
    uint32_t found = 0;
    for (uint32_t word = 0; word <= (SCALAR_MAX + 1) / 64; word++)
        for (uint64_t rest = bits[word]; rest; rest &= rest - 1)
            boundaries[found++] = word * 64 + (uint32_t)__builtin_ctzll(rest);
    return found;
}

static void intervals_fill(struct arena *scratch, struct alphabet *alphabet,
                           const struct charset *sets, uint32_t count, size_t range_count)
{
    /* No more boundaries than scalars, and one behind the last of them. */
    size_t room = range_count * 2 < SCALAR_MAX + 2 ? range_count * 2 : SCALAR_MAX + 2;
    uint32_t *boundaries = arena_array(scratch, room + 1, sizeof *boundaries);
    uint32_t found = range_count * 2 <= SORTED_MAX
                         ? boundaries_sort(boundaries, sets, count)
                         : boundaries_map(scratch, boundaries, sets, count);
    alphabet->intervals = arena_array(scratch, found + 1, sizeof *alphabet->intervals);
    for (uint32_t i = 0; i + 1 < found; i++)
        alphabet->intervals[i] = (struct scalar_range){boundaries[i], boundaries[i + 1] - 1};
    alphabet->interval_count = found ? found - 1 : 0;
}

static uint32_t interval_find(const struct alphabet *alphabet, uint32_t low)
{
    uint32_t begin = 0, end = alphabet->interval_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (alphabet->intervals[middle].low < low)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Partition refinement: each set splits the classes that it cuts in two. */
struct refinement {
    struct alphabet *alphabet;
    uint32_t *class_of;  /* of each interval */
    uint32_t *size;      /* intervals of each class */
    uint32_t *touched;   /* by the current set */
    uint32_t *successor; /* where the current set moves what it touches; NONE: not decided */
    uint32_t *list;      /* intervals of the current set */
    uint32_t list_count;
    uint32_t class_count;
};

static void list_fill(struct refinement *refinement, struct charset set)
{
    const struct alphabet *alphabet = refinement->alphabet;
    refinement->list_count = 0;
    for (size_t i = 0; i < set.count; i++)
        for (uint32_t interval = interval_find(alphabet, set.ranges[i].low);
             interval < alphabet->interval_count &&
             alphabet->intervals[interval].low <= set.ranges[i].high;
             interval++)
            refinement->list[refinement->list_count++] = interval;
}

static void refine(struct refinement *refinement)
{
    for (uint32_t i = 0; i < refinement->list_count; i++) {
        uint32_t class = refinement->class_of[refinement->list[i]];
        refinement->touched[class] = 0;
        refinement->successor[class] = NONE;
    }
    for (uint32_t i = 0; i < refinement->list_count; i++)
        refinement->touched[refinement->class_of[refinement->list[i]]]++;
    for (uint32_t i = 0; i < refinement->list_count; i++) {
        uint32_t *class = &refinement->class_of[refinement->list[i]];
        uint32_t *successor = &refinement->successor[*class];
        if (*successor == NONE)
            *successor = refinement->touched[*class] == refinement->size[*class]
                             ? *class
                             : refinement->class_count++;
        refinement->size[*class]--;
        refinement->size[*successor]++;
        *class = *successor;
    }
}

/* The classes of each set: what its automaton's edges are labelled with. */
static bool set_classes_fill(struct arena *scratch, struct refinement *refinement,
                             const struct charset *sets, uint32_t count, struct effort *effort)
{
    struct alphabet *alphabet = refinement->alphabet;
    uint32_t *seen = arena_array(scratch, refinement->class_count + 1, sizeof *seen);
    size_t capacity = 0;
    uint32_t total = 0;
    alphabet->set_begin = arena_array(scratch, (size_t)count + 1, sizeof *alphabet->set_begin);
    for (uint32_t i = 0; i < count; i++) {
        alphabet->set_begin[i] = total;
        list_fill(refinement, sets[i]);
        if (!effort_spend(effort, refinement->list_count))
            return false;
        arena_grow(scratch, &alphabet->set_classes, &capacity, total + refinement->list_count,
                   sizeof *alphabet->set_classes);
        for (uint32_t j = 0; j < refinement->list_count; j++) {
            uint32_t class = refinement->class_of[refinement->list[j]];
            if (seen[class] == i + 1)
                continue;
            seen[class] = i + 1;
            alphabet->set_classes[total++] = class;
        }
        if (total > SET_CLASSES_MAX)
            return false;
    }
    alphabet->set_begin[count] = total;
    return true;
}

static void class_intervals_fill(struct arena *scratch, const struct refinement *refinement)
{
    struct alphabet *alphabet = refinement->alphabet;
    uint32_t *begin = arena_array(scratch, (size_t)refinement->class_count + 2, sizeof *begin);
    uint32_t *intervals = arena_array(scratch, alphabet->interval_count + 1, sizeof *intervals);
    for (uint32_t i = 0; i < alphabet->interval_count; i++)
        begin[refinement->class_of[i] + 2]++;
    for (uint32_t class = 0; class < refinement->class_count; class++)
        begin[class + 2] += begin[class + 1];
    for (uint32_t i = 0; i < alphabet->interval_count; i++)
        intervals[begin[refinement->class_of[i] + 1]++] = i;
    alphabet->class_count = refinement->class_count;
    alphabet->class_begin = begin;
    alphabet->class_intervals = intervals;
}

struct alphabet *alphabet_new(struct arena *scratch, const struct charset *sets, uint32_t count,
                              struct effort *effort)
{
    size_t range_count = 0;
    for (uint32_t i = 0; i < count; i++)
        range_count += sets[i].count;
    if (range_count > SET_RANGES_MAX || !effort_spend(effort, range_count + 1))
        return NULL;
    struct alphabet *alphabet = arena_alloc(scratch, sizeof *alphabet);
    intervals_fill(scratch, alphabet, sets, count, range_count);
    size_t room = (size_t)alphabet->interval_count + 1;
    struct refinement refinement = {
        .alphabet = alphabet,
        .class_of = arena_array(scratch, room, sizeof(uint32_t)),
        .size = arena_array(scratch, room, sizeof(uint32_t)),
        .touched = arena_array(scratch, room, sizeof(uint32_t)),
        .successor = arena_array(scratch, room, sizeof(uint32_t)),
        .list = arena_array(scratch, room, sizeof(uint32_t)),
        .class_count = 1,
    };
    refinement.size[0] = alphabet->interval_count;
    for (uint32_t i = 0; i < count; i++) {
        list_fill(&refinement, sets[i]);
        if (!effort_spend(effort, (uint64_t)refinement.list_count * 3))
            return NULL;
        refine(&refinement);
    }
    if (!set_classes_fill(scratch, &refinement, sets, count, effort))
        return NULL;
    class_intervals_fill(scratch, &refinement);
    return alphabet;
}
