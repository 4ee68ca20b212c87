/* "Did you mean": the nearest of some names to a word that is not one of them. */
#ifndef SLUICE_SUGGEST_H
#define SLUICE_SUGGEST_H

#include <stddef.h>

/* Longer words get no suggestion. */
#define SUGGEST_LENGTH_MAX 64u

/* The search for the name nearest to a word. Zero it but for `word` and `length`, offer names, and
 * read `nearest`: NULL when none is near enough (about a third of the word's letters may differ).
 * Of names equally near, the first offered. */
struct suggestion {
    const char *word;
    size_t length;
    const char *nearest;
    size_t distance; /* of `nearest` */
};

void suggest_offer(struct suggestion *search, const char *name);

/* Letters to insert, delete, change or exchange with their neighbour to make `a` into `b` (the
 * restricted Damerau-Levenshtein distance). Both at most SUGGEST_LENGTH_MAX long. */
size_t suggest_distance(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
