/* Descriptors: who owns one, how one travels, and the three that everybody expects.
 *
 * Owns: closing by scope, messages with descriptors over a SOCK_SEQPACKET socket, standard input,
 * output and error at start. Every descriptor that arrives is close-on-exec from birth, and is
 * either handed to the caller or closed here: there is no third way out.
 *
 * Never: changes a flag of a descriptor that somebody else shares (O_NONBLOCK belongs to the open
 * file description, and the caller of a broker shares that), blocks, raises SIGPIPE, or knows what
 * the messages say. */
#ifndef SLUICE_DESCRIPTORS_H
#define SLUICE_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* The most descriptors that one message can carry: SCM_MAX_FD, unix(7). */
#define DESCRIPTORS_MAX 253

/* ---- ownership ------------------------------------------------------------------------------- */

/* `cleanup_fd int fd = -1;`: closed when the variable goes out of scope, unless it was stolen. */
#define cleanup_fd __attribute__((cleanup(descriptor_close)))

/* Closes `*descriptor` if it is one and sets it to -1. Keeps errno. What close(2) reports is not
 * passed on: the descriptor is gone in every case, and no file is written through these. */
void descriptor_close(int *descriptor);

/* Gives up ownership: returns `*descriptor` and sets it to -1. */
int descriptor_steal(int *descriptor);

/* Closes each of `count` descriptors and sets it to -1. */
void descriptors_close(int *descriptors, size_t count);

/* Closes every descriptor from `first` to `last`. Where there is no close_range(2), or who made this
 * container did not know it and has it refused, those that /proc/self/fd lists, one by one. Returns 0 or
 * a negative errno: then some are still open. */
int descriptors_close_range(unsigned first, unsigned last);

/* The same, at the next exec. */
int descriptors_close_range_at_exec(unsigned first, unsigned last);

/* Makes reads and writes of a descriptor that this process opened itself return at once. Never for
 * one that came from a caller. Returns 0 or a negative errno (fcntl(2)). */
int descriptor_set_nonblocking(int descriptor);

/* Opens /dev/null (for reading and writing) on each of 0, 1 and 2 that is closed, so that no later
 * descriptor lands there. The first thing that a program does. Returns 0 or a negative errno. */
int descriptors_fill_standard(void);

/* ---- messages -------------------------------------------------------------------------------- */

enum message_result {
    MESSAGE_RECEIVED,
    MESSAGE_NONE,             /* nothing is there yet (EAGAIN) */
    MESSAGE_END,              /* the peer has closed its end, or shut it down */
    MESSAGE_TOO_LONG,         /* more bytes than the buffer holds (MSG_TRUNC) */
    MESSAGE_TOO_MANY,         /* more descriptors than the caller takes */
    MESSAGE_DESCRIPTORS_LOST, /* at the descriptor limit, or `refuse` (MSG_CTRUNC) */
    MESSAGE_FAILED,           /* errno says why */
};

/* Where a message goes. The caller sets `buffer`, `capacity`, `descriptors` and `wanted`. */
struct message {
    void *buffer;
    size_t capacity;  /* bytes */
    int *descriptors; /* room for `wanted`, at most DESCRIPTORS_MAX */
    size_t wanted;
    bool keep;   /* closing is the caller's affair in every case: see message_receive */
    bool refuse; /* accept none: those that come are dropped by the kernel, as if at the limit */
    /* set by message_receive: */
    size_t length; /* bytes in `buffer`; of MESSAGE_TOO_LONG the real length */
    size_t count;  /* descriptors that arrived, those that were closed again included */
};

/* Room for the largest control message that can come, so that no number of descriptors is cut off
 * for want of it: MSG_CTRUNC can then only mean the descriptor limit. */
struct descriptors_room {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
};

/* Moves the descriptors that came in `length` bytes of control messages to `taken`, which holds
 * DESCRIPTORS_MAX. Returns how many. Makes no system call. cmsg(3). */
size_t descriptors_find(const char *control, size_t length, int *taken);

/* Takes one message from a SOCK_SEQPACKET socket, without waiting. With MESSAGE_RECEIVED the
 * `message->count` descriptors are the caller's; with anything else every descriptor that arrived
 * has been closed; but with `keep`, those that `descriptors` has room for are there and are the
 * caller's, whatever the result (a close can wait for a file system's server). Elements of
 * `descriptors` that hold none are -1, but with `keep` nothing is said of them. An interrupted call is made again. recvmsg(2), unix(7),
 * cmsg(3). */
enum message_result message_receive(int socket, struct message *message);

/* Sends one message with `descriptor_count` (at most DESCRIPTORS_MAX) descriptors, which stay the
 * caller's, without waiting and without SIGPIPE. Returns 0 or a negative errno, among them -EAGAIN
 * (the socket is full), -EMSGSIZE (larger than the send buffer can ever hold), -EPIPE or
 * -ECONNRESET (the peer is gone), -ETOOMANYREFS (more descriptors in flight than RLIMIT_NOFILE). A
 * SOCK_SEQPACKET message goes whole or not at all; on a stream or a pipe it may go in part, which
 * is then -EIO. sendmsg(2). */
int message_send(int socket, const struct iovec *parts, size_t part_count, const int *descriptors,
                 size_t descriptor_count);

#endif
