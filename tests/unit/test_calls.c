/* Calls that have been answered and are not over: whose place in the background they get, and when. */
#define _GNU_SOURCE 1 /* pipe2 */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"
#include "runtime/shared/descriptors.h"

#define CALLS 4u
#define PATIENCE_MS 30000

/* Calls 0 and 1 are in the background, 2 and 3 run; the policy has room for two of each. All have
 * been answered, and none has a process left: their copiers wait for their callers. */
struct fixture {
    struct broker *broker;
    struct policy policy;
    struct call table[CALLS];
    struct account account;
    struct timer *heap[CALLS + 2];
    int caller[CALLS][2], child[CALLS];
};

static struct capture *start_capture(struct fixture *fixture, uint32_t index)
{
    int *caller = fixture->caller[index], child[CAPTURE_STREAMS];
    struct failure failure;

    assert_int_equal(pipe2(caller, O_CLOEXEC), 0);
    assert_true(fcntl(caller[1], F_SETPIPE_SZ, 4096) >= 4096);
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct capture_request request = {.call = index + 1,
                                      .owner = &fixture->table[index],
                                      .file = {file, -1},
                                      .caller = {caller[1], -1}};
    struct capture *capture = capture_start(fixture->broker->captures, &request, child, &failure);
    if (!capture)
        fail_msg("%s", failure.text);
    close(file);
    fixture->child[index] = child[CAPTURE_STDOUT];
    return capture;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct failure failure;

    assert_non_null(fixture);
    struct broker *broker = fixture->broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    fixture->policy.max_active = 2;
    broker->policy = &fixture->policy;
    broker->now = 1000;
    broker->accounts.table = &fixture->account;
    timers_start(&broker->timers, fixture->heap, CALLS + 1);
    calls_begin(&broker->calls, fixture->table, NULL, CALLS);
    broker->calls.used = CALLS;
    broker->calls.background = broker->calls.active = broker->calls.lingering = 2;
    fixture->account.active = 2;
    broker->captures = captures_open(CALLS, -1, &failure);
    assert_non_null(broker->captures);
    for (uint32_t i = 0; i < CALLS; i++) {
        fixture->table[i] = (struct call){.state = i < 2 ? CALL_BACKGROUND : CALL_RUNNING,
                                          .number = i + 1,
                                          .answered = true,
                                          .child_ended = true,
                                          .recorded = true,
                                          .connection = NONE,
                                          .worker = NONE,
                                          .ended = 900 + i};
        timer_describe(&fixture->table[i].timer, TIMER_CALL, i);
        fixture->table[i].capture = start_capture(fixture, i);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    captures_close(fixture->broker->captures);
    for (uint32_t i = 0; i < CALLS; i++) {
        descriptors_close(fixture->caller[i], 2);
        close(fixture->child[i]);
    }
    while (waitpid(-1, NULL, __WALL) > 0)
        continue;
    free(fixture->broker);
    free(fixture);
    return 0;
}

/* The child of a call writes more than its caller, who does not read, has room for. */
static void write_too_much(struct fixture *fixture, uint32_t index)
{
    static const char much[20000];

    assert_int_equal(write(fixture->child[index], much, sizeof much), (ssize_t)sizeof much);
    for (int waited = 0; !capture_state(fixture->table[index].capture).waits_for_caller; waited++) {
        assert_true(waited < PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static void each_that_lingers_has_another_make_room(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    write_too_much(fixture, 0);
    write_too_much(fixture, 1);
    calls_make_room(broker);
    assert_int_equal(fixture->table[0].finish_at, broker->now);
    assert_int_equal(fixture->table[1].finish_at, broker->now);
    assert_false(timer_is_armed(&broker->calls.room_timer));
}

static void no_more_make_room_than_need_be(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    write_too_much(fixture, 0);
    write_too_much(fixture, 1);
    broker->calls.lingering = 0;
    calls_make_room(broker);
    assert_int_equal(fixture->table[0].finish_at, 0);
    broker->calls.lingering = 1;
    for (int turn = 0; turn < 3; turn++)
        calls_make_room(broker);
    assert_int_equal(fixture->table[0].finish_at, broker->now); /* the one that ended first */
    assert_int_equal(fixture->table[1].finish_at, 0);
    fixture->table[0].finish_at = 0;
    fixture->table[0].abort_at = broker->now + 1; /* it has been told, and has not ended yet */
    calls_make_room(broker);
    assert_int_equal(fixture->table[1].finish_at, 0);
}

/* Copiers that have not had their turn look as if their callers read: they are looked at again. */
static void room_is_looked_for_again(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    write_too_much(fixture, 0);
    calls_make_room(broker);
    assert_int_equal(fixture->table[0].finish_at, broker->now);
    assert_int_equal(fixture->table[1].finish_at, 0);
    assert_true(timer_is_armed(&broker->calls.room_timer));
    write_too_much(fixture, 1);
    calls_make_room(broker); /* not in each turn */
    assert_int_equal(fixture->table[1].finish_at, 0);
    broker->now += ROOM_RETRY_MS;
    timer_disarm(&broker->timers, &fixture->table[0].timer);
    assert_ptr_equal(timers_take_due(&broker->timers, broker->now), &broker->calls.room_timer);
    calls_make_room(broker);
    assert_int_equal(fixture->table[1].finish_at, broker->now);
}

/* With a process left of it, a call may go on for as long as it likes. */
static void a_call_with_a_process_makes_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    write_too_much(fixture, 0);
    write_too_much(fixture, 1);
    fixture->table[0].worker = fixture->table[1].worker = 0;
    calls_make_room(broker);
    assert_int_equal(fixture->table[0].finish_at, 0);
    assert_int_equal(fixture->table[1].finish_at, 0);
    assert_false(timer_is_armed(&broker->calls.room_timer));
    fixture->table[0].worker = fixture->table[1].worker = NONE;
}

static void a_place_that_is_free_goes_to_one_that_lingers(void **state)
{
    struct fixture *fixture = *state;
    struct broker *broker = fixture->broker;

    capture_release(broker->captures, fixture->table[1].capture);
    fixture->table[1].capture = NULL;
    call_free(broker, 1);
    assert_int_equal(fixture->table[1].state, CALL_FREE);
    assert_int_equal(fixture->table[2].state, CALL_BACKGROUND);
    assert_int_equal(fixture->table[3].state, CALL_RUNNING);
    assert_int_equal(broker->calls.background, 2);
    assert_int_equal(broker->calls.lingering, 1);
    assert_int_equal(broker->calls.active, 1);
    assert_int_equal(fixture->account.active, 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(each_that_lingers_has_another_make_room),
        test(no_more_make_room_than_need_be),
        test(room_is_looked_for_again),
        test(a_call_with_a_process_makes_no_room),
        test(a_place_that_is_free_goes_to_one_that_lingers),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
