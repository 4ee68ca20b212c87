/* Explanations: why a request was refused, in words that a person or an agent can act on.
 *
 * Owns: the texts of refusals that version 2 replies and `agent-broker match` carry. Never: decides
 * anything, or says more of the policy than a caller learns from the listing. With `explain = off`
 * nothing of this is sent.
 *
 * What a caller sent is quoted as it came, cut where it is long; the reader's terminal is the
 * reader's business (sluicify escapes). */
#ifndef SLUICE_EXPLAIN_H
#define SLUICE_EXPLAIN_H

#include "runtime/include/policy.h"
#include "runtime/shared/io.h"

#define EXPLANATION_MAX 4096u /* bytes of one explanation */

/* "agent.rules:12": where a rule stands. */
void explain_place(struct text *text, const struct policy *policy, uint32_t rule);

/* Why `decision`, which is not POLICY_YES, was made: the nearest rule, the argument that failed and
 * what is accepted there. */
void explain_decision(struct text *text, const struct policy *policy,
                      const struct policy_request *request,
                      const struct policy_decision *decision);

/* A value in quotes, cut (with an ellipsis) where it is long, never inside a character. */
void explain_value(struct text *text, const char *bytes, uint32_t length);

#endif
