#include "compiler/analysis/number_table.h"

#include <string.h>

#include "compiler/base/arena.h"

#define FIRST_SLOTS ((size_t)64)
#define NUMBER_BITS UINT64_C(0xFFFFFFFF)

void number_table_init(struct number_table *table, struct arena *arena)
{
    *table = (struct number_table){.arena = arena};
}

static uint64_t hash_step(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

/* Keys have thousands of numbers: four at a time, in two chains that a processor works on at once. */
static uint64_t numbers_hash(const uint32_t *numbers, size_t count)
{
    uint64_t hash = count, other = ~(uint64_t)count, words[2];
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        memcpy(words, numbers + i, sizeof words);
        hash = hash_step(hash, words[0]);
        other = hash_step(other, words[1]);
    }
    for (; i < count; i++)
        hash = hash_step(hash, numbers[i]);
    hash = hash_step(hash, other);
    return hash ^ hash >> 32;
}

/* The slot of a key, or the free one where it belongs. There always is a free one. */
static uint64_t *slot_find(const struct number_table *table, uint64_t hash, const uint32_t *numbers,
                           size_t count)
{
    for (size_t at = hash & (table->slot_count - 1);; at = (at + 1) & (table->slot_count - 1)) {
        uint64_t *slot = &table->slots[at];
        if (!*slot)
            return slot;
        if ((*slot ^ hash) & ~NUMBER_BITS)
            continue;
        const struct number_key *key = &table->keys[(*slot & NUMBER_BITS) - 1];
        if (key->count == count &&
            (!count || memcmp(key->numbers, numbers, count * sizeof *numbers) == 0))
            return slot;
    }
}

static void table_enlarge(struct number_table *table)
{
    table->slot_count = table->slot_count ? table->slot_count * 2 : FIRST_SLOTS;
    table->slots = arena_array(table->arena, table->slot_count, sizeof *table->slots);
    for (size_t i = 0; i < table->count; i++) {
        const struct number_key *key = &table->keys[i];
        uint64_t hash = numbers_hash(key->numbers, key->count);
        *slot_find(table, hash, key->numbers, key->count) = (hash & ~NUMBER_BITS) | (i + 1);
    }
}

uint32_t number_table_intern(struct number_table *table, const uint32_t *numbers, size_t count,
                             int *is_new)
{
    if ((table->count + 1) * 2 > table->slot_count)
        table_enlarge(table);
    uint64_t hash = numbers_hash(numbers, count);
    uint64_t *slot = slot_find(table, hash, numbers, count);
    *is_new = !*slot;
    if (*slot)
        return (uint32_t)(*slot & NUMBER_BITS) - 1;
    arena_grow(table->arena, &table->keys, &table->capacity, table->count + 1,
               sizeof *table->keys);
    uint32_t *copy = arena_array(table->arena, count + 1, sizeof *copy);
    if (count)
        memcpy(copy, numbers, count * sizeof *numbers);
    table->keys[table->count++] = (struct number_key){copy, count};
    *slot = (hash & ~NUMBER_BITS) | table->count;
    return (uint32_t)table->count - 1;
}

uint32_t number_table_find(const struct number_table *table, const uint32_t *numbers, size_t count)
{
    if (!table->slot_count)
        return UINT32_MAX;
    uint64_t slot = *slot_find(table, numbers_hash(numbers, count), numbers, count);
    return slot ? (uint32_t)(slot & NUMBER_BITS) - 1 : UINT32_MAX;
}
