/* Descriptors that are kept for later without being open: in flight, as a message that nobody has read
 * yet (unix(7), SCM_RIGHTS).
 *
 * Why: a process that is forked gets a duplicate of each open descriptor and closes it, which can
 * take for ever (closer.h). What is in flight is in no table, and dropping it flushes nothing.
 *
 * Owns: nothing beyond a call; the socket that holds them is the caller's. */
#ifndef SLUICE_PARKED_H
#define SLUICE_PARKED_H

#include <stddef.h>

/* Puts `count` descriptors into flight; they also stay open, and the caller's. Returns the socket
 * that holds them, close-on-exec, or a negative errno (-EMFILE, -ETOOMANYREFS, ...). Closing it
 * drops them. */
int parked_make(const int *descriptors, size_t count);

/* Takes `count` descriptors, close-on-exec, out of what parked_make returned, and closes that,
 * whatever happens. 0, or a negative errno with those that could be had, the others -1. */
int parked_take(int *parked, int *descriptors, size_t count);

#endif
