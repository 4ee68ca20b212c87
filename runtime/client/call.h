/* One call from a terminal, a script or a service: signals that come here go to the command.
 *
 * Owns: the mask and the signalfd of the call, the order of sending, forwarding and stopping, and
 * the line that tells why a call was refused. Never: reads or writes the command's input and
 * output, which are the caller's own descriptors. */
#ifndef SLUICE_CLIENT_CALL_H
#define SLUICE_CLIENT_CALL_H

#include "runtime/client/place.h"
#include "runtime/client/sluicify.h"

/* What sluicify exits with when it fails itself. */
#define CLIENT_FAILURE 125

/* Makes the call and waits for its end. Says on standard error why, where it fails. Returns the
 * exit code. Signals that this process was told to ignore (nohup(1), a background job) stay
 * ignored; the others of wire version 2 are passed on, and those that stop or continue are followed
 * here too. With a broker that speaks version 1 alone they act on this process as on any. */
int client_call_run(const struct client_place *place, const struct sluicify_request *request);

/* Prints the menu on standard output. Returns the exit code. */
int client_list_run(const struct client_place *place);

/* Says why an exchange failed to happen (`error`, a negative errno) or what state it ended in, on
 * standard error. `request` is NULL for a listing. Returns the exit code. */
int client_report_error(const struct client_place *place, const struct sluicify_exchange *exchange,
                        const struct sluicify_request *request, int error);
int client_report_answer(const struct sluicify_request *request,
                         const struct sluicify_answer *answer);

/* The menu, wholly or with a failure told: 0, or the exit code. The text lies in `exchange`. */
int client_list_fetch(const struct client_place *place, struct sluicify_exchange *exchange,
                      struct sluicify_answer *answer);

#endif
