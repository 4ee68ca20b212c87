/* What sluicify shows to a person.
 *
 * Owns: text on its way to a terminal: escaping of what a broker or a caller sent, quoting of a
 * command line so that it can be pasted into a shell, one write for one message where it fits.
 * Never: decides what to say, allocates, or lets a control character through but the newlines and
 * tabs that are asked for. */
#ifndef SLUICE_CLIENT_DISPLAY_H
#define SLUICE_CLIENT_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/shared/io.h"

#define DISPLAY_WORD_MAX 200u     /* bytes shown of one argument */
#define DISPLAY_COMMAND_MAX 1000u /* bytes after which no further argument is shown */

struct display {
    int descriptor;
    int failure; /* 0, or the negative errno of the first write that failed */
    struct text text;
    char buffer[8192];
};

void display_start(struct display *display, int descriptor);

/* Own words, as they are. */
void display_append(struct display *display, const char *text);
void display_append_number(struct display *display, int64_t number);

/* Foreign text: control characters, what is not UTF-8, and characters that hide or reorder others
 * come out as \n, \xNN or \uNNNN. */
void display_append_escaped(struct display *display, const char *bytes, size_t length);

/* Foreign text of several lines: newlines and tabs stay, each line begins with `indent`, and the
 * last one ends. */
void display_append_lines(struct display *display, const char *bytes, size_t length,
                          const char *indent);

/* A command line as one would type it, cut where it is long. */
void display_append_command(struct display *display, const char *const *words, size_t count);

/* One line on standard error: "sluicify: ", then `before`, `foreign` escaped, `after` and `detail`,
 * any of which may be NULL. */
void display_complain(const char *before, const char *foreign, const char *after,
                      const char *detail);

/* Writes what is not written yet, waiting for a descriptor that is full. Returns `failure`. */
int display_finish(struct display *display);

#endif
