/* From the settings in force on a rule to its model_confinement. Internal to compiler/policy. */
#ifndef SLUICE_POLICY_CONFINEMENT_H
#define SLUICE_POLICY_CONFINEMENT_H

#include "compiler/policy/settings.h"

/* The confinement, equal ones shared. NULL when keys contradict each other (reported). */
const struct model_confinement *confinement_from_settings(struct check *check,
                                                          const struct settings *settings,
                                                          const struct rule_draft *rule);

#endif
