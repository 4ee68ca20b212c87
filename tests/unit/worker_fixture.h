/* A policy of one rule with one confinement, a worker for it, and calls: what the tests of
 * runtime/worker share. */
#ifndef SLUICE_WORKER_FIXTURE_H
#define SLUICE_WORKER_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/shared/io.h"
#include "runtime/worker/confinement.h"
#include "runtime/worker/worker.h"

#define PATIENCE_MS 60000 /* a loaded machine is slow; nothing here waits that long when all is well */
#define OUTPUT_MAX 65536

struct fixture {
    struct policy_confinement confinement;
    struct policy_attributes attributes;
    struct policy_rule rule;
    uint32_t line;
    const struct policy_confinement *confinements[1];
    struct policy policy;
    struct confinement_host host;
    struct confinement_setup *setup;
    struct worker worker;
    bool started;
    uint64_t calls;
    char told[8192]; /* what confinement_prepare said, a line each */
    /* of the latest call */
    struct worker_report report; /* FAILED or ENDED */
    char output[OUTPUT_MAX];
    size_t output_length;
    int output_pipe; /* read end, while a call runs; -1 */
};

static void fixture_tell(void *context, uint32_t confinement, enum confinement_gravity gravity,
                         const char *text)
{
    static const char *const names[] = {"note", "missing", "error"};
    struct fixture *fixture = context;
    size_t used = strlen(fixture->told);
    (void)confinement;
    snprintf(fixture->told + used, sizeof fixture->told - used, "%s: %s\n", names[gravity], text);
}

/* A fixture with nothing confined; the test changes what it wants before fixture_start. */
static void fixture_make(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->output_pipe = -1;
    fixture->confinement.name = "test";
    fixture->confinement.limits = (struct policy_limits){LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET,
                                                         LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET};
    fixture->confinement.metadata = METADATA_ALLOW;
    fixture->attributes.umask = 022;
    fixture->attributes.kill = KILL_TREE;
    fixture->rule.attributes = &fixture->attributes;
    fixture->rule.confinement = &fixture->confinement;
    fixture->line = 1;
    fixture->confinements[0] = &fixture->confinement;
    fixture->policy.rules = &fixture->rule;
    fixture->policy.rule_count = 1;
    fixture->policy.lines = &fixture->line;
    fixture->policy.confinements = fixture->confinements;
    fixture->policy.confinement_count = 1;
    fixture->policy.confine_strict = true;
    confinement_host_read(&fixture->host);
}

static bool fixture_prepare(struct fixture *fixture)
{
    const struct confinement_values values = {.home = getenv("HOME")};
    fixture->setup = confinement_prepare(&fixture->policy, 0, &fixture->host, &values,
                                         fixture_tell, fixture);
    return fixture->setup != NULL;
}

static void fixture_start(struct fixture *fixture)
{
    if (!fixture->setup && !fixture_prepare(fixture))
        fail_msg("confinement_prepare: %s", fixture->told);
    assert_int_equal(worker_start(&fixture->policy, 0, fixture->setup, &fixture->worker), 0);
    fixture->started = true;
}

/* Ends the worker and waits for it; fixture_start makes another. */
static void fixture_stop(struct fixture *fixture)
{
    if (!fixture->started)
        return;
    pid_t pid = fixture->worker.pid;
    worker_close(&fixture->worker);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    fixture->started = false;
}

static void fixture_end(struct fixture *fixture)
{
    fixture_stop(fixture);
    if (fixture->output_pipe >= 0)
        close(fixture->output_pipe);
    fixture->output_pipe = -1;
    confinement_release(fixture->setup);
    fixture->setup = NULL;
    confinement_host_release(&fixture->host);
}

/* The next report; fails the test when none comes. */
static struct worker_report fixture_report(struct fixture *fixture)
{
    struct worker_report report;
    for (;;) {
        int status = worker_receive(&fixture->worker, &report);
        if (status > 0)
            return report;
        if (status < 0)
            fail_msg("the worker is gone");
        struct pollfd event = {.fd = fixture->worker.control, .events = POLLIN};
        if (poll(&event, 1, PATIENCE_MS) == 0)
            fail_msg("no report within %d ms", PATIENCE_MS);
    }
}

/* What a call may set apart from its command line. */
struct fixture_call {
    const char *directory;
    const char *const *environment; /* up to NULL */
    int executable;                 /* > 0: already open */
    const char *path;
    int input; /* > 0: instead of /dev/null */
    const int *grants;
    const uint8_t *grant_access;
    uint32_t grant_count;
    bool silent; /* no STARTED is asked for */
    bool held;   /* until worker_release */
    struct file_identity identity; /* of the executable */
};

/* Starts argv (path first, up to NULL); output and errors go to fixture->output_pipe. Returns
 * worker_run's status. */
static int fixture_begin(struct fixture *fixture, const struct fixture_call *extra,
                         const char *const *argv)
{
    static const struct fixture_call none;
    if (!extra)
        extra = &none;
    struct policy_bytes arguments[WORKER_ARGUMENTS_MAX + 1];
    struct policy_bytes environment[WORKER_ENVIRONMENT_MAX + 1];
    uint32_t argument_count = 0, environment_count = 0;
    for (; argv[argument_count]; argument_count++)
        arguments[argument_count] = (struct policy_bytes){
            argv[argument_count], (uint32_t)strlen(argv[argument_count])};
    for (; extra->environment && extra->environment[environment_count]; environment_count++)
        environment[environment_count] =
            (struct policy_bytes){extra->environment[environment_count],
                                  (uint32_t)strlen(extra->environment[environment_count])};
    const char *path = extra->path ? extra->path : argv[0];
    int executable = extra->executable > 0 ? extra->executable : open(path, O_PATH | O_CLOEXEC);
    assert_true(executable >= 0);
    int directory = extra->directory ? open(extra->directory, O_PATH | O_CLOEXEC) : -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (fixture->output_pipe >= 0)
        close(fixture->output_pipe);
    fixture->output_pipe = ends[0];
    fixture->output_length = 0;
    const struct worker_call call = {
        .call = ++fixture->calls,
        .input = extra->input > 0 ? extra->input : null,
        .output = ends[1],
        .error = ends[1],
        .executable = executable,
        .identity = extra->identity,
        .path = path,
        .directory = directory,
        .directory_path = extra->directory,
        .arguments = arguments,
        .argument_count = argument_count,
        .environment = environment,
        .environment_count = environment_count,
        .grants = extra->grants,
        .grant_access = extra->grant_access,
        .grant_count = extra->grant_count,
        .tells_start = !extra->silent,
        .held = extra->held,
    };
    int status = worker_run(&fixture->worker, &fixture->policy, &call);
    close(ends[1]);
    close(null);
    if (extra->executable <= 0)
        close(executable);
    if (directory >= 0)
        close(directory);
    return status;
}

/* Reads the call's output to its end. */
static void fixture_read(struct fixture *fixture)
{
    for (;;) {
        struct pollfd event = {.fd = fixture->output_pipe, .events = POLLIN};
        if (poll(&event, 1, PATIENCE_MS) == 0)
            fail_msg("the output does not end");
        ssize_t got = read(fixture->output_pipe, fixture->output + fixture->output_length,
                           OUTPUT_MAX - 1 - fixture->output_length);
        assert_true(got >= 0);
        fixture->output_length += (size_t)got;
        fixture->output[fixture->output_length] = '\0';
        if (got == 0 || fixture->output_length == OUTPUT_MAX - 1)
            return;
    }
}

/* Reads output until a line has come; for programs that go on. */
static void fixture_read_line(struct fixture *fixture)
{
    fixture->output_length = 0;
    do {
        assert_int_equal(
            read(fixture->output_pipe, fixture->output + fixture->output_length, 1), 1);
    } while (fixture->output[fixture->output_length++] != '\n');
    fixture->output[fixture->output_length] = '\0';
}

/* A whole call: its ENDED or FAILED report; its output is in the fixture. */
static struct worker_report fixture_run(struct fixture *fixture, const struct fixture_call *extra,
                                        const char *const *argv)
{
    assert_int_equal(fixture_begin(fixture, extra, argv), 0);
    struct worker_report report = fixture_report(fixture);
    assert_int_equal(report.call, fixture->calls);
    if (report.kind == REPORT_STARTED) {
        fixture_read(fixture);
        report = fixture_report(fixture);
        assert_int_equal(report.kind, REPORT_ENDED);
    } else {
        assert_int_equal(report.kind, REPORT_FAILED);
    }
    fixture->report = report;
    struct worker_report idle = fixture_report(fixture);
    assert_int_equal(idle.kind, REPORT_IDLE);
    assert_int_equal(idle.call, fixture->calls);
    return report;
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(script) ARGV("/bin/sh", "-c", script)

/* Runs a shell script and gives its exit code (128 + N for a signal), or -errno when nothing ran. */
static int fixture_shell(struct fixture *fixture, const char *script)
{
    struct worker_report report = fixture_run(fixture, NULL, SHELL(script));
    if (report.kind == REPORT_FAILED)
        return -report.error;
    return WIFEXITED(report.status) ? WEXITSTATUS(report.status) : 128 + WTERMSIG(report.status);
}

/* Every function is for every test file; no file uses all of them. */
static inline void fixture_unused(void)
{
    (void)fixture_prepare;
    (void)fixture_start;
    (void)fixture_end;
    (void)fixture_make;
    (void)fixture_read_line;
    (void)fixture_shell;
    (void)fixture_run;
    (void)fixture_read;
}

#endif
