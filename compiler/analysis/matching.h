/* Whether a rule takes a request, answered on the model: with its automata, and PCRE2 where a rule
 * asks for it.
 *
 * The broker's generated matcher is the same function made fast; this one also says how the request
 * splits into the slots' values. Owns nothing: results live in the arena. */
#ifndef SLUICE_MATCHING_H
#define SLUICE_MATCHING_H

#include "compiler/policy/model.h"

/* One value of a slot. */
struct binding {
    uint32_t slot; /* index into the rule's slots */
    struct policy_bytes value;
};

struct bindings {
    struct binding *items;
    size_t count, capacity;
};

struct matching {
    enum policy_verdict verdict;
    const struct model_rule *rule; /* NULL with POLICY_NO */
    uint32_t slot;                 /* of the value that refused, unless YES or NO */
    struct bindings bindings;      /* POLICY_YES: in the order of the arguments */
};

/* Which rule takes the request: the first that says yes; where none does, the first that "would
 * have, but". The request's arguments are valid UTF-8 without NUL. */
struct matching matching_find(struct arena *arena, const struct model *model,
                              const struct policy_request *request);

/* One rule alone. */
struct matching matching_rule(struct arena *arena, const struct model_rule *rule,
                              const struct policy_request *request);

/* Whether a value fits one token of a rule (TOKEN_REST: one of its values). `bindings` and `slot`
 * as above; bindings are added to. */
enum policy_verdict matching_token(struct arena *arena, const struct model_rule *rule,
                                   const struct model_token *token, struct policy_bytes value,
                                   const struct policy_request *request,
                                   struct bindings *bindings, uint32_t *slot);

/* The fewest and most arguments that a rule takes, argv[0] included. */
void matching_arity(const struct model_rule *rule, uint32_t *minimum, uint32_t *maximum);

/* The token that argument `index` of `count` belongs to, when the number fits the rule; by position
 * from the start when it does not. NULL when there is no such token. */
const struct model_token *matching_token_at(const struct model_rule *rule, uint32_t index,
                                            uint32_t count);

#endif
