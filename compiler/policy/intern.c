#include "compiler/policy/intern.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

void intern_append(struct check *check, struct interned *interned, const void *item)
{
    arena_grow(check->arena, &interned->items, &interned->capacity, interned->count + 1,
               sizeof *interned->items);
    interned->items[interned->count++] = item;
}

void *intern_find(const struct interned *interned, const struct buffer *key)
{
    return table_find(&interned->table, buffer_text(key), key->length);
}

void intern_add(struct check *check, struct interned *interned, const struct buffer *key,
                void *item)
{
    const char *copy = arena_copy(check->arena, buffer_text(key), key->length);
    table_add(check->arena, &interned->table, copy, key->length, item);
    intern_append(check, interned, item);
}

bool intern_spend(struct check *check, size_t count, struct span at)
{
    bool was_enough = check->items <= MODEL_ITEMS_MAX;
    check->items += count;
    if (check->items <= MODEL_ITEMS_MAX)
        return true;
    if (was_enough)
        diagnostic_error(check->diagnostics, at,
                         "the rules up to here have more than %u variables, paths and ports in "
                         "force, equal sets counted once",
                         MODEL_ITEMS_MAX);
    return false;
}

/* As it is in memory: keys never leave the process. */
void key_number(struct buffer *key, uint64_t number)
{
    buffer_add(key, (const char *)&number, sizeof number);
}

void key_text(struct buffer *key, const char *text)
{
    if (!text) {
        key_number(key, UINT64_MAX);
        return;
    }
    key_number(key, strlen(text));
    buffer_puts(key, text);
}

void key_template(struct buffer *key, const struct policy_template *path)
{
    key_number(key, path->count);
    for (uint32_t i = 0; i < path->count; i++) {
        key_number(key, (uint64_t)path->pieces[i].kind);
        key_text(key, path->pieces[i].text);
    }
}
