/* Where a rule's tokens stand in a request: the arithmetic that rule functions and dispatch share.
 *
 * Owns nothing; looks at the checked model alone. */
#ifndef SLUICE_WORDS_H
#define SLUICE_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct model_rule;
struct model_token;

/* How many arguments a rule takes. Tokens before `rest` are counted from the front of a request,
 * those behind it from its end. */
struct rule_shape {
    uint32_t minimum, maximum; /* arguments, argv[0] included */
    size_t rest;               /* place of the `...` slot; SIZE_MAX when there is none */
};

struct rule_shape rule_shape(const struct model_rule *rule);

/* Bytes of a token of several pieces that are certainly not those of piece `at`: its literals, and
 * the least that its other slots take. */
size_t token_least_beside(const struct model_rule *rule, const struct model_token *token, size_t at);

#endif
