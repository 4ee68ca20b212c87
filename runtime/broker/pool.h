/* The pool: workers by confinement, made when they are needed and ended when they are not.
 *
 * Owns: every worker, idle or busy, and its place in the event loop. Never: knows what a call is
 * beyond its index, or waits for a worker.
 *
 * A call takes an idle worker of its confinement, or has one forked. While calls overlap, one idle
 * worker is kept ready, forked a moment after the last was taken, so that the next call does not
 * wait for a fork; a caller that makes one call after another is served by one worker. Idle ones end
 * after a while, each after a number of calls (one, where a cgroup limits its memory), and all at a
 * reload. */
#ifndef SLUICE_POOL_H
#define SLUICE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/timers.h"
#include "runtime/worker/worker.h"

struct broker;

/* Idle workers beyond those that calls hold: as many as run at once by default (max_active). With
 * fewer, a burst that ends together throws workers away that the next calls have to fork again. */
#define POOL_SPARES_MAX 64u
/* At start, one worker is forked for each confinement of a policy with at most this many. */
#define POOL_FORKED_AT_START 4u
/* Calls that one worker runs before a fresh one takes its place. */
#define POOL_WORKER_CALLS 1000u
/* From taking the last idle worker to forking a spare, unless one has become idle by then. */
#define POOL_SPARE_MS 20u
/* How long surplus workers, and the last of a confinement, stay idle before they end. */
#define POOL_SURPLUS_IDLE_MS 10000u
#define POOL_LAST_IDLE_MS 300000u

/* Reports that are taken of one worker in one turn; it has four for each call. One that has more is
 * not what it was, and is taken for gone. */
#define POOL_REPORTS_MAX 8u

struct pool_entry {
    struct worker worker;
    bool used, idle;
    bool retired; /* ends once it is idle: from before a reload, or unfit */
    uint32_t generation;
    uint32_t call; /* that it runs; NONE */
    uint32_t next; /* idle ones of the same confinement, the last used first; or free entries */
    uint64_t idle_since;
};

/* Workers that have been closed and not been reaped yet. More than that are forgotten early, which
 * matters only if a sweep for orphans comes at that very moment. */
#define POOL_LEAVING_MAX 128u

struct pool {
    struct pool_entry *table;
    pid_t leaving[POOL_LEAVING_MAX];
    uint32_t leaving_count;
    uint32_t *idle; /* for each confinement, the first idle worker's index plus 1; 0: none */
    uint32_t capacity, used, free;
    uint32_t count, idle_count;
    uint32_t spare_for;  /* the confinement to make a spare for at spare_at; NONE */
    uint64_t spare_at;
    struct timer timer; /* for the spare, and for those that have been idle for long */
};

/* `table` and `idle` (one for each confinement) are zeroed memory. */
void pool_begin(struct pool *pool, struct pool_entry *table, uint32_t capacity, uint32_t *idle);

/* Forks the first workers, where there are few confinements. */
void pool_warm(struct broker *broker);

/* An idle worker of `confinement` for `call`, forked if there is none. Returns its index, or NONE
 * with errno. */
uint32_t pool_take(struct broker *broker, uint32_t confinement, uint32_t call);

/* The worker to run a call on, or to order something about it. */
struct worker *pool_worker(struct broker *broker, uint32_t index);

/* Gives back a worker that was taken but given nothing to run. */
void pool_give_back(struct broker *broker, uint32_t index);

/* Ends a worker, whatever it does. Its call, if any, is not told. */
void pool_drop(struct broker *broker, uint32_t index);

/* The event loop saw something on a worker's socket. Returns whether there may be more. */
bool pool_handle(struct broker *broker, uint32_t index, uint32_t generation);

/* Whether pool_take would not fork. */
bool pool_has_idle(const struct pool *pool, uint32_t confinement);

/* Descriptors or processes have run out: gives up the idle workers but one, and the idle copiers. */
void pool_relieve(struct broker *broker);

/* Whether `process` is a worker, also one that has been closed and not been reaped yet. */
bool pool_has_process(const struct pool *pool, pid_t process);

/* A child has been reaped. */
void pool_forget_process(struct pool *pool, pid_t process);

/* The pool's timer. */
void pool_expire(struct broker *broker);

/* Takes every report that has come: before a reload. */
void pool_settle(struct broker *broker);

/* Before a reload, or when all is over: ends the idle workers and, once they are idle, the others. */
void pool_retire(struct broker *broker);

/* After a reload: takes over a worker of the earlier image that runs `call`. Returns its index, or
 * NONE with errno. */
uint32_t pool_adopt(struct broker *broker, pid_t pid, int pidfd, int control, uint32_t call);

#endif
