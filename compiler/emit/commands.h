/* What sluicec does without a subcommand: compile, or write the generated sources. */
#ifndef SLUICE_EMIT_COMMANDS_H
#define SLUICE_EMIT_COMMANDS_H

#include "compiler/base/command.h"

extern const struct command command_compile;

#endif
