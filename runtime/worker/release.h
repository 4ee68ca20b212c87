/* Who has a call's descriptors last: a word in memory that the broker shares with a worker.
 *
 * The last close of a file can wait for whoever the file's other users are (runtime/broker/kind.h). The
 * broker sends a call's descriptors to a worker and closes its own; were the call over by then, its
 * close would be the last. So whoever takes the call waits, before it takes the descriptors out of the
 * socket, until the broker has let go. That is mostly so by the time that it has been woken.
 *
 * Owns nothing; leaves errno alone. futex(2). */
#ifndef SLUICE_RELEASE_H
#define SLUICE_RELEASE_H

#include <stdint.h>

enum release { RELEASE_DONE = 0, RELEASE_HELD, RELEASE_AWAITED };

/* Longer than a broker that runs needs by far: one that does not, and has not ended, is waited for no
 * longer. */
#define RELEASE_PATIENCE_MS 1000

/* The broker, before it sends. */
void release_hold(uint32_t *word);
/* The broker, once it has closed what it sent. */
void release_do(uint32_t *word);
/* The other side, before it takes anything. */
void release_await(uint32_t *word);

#endif
