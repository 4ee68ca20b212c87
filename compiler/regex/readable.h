/* Which of several scalars people read most easily: lower-case letters, upper-case ones, digits,
 * other printable ASCII, printable others, and last what cannot be seen. A total order, so that
 * every choice of an example is always the same. */
#ifndef SLUICE_REGEX_READABLE_H
#define SLUICE_REGEX_READABLE_H

#include <stdint.h>

/* The rank of a scalar: lower is more readable; different scalars have different ranks. */
uint32_t readable_rank(uint32_t scalar);
/* The most readable scalar of a range. */
uint32_t readable_best(uint32_t low, uint32_t high);
/* One of the most readable scalars of a range, those of one kind: `choice` says which. */
uint32_t readable_some(uint32_t low, uint32_t high, uint32_t choice);

#endif
