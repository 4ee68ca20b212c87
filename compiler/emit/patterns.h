/* Writes the accept functions: patterns.h, which declares them, and under patterns/ a file for each.
 *
 * Owns how a matcher's form (matcher.h) looks as C or re2c. Knows nothing of rules. */
#ifndef SLUICE_PATTERNS_H
#define SLUICE_PATTERNS_H

#include <stdbool.h>

struct diagnostics;
struct emitted;
struct layout;

/* Adds the files. False when a pattern is too large for any form; then the diagnostics say so. */
bool patterns_emit(struct emitted *emitted, const struct layout *layout,
                   struct diagnostics *diagnostics);

#endif
