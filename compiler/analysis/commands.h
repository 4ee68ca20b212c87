/* The subcommands that ask questions about a policy: one file each. */
#ifndef SLUICE_ANALYSIS_COMMANDS_H
#define SLUICE_ANALYSIS_COMMANDS_H

#include "compiler/base/command.h"

extern const struct command command_check;
extern const struct command command_match;
extern const struct command command_diff;
extern const struct command command_accepts;
extern const struct command command_sample;
extern const struct command command_graph;
extern const struct command command_learn;

#endif
