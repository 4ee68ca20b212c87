/* Errors, warnings and notes: collected, sorted by place, printed in one form.
 *
 *   agent.rules:4:10: error: slot #branch has no pattern
 *       4 | git push #branch
 *         |          ^~~~~~~
 *   agent.rules:4:10: note: add a line `branch = PATTERN`, or list it in allow_any
 *
 * As JSON, "end_line" and "end_column" are those of the first character behind the range, "name" is
 * the warning's (null for an error), and a place that there is none of is null.
 *
 * Owns the collected messages (in the arena). One function prints them, as text or as JSON objects,
 * one a line. Says nothing of where they go: the caller gives a FILE. */
#ifndef SLUICE_DIAGNOSTIC_H
#define SLUICE_DIAGNOSTIC_H

#include <stdbool.h>
#include <stdio.h>

#include "compiler/base/source.h"

/* Errors reported in one run: those that come first in the file. One line says how many more there
 * are. */
#define DIAGNOSTIC_ERRORS_MAX 20

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostics;

struct diagnostics *diagnostics_new(struct arena *arena, const struct source *source);

/* Adds an error at a place, or SPAN_NONE. The returned message, never NULL, takes notes until the
 * next error or warning. Whatever the text holds, it is printed so that a terminal shows it and does
 * not obey it. */
struct diagnostic *diagnostic_error(struct diagnostics *all, struct span at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a warning with its stable name (`shadowed`), printed as [-Wshadowed]; what becomes of it is
 * what the switches below say at this time. `name` is kept, not copied. */
struct diagnostic *diagnostic_warning(struct diagnostics *all, const char *name, struct span at,
                                      const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a note to a message: at a place of its own, shown with its source line, or SPAN_NONE. */
void diagnostic_note(struct diagnostics *all, struct diagnostic *about, struct span at,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* How many were added, the printed ones included. A warning that a switch makes an error counts as
 * one. */
size_t diagnostics_errors(const struct diagnostics *all);
size_t diagnostics_warnings(const struct diagnostics *all);

/* Warning switches, as -Wno-NAME, -Werror=NAME and --strict (every warning that is not off is an
 * error) set them; the last for a name counts. Which names there are is the caller's to know. */
enum warning_level { WARNING_OFF, WARNING_ON, WARNING_ERROR };
void diagnostics_set_warning(struct diagnostics *all, const char *name, enum warning_level level);
void diagnostics_set_strict(struct diagnostics *all, bool strict);

enum diagnostic_format { DIAGNOSTIC_TEXT, DIAGNOSTIC_JSON };

/* Prints everything collected, in the order of places, and forgets it. */
void diagnostics_print(struct diagnostics *all, FILE *out, enum diagnostic_format format);

#endif
