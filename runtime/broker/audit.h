/* The audit trail: the manifest's events, whether they can be kept, and what follows when not.
 *
 * Owns the manifest (manifest.h), the numbering of calls, which of them are in flight, the state of
 * health, and one buffer in which events are put together. Decides nothing about rules, and
 * copies no output (capture.h) but is told when that fails, since health is one for the whole
 * trail.
 *
 * What a written event is worth: it is in the kernel, whole, before the function returns, so it
 * outlives the broker however that ends. It is not forced to the disk: that takes milliseconds on
 * most disks, many times what a call takes, and only a crash of the whole machine needs it. Put the
 * manifest on a file system mounted `sync` to have it for every event. audit_close forces all of
 * it.
 *
 * A `logfile` with values of the call in it (#$date, #$uid, ...) is expanded for each event with
 * that event's own values; the broker's own events have its pid and uid, and 0 for call and rule.
 * When that leads to a new file, its first line is a `continue` event with what a later start needs
 * to know. */
#ifndef SLUICE_AUDIT_H
#define SLUICE_AUDIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"
#include "runtime/broker/manifest.h"
#include "runtime/broker/numbers.h"
#include "runtime/broker/template.h"
#include "runtime/include/policy.h"

/* The most argument bytes and arguments that an event can carry: the wire's limits (BROKER.md). */
#define AUDIT_ARGUMENT_BYTES_MAX (1u << 20)
#define AUDIT_ARGUMENTS_MAX 256u
/* While unhealthy, a probe write is tried at most this often. */
#define AUDIT_PROBE_INTERVAL_MS 200u
/* The most calls in flight that are kept track of: background captures included, far beyond what
 * max_active allows. */
#define AUDIT_ACTIVE_MAX 16384u

struct audit {
    const struct policy *policy;
    const struct template_environment *environment;
    struct manifest manifest; /* not open without logfile: events go nowhere */
    bool healthy;
    uint64_t unhealthy_since_ms, probed_ms; /* monotonic */
    uint64_t missed;                        /* events that could not be written since then */
    char failed_capture[PATH_MAX]; /* the capture file whose failure a probe must see gone; or "" */
    uint64_t last_call;            /* the highest call number given out */
    struct numbers active;         /* calls with a start and no exit */
    char *buffer;                  /* `capacity` bytes, given back to the system after big events */
    size_t capacity;
};

/* Who called. */
struct audit_peer {
    bool known; /* false: pid and uid are written as null (peer_unknown) */
    pid_t pid;
    uid_t uid;
};

/* What a caller asked for; `arguments` NULL where it could not be decoded. */
struct audit_request {
    const struct policy_bytes *arguments;
    uint32_t argument_count;
};

struct audit_start {
    uint64_t call;
    struct audit_peer peer;
    uint32_t rule; /* index into policy.rules */
    struct audit_request request;
    const char *resolved;                  /* path of the executable */
    const char *stdout_path, *stderr_path; /* of the capture files; NULL: not captured */
    const char *capture_error; /* best-effort: why a capture file is missing; NULL otherwise */
};

struct audit_exit {
    uint64_t call;
    struct audit_peer peer;
    /* The rule's line and `log`, not its index: after a reload its policy may be gone. */
    uint32_t line;
    enum policy_log log;
    int32_t status; /* what was answered (BROKER.md's table) */
    uint64_t duration_ms;
    uint64_t stdout_bytes, stderr_bytes;
    /* The rest is written only when set. */
    int signal; /* that ended the child; 0: none */
    bool timed_out, truncated, drain_timeout, caller_gone, output_limit;
    bool has_usage; /* the three below count */
    uint64_t user_ms, system_ms, max_rss_kb;
    const char *error;        /* why nothing ran ("exec: Permission denied"); NULL */
    const char *caller_error; /* what the caller's descriptor could not take (capture.h); NULL */
    const char *const *protected_created; /* `protected_count` paths */
    uint32_t protected_count;
};

/* What a caller of these functions does with a call. */
enum audit_decision {
    AUDIT_PROCEED,            /* recorded, or nothing to record */
    AUDIT_PROCEED_UNRECORDED, /* best-effort: not recorded; said on standard error */
    AUDIT_REFUSE,             /* strict: answer AUDIT, run nothing */
};

/* Opens the trail of `policy`, expanding its logfile, and makes the buffer. `environment` is used
 * as long as the trail is open. 0, or -1 with `failure`: refuse to start, whether strict or
 * best-effort. `audit` needs no earlier initialisation. */
int audit_open(struct audit *audit, const struct policy *policy,
               const struct template_environment *environment, struct failure *failure);

/* A fresh start: cuts half a line off the end, finds calls that the last broker began and never
 * ended, writes `lost` for each, and sets the numbering to go on after the highest number. Where
 * another broker writes the file too, only the numbering is done, which is said on standard error.
 * Returns how many were lost, or -1 with `failure` when the file cannot be read. */
int audit_recover(struct audit *audit, struct failure *failure);

/* After a re-exec in place instead of audit_recover: the numbering goes on, and `active` are the
 * numbers of the calls in flight, which are not lost. */
void audit_continue(struct audit *audit, uint64_t last_call, const uint64_t *active,
                    uint32_t active_count);

/* SIGHUP: opens the path anew (logrotate has renamed the file) and, if that works, closes the old
 * file and ends `unhealthy`, without an event of its own: `reload` follows. Else goes on with the
 * old one and returns -1 with `failure`. */
int audit_reopen(struct audit *audit, struct failure *failure);

/* Forces to the disk, waiting for it, and closes. The struct can be opened again. */
void audit_close(struct audit *audit);

/* The next call's number; 1 is the first ever. Every accepted or refused request has one. */
uint64_t audit_next_call(struct audit *audit);

/* ---- health ---------------------------------------------------------------------------------- */

/* Whether a call may go on with the trail as it is. While unhealthy, probes first (at most every
 * AUDIT_PROBE_INTERVAL_MS; `now_ms` is monotonic) and writes `healthy` when the trail can be kept
 * again. */
enum audit_decision audit_admit(struct audit *audit, uint64_t now_ms);

/* The same probe, for a timer: nothing happens while healthy. */
void audit_probe(struct audit *audit, uint64_t now_ms);

/* Opens a call's capture file as path_open_append does, and refuses the manifest itself: a program
 * could write events there. A descriptor, or -1 with `failure`. */
int audit_open_capture(struct audit *audit, const char *path, struct failure *failure);

/* A capture file could not be opened (strict: refuse the call; the trail stays healthy, since the
 * next call may have another path). */
enum audit_decision audit_capture_unopened(struct audit *audit, uint64_t call,
                                           const struct failure *failure);

/* A capture write failed during a call: unhealthy under strict, until a probe beside `path` works.
 */
void audit_capture_failed(struct audit *audit, uint64_t call, const char *path, int error);

/* ---- events ---------------------------------------------------------------------------------- */
/* Each is one line and one write(2). What a rule's `log` leaves out is left out here. */

/* Before the child can run anything. Under log = exit-only there is nothing to write, but an
 * unhealthy trail still refuses. */
enum audit_decision audit_start(struct audit *audit, const struct audit_start *start);

void audit_exit(struct audit *audit, const struct audit_exit *exit);

/* `rule`: the index of the rule that would have taken it, or AUDIT_NO_RULE. `reason` as BROKER.md
 * lists them, detail included ("confine: ..."). argv is left out where that rule (or, without a
 * rule, every rule) has log = exit-only. */
#define AUDIT_NO_RULE UINT32_MAX
void audit_reject(struct audit *audit, uint64_t call, const struct audit_peer *peer, uint32_t rule,
                  const struct audit_request *request, const char *reason);

/* The broker's own life. `note`: what confine = best-effort goes without ("serve"), why a reload
 * kept the old binary ("reload"), or NULL. */
void audit_serve(struct audit *audit, const char *note);
void audit_reload(struct audit *audit, const char *note);
void audit_stop(struct audit *audit);

#endif
