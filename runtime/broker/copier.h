/* A copier: the small process that serves one captured stream at a time (capture.h says why).
 *
 * Role: made by fork from the broker, with the broker's uid and its seccomp filter. Privileges: its
 * control socket and the shared counters; for a job also one pipe, one capture file and one of a
 * caller's descriptors. Inputs: bytes of a child, which it never looks at. What its compromise
 * would give: writing to those three, and lying about how much was written.
 *
 * The bytes go from the child's pipe to the caller by tee(2) where the caller's descriptor is a
 * pipe, and from there or a buffer to the file by one appending write each. splice(2) refuses files
 * opened with O_APPEND, and was measured slower than read and write of what fits the cache. */
#ifndef SLUICE_COPIER_H
#define SLUICE_COPIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/capture.h"

/* What the broker wants of a capture; bits of copier_counters.orders. */
#define COPIER_DRAIN 1u
#define COPIER_FINISH 2u
#define COPIER_SOLE 4u /* nothing but a fact: the other stream's copier has been killed */

/* One capture's part of the memory that the broker shares with all copiers. Its layout is part of
 * CAPTURE_PROTOCOL. */
struct copier_counters {
    _Atomic uint64_t bytes[CAPTURE_STREAMS]; /* taken from the child */
    uint64_t limit;                          /* max_output; UINT64_MAX: none */
    _Atomic uint64_t claimed; /* of the limit: passed on, or about to be by one of the copiers */
    _Atomic uint64_t spent;   /* of the limit: passed on */
    _Atomic uint32_t orders;
    _Atomic uint32_t waiting; /* bit N: stream N waits for its caller to take something */
    /* A mark: when stream N's copier went into a system call on its caller's descriptor from which it
     * has not come back. */
    _Atomic uint32_t held[CAPTURE_STREAMS];
    uint32_t reserved[2];
};

/* A point in time that fits a shared word: milliseconds of CLOCK_MONOTONIC, cut to 32 bits, never 0,
 * which is no mark. */
uint32_t copier_mark(void);
/* Whether a mark is so old that whoever set it is held, rather than without its turn on a busy
 * machine. */
#define COPIER_HELD_MS 1000u
bool copier_mark_is_old(uint32_t mark);

/* A job, sent with three descriptors: the pipe's reading end (O_NONBLOCK), the caller's, the file.
 * A message of another size only wakes the copier to look at its orders. */
struct copier_job {
    uint32_t protocol;
    uint32_t slot;   /* of the counters */
    uint32_t stream; /* enum capture_stream */
};
#define COPIER_JOB_DESCRIPTORS 3u

enum copier_report_kind {
    COPIER_DRAINED = 1,   /* all that the pipe held when it was asked to drain has been passed on */
    COPIER_ENDED,         /* the job is over; the copier is idle, once its mark says so */
    COPIER_LEFT,          /* the job is over; the copier ends, once the caller's file lets it */
    COPIER_OVER_LIMIT,    /* the limit is used up and there is more */
    COPIER_FILE_FAILED,   /* error: a write to the file */
    COPIER_CALLER_FAILED, /* error: a write to the caller */
};

struct copier_report {
    uint32_t protocol;
    uint32_t kind;
    int32_t error;
};

/* What a forked copier does from its first instruction on: closes everything but `control`, then
 * serves jobs until the broker closes its end. `counters` are `slots` in shared memory; `closing` is
 * too: a mark while it closes what a job that it has told the end of came with. That can take as long
 * as whoever is at the other end of a pipe or a socket likes (kind.h), so nobody is to wait for it. */
_Noreturn void copier_serve(int control, struct copier_counters *counters, uint32_t slots,
                            _Atomic uint32_t *closing);

#endif
