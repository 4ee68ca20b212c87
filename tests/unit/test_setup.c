/* What confinement_prepare makes of paths, what a worker keeps of it, and what a worker says that cannot
 * set itself up. No object that was granted is left out in silence, because its number would soon be
 * another file's. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <sched.h>
#include <sys/resource.h>

#include "runtime/worker/namespaces.h"
#include "runtime/worker/prelude.h"
#include "runtime/worker/setup.h"

/* More than half of SETUP_OBJECTS_MAX: as grants and as writable they are more than all of it. */
#define FILES (SETUP_OBJECTS_MAX / 2 + 1)

/* Room for `count` descriptors, or the test is skipped. */
static void descriptors_need(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < count)
        skip();
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

struct many {
    char directory[32];
    char paths[FILES][64];
    struct policy_template_piece pieces[FILES];
    struct policy_grant grants[FILES];
};

static void many_make(struct many *many)
{
    strcpy(many->directory, "/tmp/sluice-setup-XXXXXX");
    assert_non_null(mkdtemp(many->directory));
    for (size_t i = 0; i < FILES; i++) {
        snprintf(many->paths[i], sizeof many->paths[i], "%s/%zu", many->directory, i);
        int file = open(many->paths[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        close(file);
        many->pieces[i] =
            (struct policy_template_piece){.kind = TEMPLATE_TEXT, .text = many->paths[i]};
        many->grants[i] = (struct policy_grant){
            .access = ACCESS_WRITE,
            .kind = GRANT_PATH,
            .path = {.pieces = &many->pieces[i], .count = 1},
        };
    }
}

static void many_end(struct many *many)
{
    for (size_t i = 0; i < FILES; i++)
        unlink(many->paths[i]);
    rmdir(many->directory);
    free(many);
}

static void more_than_a_worker_keeps_is_refused(void **state)
{
    struct fixture f;
    struct many *many = calloc(1, sizeof *many);
    (void)state;
    assert_non_null(many);
    descriptors_need(SETUP_OBJECTS_MAX + 100);
    many_make(many);
    fixture_make(&f);
    if (f.host.landlock_abi < 3) {
        many_end(many);
        skip();
    }
    f.confinement.confines_files = true;
    f.confinement.grants = many->grants;
    f.confinement.grant_count = FILES;
    assert_false(fixture_prepare(&f));
    assert_non_null(strstr(f.told, "error: fs_read, fs_exec, fs_write, fs_deny and protect together: "
                                   "more than 4096 files and directories\n"));
    /* and with fewer all is well */
    f.told[0] = '\0';
    f.confinement.grant_count = FILES - 100;
    assert_true(fixture_prepare(&f));
    fixture_end(&f);
    many_end(many);
}

/* The number of the last object, once the worker has let go of what it does not keep. */
static int kept_is_open(struct confinement_setup *setup, int last, size_t count)
{
    pid_t pid = fork();
    if (pid == 0) {
        setup->guarded.count = count;
        int status = prelude_descriptors(setup, 3, 4, NULL, 0);
        _exit(status == -E2BIG ? 1 : status == 0 && fcntl(last, F_GETFD) >= 0 ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_worker_keeps_all_or_does_not_start(void **state)
{
    static struct setup_object first[SETUP_OBJECTS_MAX], more[2];
    struct confinement_setup setup = {.grants = {.all = first, .count = SETUP_OBJECTS_MAX - 1},
                                      .guarded = {.all = more}};
    (void)state;
    descriptors_need(SETUP_OBJECTS_MAX + 100);
    int null = open("/dev/null", O_RDONLY);
    assert_true(null >= 0);
    null = fcntl(null, F_DUPFD, 5);
    assert_true(null >= 5 && dup2(null, 3) == 3 && dup2(null, 4) == 4); /* the sockets */
    for (size_t i = 0; i < SETUP_OBJECTS_MAX - 1; i++)
        first[i].descriptor = null;
    more[0].descriptor = fcntl(null, F_DUPFD, null + 1);
    more[1].descriptor = fcntl(null, F_DUPFD, more[0].descriptor + 1);
    assert_true(more[1].descriptor > more[0].descriptor);
    assert_int_equal(kept_is_open(&setup, more[0].descriptor, 1), 0);
    assert_int_equal(kept_is_open(&setup, more[1].descriptor, 2), 1);
    close(more[0].descriptor);
    close(more[1].descriptor);
    close(null);
}

/* ---- a set-up that fails ----------------------------------------------------------------------- */

static void a_worker_says_at_once_that_its_set_up_failed(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    if (!f.host.user_namespaces) {
        fixture_end(&f);
        skip();
    }
    assert_true(fixture_prepare(&f));
    f.setup->namespaces = CLONE_NEWUSER | CLONE_VFORK; /* unshare(2) knows no such namespace */
    fixture_start(&f);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_UNFIT);
    assert_int_equal(report.error, EINVAL);
    assert_false(f.worker.busy);
    report = fixture_run(&f, NULL, ARGV("/bin/true"));
    assert_int_equal(report.kind, REPORT_FAILED);
    assert_int_equal(report.stage, STAGE_CONFINE);
    assert_int_equal(report.error, EINVAL);
    fixture_end(&f);
}

/* ---- what is tried beforehand ------------------------------------------------------------------- */

static void a_second_trial_leaves_the_network_of_the_first(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    confinement_host_release(&f.host);
    f.confinement.net_none = true;
    f.confinement.isolate = ISOLATE_USER; /* tried by itself */
    confinement_host_begin(&f.host, &f.policy);
    namespaces_probe_end(&f.host);
    namespaces_probe_reap(&f.host);
    if (!f.host.privileged_namespaces) {
        fixture_end(&f);
        skip();
    }
    assert_true(f.host.network >= 0);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_a_worker_keeps_is_refused),
        cmocka_unit_test(a_worker_keeps_all_or_does_not_start),
        cmocka_unit_test(a_worker_says_at_once_that_its_set_up_failed),
        cmocka_unit_test(a_second_trial_leaves_the_network_of_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
