#include "compiler/regex/charset.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"

#define SURROGATE_FIRST 0xD800u
#define SURROGATE_LAST 0xDFFFu

struct charset charset_empty(void)
{
    return (struct charset){NULL, 0};
}

/* Room for `count` ranges, to be filled in ascending order with range_append. */
static struct charset charset_room(struct arena *arena, size_t count)
{
    return (struct charset){arena_array(arena, count ? count : 1, sizeof(struct scalar_range)), 0};
}

/* Adds a range that begins no earlier than the last one, and joins the two where they touch. */
static void range_append(struct charset *set, uint32_t low, uint32_t high)
{
    struct scalar_range *last = set->count ? &set->ranges[set->count - 1] : NULL;
    if (last && low <= last->high + 1) {
        if (high > last->high)
            last->high = high;
        return;
    }
    set->ranges[set->count++] = (struct scalar_range){low, high};
}

/* The same, without NUL and the surrogates: up to two ranges. */
static void range_append_scalars(struct charset *set, uint32_t low, uint32_t high)
{
    if (low == 0)
        low = 1;
    if (high > SCALAR_MAX)
        high = SCALAR_MAX;
    if (low < SURROGATE_FIRST && low <= high)
        range_append(set, low, high < SURROGATE_FIRST ? high : SURROGATE_FIRST - 1);
    if (low <= SURROGATE_LAST)
        low = SURROGATE_LAST + 1;
    if (low <= high)
        range_append(set, low, high);
}

struct charset charset_range(struct arena *arena, uint32_t low, uint32_t high)
{
    struct charset set = charset_room(arena, 2);
    range_append_scalars(&set, low, high);
    return set;
}

static int range_compare(const void *a, const void *b)
{
    const struct scalar_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

struct charset charset_normal(struct arena *arena, struct scalar_range *ranges, size_t count)
{
    if (count > 1)
        qsort(ranges, count, sizeof *ranges, range_compare);
    struct charset set = charset_room(arena, count + 1);
    for (size_t i = 0; i < count; i++)
        if (ranges[i].low <= ranges[i].high)
            range_append_scalars(&set, ranges[i].low, ranges[i].high);
    return set;
}

struct charset charset_union(struct arena *arena, struct charset a, struct charset b)
{
    struct charset set = charset_room(arena, a.count + b.count);
    size_t i = 0, j = 0;
    while (i < a.count || j < b.count) {
        bool from_a = j == b.count || (i < a.count && a.ranges[i].low <= b.ranges[j].low);
        struct scalar_range range = from_a ? a.ranges[i++] : b.ranges[j++];
        range_append(&set, range.low, range.high);
    }
    return set;
}

struct charset charset_intersect(struct arena *arena, struct charset a, struct charset b)
{
    struct charset set = charset_room(arena, a.count + b.count);
    for (size_t i = 0, j = 0; i < a.count && j < b.count;) {
        uint32_t low = a.ranges[i].low > b.ranges[j].low ? a.ranges[i].low : b.ranges[j].low;
        uint32_t high = a.ranges[i].high < b.ranges[j].high ? a.ranges[i].high : b.ranges[j].high;
        if (low <= high)
            range_append(&set, low, high);
        if (a.ranges[i].high < b.ranges[j].high)
            i++;
        else
            j++;
    }
    return set;
}

struct charset charset_complement(struct arena *arena, struct charset a)
{
    struct charset set = charset_room(arena, a.count + 2);
    uint32_t next = 1;
    for (size_t i = 0; i < a.count; i++) {
        if (a.ranges[i].low > next)
            range_append_scalars(&set, next, a.ranges[i].low - 1);
        next = a.ranges[i].high + 1;
    }
    if (next <= SCALAR_MAX)
        range_append_scalars(&set, next, SCALAR_MAX);
    return set;
}

struct charset charset_subtract(struct arena *arena, struct charset a, struct charset b)
{
    return charset_intersect(arena, a, charset_complement(arena, b));
}

bool charset_contains(struct charset set, uint32_t scalar)
{
    size_t low = 0, high = set.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set.ranges[middle].high < scalar)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set.count && set.ranges[low].low <= scalar;
}

bool charset_equal(struct charset a, struct charset b)
{
    return a.count == b.count &&
           (a.count == 0 || memcmp(a.ranges, b.ranges, a.count * sizeof *a.ranges) == 0);
}

uint32_t charset_size(struct charset set)
{
    uint32_t size = 0;
    for (size_t i = 0; i < set.count; i++)
        size += set.ranges[i].high - set.ranges[i].low + 1;
    return size;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

struct sequences {
    struct arena *arena;
    struct byte_sequence *items;
    size_t count, capacity;
};

static unsigned scalar_bytes(uint32_t scalar)
{
    return scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
}

/* The byte at `index` of a scalar's spelling in `length` bytes. */
static uint8_t scalar_byte(uint32_t scalar, unsigned length, unsigned index)
{
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    uint32_t bits = scalar >> (6 * (length - 1 - index));
    return (uint8_t)(index == 0 ? lead[length] | bits : 0x80 | (bits & 0x3F));
}

/* The last scalar from `low` on, at most `high`, such that low..last is one byte sequence: every
 * byte behind the first that differs goes through all its values. */
static uint32_t sequence_last(uint32_t low, uint32_t high, unsigned length)
{
    static const uint32_t longest[] = {0, 0x7F, 0x7FF, 0xFFFF, SCALAR_MAX};
    if (high > longest[length])
        high = longest[length];
    /* The most trailing bytes that `low` leaves free, and of those no more than `high` fills. */
    for (unsigned free_bytes = length - 1; free_bytes > 0; free_bytes--) {
        uint32_t mask = (1u << (6 * free_bytes)) - 1;
        if ((low & mask) != 0 || high - low < mask)
            continue;
        /* The byte before the free ones may run on, within the same prefix. */
        uint32_t last = high - ((high + 1) & mask);
        uint32_t prefix_end = free_bytes + 1 == length ? last : (low | (mask << 6) | 0x3F);
        return last < prefix_end ? last : prefix_end;
    }
    uint32_t end = length == 1 ? high : (low | 0x3F);
    return high < end ? high : end;
}

static void sequences_add(struct sequences *sequences, uint32_t low, uint32_t high)
{
    while (low <= high) {
        unsigned length = scalar_bytes(low);
        uint32_t last = sequence_last(low, high, length);
        arena_grow(sequences->arena, &sequences->items, &sequences->capacity, sequences->count + 1,
                   sizeof *sequences->items);
        struct byte_sequence *sequence = &sequences->items[sequences->count++];
        sequence->length = (uint8_t)length;
        for (unsigned i = 0; i < length; i++) {
            sequence->bytes[i].low = scalar_byte(low, length, i);
            sequence->bytes[i].high = scalar_byte(last, length, i);
        }
        low = last + 1;
    }
}

size_t charset_sequences(struct arena *arena, struct charset set, struct byte_sequence **sequences)
{
    struct sequences all = {.arena = arena};
    for (size_t i = 0; i < set.count; i++)
        sequences_add(&all, set.ranges[i].low, set.ranges[i].high);
    *sequences = all.items;
    return all.count;
}
