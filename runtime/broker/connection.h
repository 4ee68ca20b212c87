/* Connections: who is connected, what they sent, what they are answered.
 *
 * Owns: every connected descriptor, the callers' sockets and the `reply` ends that calls bring
 * along, from accept or receipt to close; the frame buffer while a frame is looked at. Never:
 * decides what a request may do (request.h), knows a process, or waits for a peer.
 *
 * A peer is not trusted: it may be silent, slow, half closed, gone, or send anything. It costs one
 * entry of the table at most, and when the table is full the uid with the most entries gives way. */
#ifndef SLUICE_CONNECTION_H
#define SLUICE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/audit.h"
#include "runtime/broker/timers.h"

struct broker;
struct state_connection;

#define CONNECTIONS_MAX 4096u
/* Entries beyond that, for connections that are only told BUSY once they have asked. */
#define CONNECTIONS_SURPLUS 64u
#define CONNECTION_ENTRIES (CONNECTIONS_MAX + CONNECTIONS_SURPLUS)
/* Frames of one connection handled before others get their turn. */
#define FRAMES_PER_TURN 16u
/* How long a surplus connection may take to ask. */
#define SURPLUS_MS 1000u
/* How long to leave the listening socket alone when not even one descriptor is free. */
#define ACCEPT_PAUSE_MS 50u

struct connection {
    int descriptor; /* -1: the entry is free */
    uint32_t generation; /* tells late events of an earlier connection in this entry */
    uint32_t call;    /* what is answered here next; NONE: nothing */
    uint32_t account; /* the uid's */
    uint32_t next;    /* of the free entries, or of those with frames left unread */
    struct audit_peer peer;
    uint8_t version;  /* of its first frame; 0: none came yet */
    bool watched;     /* the event loop looks at it */
    bool surplus;     /* answered BUSY whatever it asks */
    bool reply_end;   /* a call's own `reply`: one answer, and only SIGNAL frames come in */
    bool mute;        /* ... on which nothing comes in: a pipe or a stream, without frames */
    bool pipe;
    bool shared;      /* calls with a `reply` of their own came this way */
    bool unread;      /* in the list of those with frames left unread */
    bool reading;     /* a `reply`: a closer reads it */
    bool more;        /* ... and something has come since */
    struct timer timer;
};

struct connections {
    struct connection *table; /* CONNECTION_ENTRIES */
    uint32_t used;            /* entries that were ever used */
    uint32_t free;            /* first free one among those; NONE */
    uint32_t count;           /* open ones */
    uint32_t unread, unread_last; /* those with frames left unread, in turn; NONE */
    uint32_t unread_count;        /* ... and how many they are */
    bool accept_paused;
    struct timer accept_timer;
};

/* `table` is zeroed memory. */
void connections_start(struct connections *connections, struct connection *table);

/* The listening socket has somebody. Takes a bounded number of connections. */
void connections_accept(struct broker *broker);

/* Accepts again after a shortage, once ACCEPT_PAUSE_MS have passed. */
void connections_accept_again(struct broker *broker);

/* epoll_wait(2) reported `events` for a connection of that generation. */
void connection_handle(struct broker *broker, uint32_t index, uint32_t generation, uint32_t events);

/* What a closer has read from a `reply`: `length` bytes, of which no more than CLOSER_FRAME_BYTES are
 * there; 0: its end; or a negative errno. */
void connection_take_frame(struct broker *broker, uint32_t index, uint32_t generation,
                           const char *bytes, int32_t length);

/* Another turn for each connection with frames left unread. Returns whether there are more. */
bool connections_continue(struct broker *broker);

/* The first frame did not come in time. */
void connection_expire(struct broker *broker, uint32_t index);

/* Makes an entry of `descriptor`, a call's `reply`, for the peer of connection `from`. Takes the
 * descriptor. NONE if it is neither an AF_UNIX socket of type SOCK_SEQPACKET or SOCK_STREAM nor a
 * pipe to write to, or the table is full (then `*full`). */
uint32_t connection_adopt_reply(struct broker *broker, uint32_t from, int descriptor, bool *full);

/* Answers. `text`, which may lie in broker->reply, is sent as it is: version 1 has room for one in
 * listings only. Closes the connection after it unless more requests may come. */
void connection_answer(struct broker *broker, uint32_t index, int32_t status, const char *text,
                       uint32_t text_length);

/* After a reload: takes over a connection of the earlier image, at the index that it had. They come
 * in the order of their indexes. */
void connection_restore(struct broker *broker, const struct state_connection *saved);

/* Closes a connection; a call that it waits for is not told. */
void connection_close(struct broker *broker, uint32_t index);

#endif
