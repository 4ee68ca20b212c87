/* What the files that choose a matcher share. Internal to matcher.c, split.c, parts.c and any.c.
 *
 * Each form_... function looks whether a tree (simplified) fits one form, and returns the matcher or
 * NULL. `depth` counts matchers inside matchers. */
#ifndef SLUICE_CHOOSER_H
#define SLUICE_CHOOSER_H

#include "compiler/emit/matcher.h"

struct chooser {
    struct arena *arena;
    struct matcher_limits limits;
};

/* Re2c code of at most `limit` states. */
const struct matcher *form_code(const struct chooser *chooser, const struct pattern *tree,
                                uint32_t limit);
const struct matcher *form_split(const struct chooser *chooser, const struct pattern *tree);
const struct matcher *form_parts(const struct chooser *chooser, const struct pattern *tree,
                                 unsigned depth);
const struct matcher *form_any(const struct chooser *chooser, const struct pattern *tree,
                               unsigned depth);

/* The smallest of them all, or NULL: everything but a table. */
const struct matcher *form_choose(const struct chooser *chooser, const struct pattern *tree,
                                  unsigned depth);

/* The automaton of a tree that re2c makes into code of at most `limit` states, in a bounded time; how
 * many states is in *states. Else NULL. */
const struct automaton *codable_automaton(const struct chooser *chooser,
                                          const struct pattern *tree, uint32_t limit,
                                          uint32_t *states);

/* The items that a tree is a concatenation of: itself where it is none. */
const struct pattern *const *tree_items(const struct pattern *const *tree, size_t *count);

/* A tree as a part: its characters counted, where that makes it smaller. */
struct matcher_part part_split(struct arena *arena, const struct pattern *tree);
bool part_is_counted(const struct matcher_part *part);

/* A set, repeated a number of times that has an upper bound. */
bool is_counted_set(const struct pattern *item);

#endif
