/* The standard set of named patterns as a list, for documentation and tests: grammar/patterns.def
 * row by row. */
#ifndef SLUICE_STANDARD_H
#define SLUICE_STANDARD_H

#include <stddef.h>

struct standard_pattern {
    const char *name;                      /* without '@' */
    const char *arguments;                 /* an example of them; "" when it is used without */
    const char *accepts;                   /* a noun phrase for people */
    const char *example, *counter_example; /* accepted with those arguments, and not */
};

/* All rows; *count is how many. Static: never freed. */
const struct standard_pattern *standard_patterns(size_t *count);

#endif
