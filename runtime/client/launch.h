/* Starting a program that inherits a connection to the broker.
 *
 * Owns: the descriptor that the program finds, and SLUICE_FD in its environment. Never: confines
 * the program, waits for it (it takes this process's place), or leaves it anything else that was
 * not there before. */
#ifndef SLUICE_CLIENT_LAUNCH_H
#define SLUICE_CLIENT_LAUNCH_H

#include "runtime/client/place.h"

/* Connects, makes sure that the broker speaks version 2, and becomes `words` (NULL at the end).
 * Comes back only with a failure, which it has told of: 125, or as env(1) does 127 for a program
 * that is not there and 126 for one that cannot be run. */
int client_launch_run(const struct client_place *place, char *const *words);

#endif
