/* libsluicify: calling a broker from a C program. sluicify itself is built on it.
 *
 * Owns: finding a broker by its address, one exchange (a call, a listing, a greeting) in either
 * version of the protocol, and the descriptors of that exchange. Never: blocks but in
 * sluicify_exchange_finish, touches signals, the standard descriptors or any state outside the
 * structs here, prints, or exits. Several exchanges can be under way at once, in several threads if
 * each has its own struct.
 *
 * This header needs no other of the project. docs/wire.md describes the protocol. */
#ifndef SLUICIFY_H
#define SLUICIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLUICIFY_REPLY_MAX 65536u /* bytes of a reply */

/* Where a broker is. */
struct sluicify_address {
    const char *path; /* of its socket; NULL: `descriptor` counts */
    int descriptor;   /* an inherited connection; stays its owner's */
};

/* Reads "fd:N" or a path, which must live as long as the address. Returns false for an "fd:" that
 * no number follows, and for an empty text. */
bool sluicify_address_read(struct sluicify_address *address, const char *text);

/* Whether an inherited connection can be what it is said to be: an open AF_UNIX socket of type
 * SOCK_SEQPACKET. Returns 0, -EBADF, or -ENOTSOCK for anything else. */
int sluicify_address_check(const struct sluicify_address *address);

enum sluicify_kind {
    SLUICIFY_CALL,
    SLUICIFY_LIST,  /* the answer's text is the menu */
    SLUICIFY_HELLO, /* version 2, on a connection of one's own: keeps it open for later */
};

/* What to run. All of it stays the caller's and must live until the exchange is closed. */
struct sluicify_request {
    size_t argument_count;
    const char *const *arguments;
    size_t variable_count;         /* version 2 only */
    const char *const *variables;  /* "NAME=value" */
    const char *working_directory; /* version 2 only; NULL: the rule's own */
    int descriptors[3];            /* the command's standard input, output and error */
};

struct sluicify_answer {
    int32_t status;   /* 0 to 255: the exit code; below 0: see runtime/shared/status.def */
    const char *text; /* the menu, or why; not terminated, not to be trusted; in the exchange */
    size_t text_length;
};

/* One exchange. The members are the library's own but for those marked. */
struct sluicify_exchange {
    struct sluicify_address address;
    enum sluicify_kind kind;
    const struct sluicify_request *request;
    unsigned version;   /* readable: 1 or 2 */
    int connection;     /* where frames go; -1: address.descriptor */
    int reply;          /* readable: becomes readable with the answer or the end */
    bool takes_signals; /* readable: sluicify_exchange_signal can work */
    bool sent;          /* readable */
    int reply_remote;   /* the broker's end of `reply` until it is sent; -1 */
    int body;           /* the memfd of a large request until it is sent; -1 */
    void *mapping;      /* a large request that cannot go in a memfd, until it is sent; NULL */
    size_t mapping_length;
    const char *message; /* what is to be sent */
    size_t message_length;
    size_t have;         /* bytes of the answer, where it comes in parts */
    const char *problem; /* readable: what is wrong with the request or the answer; NULL */
    char buffer[SLUICIFY_REPLY_MAX];
};

/* Connects (waiting only while the broker's backlog is full) and makes the message ready. `version`
 * is 2, or 1 for a broker that was found to be old. `request` is NULL but for a call. Returns 0 or
 * a negative errno, with nothing left open: -EINVAL with `problem` set if the request cannot be
 * sent in this version, -EPROTONOSUPPORT for version 1 or SLUICIFY_HELLO on an inherited
 * connection. */
int sluicify_exchange_open(struct sluicify_exchange *exchange,
                           const struct sluicify_address *address, enum sluicify_kind kind,
                           const struct sluicify_request *request, unsigned version);

/* Sends the request, whole or not at all. Returns 0, -EAGAIN (poll for POLLOUT on
 * sluicify_exchange_connection, then again), or another negative errno. A broker that closed
 * already may have answered before: that is 0, and sluicify_exchange_receive tells. */
int sluicify_exchange_send(struct sluicify_exchange *exchange);

/* Where the request goes, for poll(2). */
int sluicify_exchange_connection(const struct sluicify_exchange *exchange);

enum sluicify_state {
    SLUICIFY_WAITING, /* nothing yet: poll `reply` for POLLIN */
    SLUICIFY_ANSWERED,
    SLUICIFY_OLD_BROKER, /* it speaks version 1 alone and has done nothing: close, open with 1 */
    SLUICIFY_LOST,       /* the connection ended without an answer */
    SLUICIFY_BROKEN,     /* the answer is none; `problem` says why */
};

/* Takes what has come, without waiting. */
enum sluicify_state sluicify_exchange_receive(struct sluicify_exchange *exchange,
                                              struct sluicify_answer *answer);

/* Passes a signal on to the call, which gets it if its rule allows. Returns 0, -EOPNOTSUPP where it
 * cannot be (version 1; a pipe for a reply), or what sendmsg(2) said. */
int sluicify_exchange_signal(struct sluicify_exchange *exchange, int signal);

/* All of one exchange, waiting: opens, sends, receives, and goes back to version 1 where that is
 * all that the broker speaks (not for SLUICIFY_HELLO). `timeout_ms` is for each wait, -1 for as
 * long as it takes. Returns SLUICIFY_ANSWERED, _LOST, _BROKEN or _OLD_BROKER, or a negative errno
 * (-ETIMEDOUT included). In every case the exchange is to be closed. */
int sluicify_exchange_finish(struct sluicify_exchange *exchange,
                             const struct sluicify_address *address, enum sluicify_kind kind,
                             const struct sluicify_request *request, int timeout_ms,
                             struct sluicify_answer *answer);

/* After an answer: gives the connection to the caller, who closes it. -1 for an inherited one. */
int sluicify_exchange_take_connection(struct sluicify_exchange *exchange);

/* Closes everything of the exchange but an inherited connection. A call under way goes on or ends,
 * as its rule says. Once for each open, and harmless after a failed one. */
void sluicify_exchange_close(struct sluicify_exchange *exchange);

#endif
