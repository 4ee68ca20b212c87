/* A reload that ends before the exec: nothing stays as it was prepared for that. */
#define _GNU_SOURCE 1 /* dup3 */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"
#include "runtime/shared/descriptors.h"

#define DESCRIPTORS 64
#define CHECKER 4242 /* no process is asked for by it */

static struct policy policy;

static struct broker *make_broker(void)
{
    struct broker *broker = calloc(1, sizeof *broker);
    struct timer **heap = calloc(4, sizeof *heap);
    struct failure failure;

    assert_non_null(broker);
    assert_non_null(heap);
    broker->policy = broker->audit.policy = &policy;
    broker->notify = -1;
    timers_start(&broker->timers, heap, 3);
    closers_begin(&broker->closers);
    pool_begin(&broker->pool, NULL, 0, NULL);
    reload_prepare(broker, "/nowhere/agent-broker");
    broker->captures = captures_open(1, -1, &failure);
    if (!broker->captures)
        fail_msg("%s", failure.text);
    return broker;
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

/* The last descriptor of two copiers cannot be marked; those before it have been. */
static void a_handing_over_that_fails_half_way_leaves_nothing_inheritable(void **state)
{
    struct broker *broker = make_broker();
    struct failure failure;
    bool before[DESCRIPTORS];
    int child[CAPTURE_STREAMS], last = -1;

    (void)state;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(null >= 0);
    for (int i = 0; i < DESCRIPTORS; i++)
        before[i] = is_open(i);
    struct capture_request request = {.file = {null, null}, .caller = {null, null}};
    struct capture *capture = capture_start(broker->captures, &request, child, &failure);
    if (!capture)
        fail_msg("%s", failure.text);
    for (int i = 0; i < DESCRIPTORS; i++)
        if (!before[i] && is_open(i) && i != child[0] && i != child[1])
            last = i;
    assert_true(last >= 0);
    int aside = fcntl(last, F_DUPFD_CLOEXEC, DESCRIPTORS);
    close(last);

    broker->reload.checker = CHECKER;
    broker->reload.candidate = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(reload_child_ended(broker, CHECKER, 0));
    assert_int_equal(broker->reload.checker, 0);
    assert_int_equal(broker->reload.candidate, -1);
    for (int i = 3; i < DESCRIPTORS; i++)
        if (is_open(i) && !before[i])
            assert_true(fcntl(i, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(captures_memory(broker->captures), F_GETFD) & FD_CLOEXEC);

    if (is_open(last))
        fail_msg("descriptor %d is another's by now", last);
    assert_int_equal(dup3(aside, last, O_CLOEXEC), last);
    close(aside);
    capture_release(broker->captures, capture);
    captures_close(broker->captures);
    descriptors_close(child, CAPTURE_STREAMS);
    close(null);
    close(broker->reload.self);
    while (waitpid(-1, NULL, __WALL) > 0)
        continue;
    free(broker->timers.heap);
    free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handing_over_that_fails_half_way_leaves_nothing_inheritable),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
