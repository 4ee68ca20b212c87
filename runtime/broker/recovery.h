/* What the last broker left at the end of a manifest.
 *
 * Reads our own lines only, by the fixed order in which audit.c writes their keys; anything else is
 * passed over. A caller cannot forge one: a newline or a quote in an argument is escaped, so no
 * line of ours begins with words that a caller chose. Used once, at start; what it allocates it
 * frees. */
#ifndef SLUICE_RECOVERY_H
#define SLUICE_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"
#include "runtime/broker/numbers.h"

/* How much of the end is read: so much, which mostly holds what a broker said of the time before it;
 * if not, so much at most. */
#define RECOVERY_BYTES_FIRST (64 << 10)
#define RECOVERY_BYTES_MAX (64 << 20)
/* Call numbers beyond this are no work of ours and do not count. */
#define RECOVERY_CALL_MAX (UINT64_MAX / 2)

struct recovery {
    struct numbers open; /* the caller gives the room; calls that have a start and no exit */
    uint64_t last_call;  /* the highest number seen; 0: none */
    off_t whole;         /* where the last whole line ends */
    off_t size;          /* of the file: beyond `whole` lies half a line, when it is more */
    bool half_is_ours;   /* that half line began as one of our events */
    bool told;           /* what was read says what was before it */
};

/* Reads the end of `file`. 0, or -1 with `failure` (the file cannot be read, or there is no memory
 * for its end). Calls that began before the part that is read are not found; `serve`, `reload`,
 * `continue` and `stop` events carry what is needed from before them. */
int recovery_read(int file, struct recovery *recovery, struct failure *failure);

#endif
