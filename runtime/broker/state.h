/* The state that a broker hands to its successor at SIGHUP, as bytes in a sealed memfd.
 *
 * Owns: the format. Everything that outlives the exec is in it: the listening socket, connections,
 * calls that run, go on in the background or wait, their workers and captures, what calls left that
 * lost their workers, and counters.
 * Never: opens, closes or watches a descriptor that the state names (reload.h and restore.h do).
 *
 * The format is for one machine and one moment; STATE_FORMAT is raised with any change of it, and a
 * broker is asked whether it reads a format (check-host --takes-over) before it is handed one. What
 * arrives is checked all the same: lengths, counts, indexes and the protocols of workers and
 * captures, before anything is done with it. */
#ifndef SLUICE_STATE_H
#define SLUICE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/broker/calls.h"
#include "runtime/broker/capture.h"
#include "runtime/broker/connection.h"
#include "runtime/broker/failure.h"
#include "runtime/broker/listener.h"
#include "runtime/broker/orphans.h"

#define STATE_FORMAT 3u
#define STATE_MAGIC 0x534c5354u
#define STATE_REASONS 32u
#define STATE_NOTE_MAX 512u

/* What comes first. Descriptors are numbers in this process, -1 where there is none. */
struct state_header {
    uint32_t magic, format;
    uint64_t length; /* of all of it */
    uint32_t header_size, connection_size, call_size; /* of the records below: a second guard */
    uint32_t reserved;
    uint32_t connection_count, call_count;
    uint32_t worker_protocol, capture_protocol;
    int32_t previous; /* the executable to go back to; -1: that is what this is */
    int32_t captures_memory;
    int32_t notify;
    int32_t children;
    struct listener listener;
    struct orphans_saved orphans;
    uint64_t last_call;
    uint64_t started_ms, calls;
    uint64_t refused[STATE_REASONS]; /* by enum reason */
    uint64_t open_files_soft, open_files_hard; /* for children, as the first broker found them */
    char path[PATH_MAX];       /* where the broker is installed */
    char note[STATE_NOTE_MAX]; /* why the successor gave up and went back; "" */
};

/* Each connection, by its index. */
struct state_connection {
    uint32_t index; /* by which calls name it */
    int32_t descriptor;
    uint64_t deadline; /* of the first frame; 0: none */
    struct audit_peer peer;
    uint8_t version, surplus, reply_end, mute, pipe, shared, reserved[2];
};

/* Each call, by its number: first come first. After it come `path_length` bytes of each capture
 * path and `kept_length` bytes of the request, then zeros up to a multiple of 8. */
struct state_call {
    struct call call; /* its pointers and timer mean nothing; indexes as of the old tables */
    int32_t worker_pid, worker_pidfd, worker_control; /* -1: none */
    uint32_t has_capture;
    struct capture_saved capture;
    uint32_t path_length[CAPTURE_STREAMS];
    uint64_t kept_length;
};

/* Writes the state of a broker. A memfd, sealed and close-on-exec, or -1 with `failure`. */
int state_write(const struct broker *broker, int previous, const char *note,
                struct failure *failure);

/* The same state with another executable to go back to, and why: for a successor that gives up. */
struct state;
int state_rewrite(const struct state *state, int previous, const char *note,
                  struct failure *failure);

/* A state that has been read: views into its mapping. */
struct state {
    const char *bytes; /* mapped read-only */
    size_t length;
    struct state_header header;
    size_t connections_at, calls_at; /* offsets */
};

/* Reads and checks a state. 0, or -1 with `failure`. The mapping is the caller's until state_close;
 * the descriptor stays open. */
int state_read(int descriptor, struct state *state, struct failure *failure);
void state_close(struct state *state);

/* Makes every descriptor that the state names survive an exec, or (`keep` false) end with one. False
 * if one of them is none. */
bool state_keep(const struct state *state, bool keep);

/* The `index`th connection. */
void state_connection_at(const struct state *state, uint32_t index,
                         struct state_connection *connection);

/* The call at offset `*at`, which begins as state->calls_at and moves on. `paths` and `kept` point
 * into the mapping (paths are not terminated). */
void state_call_at(const struct state *state, size_t *at, struct state_call *call,
                   const char *paths[CAPTURE_STREAMS], const char **kept);

#endif
