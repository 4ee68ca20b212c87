/* A set of call numbers: those in flight.
 *
 * Owns nothing: the room is the caller's. Numbers come nearly in order and few are in flight at a
 * time, so a sorted array is small and quick. */
#ifndef SLUICE_NUMBERS_H
#define SLUICE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

struct numbers {
    uint64_t *values; /* ascending, each once */
    uint32_t count, capacity;
};

/* Adds a number that may be there already. False when there is no room for it. */
bool numbers_add(struct numbers *numbers, uint64_t value);
/* Takes a number out; nothing happens if it is not there. */
void numbers_remove(struct numbers *numbers, uint64_t value);

#endif
