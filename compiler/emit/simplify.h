/* Pattern trees in a plainer shape, of the same language: what matcher choice and re2c's text start
 * from.
 *
 * Owns nothing: trees live in the arena and are never changed in place. */
#ifndef SLUICE_SIMPLIFY_H
#define SLUICE_SIMPLIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/regex/pattern.h"

struct arena;

/* Every function here recurses as deep as the tree, which pattern_parse bounds.
 *
 * Concatenations and alternatives are flat and have two children or more, sets that are alternatives
 * of each other are one, repetitions of repetitions are one where that is the same, and no set has
 * U+0000. NULL when nothing matches. */
const struct pattern *tree_simplify(struct arena *arena, const struct pattern *tree);

/* Trees that are made rather than read. */
const struct pattern *tree_concat(struct arena *arena, const struct pattern *const *children,
                                  size_t count);
const struct pattern *tree_repeat(struct arena *arena, const struct pattern *child,
                                  uint32_t minimum, uint32_t maximum);
const struct pattern *tree_alternate(struct arena *arena, const struct pattern *const *children,
                                     size_t count);
const struct pattern *tree_literal(struct arena *arena, const char *bytes, size_t length);

/* The tree with repetition number `which` (counted from 0, as they are met) allowed once more and once
 * less; NULL when it has none of that number. */
const struct pattern *tree_loosen(struct arena *arena, const struct pattern *tree, uint32_t which);

/* Whether every value has the same number of scalars; that number. */
bool tree_fixed_length(const struct pattern *tree, uint32_t *length);

/* Whether every set in it is ASCII. */
bool tree_is_ascii(const struct pattern *tree);

/* Whether the empty value is one of it; and what its other values can begin with. */
bool tree_is_nullable(const struct pattern *tree);
struct charset tree_first(struct arena *arena, const struct pattern *tree);

/* How much it is with its repetitions written out: sets and the ranges in them. At most UINT32_MAX. */
uint32_t tree_weight(const struct pattern *tree);

#endif
