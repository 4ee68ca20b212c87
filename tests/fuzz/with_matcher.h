/* A matcher carried out as the generated code would be, without generating it: re2c's work is done
 * by the tree's automaton, everything around it as compiler/emit/acceptors.c writes it. */
#ifndef SLUICE_FUZZ_WITH_MATCHER_H
#define SLUICE_FUZZ_WITH_MATCHER_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct matcher;

/* Whether the matcher takes the value (valid UTF-8). Sets *unknown where an automaton would be too
 * large to tell. */
bool matcher_run(struct arena *arena, const struct matcher *matcher, const char *bytes,
                 size_t length, bool *unknown);

#endif
