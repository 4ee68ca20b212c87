/* The forms of all of a policy's matchers, chosen together: so that what they cost the C compiler has a
 * bound for the file as a whole, too.
 *
 * Owns that bound. */
#ifndef SLUICE_CHOICES_H
#define SLUICE_CHOICES_H

#include <stdint.h>

struct accept;
struct arena;
struct automaton;
struct diagnostics;
struct layout;
struct matcher;
struct pattern;

/* States of all re2c code together. Above, the largest patterns become tables. */
#define CHOICES_CODE_STATES 40000u
/* Entries of all tables together. */
#define CHOICES_TABLE_ENTRIES (6u * 1024 * 1024)

/* A matcher for each of layout.accepts that needs one, NULL for the others. NULL when a pattern, or
 * all of them together, are too large; then the diagnostics say so. */
const struct matcher **choices_make(struct arena *arena, const struct layout *layout,
                                    struct diagnostics *diagnostics);

/* The language of a token of several slots; NULL over the limit, or where a slot needs PCRE2. */
const struct automaton *token_automaton(struct arena *arena, const struct accept *accept);

/* The same as a tree, where each slot has one pattern line; else NULL. */
const struct pattern *token_tree(struct arena *arena, const struct accept *accept);

#endif
