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
    KIND_OTHER_FILE,  /* a regular file elsewhere: in memory, on another file system, on a server */
    KIND_ELSE,        /* a device, a directory, ... */
};

enum descriptor_kind descriptor_kind(int descriptor);

/* Whether closing it may wait for somebody: a regular file that is not on a block device. */
bool descriptor_may_wait(int descriptor);
bool descriptors_may_wait(const int *descriptors, size_t count);

#endif
