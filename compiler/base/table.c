#include "compiler/base/table.h"

#include <string.h>

#include "compiler/base/arena.h"

#define FIRST_CAPACITY ((size_t)64)

/* FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv). */
static uint64_t hash_bytes(const unsigned char *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The place of a key: its entry, or the free one where it belongs. There always is a free one. */
static struct table_entry *find_place(struct table_entry *entries, size_t capacity, uint64_t hash,
                                      const void *key, size_t length)
{
    for (size_t at = hash & (capacity - 1);; at = (at + 1) & (capacity - 1)) {
        struct table_entry *entry = &entries[at];
        if (!entry->value)
            return entry;
        if (entry->hash == hash && entry->length == length &&
            (!length || memcmp(entry->key, key, length) == 0))
            return entry;
    }
}

void *table_find(const struct table *table, const void *key, size_t length)
{
    if (!table->capacity)
        return NULL;
    return find_place(table->entries, table->capacity, hash_bytes(key, length), key, length)->value;
}

static void table_enlarge(struct arena *arena, struct table *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
    struct table_entry *entries = arena_array(arena, capacity, sizeof *entries);
    for (size_t i = 0; i < table->capacity; i++) {
        const struct table_entry *old = &table->entries[i];
        if (old->value)
            *find_place(entries, capacity, old->hash, old->key, old->length) = *old;
    }
    table->entries = entries;
    table->capacity = capacity;
}

void table_add(struct arena *arena, struct table *table, const void *key, size_t length,
               void *value)
{
    if ((table->count + 1) * 2 > table->capacity)
        table_enlarge(arena, table);
    uint64_t hash = hash_bytes(key, length);
    struct table_entry *entry = find_place(table->entries, table->capacity, hash, key, length);
    table->count++;
    *entry = (struct table_entry){key, length, hash, value};
}
