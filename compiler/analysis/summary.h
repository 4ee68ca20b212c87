/* What a policy says, rule by rule, for a person. */
#ifndef SLUICE_SUMMARY_H
#define SLUICE_SUMMARY_H

#include "compiler/base/buffer.h"
#include "compiler/policy/model.h"

/* One line on the whole. */
void summary_policy(struct buffer *out, const struct model *model);

/* A rule with its slots, and the attributes and confinement in force on it as far as they differ
 * from what an empty rules file would mean. Long values are cut. */
void summary_rule(struct buffer *out, const struct model_rule *rule);

#endif
