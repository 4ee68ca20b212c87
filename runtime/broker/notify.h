/* Telling a service manager what the broker is doing: sd_notify(3)'s datagrams.
 *
 * Owns: the texts. Never: waits, or fails: a manager that does not listen is no reason to stop. */
#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

#include <stdint.h>

/* A socket connected to $NOTIFY_SOCKET (a path, or "@name"), owned by the caller; -1: there is
 * none. */
int notify_open(const char *address);

/* Each does nothing with socket -1. */
void notify_ready(int socket);
void notify_reloading(int socket, uint64_t monotonic_us);
void notify_stopping(int socket);

#endif
