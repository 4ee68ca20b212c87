/* Workers: pre-forked processes, each with one confinement applied, that run calls one at a time.
 *
 * The broker forks a worker per confinement profile on demand (worker_start). The worker applies what
 * does not depend on a call (seccomp filter, namespaces), becomes a subreaper, and then serves calls
 * that come over its socket for calls. A child is cloned ahead of each and waits for it where the
 * confinement lets it (ahead.h); else the worker takes the call and clones (CLONE_VFORK). It tells the
 * broker why exec failed, or waits, tells the exit status, and goes on reaping until nothing that the
 * call started is left.
 *
 * The broker's side (struct worker and the functions below) never blocks. It owns its ends of the
 * sockets, the worker's pidfd and the shared memory until worker_close. A worker survives the
 * broker's own re-exec: hand over pid, pidfd and control (clear their close-on-exec flags), put them
 * into a struct worker with worker_adopt, and the reports keep coming; only worker_receive,
 * worker_order and worker_close may be used on an adopted worker, and end it once it is idle. What
 * those two say to each other is versioned by WORKER_PROTOCOL.
 *
 * When the broker's end of the control socket closes, an idle worker exits. A busy one sends SIGTERM
 * to its call's process group and two seconds later kills what its rule's `kill` says (the tree, or
 * the group), then exits: with the broker gone nobody limits, records or answers that call any more.
 * What outlives the direct child under `kill = group` is let go on at once. */
#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/include/policy.h"

#define WORKER_PROTOCOL 1u

#define WORKER_ARGUMENTS_MAX 256u
#define WORKER_ENVIRONMENT_MAX 1024u
#define WORKER_BYTES_MAX ((size_t)2 * 1024 * 1024) /* argv, environment and paths, each with its NUL */
#define WORKER_GRANTS_MAX 64u

struct worker_memory;     /* protocol.h */
struct confinement_setup; /* what was made once at start for a confinement: runtime/worker/confinement.h */

struct worker {
    pid_t pid;
    int pidfd;   /* readable when the worker itself has ended */
    int control; /* SOCK_SEQPACKET, non-blocking, this end is the broker's; poll it for reports */
    int asks;    /* the same, for calls alone; -1 when adopted */
    uint32_t confinement; /* index into policy.confinements */
    uint32_t calls;       /* started so far */
    bool busy;            /* between worker_run and REPORT_IDLE */
    /* the module's own */
    bool idle_follows;
    uint64_t call;
    struct worker_memory *memory; /* shared with the worker; NULL when adopted */
    uint32_t bytes; /* of it, used by the latest call */
};

/* Which file an executable is, and as of when: what fstat(2) said of it. */
struct file_identity {
    uint64_t device, inode;
    int64_t changed_s, changed_ns; /* its status */
};

struct stat;
struct file_identity file_identify(const struct stat *status);

/* One call, as the broker hands it to a worker. Every descriptor stays the broker's (the worker gets
 * duplicates); strings are read before worker_run returns. */
struct worker_call {
    uint64_t call;         /* the call's number, for reports and orders; not 0 */
    uint32_t rule;         /* index into policy.rules */
    int input, output, error; /* become 0, 1, 2 */
    int executable;        /* O_PATH descriptor of what runs (execveat) */
    struct file_identity identity; /* of it: what was built for that file is used again */
    const char *path;      /* its resolved absolute path: for scripts, and inside mount namespaces */
    int directory;         /* O_PATH descriptor of the working directory, or -1: the broker's */
    const char *directory_path; /* its absolute path; NULL exactly when directory is -1 */
    const struct policy_bytes *arguments; /* argv; argv[0] is the rule's first token */
    uint32_t argument_count;
    const struct policy_bytes *environment; /* "NAME=value" each */
    uint32_t environment_count;
    const int *grants;     /* descriptors of files that this call alone may touch (fs_* = #slot) */
    const uint8_t *grant_access; /* enum policy_access each */
    uint32_t grant_count;
    bool tells_start;      /* report STARTED: who has no use for it saves waking up */
    bool held;             /* nobody takes its descriptors until worker_release (release.h) */
};

/* For each call, in this order: STARTED if asked for, ENDED, IDLE; or FAILED, IDLE. Of no call: UNFIT. */
enum worker_report_kind {
    REPORT_STARTED, /* the child runs: `pid` */
    REPORT_FAILED,  /* nothing ran: `error` (errno) at `stage` */
    REPORT_ENDED,   /* the direct child ended: `status` (waitpid form), usage */
    REPORT_IDLE,    /* nothing of the call is left; the worker can take the next */
    REPORT_UNFIT,   /* the worker's own set-up failed: `error` (errno). One that is idle is of no use; of
                     * one that was given a call meanwhile, that call's FAILED follows */
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
    int32_t pid; /* as the worker sees it: under isolate = pid, of that namespace */
    int32_t error;
    int32_t status;
    int32_t left; /* REPORT_ENDED: descendants were still there */
    uint64_t user_ms, system_ms, max_rss_kb;
    int32_t reserved[2];
};

/* What to do to a running call. Orders that arrive when it has ended do nothing. */
enum worker_order {
    ORDER_SIGNAL,     /* `signal` to the call's process group */
    ORDER_KILL_GROUP, /* SIGKILL to the process group */
    ORDER_KILL_TREE,  /* SIGKILL until the worker has no children left */
};

/* Forks a worker for policy.confinements[confinement]. `setup` is what confinement_prepare made of
 * it. Fills `*worker` (owned by the caller until worker_close) and returns 0, or a negative errno
 * with nothing left behind. Does not wait for the worker's own set-up: a call may follow at once; if
 * that set-up fails, the worker says so (REPORT_UNFIT), the first call is answered REPORT_FAILED at
 * STAGE_CONFINE, and the worker ends.
 * The broker must have no other thread. Both structures must live as long as the process. */
int worker_start(const struct policy *policy, uint32_t confinement,
                 const struct confinement_setup *setup, struct worker *worker);

/* Gives a call to an idle worker. Returns 0, or a negative errno with nothing started: -EBUSY (not
 * idle, or adopted), -E2BIG (over one of the limits above), -EINVAL (a string holds a NUL), -EPIPE
 * (the worker is gone), -EAGAIN (no room in the socket: cannot happen while it is idle, but say so
 * rather than block), or what sendmsg says. */
int worker_run(struct worker *worker, const struct policy *policy, const struct worker_call *call);

/* The descriptors of a call that was `held` have been closed, as far as they were the broker's. */
void worker_release(struct worker *worker);

/* Takes one report: 1 with `*report` filled, 0 when there is none now, -1 when the worker is gone
 * (its end of the socket is closed, or it sent what is not a report): a call it had is lost, and its
 * direct child has been sent SIGKILL by the kernel (PR_SET_PDEATHSIG). Call until it returns 0. */
int worker_receive(struct worker *worker, struct worker_report *report);

/* Orders something about the call that the worker runs. Returns 0, or a negative errno (-EPIPE: the
 * worker is gone; -EAGAIN: its socket is full, try again later). `signal` counts for ORDER_SIGNAL. */
int worker_order(struct worker *worker, enum worker_order order, int signal);

/* A worker that an earlier image of this process started, and that runs a call: takes over the
 * three. Hand over only when worker_receive has returned 0, and end idle workers instead. `call` is
 * the number of that call, which its last report will name: a worker that has told of the child's
 * end already says no more than that it is idle. */
void worker_adopt(struct worker *worker, pid_t pid, int pidfd, int control, uint64_t call);

/* Ends an idle worker: closes what the broker holds of it, so that it exits by itself. A busy one
 * ends its call as described above. Reaping its pid stays the broker's affair (waitid on the pid
 * once pidfd is readable: so wait for that before closing, or reap on SIGCHLD). */
void worker_close(struct worker *worker);

#endif
