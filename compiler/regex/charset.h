/* Sets of Unicode scalar values (0..0x10FFFF without the surrogates), as sorted, disjoint,
 * non-adjacent ranges.
 *
 * Values of slots are valid UTF-8 without NUL, so U+0000 and the surrogates never stand in a set:
 * no function here puts them into one. Sets never change; their ranges live in the arena. */
#ifndef SLUICE_CHARSET_H
#define SLUICE_CHARSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define SCALAR_MAX 0x10FFFFu

struct scalar_range {
    uint32_t low, high; /* both included */
};

struct charset {
    struct scalar_range *ranges;
    size_t count;
};

struct charset charset_empty(void);
struct charset charset_range(struct arena *arena, uint32_t low, uint32_t high);
struct charset charset_union(struct arena *arena, struct charset a, struct charset b);
struct charset charset_intersect(struct arena *arena, struct charset a, struct charset b);
struct charset charset_subtract(struct arena *arena, struct charset a, struct charset b);
struct charset charset_complement(struct arena *arena, struct charset a);
bool charset_contains(struct charset set, uint32_t scalar);
bool charset_equal(struct charset a, struct charset b);
/* How many scalars it has. */
uint32_t charset_size(struct charset set);
/* The set of these ranges, which may come in any order, overlap, and touch NUL or the surrogates.
 * Sorts `ranges` in place. */
struct charset charset_normal(struct arena *arena, struct scalar_range *ranges, size_t count);
/* Adds the simple case foldings of every member, as (?i) means (Unicode CaseFolding.txt, via PCRE2:
 * the set of case variants of each scalar is what PCRE2_CASELESS makes of it). */
struct charset charset_fold(struct arena *arena, struct charset set);
/* \p{NAME}: a general category (L, Lu, L&, ...), a script (Greek, Han, ...) or Any; false when
 * there is no such property. Taken from PCRE2, once an arena for each name. */
bool charset_property(struct arena *arena, const char *name, size_t length, struct charset *set);

/* A run of byte ranges that together spell some scalars in UTF-8 (RFC 3629): 1 to 4 bytes. */
struct byte_sequence {
    uint8_t length;
    struct {
        uint8_t low, high;
    } bytes[4];
};
/* Splits a set into byte sequences, in ascending order: *sequences. Returns how many. */
size_t charset_sequences(struct arena *arena, struct charset set, struct byte_sequence **sequences);

#endif
