/* Closing what callers brought, without waiting for it.
 *
 * close(2) calls the file system's `flush`, also when other descriptors of the file stay open. On a
 * FUSE mount that waits for its daemon, on a network one for its server: for a slow one a while, for
 * a dead or a hostile one for ever, and no signal ends it. So a regular file that may lie on such a
 * mount is closed by a **closer**: a small process that shares this one's table of descriptors
 * (clone(2), CLONE_FILES), so that its close is ours. Each has one descriptor to close, and there is
 * one at once for each, so that none waits behind another. That is meant for mounts that are slow or
 * have died: a caller who can make mounts that never answer can still use up every closer. Pipes, sockets, devices and files on local disks are closed here: they have no such wait.
 *
 * Owns: the closers, their sockets, and the descriptors that wait for one. Never: closes a descriptor
 * of the broker's own, or asks a file system about a caller's file (kind.h). */
#ifndef SLUICE_CLOSER_H
#define SLUICE_CLOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/timers.h"

struct broker;

/* Closers at a time, those that wait for a dead file system included. */
#define CLOSERS_MAX 64u
/* How long those that are not needed stay; one stays for ever. */
#define CLOSER_IDLE_MS 10000u
/* Descriptors that wait for a closer. Beyond that they are closed here. */
#define CLOSER_BACKLOG_MAX 4096u

struct closer {
    pid_t pid;    /* 0: none */
    int ours, theirs; /* both in this table, which the closer shares */
    bool busy;
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

/* A closer has finished its job, or is gone. */
void closers_handle(struct broker *broker, uint32_t index);

/* Ends those that have been idle for long. */
void closers_expire(struct broker *broker);

/* Before an exec: ends the closers, which would keep the old table's descriptors open. One that
 * waits for a dead file system goes on waiting. */
void closers_end(struct broker *broker);

/* A child has been reaped. If it was a closer, what it had not closed yet stays open: which of its
 * numbers mean something else by now cannot be told. */
void closers_forget_process(struct broker *broker, pid_t process);

/* Whether `process`, a child of this one, is a closer. */
bool closers_have_process(const struct closers *closers, pid_t process);

#endif
