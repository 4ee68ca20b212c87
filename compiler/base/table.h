/* A hash table from byte strings to pointers, in an arena.
 *
 * Owns its own array; keys and values are the caller's and must live as long as the table. A zeroed
 * struct is an empty table. Nothing is ever removed. Never iterated: whoever needs an order keeps
 * one, so that no output can depend on hashes. */
#ifndef SLUICE_TABLE_H
#define SLUICE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct table_entry {
    const void *key;
    size_t length;
    uint64_t hash;
    void *value; /* NULL: this place is free */
};

struct table {
    struct table_entry *entries;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

/* The value of a key, or NULL when there is none. */
void *table_find(const struct table *table, const void *key, size_t length);

/* Adds a value (not NULL) for a key that is not in the table. */
void table_add(struct arena *arena, struct table *table, const void *key, size_t length,
               void *value);

#endif
