#include "compiler/analysis/changes.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"

void change_add(struct changes *changes, enum direction direction, const char *key,
                const char *from, const char *to)
{
    arena_grow(changes->arena, &changes->items, &changes->capacity, changes->count + 1,
               sizeof *changes->items);
    changes->items[changes->count++] =
        (struct change){direction, key, from ? from : "none", to ? to : "none"};
}

/* ---- single values -------------------------------------------------------------------------------- */

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

void compare_texts(struct changes *changes, const char *key, const char *from, const char *to)
{
    if (!text_equal(from, to))
        change_add(changes, DIRECTION_WIDER, key, from, to);
}

void compare_paths(struct changes *changes, enum attribute_key key, struct policy_template from,
                   struct policy_template to)
{
    compare_texts(changes, key_definitions[key].name, describe_path(changes->arena, &from),
                  describe_path(changes->arena, &to));
}

void compare_records(struct changes *changes, enum attribute_key key, struct policy_template from,
                     struct policy_template to)
{
    const char *before = describe_path(changes->arena, &from);
    const char *after = describe_path(changes->arena, &to);
    if (!from.count && to.count)
        change_add(changes, DIRECTION_NARROWER, key_definitions[key].name, before, after);
    else
        compare_texts(changes, key_definitions[key].name, before, after);
}

void compare_bounds(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                    uint64_t none)
{
    if (from == to)
        return;
    bool wider = to == none || (from != none && to > from);
    change_add(changes, wider ? DIRECTION_WIDER : DIRECTION_NARROWER, key_definitions[key].name,
               describe_number(changes->arena, key, from), describe_number(changes->arena, key, to));
}

void compare_ranks(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                   unsigned from_rank, unsigned to_rank)
{
    if (from != to)
        change_add(changes, to_rank > from_rank ? DIRECTION_WIDER : DIRECTION_NARROWER,
                   key_definitions[key].name, describe_number(changes->arena, key, from),
                   describe_number(changes->arena, key, to));
}

/* ---- sets -------------------------------------------------------------------------------------- */

void compare_bits(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                  bool restricts)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t one = UINT64_C(1) << bit;
        if (!((from ^ to) & one))
            continue;
        bool gone = (from & one) != 0;
        const char *word = describe_number(changes->arena, key, one);
        change_add(changes, gone == restricts ? DIRECTION_WIDER : DIRECTION_NARROWER,
                   key_definitions[key].name, gone ? word : NULL, gone ? NULL : word);
    }
}

struct words words_new(struct arena *arena, size_t capacity)
{
    return (struct words){arena_array(arena, capacity + 1, sizeof(const char *)), 0};
}

static int word_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool words_have(struct words words, const char *word)
{
    return bsearch(&word, words.items, words.count, sizeof word, word_compare) != NULL;
}

void compare_sets(struct changes *changes, const char *key, struct words from, struct words to,
                  bool restricts)
{
    qsort(from.items, from.count, sizeof *from.items, word_compare);
    qsort(to.items, to.count, sizeof *to.items, word_compare);
    for (size_t i = 0; i < from.count; i++)
        if (!words_have(to, from.items[i]))
            change_add(changes, restricts ? DIRECTION_WIDER : DIRECTION_NARROWER, key,
                       from.items[i], NULL);
    for (size_t i = 0; i < to.count; i++)
        if (!words_have(from, to.items[i]))
            change_add(changes, restricts ? DIRECTION_NARROWER : DIRECTION_WIDER, key, NULL,
                       to.items[i]);
}
