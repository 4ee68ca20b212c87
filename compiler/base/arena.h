/* Memory of one compilation: allocated in blocks, given back all at once.
 *
 * Owns every allocation made from it. Never returns NULL: running out of memory, or out of the
 * arena's budget, ends the process in one place (memory_exhausted) with one clear line and exit
 * status 2. Memory is zeroed. */
#ifndef SLUICE_ARENA_H
#define SLUICE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* A new, empty arena. `budget` is the most bytes that it may hold; 0 for no limit but the
 * machine's. The caller ends it with arena_free. */
struct arena *arena_new(size_t budget);

/* Gives back the arena and everything allocated from it. NULL is allowed. */
void arena_free(struct arena *arena);

/* `size` zeroed bytes, aligned for any type; lives until arena_free. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same for `count` elements of `size` bytes; an overflowing product is out of memory. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of `length` bytes. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);

/* A NUL-terminated string, formatted as printf does. */
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

char *arena_format_list(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Where something worth computing once a compilation is remembered: a pointer, NULL at first, of its
 * own for each `key` (the address of any object of the caller's; what it holds does not matter). */
void **arena_slot(struct arena *arena, const void *key);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

/* malloc, calloc and realloc for what does not live in an arena; they end the process as arenas do
 * when there is no memory. free() gives back. */
void *memory_alloc(size_t size);
void *memory_zeroed(size_t count, size_t size);
void *memory_resize(void *old, size_t count, size_t size);

/* "sluicec: out of memory" (and what for, unless NULL) on standard error, exit status 2. */
_Noreturn void memory_exhausted(const char *what);

/* Grows an array in place: `(*items)` has room for `*capacity` elements of `size` bytes, `needed` are
 * wanted. Doubles; the old block stays with the arena until its end. */
void arena_grow(struct arena *arena, void *items, size_t *capacity, size_t needed, size_t size);

#endif
