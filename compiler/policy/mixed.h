/* Tokens made of literals and slots: `--jobs=#{n}`, `#{host}:#{port}`. Internal to compiler/policy.
 *
 * Owns the proof that such a token splits in one way only: otherwise a value could be read as one
 * thing by the rule's author and as another by the matcher. */
#ifndef SLUICE_MIXED_H
#define SLUICE_MIXED_H

#include "compiler/policy/check.h"

/* Checks that the token's split is unique and makes its automaton. False when it is not, or when
 * that needs more than AUTOMATON_STATES_MAX states (reported, with two splits of one value). */
bool mixed_finish(struct check *check, const struct rule_draft *rule, struct model_token *token);

#endif
