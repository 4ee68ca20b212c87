/* Sweeps for what calls left whose workers were lost: what is killed and what is spared. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"

static struct broker *make_broker(int children)
{
    struct broker *broker = calloc(1, sizeof *broker);

    assert_non_null(broker);
    struct timer **heap = calloc(2, sizeof *heap);
    assert_non_null(heap);
    timers_start(&broker->timers, heap, 1);
    orphans_begin(broker, children);
    return broker;
}

static void release_broker(struct broker *broker)
{
    close(broker->orphans.children);
    free(broker->timers.heap);
    free(broker);
}

static int set_up(void **state)
{
    struct broker *broker = make_broker(-1);

    if (broker->orphans.children < 0)
        return -1;
    *state = broker;
    return 0;
}

static int tear_down(void **state)
{
    struct broker *broker = *state;

    release_broker(broker);
    return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1; /* each test sees to its own children */
}

/* A process that waits to be killed: as an orphan that has become ours. */
static pid_t make_orphan(void)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        for (;;)
            pause();
    return child;
}

/* What ends it: SIGKILL if that was sent (it counts before any other), else SIGTERM. */
static int end(struct broker *broker, pid_t child)
{
    int status;

    kill(child, SIGTERM);
    assert_int_equal(waitpid(child, &status, 0), child);
    orphans_forget(broker, child);
    assert_true(WIFSIGNALED(status));
    return WTERMSIG(status);
}

/* The loop's part of a sweep, to its end. */
static void sweep_on(struct broker *broker)
{
    for (int passes = 0; timer_is_armed(&broker->orphans.timer); passes++) {
        assert_true(passes < 100);
        broker->now += ORPHANS_SWEEP_MS;
        assert_ptr_equal(timers_take_due(&broker->timers, broker->now), &broker->orphans.timer);
        orphans_expire(broker);
    }
}

static void what_is_found_is_killed_or_spared(void **state)
{
    struct broker *broker = *state;

    pid_t spared = make_orphan();
    orphans_sweep(broker, false);
    sweep_on(broker);
    pid_t killed = make_orphan();
    orphans_sweep(broker, true);
    assert_int_equal(end(broker, killed), SIGKILL);
    sweep_on(broker);
    assert_int_equal(end(broker, spared), SIGTERM);
    assert_int_equal(broker->orphans.saved.spared_count, 0);
}

static void a_sweep_that_kills_goes_on_whatever_else_is_lost(void **state)
{
    struct broker *broker = *state;

    orphans_sweep(broker, true);
    assert_true(timer_is_armed(&broker->orphans.timer));
    pid_t late = make_orphan(); /* comes to us when what it was below has ended */
    orphans_sweep(broker, false);
    assert_int_equal(end(broker, late), SIGKILL);
    sweep_on(broker);
    /* And is over at its end. */
    pid_t spared = make_orphan();
    orphans_sweep(broker, false);
    sweep_on(broker);
    assert_int_equal(end(broker, spared), SIGTERM);
}

static void a_successor_goes_on(void **state)
{
    struct broker *broker = *state;

    pid_t spared = make_orphan();
    orphans_sweep(broker, false);
    sweep_on(broker);
    orphans_sweep(broker, true);
    struct broker *successor = make_broker(dup(broker->orphans.children));
    pid_t late = make_orphan(), worker = make_orphan();
    /* A worker that is lost while the successor learns of its processes has nobody killed yet. */
    orphans_sweep(successor, true);
    assert_false(timer_is_armed(&successor->orphans.timer));
    successor->reload.checker = worker; /* one of its own */
    orphans_restore(successor, &broker->orphans.saved);
    assert_int_equal(end(successor, late), SIGKILL);
    sweep_on(successor);
    assert_int_equal(end(successor, worker), SIGTERM);
    assert_int_equal(end(successor, spared), SIGTERM);
    release_broker(successor);
}

static void a_sweep_under_way_is_gone_on_with(void **state)
{
    struct broker *broker = *state;

    orphans_sweep(broker, true);
    struct broker *successor = make_broker(dup(broker->orphans.children));
    pid_t late = make_orphan();
    orphans_restore(successor, &broker->orphans.saved);
    assert_int_equal(end(successor, late), SIGKILL);
    release_broker(successor);
}

static void nothing_is_swept_for_nothing(void **state)
{
    struct broker *broker = *state;
    struct broker *successor = make_broker(dup(broker->orphans.children));

    pid_t child = make_orphan();
    orphans_restore(successor, &broker->orphans.saved);
    assert_false(timer_is_armed(&successor->orphans.timer));
    assert_int_equal(end(successor, child), SIGTERM);
    release_broker(successor);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_is_found_is_killed_or_spared),
        test(a_sweep_that_kills_goes_on_whatever_else_is_lost),
        test(a_successor_goes_on),
        test(a_sweep_under_way_is_gone_on_with),
        test(nothing_is_swept_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
