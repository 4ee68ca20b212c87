/* Sequences of numbers as keys: each distinct one gets a number, from 0 in the order of first use.
 * Never forgets; lives in an arena. */
#ifndef SLUICE_NUMBER_TABLE_H
#define SLUICE_NUMBER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct number_key {
    const uint32_t *numbers;
    size_t count;
};

struct number_table {
    struct arena *arena;
    struct number_key *keys; /* by number */
    size_t count, capacity;
    uint64_t *slots; /* open addressing: a hash's upper half, and the number plus one; 0: free */
    size_t slot_count; /* 0 or a power of two */
};

void number_table_init(struct number_table *table, struct arena *arena);

/* The number of a key; a new one is copied. *is_new tells. */
uint32_t number_table_intern(struct number_table *table, const uint32_t *numbers, size_t count,
                             int *is_new);

/* The number of a key that is there, else UINT32_MAX. */
uint32_t number_table_find(const struct number_table *table, const uint32_t *numbers, size_t count);

#endif
