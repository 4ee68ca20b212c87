/* Example values of an automaton: what diagnostics, `sample`, diffs and translation validation
 * show and try. Choices prefer what people read easily: letters, then digits, then other printable
 * ASCII, then the rest; always the same for the same automaton. */
#ifndef SLUICE_WITNESS_H
#define SLUICE_WITNESS_H

#include "compiler/regex/automaton.h"

struct value {
    const char *bytes; /* UTF-8, NUL-terminated as well */
    size_t length;
};

/* The shortest accepted value; false when there is none. */
bool witness_shortest(struct arena *arena, const struct automaton *a, struct value *value);

/* Values for validation: the shortest, the longest (or, unbounded, one that goes round every loop
 * once more), one through each transition, those at length bounds. At most `limit`, spread over the
 * automaton when there would be more. Returns how many. */
size_t witness_cover(struct arena *arena, const struct automaton *a, size_t limit,
                     struct value **values);

/* Values near one: a byte changed, dropped, added, at up to `limit` places. May be invalid for the
 * automaton, are always valid UTF-8 without NUL. Deterministic. */
size_t witness_mutate(struct arena *arena, struct value value, size_t limit, struct value **values);

/* `count` accepted values, shortest first, then spread over the language. Returns how many. */
size_t witness_sample(struct arena *arena, const struct automaton *a, size_t count,
                      struct value **values);

#endif
