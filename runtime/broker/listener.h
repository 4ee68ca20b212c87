/* The listening socket: where callers connect.
 *
 * Owns: the socket, its file, and the lock that keeps a second broker from the same path. Never:
 * accepts (connection.h).
 *
 * The file has mode 0600 and lies in a directory that only the broker's uid (and root) can write, so
 * who may connect is decided by that directory and, on request, by allow_uid. Beside it lies
 * PATH.lock, which the living broker holds locked (flock(2)): a socket file whose lock is free is
 * stale. With socket activation the service manager owns the file, and there is no lock. */
#ifndef SLUICE_LISTENER_H
#define SLUICE_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "runtime/broker/failure.h"

#define LISTENER_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path)) /* with the NUL: unix(7) */

struct listener {
    int socket;
    int lock;      /* -1: activated by the service manager */
    int directory; /* O_PATH: to remove the files at the end */
    dev_t device;  /* the socket file, to remove no other */
    ino_t inode;
    char path[LISTENER_PATH_MAX]; /* absolute; "" if an activated socket has none */
};

enum listener_flags {
    LISTENER_CREATE = 1, /* make missing directories, 0700 */
    LISTENER_LENIENT = 2, /* warn of a directory that others can write, and go on */
};

/* Makes the socket at `path` (absolute) without listening yet. Takes the lock, replaces a stale
 * socket. 0, or -1 with `failure`: another broker lives there, something else is there, the
 * directory is unsafe or missing. */
int listener_open(struct listener *listener, const char *path, unsigned flags,
                  struct failure *failure);

/* Takes over a socket that already listens: from the service manager (sd_listen_fds(3)) or from the
 * broker's earlier image. 0, or -1 with `failure` if it is no listening AF_UNIX SOCK_SEQPACKET. */
int listener_adopt(struct listener *listener, int socket, struct failure *failure);

/* How many sockets the service manager passed to this process: LISTEN_FDS, if LISTEN_PID is ours.
 * They are the descriptors from LISTENER_FIRST on. */
unsigned listener_activated(void);
#define LISTENER_FIRST 3

/* Lets callers connect. 0 or -1 with `failure`. */
int listener_start(struct listener *listener, struct failure *failure);

/* Closes the socket; removes its file and the lock, if they are this broker's. */
void listener_close(struct listener *listener);

#endif
