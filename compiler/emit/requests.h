/* Requests for a rule, for validation: one that it takes, and ones that differ in one place.
 *
 * Owns the choice. Deterministic; everything lives in the arena. */
#ifndef SLUICE_REQUESTS_H
#define SLUICE_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/include/policy.h"

struct arena;
struct model;

struct made_request {
    uint32_t rule; /* that it was made for */
    uint32_t count;
    uint32_t expansion_count;
    const struct policy_bytes *values; /* expansions, then arguments */
};

/* At most `limit` requests for a rule, its own first. None when a slot of it needs PCRE2 at call
 * time. */
size_t requests_make(struct arena *arena, const struct model *model, uint32_t rule, size_t limit,
                     struct made_request **made);

#endif
