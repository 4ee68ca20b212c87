#include "compiler/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct slot {
    struct slot *next;
    const void *key;
    void *pointer;
};

struct arena {
    struct block *newest;
    struct slot *slots; /* few: a list is enough */
    size_t budget, used, held;
};

_Noreturn void memory_exhausted(const char *what)
{
    fprintf(stderr, "sluicec: out of memory%s%s\n", what ? ": " : "", what ? what : "");
    exit(2);
}

void *memory_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        memory_exhausted(NULL);
    return memory;
}

void *memory_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        memory_exhausted(NULL);
    return memory;
}

void *memory_resize(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        memory_exhausted(NULL);
    void *memory = realloc(old, total ? total : 1);
    if (!memory)
        memory_exhausted(NULL);
    return memory;
}

struct arena *arena_new(size_t budget)
{
    struct arena *arena = memory_zeroed(1, sizeof *arena);
    arena->budget = budget;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->newest, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static struct block *block_new(struct arena *arena, size_t size)
{
    if (arena->budget && (size > arena->budget || arena->held > arena->budget - size))
        memory_exhausted("the rules need more than the compiler's stated limit");
    struct block *block = memory_zeroed(1, sizeof *block + size);
    block->size = size;
    arena->held += size;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        memory_exhausted(NULL);
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!size)
        size = ALIGNMENT;
    arena->used += size;
    struct block *block = arena->newest;
    if (size > BLOCK_SIZE / 4) {
        /* A block of its own, kept behind the current one so that the latter's room is not lost. */
        struct block *own = block_new(arena, size);
        own->used = size;
        if (block) {
            own->next = block->next;
            block->next = own;
        } else {
            arena->newest = own;
        }
        return own->bytes;
    }
    if (!block || block->size - block->used < size) {
        struct block *fresh = block_new(arena, BLOCK_SIZE);
        fresh->next = block;
        arena->newest = block = fresh;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        memory_exhausted(NULL);
    return arena_alloc(arena, total);
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, bytes, length);
    return copy;
}

char *arena_format_list(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) /* only a result over INT_MAX bytes can fail: no wide characters here */
        memory_exhausted("formatted text");
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_format_list(arena, format, arguments);
    va_end(arguments);
    return text;
}

void **arena_slot(struct arena *arena, const void *key)
{
    struct slot *slot = arena->slots;
    while (slot && slot->key != key)
        slot = slot->next;
    if (!slot) {
        slot = arena_alloc(arena, sizeof *slot);
        slot->key = key;
        slot->next = arena->slots;
        arena->slots = slot;
    }
    return &slot->pointer;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

void arena_grow(struct arena *arena, void *items, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return;
    size_t grown = *capacity ? *capacity : 8;
    while (grown < needed)
        grown *= 2;
    void *old, *fresh = arena_array(arena, grown, size);
    memcpy(&old, items, sizeof old);
    if (*capacity)
        memcpy(fresh, old, *capacity * size);
    memcpy(items, &fresh, sizeof fresh);
    *capacity = grown;
}
