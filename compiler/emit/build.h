/* From a checked policy to an executable, or to its sources: what `sluicec RULES -o OUT` and
 * `sluicec --emit DIR RULES` do.
 *
 * Owns the temporary folder of a compile and every process that it starts; both are gone when a
 * function here returns, and also when a signal ends the compile. Writes the output beside itself
 * and renames it, so that an old output stays whole on every failure. Knows nothing of rules text
 * and command lines: the caller has read both. */
#ifndef SLUICE_BUILD_H
#define SLUICE_BUILD_H

#include <stdbool.h>

struct arena;
struct diagnostics;
struct model;

/* How a compile went: the exit status of the process. */
enum build_result {
    BUILD_DONE = 0,
    BUILD_RULES_WRONG = 1, /* the rules ask for what cannot be compiled; said in the diagnostics */
    BUILD_FAILED = 2,      /* a tool, the disk or the set-up failed; said on standard error */
};

/* Everything but `output` may be NULL or false. */
struct build_options {
    const char *output;  /* -o: where the executable goes */
    const char *cc;      /* --cc: this compiler, with its own C library, instead of gcc and musl */
    const char *target;  /* --target: a GNU triple; its cross compiler, with its own C library */
    const char *runtime; /* --runtime: the folder that holds the runtime (lib/sluice) */
    bool timings;        /* --timings: where the time went, on standard error */
};

/* Makes the executable. Every compile validates itself: the values that the generated matchers
 * accept are compared with the patterns' automata and with PCRE2, and a difference is BUILD_FAILED. */
enum build_result build_broker(struct arena *arena, const struct model *model,
                               const struct build_options *options,
                               struct diagnostics *diagnostics);

/* Writes the generated sources into `directory` (made if missing): the same bytes for the same rules
 * whatever the folder, the locale and the day. Files of an earlier emit that are no longer wanted are
 * removed; anything else in the folder is left alone. */
enum build_result build_sources(struct arena *arena, const struct model *model,
                                const char *directory, struct diagnostics *diagnostics);

#endif
