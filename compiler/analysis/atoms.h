/* The atoms of a set of token languages: for each set of languages that some value is accepted by,
 * together and by no other of them, the shortest such value. Answers are kept for a while, so that the
 * same set of languages is not worked out again and again. */
#ifndef SLUICE_ATOMS_H
#define SLUICE_ATOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/analysis/token_language.h"
#include "compiler/analysis/work.h"
#include "compiler/regex/witness.h"

struct atom {
    const uint32_t *languages; /* numbers, ascending: those that accept */
    size_t language_count;
    struct value value;
    bool uncertain;
};

struct atoms;

/* More call-time languages than this at one place are not multiplied out. */
#define ATOMS_CALL_TIME_MAX 6u

/* `work` is spent from, and must live as long. Ended by atoms_free. */
struct atoms *atoms_new(struct arena *arena, struct work *work);
void atoms_free(struct atoms *atoms);

/* The number of a language. */
uint32_t atoms_language(struct atoms *atoms, struct token_language language);

/* No value of a language has fewer bytes. */
uint32_t atoms_shortest(const struct atoms *atoms, uint32_t language);

size_t atoms_language_count(const struct atoms *atoms);

/* Good until the next call: the non-empty atoms (but the one that no language accepts) of `count` languages, numbers ascending
 * and distinct. *exhausted is set when a limit was met: of the work, or ATOMS_CALL_TIME_MAX. */
const struct atom *atoms_of(struct atoms *atoms, const uint32_t *languages, size_t count,
                            size_t *atom_count, bool *exhausted);
bool atoms_call_time_met(const struct atoms *atoms);

#endif
