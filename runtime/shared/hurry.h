/* Closing what lingers.
 *
 * The last close of a TCP socket waits for its peer as long as SO_LINGER says (socket(7)), which is for
 * whoever had the socket to say; a signal ends that wait (net/ipv4/af_inet.c, inet_release), and the
 * socket is closed all the same. So it is done under an alarm that does nothing else.
 *
 * Owns: SIGALRM and ITIMER_REAL of the process. setitimer(2). */
#ifndef SLUICE_HURRY_H
#define SLUICE_HURRY_H

#include <stdbool.h>

/* How long SO_LINGER may keep a close. */
#define HURRY_US 2000

/* Once in each process: a program that is executed starts without, a forked process has it already, but
 * must let SIGALRM through. */
void hurry_prepare(void);

/* Until hurry(false): for moments. */
void hurry(bool now);

#endif
