/* Attempts to get out, one a line of output: "NAME ok" or "NAME ERRNO". A program runs twice: not
 * confined, where its attempts have to work (else they show nothing), and confined, where none may.
 * Static, so that a program needs nothing of the file system but itself. */
#ifndef SLUICE_ATTEMPT_H
#define SLUICE_ATTEMPT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void told(const char *name, long result)
{
    if (result >= 0)
        printf("%s ok\n", name);
    else
        printf("%s %d\n", name, errno);
    fflush(stdout);
}

/* One attempt: an expression that is negative, with errno, when it fails. */
#define TRY(name, expression)                                                                      \
    do {                                                                                           \
        errno = 0;                                                                                 \
        told(name, (long)(expression));                                                            \
    } while (0)

/* Numbers that the build machine's headers may not know; the same on every architecture. */
#define NR_PIDFD_SEND_SIGNAL 424
#define NR_IO_URING_SETUP 425
#define NR_IO_URING_ENTER 426
#define NR_OPEN_TREE 428
#define NR_MOVE_MOUNT 429
#define NR_FSOPEN 430
#define NR_PIDFD_OPEN 434
#define NR_CLONE3 435
#define NR_OPENAT2 437
#define NR_PIDFD_GETFD 438
#define NR_FCHMODAT2 452
#define NR_SETXATTRAT 463
#define NR_REMOVEXATTRAT 466
#define NR_FILE_SETATTR 469

/* Reads a byte through a descriptor and closes it: having it open is not yet the content. */
static inline long read_byte(int descriptor)
{
    char byte;
    if (descriptor < 0)
        return -1;
    long result = read(descriptor, &byte, 1) == 1 ? 0 : -1;
    int saved = errno;
    close(descriptor);
    errno = saved;
    return result;
}

#endif
