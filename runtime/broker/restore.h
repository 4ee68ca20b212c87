/* After a reload: the state that the earlier image handed over becomes this broker's.
 *
 * Owns: the order in which it is taken over. Everything that can be checked has been (state.h); what
 * still fails here (a full kernel table) costs the one connection or call that it concerns, and is
 * said. */
#ifndef SLUICE_RESTORE_H
#define SLUICE_RESTORE_H

struct broker;
struct state;

/* The counters, connections, workers, captures and calls. The tables are empty and large enough. */
void restore_all(struct broker *broker, const struct state *state);

#endif
