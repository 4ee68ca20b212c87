/* The broker's copiers as processes: made, given jobs, let go, reaped.
 *
 * Owns their control sockets and pidfds and the epoll that watches both. Knows which capture's slot
 * a copier serves, but not what its reports mean (capture.c). Nothing blocks but copiers_keep and
 * copiers_close, which wait REAP_PATIENCE_MS at most. */
#ifndef SLUICE_COPIERS_H
#define SLUICE_COPIERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/copier.h"

/* Idle copiers that are kept for good: a fork costs more than a message. */
#define COPIERS_KEPT 8u
/* And for a while, so that calls that end together leave the next ones what they need: two streams of
 * as many calls as run at once by default (max_active). */
#define COPIERS_IDLE_MAX 128u
/* How long to wait, all in all, for copiers that were let go to be gone, where that matters. */
#define COPIERS_REAP_PATIENCE_MS 200
#define COPIERS_NONE UINT32_MAX

enum copier_state { COPIER_FREE, COPIER_IDLE, COPIER_BUSY, COPIER_DYING };

struct copier_entry {
    enum copier_state state;
    pid_t pid;
    int pidfd;
    int control;     /* ours, O_NONBLOCK; -1 once it is dying */
    uint32_t slot;   /* BUSY: the job's; DYING: one that it may still touch, or COPIERS_NONE */
    uint32_t stream; /* BUSY */
    bool inherited;  /* of an earlier image: it may know fewer slots and gets no new job */
    uint32_t next;   /* of the free or idle ones */
};

struct copiers {
    int epoll;
    struct copier_counters *counters; /* `slots` of them; the caller's */
    uint32_t slots;
    _Atomic uint32_t *closing; /* shared: each entry's mark (copier_serve) */
    struct copier_entry *entries;
    uint32_t capacity;
    uint32_t free, idle; /* heads of lists */
    uint32_t idle_count;
    uint32_t unneeded; /* of them: the fewest that there were since the last copiers_trim */
};

/* Room for two copiers a slot and the idle ones. 0 or a negative errno; copiers_close is due then
 * too. */
int copiers_open(struct copiers *copiers, struct copier_counters *counters, uint32_t slots);
/* Ends all of them. */
void copiers_close(struct copiers *copiers);

/* Makes copiers until `count` (at most COPIERS_IDLE_MAX) are idle. 0 or a negative errno. */
int copiers_reserve(struct copiers *copiers, uint32_t count);

/* Gives a job to an idle copier or a new one; `descriptors` stay the caller's. 0 with its index, or
 * a negative errno. */
int copiers_start(struct copiers *copiers, const struct copier_job *job,
                  const int descriptors[COPIER_JOB_DESCRIPTORS], uint32_t *index);
/* Takes over a busy copier of an earlier image. Its index, or COPIERS_NONE with errno. */
uint32_t copiers_adopt(struct copiers *copiers, const struct copier_entry *busy);

/* Lets go of the idle ones that nobody has needed since the last time, beyond COPIERS_KEPT. */
void copiers_trim(struct copiers *copiers);
/* Lets go of all idle ones: processes or descriptors have run out. */
void copiers_relieve(struct copiers *copiers);

/* The job of a busy copier is over: it is kept for the next one, or let go. */
void copiers_rest(struct copiers *copiers, uint32_t index);
/* The job is over, and so is the copier: it is only waited for. */
void copiers_let_go(struct copiers *copiers, uint32_t index);
/* Whether a busy copier has died. */
bool copiers_is_dead(const struct copiers *copiers, uint32_t index);
/* Kills a busy copier. Until COPIERS_DEAD tells of its slot, it may still touch the counters. */
void copiers_kill(struct copiers *copiers, uint32_t index);

enum copiers_event_kind {
    COPIERS_NOTHING, /* until the descriptor is readable again */
    COPIERS_REPORT,  /* a busy one has something on its control socket, or has died */
    COPIERS_DEAD,    /* a killed one is gone; `slot` */
};
struct copiers_event {
    enum copiers_event_kind kind;
    uint32_t index, slot;
};
/* The next thing that happened; idle copiers that die are dealt with on the way. */
struct copiers_event copiers_next(struct copiers *copiers);

/* Whether `process` is one of them that has not been reaped. */
bool copiers_has_process(const struct copiers *copiers, pid_t process);

/* Before an exec (`keep`): only busy copiers are left, and their descriptors survive it; or takes
 * that back. 0 or -1 with errno. */
int copiers_keep(struct copiers *copiers, bool keep);

#endif
