/* The event loop: the one wait of the process, and what each event means.
 *
 * Owns: the epoll set, the signals, deadlines coming due, and stopping (SIGTERM, SIGINT): no more
 * callers, stop_timeout for the calls, then their end. Never: waits anywhere else, or handles
 * anything itself: every event is passed to the part that it belongs to. */
#ifndef SLUICE_LOOP_H
#define SLUICE_LOOP_H

#include "runtime/broker/failure.h"

struct broker;

/* Makes the epoll set with the signals and the listener in it, and the descriptor in reserve. 0, or
 * -1 with `failure`. */
int loop_make(struct broker *broker, struct failure *failure);

/* Watches one more descriptor. `kind`: enum event_kind (broker.h), of which it is the only one. 0, or
 * -1 with errno. */
int loop_watch(struct broker *broker, int descriptor, int kind);

/* Serves until a stop is complete. */
void loop_run(struct broker *broker);

/* Takes in what children have ended: workers, the check of a new broker, and what a killed worker
 * left. */
void loop_reap(struct broker *broker);

/* Accepts no more; removes the socket. */
void loop_forget_listener(struct broker *broker);

#endif
