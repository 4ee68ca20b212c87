/* Errors, warnings and notes: collected, sorted by place, printed in one form.
 *
 *   agent.rules:4:11: error: slot #branch has no pattern
 *       4 | git push #branch
 *         |          ^~~~~~~
 *   agent.rules:4:11: note: add a line `branch = PATTERN`, or list it in allow_any
 *
 * Owns the collected messages (in the arena). One function prints them, as text or as JSON objects,
 * one a line. Says nothing of where they go: the caller gives a FILE. */
#ifndef SLUICE_DIAGNOSTIC_H
#define SLUICE_DIAGNOSTIC_H

#include <stdbool.h>
#include <stdio.h>

#include "compiler/base/source.h"

/* Errors reported in one run; after that one line says that there are more. */
#define DIAGNOSTIC_ERRORS_MAX 20

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostics;

struct diagnostics *diagnostics_new(struct arena *arena, const struct source *source);

/* Adds an error at a place. The returned message takes notes until the next call. */
struct diagnostic *diagnostic_error(struct diagnostics *all, struct span at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a warning with its stable name (`shadowed`), printed as [-Wshadowed]. */
struct diagnostic *diagnostic_warning(struct diagnostics *all, const char *name, struct span at,
                                      const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a note to a message: at another place, or (at.begin == at.end == 0 with no_place) without
 * one. */
void diagnostic_note(struct diagnostics *all, struct diagnostic *about, struct span at,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A span that says "no place of its own". */
#define SPAN_NONE ((struct span){UINT32_MAX, UINT32_MAX})

size_t diagnostics_errors(const struct diagnostics *all);
size_t diagnostics_warnings(const struct diagnostics *all);

/* Warning switches, as -Wno-NAME, -Werror=NAME and --strict set them. Unknown names: false. */
enum warning_level { WARNING_OFF, WARNING_ON, WARNING_ERROR };
void diagnostics_set_warning(struct diagnostics *all, const char *name, enum warning_level level);
void diagnostics_set_strict(struct diagnostics *all, bool strict);

enum diagnostic_format { DIAGNOSTIC_TEXT, DIAGNOSTIC_JSON };

/* Prints everything collected, in the order of places, and forgets it. */
void diagnostics_print(struct diagnostics *all, FILE *out, enum diagnostic_format format);

#endif
