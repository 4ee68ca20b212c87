/* What a policy says, rule by rule, for a person. */
#ifndef SLUICE_SUMMARY_H
#define SLUICE_SUMMARY_H

#include "compiler/base/buffer.h"
#include "compiler/policy/model.h"

/* Appends every rule with its slots, and the attributes and confinement in force on it as far as they
 * differ from what an empty rules file would mean. */
void summary_add(struct buffer *out, struct arena *arena, const struct model *model);

#endif
