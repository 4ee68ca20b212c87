/* A directory of links that serves a sandbox as its PATH: one for each command of the menu, each a
 * link to sluicify, which takes the name it is called by for the command.
 *
 * Owns: which words of a menu are commands' names, and the links. Never: replaces or removes
 * anything that is there, or makes a name that could lead out of the directory or be taken for an
 * option. */
#ifndef SLUICE_CLIENT_SHIMS_H
#define SLUICE_CLIENT_SHIMS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/client/place.h"

/* Takes the command's name from the next rule line of a menu: `*menu` and `*length` are moved past
 * it. A rule line is one that begins with neither a blank nor '#' nor ';'; its first word ends at a
 * blank, and quotes and backslashes in it mean what they mean to a shell. Writes at most `capacity`
 * bytes, the NUL included; a name that is longer comes out as "". Returns false when there is no
 * more. */
bool client_menu_next(const char **menu, size_t *length, char *name, size_t capacity);

/* Whether a name can be a link: letters, digits and "._+@-", not beginning with '.' or '-', not
 * sluicify's own, at most 255 bytes. */
bool client_name_is_safe(const char *name);

/* Makes `directory` if it is not there, and the links, naming each new one on standard output.
 * Tells of those that it leaves out. Returns the exit code. */
int client_shims_run(const struct client_place *place, const char *directory);

#endif
