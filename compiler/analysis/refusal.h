/* Why no rule takes a request, in words: the nearest rule, the token, and what it accepts. */
#ifndef SLUICE_REFUSAL_H
#define SLUICE_REFUSAL_H

#include "compiler/analysis/matching.h"
#include "compiler/base/buffer.h"

/* Appends the lines
 *
 *   no rule matches: git push origin --force
 *   nearest: agent.rules:12: git push origin #branch
 *   token 4: '--force' is not accepted by #branch: it begins with '-'
 *   #branch accepts [a-z]+, for example 'a'
 *
 * for a request that matching_find did not find a rule for. `refused` is its answer. Tokens count
 * from 1, the program included. */
void refusal_explain(struct buffer *out, struct arena *arena, const struct model *model,
                     const struct policy_request *request, const struct matching *refused);

/* Appends `value` in single quotes, cut when it is long, with nothing in it that steers a
 * terminal. */
void show_value(struct buffer *out, struct policy_bytes value);

/* Appends the request as a command line. */
void show_request(struct buffer *out, const struct policy_request *request);

#endif
