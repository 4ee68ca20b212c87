/* What one token of a rule accepts, as the analyses see it. */
#ifndef SLUICE_TOKEN_LANGUAGE_H
#define SLUICE_TOKEN_LANGUAGE_H

#include "compiler/analysis/work.h"
#include "compiler/policy/model.h"

/* $HOME in a rule line is known only where the broker starts. The analyses speak of a host on which it
 * is this, so that what they show can be typed there. */
#define TOKEN_LANGUAGE_HOME "/home/user"

struct token_language {
    const struct automaton *automaton; /* the leading-dash rule applied; NULL: known only at run time */
    const char *opaque; /* then: a text that equal such languages share, and others do not */
    uint32_t cap;       /* longest value in bytes where that is over the default cap and can matter; else 0 */
    bool uncapped;      /* a literal or several parts: longer than one slot's value can be */
};

/* Where `work` does not suffice for a cap (allow_max), only a call can tell. */
struct token_language token_language_of(struct arena *arena, const struct model_rule *rule,
                                        const struct model_token *token, struct work *work);

/* The one value of a literal, or of a word that begins with $HOME; NULL for every other token. */
const char *token_fixed_text(struct arena *arena, const struct model_token *token);

/* Whether a `...` token takes as many values as a request can hold. */
bool rest_is_unbounded(const struct model_token *token);

#endif
