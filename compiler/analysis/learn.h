/* From calls that no rule took to rules that would: exact ones, ones that list the values seen, and
 * ones with the narrowest standard pattern that accepts them all.
 *
 * Every proposal is compiled, asked whether it takes the calls that it claims, and given the warnings
 * that it would get: what cannot be written, or does not take them, is never proposed. */
#ifndef SLUICE_LEARN_H
#define SLUICE_LEARN_H

#include "compiler/analysis/manifest.h"
#include "compiler/analysis/work.h"
#include "compiler/base/buffer.h"

#define LEARN_GROUPS_MAX 500u  /* proposals; the groups that were asked for most */
#define LEARN_EXACT_MAX 8u     /* exact rules of one group */
#define LEARN_LISTED_MAX 16u   /* values listed for one slot */

/* Writes rules text for every call of the manifest that `model` (NULL: no rules yet) does not take,
 * which was rejected, or with NULL accepted. Returns how many groups of calls it is about. */
size_t learn_propose(struct arena *arena, const struct manifest *manifest,
                     const struct model *model, struct work *work, struct buffer *out);

/* A pattern for a slot with such values, as a rules file writes it: the narrowest of the standard set
 * (learn_patterns.c). NULL: none accepts them all. */
const char *learn_pattern(struct arena *arena, const struct policy_bytes *values, size_t count);

/* A pattern that lists the values. */
const char *learn_list(struct arena *arena, const struct policy_bytes *values, size_t count);

#endif
