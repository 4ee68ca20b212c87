/* Capture: what a child writes to 1 and 2, copied to the caller and to a file.
 *
 * For each captured stream the broker gives the child a pipe instead of the caller's descriptor. A
 * **copier**, a small process of the broker's own that serves one stream at a time, takes the bytes
 * out of that pipe and passes each, unchanged and in order, to the capture file and then to the
 * caller.
 *
 * Why processes: no way to write to an arbitrary descriptor of a caller is sure not to block.
 * O_NONBLOCK belongs to the open file description, which is the caller's; a file on the caller's
 * own FUSE mount can stall a write for ever, and so can a pipe whose lock its other end holds while
 * it copies from such a mount. In a copier each of these stalls one stream of one call. It also
 * keeps a gigabyte of output of one call from delaying the others, and a capture in flight survives
 * the broker's re-exec.
 *
 * Owns: the copiers, their control sockets and pidfds, the pipes' reading ends, and a shared memory
 * of counters. Capture files and the caller's descriptors are borrowed: duplicates go to the
 * copier. Nothing here blocks and, after captures_open, nothing allocates.
 *
 * Reaping: copiers are made without an exit signal (clone(2)); they raise no SIGCHLD, waitpid(-1)
 * does not see them without __WALL, and this module reaps them through their pidfds.
 *
 * Several captures of one file append whole writes: a write of up to 4096 bytes by a child
 * (PIPE_BUF) is never split, so lines do not interleave. */
#ifndef SLUICE_CAPTURE_H
#define SLUICE_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"

/* Between broker and copiers; raised when a new broker could not go on with an old one's copiers.
 */
#define CAPTURE_PROTOCOL 2u

enum capture_stream { CAPTURE_STDOUT, CAPTURE_STDERR, CAPTURE_STREAMS };

struct captures; /* the table and the copiers; one for the broker */
struct capture;  /* one call's; valid from capture_start to capture_release */

/* Makes room for `capacity` calls' captures at once (calls and background captures together).
 * Allocates here and never again. `memory`: the counters' descriptor that an earlier image of the
 * broker left (captures_memory), which is taken over and closed on error, or -1. NULL with
 * `failure` on error. */
struct captures *captures_open(uint32_t capacity, int memory, struct failure *failure);

/* Ends every copier (SIGKILL) and frees all. */
void captures_close(struct captures *captures);

/* One descriptor for the broker's epoll: readable while captures_next has something to tell. */
int captures_descriptor(const struct captures *captures);

/* Handles one report and returns the capture whose state it changed (see capture_state); NULL when
 * there is none left. Bounded work; call it until NULL whenever the descriptor is readable.
 */
struct capture *captures_next(struct captures *captures);

struct capture_request {
    uint64_t call;
    void *owner;                 /* the broker's own, for capture_owner; never looked at */
    int file[CAPTURE_STREAMS];   /* from path_open_append; -1: this stream is not captured */
    int caller[CAPTURE_STREAMS]; /* the caller's descriptor 1 and 2, used where file is not -1 */
    uint64_t max_output;         /* bytes of both streams together; 0: no limit */
};

/* Begins the capture of one call. `child[n]` becomes the descriptor that the child gets as 1 or 2
 * (the pipe's writing end; the broker closes it once the worker has it) or -1 for a stream that is
 * not captured. NULL with `failure` when a pipe or a copier cannot be had (EMFILE, EAGAIN, ENOMEM)
 * or the table is full (EBUSY); nothing is left behind then. */
struct capture *capture_start(struct captures *captures, const struct capture_request *request,
                              int child[CAPTURE_STREAMS], struct failure *failure);

/* Whether as many copiers are idle as the next capture of `streams` streams needs; makes them so. 0 or
 * a negative errno. */
bool captures_are_ready(const struct captures *captures, unsigned streams);
int captures_make_ready(struct captures *captures, unsigned streams);

/* How long idle copiers beyond the few that are kept for good stay unneeded before they end. */
#define CAPTURES_TRIM_MS 10000u
/* Whether there are such; lets go of those that were not needed since the last time. */
bool captures_have_surplus(const struct captures *captures);
void captures_trim(struct captures *captures);
/* Processes or descriptors have run out: gives up every idle copier. */
void captures_relieve(struct captures *captures);

void *capture_owner(const struct capture *capture);
uint64_t capture_call(const struct capture *capture);

/* The direct child has ended: what each pipe now holds is to be passed on. Once it is, or the pipes
 * have ended altogether, state.drained is set (at once, if it is already so). The broker answers
 * then, or after 200 ms if a slow caller keeps it from getting there. The capture goes on. */
void capture_drain(struct capture *capture);

/* Takes no more from the caller's patience: what the pipes hold now still goes to the files,
 * nothing more to the caller, and the capture ends, also while other processes hold the pipes (the
 * drain timeout; a call killed at its timeout). state.ended follows soon; a copier that a caller's
 * descriptor has blocked in the kernel is killed by the next capture_abort. */
void capture_finish(struct capture *capture);

/* Ends the copiers at once. state.ended is set when this returns; a stream that had not ended by
 * itself has a file_error then, ECANCELED. */
void capture_abort(struct capture *capture);

struct capture_state {
    uint64_t bytes[CAPTURE_STREAMS]; /* taken from the child so far */
    bool drained;    /* since capture_drain: what the pipes held then has been passed on */
    bool ended;      /* nothing more will come; bytes are final */
    bool waits_for_caller; /* what has not ended is held up by a caller that takes nothing */
    bool over_limit; /* max_output is used up and more came; exactly that much was passed on */
    /* Why the file may lack the end of the output. errno of a failed write: the file ends there, and
     * the caller gets everything. EIO: the copier died; ECANCELED: capture_abort ended it; neither
     * side got what it had not passed on. */
    int file_error[CAPTURE_STREAMS];
    /* errno of a failed write to the caller, which got nothing from there on. A caller that closed
     * its end (EPIPE, ECONNRESET) is no error. */
    int caller_error[CAPTURE_STREAMS];
};

/* As of now; cheap, may be asked at any time before capture_release. */
struct capture_state capture_state(const struct capture *capture);

/* Forgets a capture, aborting it if it has not ended. */
void capture_release(struct captures *captures, struct capture *capture);

/* Whether `process`, a child of this one, is a copier. */
bool captures_has_process(const struct captures *captures, pid_t process);

/* ---- re-exec --------------------------------------------------------------------------------- */

/* What a new broker image needs to go on with a capture. Plain data: it may be written to a memfd
 * as it is. The descriptors that it names must survive the exec: captures_keep. */
struct capture_saved {
    uint32_t protocol; /* CAPTURE_PROTOCOL */
    uint32_t slot;
    uint64_t call;
    int32_t control[CAPTURE_STREAMS], pidfd[CAPTURE_STREAMS], pid[CAPTURE_STREAMS]; /* -1: none */
    uint32_t reports[CAPTURE_STREAMS];
    int32_t file_error[CAPTURE_STREAMS], caller_error[CAPTURE_STREAMS];
};

/* Before the exec: `true` makes the descriptors of every live capture and of the counters survive
 * it, `false` takes that back when the exec failed. 0 or -1 (errno). */
int captures_keep(struct captures *captures, bool keep);
/* The counters' descriptor, for the new image's captures_open. Stays this module's. */
int captures_memory(const struct captures *captures);
void capture_save(const struct capture *capture, struct capture_saved *saved);

/* In the new image, before any capture_start: takes over the descriptors and goes on. NULL with
 * `failure` when the state does not fit; descriptors that were not taken over stay open then. */
struct capture *capture_restore(struct captures *captures, const struct capture_saved *saved,
                                void *owner, struct failure *failure);

#endif
