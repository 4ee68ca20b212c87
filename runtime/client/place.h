/* Which broker is meant.
 *
 * Owns: the order in which the option, SLUICE_FD, SLUICE_SOCKET and the default directory are
 * asked, and the words that name the result. Never: connects, or judges whether a broker can be
 * trusted: a client trusts whoever set up its environment. */
#ifndef SLUICE_CLIENT_PLACE_H
#define SLUICE_CLIENT_PLACE_H

#include <limits.h>
#include <stddef.h>

#include "runtime/client/sluicify.h"

struct client_place {
    struct sluicify_address address;
    const char *name;    /* for messages: a path, or "fd:N" */
    bool is_operand;     /* taken from the command line for its '/': set by whoever read that */
    const char *problem; /* why there is none; may lie in `buffer` */
    char buffer[PATH_MAX];
};

/* Finds the broker: `socket` (NULL: not given), else the connection on SLUICE_FD if it is one, else
 * SLUICE_SOCKET, else the only socket in $XDG_RUNTIME_DIR/sluice. Returns 0, or -1 with `problem`
 * (and `name`, NULL where there is none to give). Environment strings are kept, not copied. */
int client_place_find(struct client_place *place, const char *socket);

/* Keeps an inherited connection on 0, 1 or 2 from being handed to the command as its input or
 * output: moves it away and puts /dev/null there. Returns 0 or a negative errno. */
int client_place_move(struct client_place *place);

#endif
