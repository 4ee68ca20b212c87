/* Closing what callers brought, without waiting for it.
 *
 * close(2) calls the file system's `flush`, also when other descriptors of the file stay open. On a
 * FUSE mount that waits for its daemon, on a network one for its server: for a slow one a while, for
 * a dead or a hostile one for ever, and no signal ends it. And when nobody else has the open file any
 * more, what is behind it is taken apart, which may wait too (kind.h: kind_waits_at_last); a
 * caller may close its own copy once it has sent one. So what may wait is closed by a **closer**: a
 * small process that shares this one's table of descriptors (clone(2), CLONE_FILES), so that its close
 * is ours. Each has one file, or the pipes and sockets of one message, to close at a time, so that
 * nobody's wait behind another's. A call's descriptors are closed here once they have been given on,
 * and before anybody takes them (release.h): so these are never the last, but files may wait at every
 * close.
 *
 * A close that waits for SO_LINGER is cut short (hurry.h): a closer is never kept by it. An answer on a
 * caller's pipe is written by a closer as well, and frames on a caller's `reply` are read by one:
 * splice(2) and recvmsg(2) wait for locks that whoever shares the open file can keep.
 *
 * A closer that does not come back would keep the whole table open, the listening socket included,
 * longer than this process. So the broker **parts** from it after CLOSER_HUNG_MS: it goes on with a
 * table of its own (unshare(2)), and what the old one still holds is closed by a **sweeper**. What is
 * left is a process that holds the one file that its file system does not let go.
 *
 * When there is no closer to be had (CLOSERS_MAX of them hang, or processes have run out), no more
 * descriptors are accepted (closers_are_exhausted): the kernel drops what callers send, without a
 * flush, and their calls are refused.
 *
 * A process forked here inherits the table, and closes it in its turn. So nothing that may wait is
 * left in it then: a call's descriptors are in flight (parked.h), and closers_await goes before each
 * fork, so that none is on its way to a closer.
 *
 * Owns: the closers, their sockets, and the descriptors that wait for one. Never: closes a descriptor
 * of the broker's own, or asks a file system about a caller's file (kind.h). */
#ifndef SLUICE_CLOSER_H
#define SLUICE_CLOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"
#include "runtime/broker/timers.h"

struct broker;

/* Closers at a time, those that hang included. */
#define CLOSERS_MAX 128u
/* How long those that are not needed stay; one stays for ever. */
#define CLOSER_IDLE_MS 10000u
/* A close that takes longer hangs. */
#define CLOSER_HUNG_MS 1000u
/* How long a fork waits at most until what was given to closers is out of the table: as long as they
 * need to be scheduled, not as long as their closes take. */
#define CLOSER_AWAIT_MS 50
/* When there is no closer, how soon to look for one again. */
#define CLOSER_RETRY_MS 100u
/* The longest frame that may come on a `reply`, and one byte more: SIGNAL. */
#define CLOSER_FRAME_BYTES 17
/* Descriptors that wait for a closer. There are few: none is accepted while there are any, but calls
 * that had been admitted bring theirs. Beyond that they are closed here. */
#define CLOSER_BACKLOG_MAX 4096u
/* With so many, none is accepted even if closers are at work. */
#define CLOSER_BACKLOG_FULL 512u
/* Descriptors of one message that one closer closes. */
#define JOB_DESCRIPTORS_MAX 4

enum closer_state {
    CLOSER_NONE = 0,
    CLOSER_IDLE,
    CLOSER_BUSY,
    CLOSER_HUNG, /* parted from: nothing but its number is known of it */
};

struct closer {
    uint8_t state; /* enum closer_state */
    bool awaited;  /* BUSY: a fork has waited for it */
    pid_t pid;
    int ours, theirs; /* both in this table, which the closer shares */
    int job;          /* BUSY: what it was given, the last of it */
    uint32_t reader, reader_generation; /* ... to read from, for that connection; NONE: to close */
    uint32_t generation;
    uint64_t since; /* monotonic milliseconds: when it became busy, or idle */
};

struct closers {
    struct closer table[CLOSERS_MAX];
    uint32_t backlog_count;
    int backlog[CLOSER_BACKLOG_MAX];
    struct timer timer;
};

void closers_begin(struct closers *closers);

/* Takes `count` descriptors (those that are -1 are passed over), which are closed by and by, and sets
 * them to -1. */
void closers_take(struct broker *broker, int *descriptors, size_t count);

/* The same for those that have just been sent to somebody else as well, so that closing them is not
 * the last close: all but files that wait at every close are closed at once. */
void closers_take_given(struct broker *broker, int *descriptors, size_t count);

/* Has `length` bytes, WIRE_REPLY_MAX at most, written to a caller's pipe, as far as they fit, and closes
 * it. Sets it to -1. Without a closer nothing is written. */
void closers_answer(struct broker *broker, int *pipe, const char *bytes, size_t length);

/* Has a frame read from a connection whose open file a caller may have too, and may keep locked (a read
 * into memory that is not there). connection_take_frame gets it. False: no closer is there. */
bool closers_read(struct broker *broker, uint32_t connection);

/* Whether no descriptor may be accepted from a caller now. */
bool closers_are_exhausted(const struct broker *broker);

/* Before a fork: waits until what closers have been given is out of the table, CLOSER_AWAIT_MS at
 * most. */
void closers_await(struct broker *broker);

/* A closer has finished its job, or is gone. */
void closers_handle(struct broker *broker, uint32_t index, uint32_t generation);

/* Parts from those that hang, ends those that have been idle for long, tries again what waits. */
void closers_expire(struct broker *broker);

/* Before an exec: parts from all closers. 0, or -1 with `failure` when something is still to be
 * closed, which the exec would wait for. */
int closers_leave(struct broker *broker, struct failure *failure);

/* A child has been reaped. If it was a closer, what it had not closed yet stays open: which of its
 * numbers mean something else by now cannot be told. */
void closers_forget_process(struct broker *broker, pid_t process);

/* Whether `process`, a child of this one, is a closer. */
bool closers_have_process(const struct closers *closers, pid_t process);

#endif
