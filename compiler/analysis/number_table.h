/* Sequences of numbers as keys: each distinct one gets a number, from 0 in the order of first use.
 * Never forgets; lives in an arena. */
#ifndef SLUICE_NUMBER_TABLE_H
#define SLUICE_NUMBER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "compiler/base/table.h"

struct number_key {
    const uint32_t *numbers;
    size_t count;
};

struct number_table {
    struct arena *arena;
    struct number_key *keys; /* by number */
    size_t count, capacity;
    struct table table;
};

void number_table_init(struct number_table *table, struct arena *arena);

/* The number of a key; a new one is copied. *is_new tells. */
uint32_t number_table_intern(struct number_table *table, const uint32_t *numbers, size_t count,
                             int *is_new);

#endif
