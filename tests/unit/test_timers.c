/* The heap of deadlines: order, moving, disarming, against a sorted list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/broker/timers.h"

#define COUNT 200u

struct fixture {
    struct timer *heap[COUNT + 1];
    struct timer timer[COUNT];
    struct timers timers;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    timers_start(&f->timers, f->heap, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        timer_describe(&f->timer[i], TIMER_CALL, i);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void nothing_is_armed_at_first(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(timers_wait(&f->timers, 0), -1);
    assert_null(timers_take_due(&f->timers, UINT64_MAX));
    timer_disarm(&f->timers, &f->timer[0]);
    assert_false(timer_is_armed(&f->timer[0]));
}

static void waits_for_the_earliest(void **state)
{
    struct fixture *f = *state;

    timer_arm(&f->timers, &f->timer[0], 500);
    timer_arm(&f->timers, &f->timer[1], 300);
    assert_int_equal(timers_wait(&f->timers, 100), 200);
    assert_int_equal(timers_wait(&f->timers, 300), 0);
    assert_int_equal(timers_wait(&f->timers, 1000), 0);
    timer_arm(&f->timers, &f->timer[1], 900);
    assert_int_equal(timers_wait(&f->timers, 100), 400);
    assert_null(timers_take_due(&f->timers, 499));
    assert_ptr_equal(timers_take_due(&f->timers, 500), &f->timer[0]);
    assert_false(timer_is_armed(&f->timer[0]));
    assert_null(timers_take_due(&f->timers, 500));
}

static void a_wait_fits_an_int(void **state)
{
    struct fixture *f = *state;

    timer_arm(&f->timers, &f->timer[0], UINT64_MAX);
    assert_int_equal(timers_wait(&f->timers, 0), 86400000);
}

/* Arms, moves and disarms at random; whatever is due must come in order, all of it and once. */
static void keeps_order_under_any_changes(void **state)
{
    struct fixture *f = *state;
    uint64_t deadline[COUNT] = {0}; /* 0: not armed */
    uint64_t now = 1;

    srand(1);
    for (int step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)rand() % COUNT;
        switch (rand() % 4) {
        case 0:
        case 1:
            deadline[i] = now + (uint64_t)rand() % 1000;
            timer_arm(&f->timers, &f->timer[i], deadline[i]);
            break;
        case 2:
            deadline[i] = 0;
            timer_disarm(&f->timers, &f->timer[i]);
            break;
        default:
            now += (uint64_t)rand() % 20;
            uint64_t last = 0;
            struct timer *due;
            while ((due = timers_take_due(&f->timers, now)) != NULL) {
                assert_true(deadline[due->owner] != 0 && deadline[due->owner] <= now);
                assert_true(deadline[due->owner] >= last);
                last = deadline[due->owner];
                deadline[due->owner] = 0;
            }
            for (uint32_t j = 0; j < COUNT; j++)
                assert_true(deadline[j] == 0 || deadline[j] > now);
        }
        for (uint32_t j = 0; j < COUNT; j++)
            assert_int_equal(timer_is_armed(&f->timer[j]), deadline[j] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_armed_at_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_the_earliest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_fits_an_int, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_order_under_any_changes, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
