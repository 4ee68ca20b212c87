/* The one way in which a value splits into parts that an automaton each accepts. */
#ifndef SLUICE_SPLITTING_H
#define SLUICE_SPLITTING_H

#include "compiler/regex/automaton.h"
#include "runtime/include/policy.h"

/* The end of each part (byte offsets, `count` of them, the last is the value's length), or NULL
 * when there is no split. Where there are several, some one of them. Time is at most the value's
 * length times the states of the parts. */
uint32_t *splitting_find(struct arena *arena, const struct automaton *const *parts, size_t count,
                         struct policy_bytes value);

#endif
