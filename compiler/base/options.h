/* Options that every subcommand of sluicec takes: how diagnostics are judged and printed.
 *
 * Owns their spelling (-W..., --strict, --diagnostics=...). A subcommand reads its own options and
 * gives the others to options_take. */
#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H

#include "compiler/base/diagnostic.h"

struct warning_option {
    const char *name;
    enum warning_level level;
};

/* Zeroed: nothing given. Ends with options_free. */
struct options {
    struct warning_option *warnings; /* in the order given: the last for a name counts */
    size_t warning_count;
    bool strict;
    enum diagnostic_format format;
};

enum option_result {
    OPTION_TAKEN,
    OPTION_UNKNOWN, /* not one of these */
    OPTION_WRONG,   /* one of these, with a value that is none: said on standard error */
};

enum option_result options_take(struct options *options, const char *argument);

/* Sets a compilation's diagnostics as the options say. */
void options_apply(const struct options *options, struct diagnostics *diagnostics);

void options_free(struct options *options);

#endif
