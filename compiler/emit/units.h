/* Which tools run on which files: the compile's plan.
 *
 * Owns how generated files are grouped into translation units and in which order tools may run. Runs
 * nothing. Paths are relative to the compile's folder. */
#ifndef SLUICE_UNITS_H
#define SLUICE_UNITS_H

#include "compiler/emit/process.h"
#include "compiler/emit/toolchain.h"

struct emitted;

/* Pattern files that one translation unit includes. */
#define UNITS_PATTERNS 32u

struct plan {
    struct process_context *context;
    struct process *processes;
    size_t count, capacity;
    size_t re2c_first, re2c_count;
};

/* Adds re2c for every .re file. */
void plan_re2c(struct plan *plan, const char *re2c, const struct emitted *emitted);

/* Writes the files that gather generated ones into translation units, and adds their compilation
 * (re2c's, where a unit needs it, comes first). Names of units and objects begin with `prefix`; the
 * objects are appended to `objects`, in the order in which they are linked. NULL, or what failed. */
const char *plan_compile(struct plan *plan, const struct toolchain *toolchain,
                         const struct emitted *emitted, const char *prefix,
                         struct arguments *objects);

/* Adds the compilation of the runtime's sources (`verify`: of the checking program alone), where the
 * toolchain has no archive of it. NULL, or what failed. */
const char *plan_runtime(struct plan *plan, const struct toolchain *toolchain, bool verify,
                         struct arguments *objects);

/* Adds the link of a broker (`verify`: of the checking program), after everything so far. */
void plan_link(struct plan *plan, const struct toolchain *toolchain,
               const struct arguments *objects, const char *output, bool verify);

#endif
