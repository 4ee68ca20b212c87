/* From the settings in force on a rule to its model_attributes. Internal to compiler/policy. */
#ifndef SLUICE_ATTRIBUTES_H
#define SLUICE_ATTRIBUTES_H

#include "compiler/policy/settings.h"

/* The attributes, equal ones shared. NULL when a pattern of theirs is wrong (reported). */
const struct model_attributes *attributes_from_settings(struct check *check,
                                                        const struct settings *settings,
                                                        struct span rule);

/* The patterns of cwd_from_caller and every `env.NAME` in defaults, once for the file. Rules whose
 * defaults are wrong need not say so again. */
bool attributes_check_defaults(struct check *check, const struct settings *defaults);

/* Every `env.NAME` line of a rule needs NAME in env_from_caller. */
bool attributes_check_caller_lines(struct check *check, const struct settings *settings);

/* What becomes of the processes that a call leaves: as written, else by whether it has a timeout. */
enum policy_kill attributes_kill(const struct settings *settings);

#endif
