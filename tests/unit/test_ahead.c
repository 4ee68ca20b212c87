/* The child that is cloned ahead of a call (runtime/worker/ahead.h): calls go its way or the worker's,
 * and nothing tells the two apart but which process ran. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/worker/protocol.h"
#include "runtime/worker/release.h"

/* No STARTED is asked for: that is the broker's way, and what a waiting child can take. */
static const struct fixture_call silent = {.silent = true};

/* The worker's children, as the kernel lists them. Returns how many. */
static size_t children_list(const struct fixture *f, pid_t *list, size_t room)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)f->worker.pid,
             (int)f->worker.pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t length = read(file, text, sizeof text - 1);
    assert_true(length >= 0);
    close(file);
    text[length] = '\0';
    size_t count = 0;
    char *at = text;
    for (char *end; count < room; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        list[count++] = (pid_t)pid;
    }
    return count;
}

/* The state of a process in /proc/PID/stat; 0 when there is none. */
static char process_state(pid_t pid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *end = strrchr(text, ')');
    return end ? end[2] : 0;
}

static void pause_shortly(void)
{
    usleep(1000);
}

/* The one that waits, asleep; and it is not `other`. */
static pid_t waiting_child(const struct fixture *f, pid_t other)
{
    for (int looks = 0; looks < PATIENCE_MS; looks++) {
        pid_t list[4];
        if (children_list(f, list, 4) == 1 && list[0] != other && process_state(list[0]) == 'S')
            return list[0];
        pause_shortly();
    }
    fail_msg("no child waits");
    return -1;
}

/* A whole call the broker's way; its last report. Its output is in the fixture. */
static struct worker_report silent_call(struct fixture *f, const struct fixture_call *extra,
                                        const char *const *argv)
{
    assert_int_equal(fixture_begin(f, extra, argv), 0);
    struct worker_report report = fixture_report(f);
    assert_int_equal(report.call, f->calls);
    if (report.kind == REPORT_ENDED)
        fixture_read(f);
    assert_int_equal(fixture_report(f).kind, REPORT_IDLE);
    return report;
}

static void a_call_runs_in_the_child_that_waited(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t last = 0;
    for (int i = 0; i < 3; i++) {
        pid_t waiting = waiting_child(&f, last);
        struct worker_report report = silent_call(&f, &silent, SHELL("echo $$; exit 3"));
        assert_int_equal(report.kind, REPORT_ENDED);
        assert_int_equal(WEXITSTATUS(report.status), 3);
        assert_int_equal(report.pid, waiting);
        assert_int_equal(atoi(f.output), waiting);
        assert_int_equal(report.left, 0);
        last = waiting;
    }
    fixture_end(&f);
}

/* The call's own things, not those of the call before, nor the worker's. */
static void it_gets_what_the_call_brings(void **state)
{
    static const char *const environment[] = {"COLOUR=green", NULL};
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.attributes.umask = 027;
    fixture_start(&f);
    waiting_child(&f, 0);
    const struct fixture_call here = {.silent = true, .directory = "/usr", .environment = environment};
    silent_call(&f, &here, SHELL("echo $COLOUR; pwd; umask; ls /proc/self/fd | wc -l"));
    assert_string_equal(f.output, "green\n/usr\n0027\n4\n"); /* ls has its own */
    waiting_child(&f, 0);
    silent_call(&f, &silent, SHELL("echo ${COLOUR:-none}; echo $0 $*; ps -o pgid= -p $$ | tr -d ' ' | "
                                   "grep -qx $$ && echo own group"));
    assert_string_equal(f.output, "none\n/bin/sh\nown group\n");
    fixture_end(&f);
}

/* First the worker takes a call, then the children that wait. */
static void nobody_takes_what_the_broker_has_not_let_go(void **state)
{
    const struct fixture_call held = {.silent = true, .held = true};
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    for (int i = 0; i < 3; i++) {
        uint32_t *word = &f.worker.memory->held;
        assert_int_equal(fixture_begin(&f, &held, ARGV("/bin/true")), 0);
        for (int looks = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != RELEASE_AWAITED; looks++) {
            assert_true(looks < PATIENCE_MS);
            pause_shortly();
        }
        worker_release(&f.worker);
        assert_int_equal(fixture_report(&f).kind, REPORT_ENDED);
        assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
        waiting_child(&f, 0);
    }
    fixture_end(&f);
}

/* At `path`, which mkstemp(3) completes. */
static void executable_make(char *path, const char *bytes)
{
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write_whole(file, bytes, strlen(bytes)), 0);
    assert_int_equal(fchmod(file, 0755), 0);
    close(file);
}

static void a_program_that_cannot_run_is_told(void **state)
{
    char path[] = "/tmp/sluice-ahead-XXXXXX";
    struct fixture f;
    (void)state;
    executable_make(path, "\1\2\3\4");
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    struct worker_report report = silent_call(&f, &silent, ARGV(path));
    assert_int_equal(report.kind, REPORT_FAILED);
    assert_int_equal(report.stage, STAGE_EXEC);
    assert_int_equal(report.error, ENOEXEC);
    waiting_child(&f, waiting);
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).kind, REPORT_ENDED);
    unlink(path);
    fixture_end(&f);
}

/* A script runs by its path, since its interpreter opens it by name. */
static void a_script_runs_too(void **state)
{
    char path[] = "/tmp/sluice-ahead-XXXXXX";
    struct fixture f;
    (void)state;
    executable_make(path, "#!/bin/sh\necho script $1\n");
    fixture_make(&f);
    fixture_start(&f);
    waiting_child(&f, 0);
    silent_call(&f, &silent, ARGV(path, "one"));
    assert_string_equal(f.output, "script one\n");
    unlink(path);
    fixture_end(&f);
}

/* What the child cannot do by itself the worker does, and the next child waits again. */
static void a_call_that_needs_more_goes_the_workers_way(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    assert_int_equal(fixture_shell(&f, "exit 4"), 4); /* asks for STARTED */
    pid_t next = waiting_child(&f, waiting);
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).pid, next);
    fixture_end(&f);
}

/* Another executable under confined files has another ruleset: built once, then at hand. */
static void an_executable_that_is_new_goes_the_workers_way_once(void **state)
{
    struct policy_grant grants[] = {
        {.kind = GRANT_SET, .set = SET_SYSTEM, .access = ACCESS_EXECUTE}};
    struct fixture f;
    (void)state;
    fixture_make(&f);
    if (f.host.landlock_abi < 1) {
        confinement_host_release(&f.host);
        skip();
    }
    f.confinement.confines_files = true;
    f.confinement.grants = grants;
    f.confinement.grant_count = 1;
    fixture_start(&f);
    pid_t waiting = 0;
    static const char *const paths[] = {"/bin/true", "/bin/true", "/bin/echo", "/bin/true",
                                        "/bin/echo"};
    static const bool at_hand[] = {false, true, false, true, true};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct stat file;
        assert_int_equal(stat(paths[i], &file), 0);
        const struct fixture_call call = {.silent = true, .identity = file_identify(&file)};
        if (i > 0)
            waiting = waiting_child(&f, waiting);
        struct worker_report report = silent_call(&f, &call, ARGV(paths[i]));
        assert_int_equal(report.kind, REPORT_ENDED);
        assert_int_equal(report.status, 0);
        assert_int_equal(report.pid == waiting, at_hand[i]);
    }
    fixture_end(&f);
}

/* In mounts of the worker's own, what the broker opened is opened again there, and is the same file. */
static void it_moves_into_the_workers_mounts(void **state)
{
    char path[] = "/tmp/sluice-ahead-XXXXXX", other[64];
    struct fixture f;
    (void)state;
    fixture_make(&f);
    if (!f.host.mount_namespaces) {
        confinement_host_release(&f.host);
        skip();
    }
    f.confinement.isolate = ISOLATE_MOUNT;
    fixture_start(&f);
    waiting_child(&f, 0);
    const struct fixture_call here = {.silent = true, .directory = "/usr"};
    pid_t waiting = waiting_child(&f, 0);
    struct worker_report report = silent_call(&f, &here, SHELL("pwd"));
    assert_int_equal(report.pid, waiting);
    assert_string_equal(f.output, "/usr\n");

    int file = mkstemp(path);
    assert_true(file >= 0);
    int opened = open("/bin/true", O_PATH | O_CLOEXEC);
    assert_true(opened >= 0);
    const struct fixture_call swapped = {.silent = true, .executable = opened, .path = path};
    waiting_child(&f, waiting);
    report = silent_call(&f, &swapped, ARGV("true"));
    assert_int_equal(report.kind, REPORT_FAILED);
    assert_int_equal(report.stage, STAGE_EXEC);
    assert_int_equal(report.error, ESTALE);
    snprintf(other, sizeof other, "%s-gone", path);
    const struct fixture_call gone = {.silent = true, .executable = opened, .path = other};
    waiting_child(&f, 0);
    report = silent_call(&f, &gone, ARGV("true"));
    assert_int_equal(report.kind, REPORT_FAILED);
    assert_int_equal(report.stage, STAGE_EXEC);
    assert_int_equal(report.error, ENOENT);
    close(opened);
    close(file);
    unlink(path);
    fixture_end(&f);
}

static void another_waits_for_one_that_was_killed(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    assert_int_equal(kill(waiting, SIGKILL), 0);
    pid_t next = waiting_child(&f, waiting);
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).pid, next);
    fixture_end(&f);
}

/* One that is killed with a call on its way to it leaves the call to the next. */
static void a_call_outlives_the_child_it_was_for(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    assert_int_equal(kill(waiting, SIGSTOP), 0);
    while (process_state(waiting) != 'T')
        pause_shortly();
    assert_int_equal(fixture_begin(&f, &silent, SHELL("echo ran; exit 5")), 0);
    assert_int_equal(kill(waiting, SIGKILL), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(WEXITSTATUS(report.status), 5);
    assert_int_not_equal(report.pid, waiting);
    fixture_read(&f);
    assert_string_equal(f.output, "ran\n");
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

/* A signal that nobody meant for the call, as when a whole service is told to stop. */
static void a_signal_while_it_waits_is_not_the_calls(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    assert_int_equal(kill(waiting, SIGTERM), 0);
    assert_int_equal(kill(waiting, SIGRTMAX), 0);
    struct worker_report report = silent_call(&f, &silent, SHELL("echo ran; kill $$; echo not"));
    assert_int_equal(report.pid, waiting);
    assert_string_equal(f.output, "ran\n"); /* and it can be signalled as ever */
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGTERM);
    fixture_end(&f);
}

static void child_stop(pid_t child)
{
    assert_int_equal(kill(child, SIGSTOP), 0);
    while (process_state(child) != 'T')
        pause_shortly();
}

/* Orders something, and waits until the worker has read it. */
static void order_give(struct fixture *f, enum worker_order order, int signal)
{
    int unread;
    assert_int_equal(worker_order(&f->worker, order, signal), 0);
    do {
        pause_shortly();
        assert_int_equal(ioctl(f->worker.control, SIOCOUTQ, &unread), 0);
    } while (unread > 0);
}

/* How often the worker has gone to sleep. */
static long worker_sleeps(const struct fixture *f)
{
    static const char field[] = "\nvoluntary_ctxt_switches:";
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)f->worker.pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t length = read(file, text, sizeof text - 1);
    assert_true(length > 0);
    close(file);
    text[length] = '\0';
    const char *at = strstr(text, field);
    assert_non_null(at);
    return strtol(at + strlen(field), NULL, 10);
}

/* Whether it comes to rest: for a tenth of a second nothing wakes it. */
static bool worker_rests(const struct fixture *f)
{
    for (int tries = 0; tries < 50; tries++) {
        long before = worker_sleeps(f);
        usleep(100000);
        if (worker_sleeps(f) == before)
            return true;
    }
    return false;
}

/* A call that fails has no use for what was ordered about it, and is not waited for any more. */
static void orders_end_with_a_call_that_fails(void **state)
{
    char path[] = "/tmp/sluice-ahead-XXXXXX";
    struct fixture f;
    (void)state;
    executable_make(path, "\1\2\3\4");
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    child_stop(waiting);
    const struct fixture_call telling = {.path = path}; /* asks for STARTED: the worker takes it */
    assert_int_equal(fixture_begin(&f, &telling, ARGV(path)), 0);
    order_give(&f, ORDER_SIGNAL, SIGTERM);
    assert_int_equal(kill(waiting, SIGCONT), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_FAILED);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    waiting_child(&f, waiting);
    assert_true(worker_rests(&f));
    unlink(path);
    fixture_end(&f);
}

/* An order that comes for a call of long ago is about none that comes. */
static void orders_for_a_call_of_long_ago_are_forgotten(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    silent_call(&f, &silent, ARGV("/bin/true"));
    silent_call(&f, &silent, ARGV("/bin/true"));
    pid_t waiting = waiting_child(&f, 0);
    struct worker late = f.worker;
    late.busy = true;
    late.call = 1;
    assert_int_equal(worker_order(&late, ORDER_KILL_TREE, 0), 0);
    assert_true(worker_rests(&f));
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).pid, waiting);
    fixture_end(&f);
}

/* Somebody has stopped the child that waits: what was ordered is done all the same. */
static void orders_do_not_wait_for_a_child_that_is_stopped(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    child_stop(waiting);
    assert_int_equal(fixture_begin(&f, &silent, ARGV("/bin/sleep", "1000")), 0);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, 0), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    assert_int_not_equal(report.pid, waiting);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    waiting_child(&f, waiting); /* and one waits again */
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).kind, REPORT_ENDED);
    fixture_end(&f);
}

/* An order that is read before the call it is about: the call is not there yet, or not looked at. */
static void orders_wait_for_their_call(void **state)
{
    static const struct {
        enum worker_order order;
        int signal, ends_by;
    } cases[] = {{ORDER_KILL_TREE, 0, SIGKILL},
                 {ORDER_KILL_GROUP, 0, SIGKILL},
                 {ORDER_SIGNAL, SIGTERM, SIGTERM}};
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pid_t waiting = waiting_child(&f, 0);
        child_stop(waiting);
        assert_int_equal(fixture_begin(&f, &silent, ARGV("/bin/sleep", "1000")), 0);
        order_give(&f, cases[i].order, cases[i].signal);
        assert_int_equal(kill(waiting, SIGCONT), 0);
        struct worker_report report = fixture_report(&f);
        assert_int_equal(report.kind, REPORT_ENDED);
        assert_true(WIFSIGNALED(report.status));
        assert_int_equal(WTERMSIG(report.status), cases[i].ends_by);
        assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    }
    /* What was ordered about one does nothing to the next. */
    waiting_child(&f, 0);
    assert_int_equal(WEXITSTATUS(silent_call(&f, &silent, SHELL("exit 6")).status), 6);
    fixture_end(&f);
}

static void too_few_descriptors_fail_one_call(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    struct rlimit none, before;
    assert_int_equal(prlimit(waiting, RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){.rlim_cur = 4, .rlim_max = before.rlim_max};
    assert_int_equal(prlimit(waiting, RLIMIT_NOFILE, &none, NULL), 0);
    struct worker_report report = silent_call(&f, &silent, ARGV("/bin/true"));
    assert_int_equal(report.kind, REPORT_FAILED);
    assert_int_equal(report.stage, STAGE_INTERNAL);
    assert_int_equal(report.error, EMFILE);
    waiting_child(&f, waiting);
    assert_int_equal(silent_call(&f, &silent, ARGV("/bin/true")).kind, REPORT_ENDED);
    fixture_end(&f);
}

/* Limits on the child are the call's, not the worker's, and not those of the next child. */
static void limits_are_the_calls(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.confinement.limits.open_files = 16;
    f.confinement.limits.file_size = 4096;
    f.confinement.nice = 3;
    fixture_start(&f);
    char expected[64]; /* file sizes in blocks of 512 bytes */
    snprintf(expected, sizeof expected, "16\n8\n%d\n", getpriority(PRIO_PROCESS, 0) + 3);
    for (int i = 0; i < 2; i++) {
        waiting_child(&f, 0);
        silent_call(&f, &silent, SHELL("ulimit -n; ulimit -f; nice"));
        assert_string_equal(f.output, expected);
    }
    fixture_end(&f);
}

static void nobody_waits_once_the_worker_has_gone(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    fixture_stop(&f); /* closes the sockets and waits for the worker */
    assert_int_equal(process_state(waiting), 0); /* reaped by it */
    fixture_start(&f);
    waiting = waiting_child(&f, 0);
    assert_int_equal(kill(f.worker.pid, SIGKILL), 0);
    for (char now; (now = process_state(waiting)) != 0 && now != 'Z';)
        pause_shortly();
    fixture_end(&f);
}

/* No child waits while a call has something left. */
static void nobody_waits_while_something_is_left(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    pid_t waiting = waiting_child(&f, 0);
    assert_int_equal(fixture_begin(&f, &silent, SHELL("sleep 1000 & echo $!")), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(report.left, 1);
    fixture_read_line(&f);
    pid_t left = atoi(f.output), list[4];
    for (int looks = 0; looks < 20; looks++) {
        size_t count = children_list(&f, list, 4);
        for (size_t i = 0; i < count; i++)
            assert_true(list[i] == left || list[i] == waiting);
        pause_shortly();
    }
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, 0), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    waiting_child(&f, waiting);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_runs_in_the_child_that_waited),
        cmocka_unit_test(it_gets_what_the_call_brings),
        cmocka_unit_test(nobody_takes_what_the_broker_has_not_let_go),
        cmocka_unit_test(a_program_that_cannot_run_is_told),
        cmocka_unit_test(a_script_runs_too),
        cmocka_unit_test(a_call_that_needs_more_goes_the_workers_way),
        cmocka_unit_test(an_executable_that_is_new_goes_the_workers_way_once),
        cmocka_unit_test(it_moves_into_the_workers_mounts),
        cmocka_unit_test(another_waits_for_one_that_was_killed),
        cmocka_unit_test(a_call_outlives_the_child_it_was_for),
        cmocka_unit_test(a_signal_while_it_waits_is_not_the_calls),
        cmocka_unit_test(orders_wait_for_their_call),
        cmocka_unit_test(orders_end_with_a_call_that_fails),
        cmocka_unit_test(orders_for_a_call_of_long_ago_are_forgotten),
        cmocka_unit_test(orders_do_not_wait_for_a_child_that_is_stopped),
        cmocka_unit_test(too_few_descriptors_fail_one_call),
        cmocka_unit_test(limits_are_the_calls),
        cmocka_unit_test(nobody_waits_once_the_worker_has_gone),
        cmocka_unit_test(nobody_waits_while_something_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
