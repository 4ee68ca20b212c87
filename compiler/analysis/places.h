/* The places in rules that the arguments of a request so far can have reached.
 *
 * A place is a rule's token that waits for a value (of a `...` token: after so many values of it), or the
 * rule's end. Places are numbered rule by rule, in the order of the rules. What a rule accepts from a place
 * on is its residual: places of one residual accept the same from there on. */
#ifndef SLUICE_PLACES_H
#define SLUICE_PLACES_H

#include "compiler/analysis/atoms.h"

#define PLACE_NONE UINT32_MAX
#define PLACE_NEXT 2u /* a rule has one `...` at most: to stay in it, and to leave it */

struct place {
    uint32_t rule;
    uint32_t language; /* the values that it waits for (compiler/analysis/atoms.h) */
    uint32_t residual;
    uint32_t next[PLACE_NEXT]; /* after one such value; PLACE_NONE */
    uint32_t shortest; /* no command line from here to the end is shorter, counted as space_way.length */
    bool ends;                 /* the rule's end: it waits for nothing */
};

struct places {
    struct place *items;
    size_t count;
    uint32_t (*first)[PLACE_NEXT]; /* per rule: before any argument */
};

/* The places of all tokens of `rules`. False when they take more memory than the work may. */
bool places_new(struct places *places, struct arena *arena, const struct model_rule *const *rules,
                size_t rule_count, struct atoms *atoms, struct work *work);

#endif
