/* Starting a worker when a call of the kernel's fails on the way: nothing is left behind, and what failed
 * is said. The calls are this file's own functions, which the runtime's are linked with. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <dlfcn.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "runtime/worker/setup.h"

static struct {
    bool madvise_fails; /* of MADV_DONTFORK */
    int waits_interrupted; /* so many times */
    bool clone_fails;
    bool capabilities; /* there are some, to be raised; they cannot be lowered */
    int capsets;
} faults;

pid_t waitpid(pid_t pid, int *status, int options)
{
    if (faults.waits_interrupted > 0) {
        faults.waits_interrupted--;
        errno = EINTR;
        return -1;
    }
    return wait4(pid, status, options, NULL);
}

int madvise(void *address, size_t length, int advice)
{
    if (faults.madvise_fails && advice == MADV_DONTFORK) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_madvise, address, length, advice);
}

static int capabilities_pretend(long number, struct __user_cap_data_struct *data)
{
    if (number == SYS_capget)
        memset(data, 0, _LINUX_CAPABILITY_U32S_3 * sizeof *data);
    if (number == SYS_capget || faults.capsets++ == 0)
        return 0;
    errno = EPERM;
    return -1;
}

long syscall(long number, ...)
{
    static long (*next)(long, ...);
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (faults.clone_fails && number == SYS_clone) {
        errno = EAGAIN;
        return -1;
    }
    if (faults.capabilities && (number == SYS_capget || number == SYS_capset))
        return capabilities_pretend(number, (void *)arguments[1]);
    if (!next)
        next = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

static int start(struct fixture *f)
{
    return worker_start(&f->policy, 0, f->setup, &f->worker);
}

static void a_worker_that_cannot_be_kept_is_waited_for(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    assert_true(fixture_prepare(&f));
    faults.madvise_fails = true;
    faults.waits_interrupted = 2;
    int status = start(&f);
    faults.madvise_fails = false;
    assert_int_equal(status, -ENOMEM);
    assert_int_equal(faults.waits_interrupted, 0);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
    fixture_end(&f);
}

static void privileges_that_stay_are_said(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    assert_true(fixture_prepare(&f));
    f.host.uid = 0; /* root's own user namespace needs one capability for the clone */
    f.setup->namespaces = CLONE_NEWUSER;
    faults.clone_fails = true;
    faults.capabilities = true;
    int status = start(&f);
    faults.capabilities = faults.clone_fails = false;
    assert_int_equal(faults.capsets, 2);
    assert_int_equal(status, -EPERM);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_cannot_be_kept_is_waited_for),
        cmocka_unit_test(privileges_that_stay_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
