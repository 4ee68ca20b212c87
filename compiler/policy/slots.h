/* Slots of one rule: their declarations, the lists they stand in, what they accept. Internal to
 * compiler/policy. */
#ifndef SLUICE_SLOTS_H
#define SLUICE_SLOTS_H

#include "compiler/policy/check.h"

/* Finds the rule line's slots and checks their names. False when one is wrong (reported); the
 * others are in the draft all the same. */
bool slots_declare(struct check *check, struct rule_draft *rule);

/* The slot of that name, or NULL. */
struct slot_draft *slots_find(struct rule_draft *rule, const char *name, size_t length);

/* One more `name = PATTERN` or `name != PATTERN` line. */
void slots_add_line(struct check *check, struct slot_draft *slot,
                    const struct tree_attribute *line);

/* allow_dash, allow_any, allow_max, engine. */
bool slots_apply_list(struct check *check, struct rule_draft *rule, enum attribute_key key,
                      const struct tree_value *value);

/* With every attribute read: checks that each slot has exactly one kind of constraint, and makes
 * its language. */
bool slots_constrain(struct check *check, struct rule_draft *rule);

/* With slot_draft.may_lead known: what each accepts, the leading-dash rule applied. */
bool slots_finish(struct check *check, struct rule_draft *rule);

#endif
