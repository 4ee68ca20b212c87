/* Workers that are not what they were: what one says when it has no call is its last word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"
#include "runtime/worker/protocol.h"

#define WORKERS 2u
#define CONFINEMENTS 1u

/* Two idle workers of one confinement; `theirs` is the end at which each would report. */
struct fixture {
    struct broker *broker;
    struct policy policy;
    struct pool_entry table[WORKERS];
    uint32_t idle[CONFINEMENTS];
    struct timer *heap[2];
    struct account account;
    int theirs[WORKERS];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    struct broker *broker = fixture->broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    broker->policy = &fixture->policy;
    broker->now = 1000;
    timers_start(&broker->timers, fixture->heap, 1);
    pool_begin(&broker->pool, fixture->table, WORKERS, fixture->idle);
    for (uint32_t i = 0; i < WORKERS; i++) {
        int ends[2];
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        fixture->table[i] = (struct pool_entry){
            .used = true,
            .call = NONE,
            .worker = {.pid = 1000 + (pid_t)i, .pidfd = -1, .asks = -1, .control = ends[0]}};
        fixture->theirs[i] = ends[1];
        broker->pool.used++;
        broker->pool.count++;
        pool_give_back(broker, i);
    }
    assert_int_equal(broker->pool.idle_count, WORKERS);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    for (uint32_t i = 0; i < WORKERS; i++) {
        if (fixture->table[i].used)
            pool_drop(fixture->broker, i);
        close(fixture->theirs[i]);
    }
    free(fixture->broker);
    free(fixture);
    return 0;
}

static void report(struct fixture *fixture, uint32_t worker, uint32_t kind, uint32_t idle_follows)
{
    struct worker_telling telling = {
        .protocol = WORKER_PROTOCOL, .idle_follows = idle_follows, .report = {.kind = kind}};

    assert_int_equal(send(fixture->theirs[worker], &telling, sizeof telling, 0),
                     (ssize_t)sizeof telling);
}

/* Only the other is left, once, and can be taken once. */
static void assert_dropped(struct fixture *fixture, uint32_t worker)
{
    struct pool *pool = &fixture->broker->pool;
    uint32_t other = 1 - worker;

    assert_false(fixture->table[worker].used);
    assert_int_equal(pool->count, 1);
    assert_int_equal(pool->idle_count, 1);
    assert_int_equal(pool->leaving_count, 1); /* it is still a child of ours */
    assert_int_equal(pool->leaving[0], 1000 + (pid_t)worker);
    assert_int_equal(recv(fixture->theirs[worker], &(char){0}, 1, 0), 0); /* and is told to end */
    assert_int_equal(pool_take(fixture->broker, 0, 7), other);
    assert_false(pool_has_idle(pool, 0));
    assert_int_equal(pool->idle_count, 0);
}

static void an_idle_worker_that_says_it_is_idle_is_dropped(void **state)
{
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        struct fixture *fixture = *state;
        report(fixture, worker, REPORT_IDLE, 0);
        assert_false(pool_handle(fixture->broker, worker, fixture->table[worker].generation));
        assert_dropped(fixture, worker);
        if (worker + 1 < WORKERS) {
            tear_down(state);
            set_up(state);
        }
    }
}

static void an_idle_worker_that_reports_a_call_is_dropped(void **state)
{
    static const uint32_t kinds[] = {REPORT_STARTED, REPORT_FAILED, REPORT_ENDED};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct fixture *fixture = *state;
        report(fixture, 1, kinds[i], 1);
        assert_false(pool_handle(fixture->broker, 1, fixture->table[1].generation));
        assert_dropped(fixture, 1);
        tear_down(state);
        set_up(state);
    }
}

static struct call busy_call;

/* A worker that runs a call and never ends to report holds up nobody else. */
static void a_worker_that_reports_without_end_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    busy_call = (struct call){.state = CALL_RUNNING,
                              .number = 1,
                              .answered = true,
                              .child_ended = true,
                              .recorded = true,
                              .connection = NONE,
                              .terms = {.kill = KILL_GROUP}};
    timer_describe(&busy_call.timer, TIMER_CALL, 0);
    broker->calls = (struct calls){
        .table = &busy_call, .capacity = 1, .used = 1, .active = 1, .lingering = 1, .free = NONE};
    broker->accounts.table = &fixture->account;
    fixture->account.active = 1;
    broker->orphans.children = -1;
    assert_int_equal(pool_take(broker, 0, 0), 1);
    busy_call.worker = 1;
    fixture->table[1].worker.busy = true;
    for (uint32_t i = 0; i < 2 * POOL_REPORTS_MAX; i++)
        report(fixture, 1, REPORT_ENDED, 0);
    assert_false(pool_handle(broker, 1, fixture->table[1].generation));
    assert_false(fixture->table[1].used);
    assert_int_equal(busy_call.state, CALL_FREE); /* it is lost, which is the end of it */
}

static void an_idle_worker_that_says_nothing_stays(void **state)
{
    struct fixture *fixture = *state;

    assert_false(pool_handle(fixture->broker, 0, fixture->table[0].generation));
    assert_int_equal(fixture->broker->pool.idle_count, WORKERS);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_idle_worker_that_says_it_is_idle_is_dropped),
        test(an_idle_worker_that_reports_a_call_is_dropped),
        test(a_worker_that_reports_without_end_is_dropped),
        test(an_idle_worker_that_says_nothing_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
