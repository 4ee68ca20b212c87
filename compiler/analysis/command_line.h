/* A concrete command line, and how it is shown: what a person can paste into a shell. */
#ifndef SLUICE_COMMAND_LINE_H
#define SLUICE_COMMAND_LINE_H

#include <stddef.h>

struct arena;

struct command_line {
    const char **arguments; /* NUL-terminated each; values hold no NUL */
    size_t *lengths;
    size_t count;
};

/* The command line as a shell would take it, quoted where needed; control characters as $'\n'. In the
 * arena. */
const char *command_line_text(struct arena *arena, struct command_line command);

#endif
