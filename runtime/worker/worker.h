/* Workers: pre-forked processes, each with one confinement applied, that run calls one at a time.
 *
 * The broker forks a worker per confinement profile on demand (worker_start). The worker applies what
 * does not depend on a call (seccomp filter, limits, namespaces), becomes a subreaper, and then
 * serves calls that come over its control socket: it clones the child (CLONE_VM | CLONE_VFORK), tells
 * the broker its pid or why exec failed, waits, tells the exit status, and goes on reaping until
 * nothing that the call started is left.
 *
 * The broker's side (struct worker and the functions below) never blocks. It owns the control
 * socket and the worker's pidfd until worker_close. A worker survives the broker's own re-exec: its
 * control socket is handed over and the reports keep coming; only reports and worker_signal are
 * used on it then, both of which are versioned by WORKER_PROTOCOL. */
#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/include/policy.h"

#define WORKER_PROTOCOL 1u

struct confinement_setup; /* what was made once at start for a confinement: runtime/worker/confinement.h */

struct worker {
    pid_t pid;
    int pidfd;   /* readable when the worker itself has ended */
    int control; /* SOCK_SEQPACKET, non-blocking, this end is the broker's */
    uint32_t confinement; /* index into policy.confinements */
    uint32_t calls;       /* served so far */
};

/* One call, as the broker hands it to a worker. Every descriptor stays the broker's (the worker gets
 * duplicates); strings are read before worker_run returns. */
struct worker_call {
    uint64_t call;         /* the call's number, for reports */
    uint32_t rule;         /* index into policy.rules */
    int input, output, error; /* become 0, 1, 2 */
    int executable;        /* O_PATH or readable descriptor of what runs (execveat) */
    const char *path;      /* its resolved path: for scripts and as a fallback */
    int directory;         /* O_PATH descriptor of the working directory, or -1: the broker's */
    const struct policy_bytes *arguments; /* argv; argv[0] is the rule's first token */
    uint32_t argument_count;
    const struct policy_bytes *environment; /* "NAME=value" each */
    uint32_t environment_count;
    const int *grants;     /* descriptors of files that this call alone may touch (fs_* = #slot) */
    const uint8_t *grant_access; /* enum policy_access each */
    uint32_t grant_count;
};

enum worker_report_kind {
    REPORT_STARTED, /* the child runs: `pid` */
    REPORT_FAILED,  /* nothing ran: `error` (errno) at `stage` */
    REPORT_ENDED,   /* the direct child ended: `status` (waitpid form), usage */
    REPORT_IDLE,    /* nothing of the call is left; the worker can take the next */
};

/* Where a call failed before exec succeeded. */
enum worker_stage {
    STAGE_NONE,
    STAGE_CLONE,     /* no process could be made */
    STAGE_DIRECTORY, /* cwd: the call's answer is exit code 126 */
    STAGE_CONFINE,   /* confinement could not be applied */
    STAGE_EXEC,      /* execveat failed */
    STAGE_INTERNAL,
};

struct worker_report {
    uint32_t kind; /* enum worker_report_kind */
    uint32_t stage;
    uint64_t call;
    int32_t pid;
    int32_t error;
    int32_t status;
    int32_t left; /* REPORT_ENDED: descendants were still there */
    uint64_t user_ms, system_ms, max_rss_kb;
    int32_t seccomp_call; /* REPORT_ENDED by SIGSYS: the system call's number, else -1 */
    int32_t reserved;
};

/* What to do to a running call. */
enum worker_order {
    ORDER_SIGNAL,    /* `signal` to the call's process group */
    ORDER_KILL_GROUP, /* SIGKILL to the process group */
    ORDER_KILL_TREE, /* SIGKILL until the worker has no children left */
};

#endif
