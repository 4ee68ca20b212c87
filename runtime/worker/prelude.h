/* The first things a worker does: letting go of what it inherited from the broker.
 *
 * Owns descriptors, signals, session and process attributes of the fresh worker. Confinement comes
 * after it (apply.h). */
#ifndef SLUICE_PRELUDE_H
#define SLUICE_PRELUDE_H

#include <stddef.h>

struct confinement_setup;

/* Closes every descriptor but the two sockets, those of `also` (-1: none; at most PRELUDE_ALSO_MAX) and
 * the setup's own; 0, 1 and 2 become /dev/null. Returns 0 or a negative errno;
 * -E2BIG: the setup has more than SETUP_OBJECTS_MAX, and nothing was closed. */
#define PRELUDE_ALSO_MAX 8
int prelude_descriptors(const struct confinement_setup *setup, int control, int asks,
                        const int *also, size_t also_count);

/* A session of its own without a terminal, every signal at its default and blocked (a stop of the
 * whole service must not take the workers before their calls), subreaper of what it will start, out
 * of reach of tracing. Returns 0 or a negative errno. */
int prelude_process(void);

/* A non-blocking signalfd for SIGCHLD. Returns it or a negative errno. */
int prelude_signals(void);

#endif
