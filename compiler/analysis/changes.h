/* The collecting of changes, for compare*.c: single values and sets, each change in the words of the
 * language with its direction. Internal to compiler/analysis. */
#ifndef SLUICE_CHANGES_H
#define SLUICE_CHANGES_H

#include "compiler/analysis/compare.h"
#include "compiler/policy/describe.h"

/* `from` and `to` NULL: "none". */
void change_add(struct changes *changes, enum direction direction, const char *key,
                const char *from, const char *to);

/* Values without an order: any change is wider. NULL: none. */
void compare_texts(struct changes *changes, const char *key, const char *from, const char *to);
void compare_paths(struct changes *changes, enum attribute_key key, struct policy_template from,
                   struct policy_template to);

/* A record: none is the widest, another one is a change without an order. */
void compare_records(struct changes *changes, enum attribute_key key, struct policy_template from,
                     struct policy_template to);

/* A number where `none` (no bound) is the widest and a larger one is wider. */
void compare_bounds(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                    uint64_t none);

/* One of a key's words: each value's place in the order from the narrowest to the widest. */
void compare_ranks(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                   unsigned from_rank, unsigned to_rank);

/* A set of a key's words, as bits: one that grants, or one that restricts. */
void compare_bits(struct changes *changes, enum attribute_key key, uint64_t from, uint64_t to,
                  bool restricts);

/* A set of words; `items` are in any order, each once. */
struct words {
    const char **items;
    size_t count;
};
struct words words_new(struct arena *arena, size_t capacity);
void compare_sets(struct changes *changes, const char *key, struct words from, struct words to,
                  bool restricts);

/* compare_confinement.c */
void compare_confinements(struct changes *changes, const struct model_rule *old_rule,
                          const struct model_rule *new_rule);

#endif
