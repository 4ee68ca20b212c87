/* Stanzas: the attributes of `defaults:` and whole rules. Internal to compiler/policy. */
#ifndef SLUICE_RULES_H
#define SLUICE_RULES_H

#include "compiler/policy/settings.h"

/* Reads the `defaults:` stanza, if there is one, into settings. False when something in it is wrong
 * (reported). */
bool defaults_read(struct check *check, struct settings *settings);

/* Checks one rule. False when something is wrong (reported). `defaults_good`: whether what comes
 * from the defaults' patterns can be used. */
bool rule_read(struct check *check, const struct tree_rule *tree, const struct settings *defaults,
               bool defaults_good, struct model_rule *rule);

#endif
