#include "runtime/broker/pool.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"

void pool_begin(struct pool *pool, struct pool_entry *table, uint32_t capacity, uint32_t *idle)
{
    *pool = (struct pool){
        .table = table, .idle = idle, .capacity = capacity, .free = NONE, .spare_for = NONE};
    timer_describe(&pool->timer, TIMER_WORKER, 0);
}

struct worker *pool_worker(struct broker *broker, uint32_t index)
{
    assert(index < broker->pool.used && broker->pool.table[index].used);
    return &broker->pool.table[index].worker;
}

/* ---- entries --------------------------------------------------------------------------------- */

static uint32_t entry_take(struct pool *pool)
{
    uint32_t index = pool->free;

    if (index != NONE)
        pool->free = pool->table[index].next;
    else if (pool->used < pool->capacity)
        index = pool->used++;
    else
        return NONE;
    struct pool_entry *entry = &pool->table[index];
    uint32_t generation = (entry->generation + 1) & EVENT_GENERATION_MASK;
    *entry = (struct pool_entry){
        .used = true, .generation = generation, .call = NONE, .next = NONE};
    pool->count++;
    return index;
}

static void entry_free(struct pool *pool, uint32_t index)
{
    pool->table[index].used = false;
    pool->table[index].next = pool->free;
    pool->free = index;
    pool->count--;
}

static void idle_remove(struct pool *pool, uint32_t index)
{
    struct pool_entry *entry = &pool->table[index];
    uint32_t *link = &pool->idle[entry->worker.confinement];

    assert(entry->idle);
    if (*link == index + 1) {
        *link = entry->next == NONE ? 0 : entry->next + 1;
    } else {
        uint32_t at = *link - 1;
        while (pool->table[at].next != index)
            at = pool->table[at].next;
        pool->table[at].next = entry->next;
    }
    entry->idle = false;
    pool->idle_count--;
}

/* When the timer has to look again: for the spare, and for what has been idle for long. The last
 * worker of a confinement may stay longest, so that an idle broker soon has nothing left to do. */
static void pool_schedule(struct broker *broker)
{
    struct pool *pool = &broker->pool;
    uint64_t next = UINT64_MAX;

    if (pool->spare_for != NONE)
        next = pool->spare_at;
    if (pool->idle_count > 0 && next > broker->now + POOL_SURPLUS_IDLE_MS)
        next = broker->now + POOL_SURPLUS_IDLE_MS;
    if (next == UINT64_MAX)
        timer_disarm(&broker->timers, &pool->timer);
    else if (!timer_is_armed(&pool->timer) || pool->timer.deadline > next)
        timer_arm(&broker->timers, &pool->timer, next);
}

void pool_drop(struct broker *broker, uint32_t index)
{
    struct pool *pool = &broker->pool;

    if (pool->table[index].idle)
        idle_remove(pool, index);
    if (pool->leaving_count < POOL_LEAVING_MAX)
        pool->leaving[pool->leaving_count++] = pool->table[index].worker.pid;
    worker_close(&pool->table[index].worker);
    entry_free(pool, index);
}

/* What a call leaves in a tmpfs stays charged to its worker's group (cgroup-v2.rst, "Memory Ownership"),
 * with nobody there to be killed for it: the next call in that group would have so much less. */
static bool worker_ends_after_a_call(const struct broker *broker, uint32_t confinement)
{
    return broker->host.cgroup_memory &&
           broker->policy->confinements[confinement]->limits.memory != LIMIT_UNSET;
}

static void worker_become_idle(struct broker *broker, uint32_t index)
{
    struct pool *pool = &broker->pool;
    struct pool_entry *entry = &pool->table[index];

    entry->call = NONE;
    if (entry->retired || entry->worker.calls >= POOL_WORKER_CALLS ||
        worker_ends_after_a_call(broker, entry->worker.confinement) ||
        pool->idle_count >= POOL_SPARES_MAX) {
        pool_drop(broker, index);
        return;
    }
    uint32_t *head = &pool->idle[entry->worker.confinement];
    entry->next = *head == 0 ? NONE : *head - 1;
    entry->idle = true;
    entry->idle_since = broker->now;
    *head = index + 1;
    pool->idle_count++;
    if (!timer_is_armed(&pool->timer))
        pool_schedule(broker);
}

bool pool_has_process(const struct pool *pool, pid_t process)
{
    for (uint32_t i = 0; i < pool->leaving_count; i++)
        if (pool->leaving[i] == process)
            return true;
    for (uint32_t i = 0; i < pool->used; i++)
        if (pool->table[i].used && pool->table[i].worker.pid == process)
            return true;
    return false;
}

void pool_forget_process(struct pool *pool, pid_t process)
{
    for (uint32_t i = 0; i < pool->leaving_count; i++)
        if (pool->leaving[i] == process)
            pool->leaving[i] = pool->leaving[--pool->leaving_count];
}

/* ---- making and taking ----------------------------------------------------------------------- */

static bool worker_watch(struct broker *broker, uint32_t index)
{
    struct pool_entry *entry = &broker->pool.table[index];
    struct epoll_event event = {
        .events = EPOLLIN,
        .data.u64 = event_pack(EVENT_WORKER, index, entry->generation),
    };

    return epoll_ctl(broker->epoll, EPOLL_CTL_ADD, entry->worker.control, &event) == 0;
}

/* Forks a worker. Its index, not idle yet; NONE with errno. */
static uint32_t worker_make(struct broker *broker, uint32_t confinement)
{
    struct pool *pool = &broker->pool;
    uint32_t index = entry_take(pool);

    if (index == NONE) {
        errno = EAGAIN;
        return NONE;
    }
    closers_await(broker);
    int result = worker_start(broker->policy, confinement, broker->setups[confinement],
                              &pool->table[index].worker);
    if (result < 0) {
        entry_free(pool, index);
        errno = -result;
        return NONE;
    }
    if (!worker_watch(broker, index)) {
        int saved = errno;
        pool_drop(broker, index);
        errno = saved;
        return NONE;
    }
    return index;
}

void pool_warm(struct broker *broker)
{
    if (broker->policy->confinement_count > POOL_FORKED_AT_START)
        return;
    for (uint32_t i = 0; i < broker->policy->confinement_count; i++) {
        uint32_t index = worker_make(broker, i);
        if (index == NONE)
            notice("cannot fork a worker ahead of calls: %s", strerror(errno));
        else
            worker_become_idle(broker, index);
    }
}

uint32_t pool_take(struct broker *broker, uint32_t confinement, uint32_t call)
{
    struct pool *pool = &broker->pool;
    uint32_t index = pool->idle[confinement];

    if (index != 0) {
        index--;
        idle_remove(pool, index);
    } else {
        index = worker_make(broker, confinement);
        if (index == NONE)
            return NONE;
    }
    pool->table[index].call = call;
    if (pool->idle[confinement] == 0 && pool->spare_for == NONE) {
        pool->spare_for = confinement;
        pool->spare_at = broker->now + POOL_SPARE_MS;
        pool_schedule(broker);
    }
    return index;
}

bool pool_has_idle(const struct pool *pool, uint32_t confinement)
{
    return pool->idle[confinement] != 0;
}

void pool_give_back(struct broker *broker, uint32_t index)
{
    worker_become_idle(broker, index);
}

uint32_t pool_adopt(struct broker *broker, pid_t pid, int pidfd, int control, uint32_t call)
{
    uint32_t index = entry_take(&broker->pool);

    if (index == NONE) {
        errno = EAGAIN;
        return NONE;
    }
    struct pool_entry *entry = &broker->pool.table[index];
    worker_adopt(&entry->worker, pid, pidfd, control, broker->calls.table[call].number);
    entry->call = call;
    entry->retired = true;
    if (worker_watch(broker, index))
        return index;
    int saved = errno;
    pool_drop(broker, index);
    errno = saved;
    return NONE;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* A worker whose own set-up failed. One that has been given a call meanwhile answers that, and ends. */
static void worker_is_unfit(struct broker *broker, uint32_t index, int failure)
{
    struct pool_entry *entry = &broker->pool.table[index];

    if (!entry->idle) {
        entry->retired = true;
        return;
    }
    notice("a worker for %s could not set itself up: %s",
           broker->policy->confinements[entry->worker.confinement]->name, strerror(failure));
    pool_drop(broker, index);
}

bool pool_handle(struct broker *broker, uint32_t index, uint32_t generation)
{
    struct pool_entry *entry = &broker->pool.table[index];
    struct worker_report report;

    for (uint32_t reports = 0; entry->used && entry->generation == generation; reports++) {
        uint32_t call = entry->call;
        int result = worker_receive(&entry->worker, &report);
        if (result == 0)
            return false;
        if (result < 0 || reports >= POOL_REPORTS_MAX) {
            if (!entry->idle)
                notice("worker %d is gone", (int)entry->worker.pid);
            pool_drop(broker, index);
            if (call != NONE)
                call_lose_worker(broker, call);
            return false;
        }
        if (report.kind == REPORT_UNFIT) {
            worker_is_unfit(broker, index, report.error);
            continue;
        }
        if (entry->idle) { /* it has nothing to report: whoever it is by now, it gets no call */
            notice("worker %d reports without a call", (int)entry->worker.pid);
            pool_drop(broker, index);
            return false;
        }
        if (report.kind == REPORT_IDLE)
            worker_become_idle(broker, index);
        if (call != NONE)
            call_report(broker, call, &report);
        /* Nothing follows at once upon these; if it does, the loop comes back. */
        if (report.kind == REPORT_IDLE || report.kind == REPORT_STARTED)
            return true;
    }
    return false;
}

static bool worker_is_idle_for_long(const struct broker *broker, uint32_t index)
{
    const struct pool *pool = &broker->pool;
    const struct pool_entry *entry = &pool->table[index];

    if (!entry->used || !entry->idle)
        return false;
    bool last = pool->idle[entry->worker.confinement] == index + 1 && entry->next == NONE;
    return broker->now - entry->idle_since >= (last ? POOL_LAST_IDLE_MS : POOL_SURPLUS_IDLE_MS);
}

void pool_expire(struct broker *broker)
{
    struct pool *pool = &broker->pool;

    if (pool->spare_for != NONE && pool->spare_at <= broker->now) {
        uint32_t confinement = pool->spare_for;
        pool->spare_for = NONE;
        if (pool->idle[confinement] == 0 && pool->idle_count < POOL_SPARES_MAX &&
            !broker->stopping) {
            uint32_t index = worker_make(broker, confinement);
            if (index != NONE) /* else the next call says why */
                worker_become_idle(broker, index);
        }
    }
    for (uint32_t i = 0; i < pool->used; i++)
        if (worker_is_idle_for_long(broker, i))
            pool_drop(broker, i);
    pool_schedule(broker);
}

void pool_settle(struct broker *broker)
{
    struct pool *pool = &broker->pool;

    for (uint32_t i = 0; i < pool->used; i++) {
        uint32_t generation = pool->table[i].generation;
        for (uint32_t turns = 0; turns < POOL_REPORTS_MAX; turns++)
            if (!pool->table[i].used || pool->table[i].idle ||
                pool->table[i].generation != generation || !pool_handle(broker, i, generation))
                break;
    }
}

void pool_relieve(struct broker *broker)
{
    struct pool *pool = &broker->pool;

    for (uint32_t i = 0; i < pool->used && pool->idle_count > 1; i++)
        if (pool->table[i].used && pool->table[i].idle)
            pool_drop(broker, i);
    if (broker->captures)
        captures_relieve(broker->captures);
}

void pool_retire(struct broker *broker)
{
    struct pool *pool = &broker->pool;

    for (uint32_t i = 0; i < pool->used; i++) {
        if (!pool->table[i].used)
            continue;
        if (pool->table[i].idle)
            pool_drop(broker, i);
        else
            pool->table[i].retired = true;
    }
    pool->spare_for = NONE;
    pool_schedule(broker);
}
