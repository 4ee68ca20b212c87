#include "compiler/analysis/number_table.h"

#include <string.h>

#include "compiler/base/arena.h"

void number_table_init(struct number_table *table, struct arena *arena)
{
    *table = (struct number_table){.arena = arena};
}

uint32_t number_table_intern(struct number_table *table, const uint32_t *numbers, size_t count,
                             int *is_new)
{
    /* The value is the number plus one: NULL means "not there". */
    size_t size = count * sizeof *numbers;
    uintptr_t found = (uintptr_t)table_find(&table->table, numbers, size);
    *is_new = !found;
    if (found)
        return (uint32_t)(found - 1);
    arena_grow(table->arena, &table->keys, &table->capacity, table->count + 1,
               sizeof *table->keys);
    uint32_t *copy = arena_array(table->arena, count + 1, sizeof *copy);
    if (count)
        memcpy(copy, numbers, size);
    table->keys[table->count++] = (struct number_key){copy, count};
    table_add(table->arena, &table->table, copy, size, (void *)(uintptr_t)table->count);
    return (uint32_t)table->count - 1;
}
