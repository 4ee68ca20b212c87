/* From a path on a command line to a checked policy: what every subcommand starts and ends with.
 *
 * Owns the arena of the compilation, between load_policy and load_end. */
#ifndef SLUICE_LOAD_H
#define SLUICE_LOAD_H

#include "compiler/base/options.h"
#include "compiler/policy/model.h"

/* What one compilation may hold in its arena. */
#define LOAD_MEMORY_MAX ((size_t)1536 * 1024 * 1024)

struct loaded {
    struct arena *arena;
    struct source *source;
    struct diagnostics *diagnostics;
    const struct model *model; /* NULL: the rules have errors, which are in diagnostics */
};

/* Reads and checks a rules file ("-": standard input). False when it cannot be read (said on
 * standard error; nothing is to be ended). */
bool load_policy(struct loaded *loaded, const struct options *options, const char *path);

/* Prints the diagnostics on standard error. Returns EXIT_RULES when there were errors (warnings
 * that count as such included), else EXIT_GOOD. */
int load_report(struct loaded *loaded, const struct options *options);

/* Gives everything back. */
void load_end(struct loaded *loaded);

#endif
