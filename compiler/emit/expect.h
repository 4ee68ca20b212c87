/* What the policy says of a request, from the model alone: the expectation that the generated dispatch
 * and rule functions are held to.
 *
 * Owns nothing. Deliberately plain: every rule in order, every token in order. */
#ifndef SLUICE_EXPECT_H
#define SLUICE_EXPECT_H

#include <stdbool.h>

#include "runtime/include/policy.h"

struct model;

/* The decision. False when it depends on PCRE2 at call time (engine = pcre2). */
bool expect_decision(const struct model *model, const struct policy_request *request,
                     struct policy_decision *decision);

#endif
