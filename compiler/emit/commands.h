/* What sluicec does without a subcommand: compile, or write the generated sources. */
#ifndef SLUICE_EMIT_COMMANDS_H
#define SLUICE_EMIT_COMMANDS_H

#include "compiler/base/command.h"

struct arena;
struct diagnostics;
struct model;

/* Adds the warnings of checked rules to the diagnostics: what warns is no part of emitting. */
typedef void compile_warner(struct arena *arena, const struct model *model,
                            struct diagnostics *diagnostics);

/* The usage and help of a compile; compile_run runs it. */
extern const struct command command_compile;

/* Reads the arguments (argv[0] is the first of them: there is no subcommand's name) and compiles. Where they ask
 * for warnings (--strict, -W...), these are told before anything is written, and nothing is written when one
 * counts as an error. Returns the exit status. */
int compile_run(const struct command *command, int argc, char **argv, compile_warner *warner);

#endif
