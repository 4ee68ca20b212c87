/* What kind of thing a caller's descriptor is, without asking anybody but the kernel.
 *
 * fstat(2) on a file of a FUSE or network mount asks its server and waits for it; statx(2) with
 * AT_STATX_DONT_SYNC answers from what the kernel knows. Owns nothing. */
#ifndef SLUICE_KIND_H
#define SLUICE_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum descriptor_kind {
    KIND_UNKNOWN,     /* the kernel did not say */
    KIND_PIPE,
    KIND_SOCKET,
    KIND_LOCAL_FILE,  /* a regular file on a block device */
    KIND_NAMELESS_FILE, /* the same without a name any more: its last close frees what it holds */
    KIND_OTHER_FILE,  /* a regular file elsewhere: in memory, on another file system, on a server */
    KIND_MEMORY_DEVICE, /* /dev/null, /dev/zero, ... */
    KIND_ELSE,        /* another device, a directory, ... */
};

enum descriptor_kind descriptor_kind(int descriptor);

/* Whether closing it may wait for somebody, even if others have the same open file: a regular file that
 * is not on a block device. */
bool kind_waits(enum descriptor_kind kind);
/* Whether it may when nobody else has it: all but a file with a name on a block device, and /dev/null.
 * A TCP socket waits as long as SO_LINGER says (socket(7)), also one in flight to a Unix socket that is
 * closed; a pipe for whoever reads or writes at its other end into memory that is not there (its lock
 * is held meanwhile); a terminal for its line to drain; a large file to be freed. */
bool kind_waits_at_last(enum descriptor_kind kind);

/* kind_waits of a descriptor; of any of them. */
bool descriptor_may_wait(int descriptor);
bool descriptors_may_wait(const int *descriptors, size_t count);

#endif
