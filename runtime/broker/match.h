/* Walking one rule's tokens over a request: for explanations and for the values of slots.
 *
 * Owns: where a walk stopped and why, which rule came nearest, and which argument (or which part of
 * one) is a slot's value. Never: decides. policy->match, which the compiler wrote and checked, does;
 * what is found here is said to a person, or names the file that a slot's value names after
 * policy->match has said yes.
 *
 * A request comes from a peer that is not trusted. Every walk is linear in its length times the
 * tokens of one rule; the number of rules walked and the bytes looked at are bounded by constants. */
#ifndef SLUICE_MATCH_H
#define SLUICE_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/include/policy.h"

enum match_outcome {
    MATCH_ACCEPTS,      /* all of the rule, and nothing is left over */
    MATCH_OTHER_WORD,   /* a literal token differs */
    MATCH_REFUSED,      /* a slot's pattern refuses its value (or its part of a mixed token) */
    MATCH_OPTION_LIKE,  /* the value starts with '-' */
    MATCH_TOO_LONG,     /* the value is over the slot's cap */
    MATCH_GAVE_UP,      /* PCRE2's limits */
    MATCH_MISSING,      /* the request ends before the rule does */
    MATCH_LEFT_OVER,    /* the rule ends before the request does */
};

struct match_walk {
    enum match_outcome outcome;
    uint32_t argument; /* index of the argument it stopped at; request->count with MATCH_MISSING */
    uint32_t token;    /* index of the rule's token there; token_count with MATCH_LEFT_OVER */
    uint32_t slot;     /* index of the slot that refused; NO_SLOT where a mixed token as a whole did */
    struct policy_bytes value; /* what that slot refused: a part of the argument in a mixed token */
};

#define NO_SLOT UINT32_MAX

/* Walks `rule` over `request` up to the first token that does not take its argument. */
struct match_walk match_walk_rule(const struct policy_rule *rule,
                                  const struct policy_request *request);

/* The nearest rule, as runtime/include/policy.h defines it. Returns its index and fills `*walk`;
 * policy->rule_count if no rule is for that argv[0]. */
uint32_t match_find_nearest(const struct policy *policy, const struct policy_request *request,
                            struct match_walk *walk);

/* The values of slot `slot` in a request that `rule` accepts: one, or as many as its `...` took.
 * Fills at most `capacity` elements of `values`, which point into the request. Returns how many
 * there are, or -1 where the value's place within a mixed token was not found in a bounded number
 * of steps. */
int64_t match_slot_values(const struct policy_rule *rule, const struct policy_request *request,
                          uint32_t slot, struct policy_bytes *values, uint32_t capacity);

#endif
