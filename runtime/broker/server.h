/* The server: start-up, the event loop, the end.
 *
 * Owns: the order in which a broker comes up and goes down, and the one wait of the process. Every
 * other part is told what happened; none waits. Only start-up may give up; after that a broker ends
 * by a signal alone. */
#ifndef SLUICE_SERVER_H
#define SLUICE_SERVER_H

struct broker;

/* Serves until SIGTERM or SIGINT. `broker` is zeroed but for its policy and options. Returns the
 * process's exit status: 0, or 2 when it could not start. */
int server_run(struct broker *broker, char *const *variables);

#endif
