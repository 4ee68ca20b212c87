/* The atoms of a set of token languages: for each set of languages that some value is accepted by,
 * together and by no other of them, the shortest such value. Answers are kept, so that the same set of
 * languages is worked out once. */
#ifndef SLUICE_ATOMS_H
#define SLUICE_ATOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/analysis/token_language.h"
#include "compiler/regex/witness.h"

struct atom {
    const uint32_t *languages; /* numbers, ascending: those that accept */
    size_t language_count;
    struct value value;
    bool uncertain;
};

struct atoms;

struct atoms *atoms_new(struct arena *arena);

/* The number of a language. */
uint32_t atoms_language(struct atoms *atoms, struct token_language language);

/* The non-empty atoms (but the one that no language accepts) of `count` languages, numbers ascending
 * and distinct. *exhausted is set when the product passed SPACE_PRODUCT_MAX. */
const struct atom *atoms_of(struct atoms *atoms, const uint32_t *languages, size_t count,
                            size_t *atom_count, bool *exhausted);

#endif
