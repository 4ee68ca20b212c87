/* The tokens of one rule line. Internal to compiler/policy. */
#ifndef SLUICE_TOKENS_H
#define SLUICE_TOKENS_H

#include "compiler/policy/check.h"

/* The executable and the literals: what can be said without the slots' languages. */
bool tokens_check(struct check *check, const struct rule_draft *rule);

/* Which slots can stand at the start of their token (slot_draft.may_lead). The slots' languages are
 * known. */
void tokens_mark_leading(struct rule_draft *rule);

/* The model's tokens, one for each of the tree's. NULL when one is wrong (reported). Every slot of
 * the rule is finished (slots_finish). */
const struct model_token *tokens_build(struct check *check, const struct rule_draft *rule);

#endif
