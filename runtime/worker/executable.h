/* What a program needs to start besides itself: the interpreter of a script, the loader of a
 * dynamic executable.
 *
 * Reads file headers (of files that a rule names, but whose content is nobody's promise: every offset
 * is checked). Owns the descriptors it opened until executable_needs_close. Never runs anything. */
#ifndef SLUICE_EXECUTABLE_H
#define SLUICE_EXECUTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Interpreters of interpreters, as the kernel bounds them, and one loader. execve(2). */
#define EXECUTABLE_SCRIPTS_MAX 5
#define EXECUTABLE_NEEDS_MAX (EXECUTABLE_SCRIPTS_MAX + 1)

struct executable_needs {
    int objects[EXECUTABLE_NEEDS_MAX]; /* O_PATH descriptors of what must be executable too */
    size_t count;
    bool dynamic; /* a loader takes part: shared libraries must be readable */
    bool missing; /* something could not be opened; it may be there next time */
};

/* Follows the file behind `executable` (O_PATH is enough). What cannot be read or does not exist is
 * left out: exec will say so better. Opens nothing but regular files. 0, or a negative errno with nothing open when there was no room
 * to look (EMFILE, ENOMEM, ...): what was found then must not be taken for all. */
int executable_needs_find(int executable, struct executable_needs *needs);
void executable_needs_close(struct executable_needs *needs);

#endif
