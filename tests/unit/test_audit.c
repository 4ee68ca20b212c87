/* The manifest: each event's exact line, what happens when it cannot be kept, and what is found
 * after a crash. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/audit.h"
#include "runtime/broker/recovery.h"
#include "runtime/shared/io.h"

static char base[] = "/tmp/sluice-audit-XXXXXX";
static char logfile_text[64];
static struct audit audit;
static struct template_environment environment;
static struct failure failure;
static int standard_error;

/* ---- a policy -------------------------------------------------------------------------------- */

static const struct policy_attributes full = {.log = LOG_FULL};
static const struct policy_attributes argv_only = {.log = LOG_ARGV_ONLY};
static const struct policy_attributes exit_only = {.log = LOG_EXIT_ONLY};
static const struct policy_rule rules[] = {
    {.attributes = &full}, {.attributes = &argv_only}, {.attributes = &exit_only}};
static const uint32_t lines[] = {4, 7, 9};
static struct policy_template_piece logfile_pieces[3];
static struct policy policy;

/* argv, as the wire brings it */
static const struct policy_bytes git_push[] = {{"git", 3}, {"push", 4}};
static const struct audit_request request = {git_push, 2};
static const struct audit_peer peer = {true, 77, 1000};

static char path[256];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    strcpy(base + strlen(base) - 6, "XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    snprintf(logfile_text, sizeof logfile_text, "%s/m.jsonl", base);
    logfile_pieces[0] = (struct policy_template_piece){TEMPLATE_TEXT, logfile_text};
    policy = (struct policy){
        .compiler = "0.1.0",
        .sha256 = "abc",
        .rules = rules,
        .rule_count = 3,
        .lines = lines,
        .logfile = {logfile_pieces, 1},
        .audit_strict = true,
    };
    /* What is said on standard error is part of what is tested. */
    standard_error = dup(2);
    int said = open(at("stderr"), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    dup2(said, 2);
    close(said);
    signal(SIGXFSZ, SIG_IGN);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    dup2(standard_error, 2);
    close(standard_error);
    audit_close(&audit);
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static void trail_open(void)
{
    if (audit_open(&audit, &policy, &environment, &failure) != 0)
        fail_msg("%s", failure.text);
}

/* ---- what is in a file ----------------------------------------------------------------------- */

static char contents[1 << 20];

/* A file's text; "ts" values become T, this process's pid becomes P and the base directory B. */
static const char *told(const char *name)
{
    static char raw[1 << 20];
    char own[32];
    int file = open(at(name), O_RDONLY);
    if (file < 0)
        return "(none)";
    ssize_t length = read_whole(file, raw, sizeof raw - 1);
    assert_true(length >= 0);
    raw[length] = '\0';
    close(file);
    int own_length = snprintf(own, sizeof own, "\"pid\":%d", getpid());
    char *out = contents;
    for (const char *in = raw; *in != '\0';) {
        if (strncmp(in, "\"ts\":", 5) == 0 && in[5] >= '0' && in[5] <= '9') {
            out = stpcpy(out, "\"ts\":T");
            in += 5 + strspn(in + 5, "0123456789");
        } else if (strncmp(in, "\"unhealthy_ms\":", 15) == 0) {
            out = stpcpy(out, "\"unhealthy_ms\":T");
            in += 15 + strspn(in + 15, "0123456789");
        } else if (strncmp(in, own, (size_t)own_length) == 0) {
            out = stpcpy(out, "\"pid\":P");
            in += own_length;
        } else if (strncmp(in, base, strlen(base)) == 0) {
            out = stpcpy(out, "B");
            in += strlen(base);
        } else {
            *out++ = *in++;
        }
    }
    *out = '\0';
    return contents;
}

static void put(const char *name, const char *text)
{
    int file = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static void manifest_empty(void)
{
    assert_int_equal(truncate(at("m.jsonl"), 0), 0);
    assert_int_equal(truncate(at("stderr"), 0), 0);
}

static enum audit_decision start_call(uint64_t call, uint32_t rule)
{
    return audit_start(&audit, &(struct audit_start){.call = call,
                                                     .peer = peer,
                                                     .rule = rule,
                                                     .request = request,
                                                     .resolved = "/usr/bin/git"});
}

static void exit_call(uint64_t call)
{
    audit_exit(&audit, &(struct audit_exit){.call = call, .peer = peer, .line = 4});
}

/* ---- events ---------------------------------------------------------------------------------- */

static void test_start(void **state)
{
    (void)state;
    trail_open();
    assert_int_equal(start_call(1, 0), AUDIT_PROCEED);
    assert_string_equal(told("m.jsonl"),
                        "{\"call\":1,\"ts\":T,\"kind\":\"start\",\"pid\":77,\"uid\":1000,"
                        "\"line\":4,\"argv\":[\"git\",\"push\"],\"resolved\":\"/usr/bin/git\"}\n");
    manifest_empty();
    struct audit_start start = {.call = 2,
                                .peer = peer,
                                .rule = 1,
                                .request = request,
                                .resolved = "/r",
                                .stdout_path = "/o",
                                .stderr_path = "/e",
                                .capture_error = "why \"not\""};
    assert_int_equal(audit_start(&audit, &start), AUDIT_PROCEED);
    assert_string_equal(told("m.jsonl"),
                        "{\"call\":2,\"ts\":T,\"kind\":\"start\",\"pid\":77,\"uid\":1000,"
                        "\"line\":7,\"argv\":[\"git\",\"push\"],\"resolved\":\"/r\","
                        "\"stdout\":\"/o\",\"stderr\":\"/e\","
                        "\"capture_error\":\"why \\\"not\\\"\"}\n");
    manifest_empty();
    assert_int_equal(start_call(3, 2), AUDIT_PROCEED); /* exit-only */
    assert_string_equal(told("m.jsonl"), "");
}

static void test_the_timestamp_is_unix_milliseconds(void **state)
{
    (void)state;
    trail_open();
    uint64_t before = clock_wall_ms();
    audit_stop(&audit);
    uint64_t after = clock_wall_ms();
    char line[128] = "";
    int file = open(at("m.jsonl"), O_RDONLY);
    assert_true(read(file, line, sizeof line - 1) > 0);
    close(file);
    unsigned long long stamp = strtoull(line + strlen("{\"ts\":"), NULL, 10);
    assert_true(stamp >= before && stamp <= after);
}

static void test_exit(void **state)
{
    (void)state;
    trail_open();
    struct audit_exit plain = {.call = 1,
                               .peer = peer,
                               .line = 4,
                               .duration_ms = 42,
                               .stdout_bytes = 6,
                               .stderr_bytes = 1};
    audit_exit(&audit, &plain);
    assert_string_equal(told("m.jsonl"),
                        "{\"call\":1,\"ts\":T,\"kind\":\"exit\",\"status\":0,\"duration_ms\":42,"
                        "\"stdout_bytes\":6,\"stderr_bytes\":1}\n");
    manifest_empty();
    static const char *const created[] = {"/a/.bashrc", "/a/.git/hooks"};
    struct audit_exit every = {.call = UINT64_MAX,
                               .peer = peer,
                               .line = 9,
                               .log = LOG_EXIT_ONLY,
                               .status = -12,
                               .duration_ms = UINT64_MAX,
                               .signal = 31,
                               .timed_out = true,
                               .truncated = true,
                               .drain_timeout = true,
                               .caller_gone = true,
                               .output_limit = true,
                               .has_usage = true,
                               .user_ms = 1,
                               .system_ms = 2,
                               .max_rss_kb = 3,
                               .error = "exec: Permission denied",
                               .caller_error = "stdout: No space left on device",
                               .protected_created = created,
                               .protected_count = 2};
    audit_exit(&audit, &every);
    assert_string_equal(
        told("m.jsonl"),
        "{\"call\":18446744073709551615,\"ts\":T,\"kind\":\"exit\",\"pid\":77,\"uid\":1000,"
        "\"line\":9,\"status\":-12,\"duration_ms\":18446744073709551615,\"stdout_bytes\":0,"
        "\"stderr_bytes\":0,\"signal\":31,\"timed_out\":true,\"truncated\":true,"
        "\"drain_timeout\":true,\"caller_gone\":true,\"output_limit\":true,\"user_ms\":1,"
        "\"system_ms\":2,\"max_rss_kb\":3,\"error\":\"exec: Permission denied\","
        "\"caller_error\":\"stdout: No space left on device\","
        "\"protected_created\":[\"/a/.bashrc\",\"/a/.git/hooks\"]}\n");
}

static void test_reject(void **state)
{
    (void)state;
    static const struct audit_peer unknown = {0};
    static const struct audit_request nothing = {0};
    trail_open();
    audit_reject(&audit, 2, &peer, AUDIT_NO_RULE, &request, "no_rule");
    audit_reject(&audit, 3, &peer, 0, &request, "option_like: rule at line 4, slot #s");
    audit_reject(&audit, 4, &unknown, AUDIT_NO_RULE, &nothing, "peer_unknown");
    audit_reject(&audit, 5, &peer, 2, &request, "busy"); /* exit-only: no argv anywhere */
    assert_string_equal(
        told("m.jsonl"),
        "{\"call\":2,\"ts\":T,\"kind\":\"reject\",\"reason\":\"no_rule\",\"pid\":77,\"uid\":1000,"
        "\"argv\":[\"git\",\"push\"]}\n"
        "{\"call\":3,\"ts\":T,\"kind\":\"reject\",\"reason\":\"option_like: rule at line 4, slot "
        "#s\",\"pid\":77,\"uid\":1000,\"line\":4,\"argv\":[\"git\",\"push\"]}\n"
        "{\"call\":4,\"ts\":T,\"kind\":\"reject\",\"reason\":\"peer_unknown\",\"pid\":null,"
        "\"uid\":null}\n"
        "{\"call\":5,\"ts\":T,\"kind\":\"reject\",\"reason\":\"busy\",\"pid\":77,\"uid\":1000,"
        "\"line\":9}\n");
}

static void test_argv_of_refusals_is_hidden_where_every_rule_hides_it(void **state)
{
    (void)state;
    static const struct policy_rule hiding[] = {{.attributes = &exit_only}};
    policy.rules = hiding;
    policy.rule_count = 1;
    trail_open();
    audit_reject(&audit, 2, &peer, AUDIT_NO_RULE, &request, "no_rule");
    assert_string_equal(told("m.jsonl"), "{\"call\":2,\"ts\":T,\"kind\":\"reject\",\"reason\":"
                                         "\"no_rule\",\"pid\":77,\"uid\":1000}\n");
}

static void test_the_brokers_own_events(void **state)
{
    (void)state;
    trail_open();
    audit_serve(&audit, NULL);
    audit_next_call(&audit);
    start_call(1, 1);
    audit_next_call(&audit);
    start_call(2, 1);
    exit_call(1);
    manifest_empty();
    audit_serve(&audit, "without Landlock");
    audit_reload(&audit, "the new one is unfit");
    audit_stop(&audit);
    assert_string_equal(
        told("m.jsonl"),
        "{\"ts\":T,\"kind\":\"serve\",\"last_call\":2,\"policy\":\"sha256:abc\",\"rules\":3,"
        "\"pid\":P,\"version\":\"0.1.0\",\"note\":\"without Landlock\"}\n"
        "{\"ts\":T,\"kind\":\"reload\",\"last_call\":2,\"active\":[2],\"policy\":\"sha256:abc\","
        "\"rules\":3,\"pid\":P,\"version\":\"0.1.0\",\"note\":\"the new one is unfit\"}\n"
        "{\"ts\":T,\"kind\":\"stop\",\"last_call\":2,\"active\":[2],\"pid\":P}\n");
}

static void test_whatever_a_caller_sends_stays_inside_its_string(void **state)
{
    (void)state;
    static const struct policy_bytes forged[] = {
        {"git", 3},
        {"x\"]}\n{\"call\":9,\"ts\":1,\"kind\":\"exit\"}\n", 37},
        {"\xff\xfe\0", 3},
    };
    trail_open();
    audit_reject(&audit, 1, &peer, AUDIT_NO_RULE, &(struct audit_request){forged, 3}, "no_rule");
    assert_string_equal(
        told("m.jsonl"),
        "{\"call\":1,\"ts\":T,\"kind\":\"reject\",\"reason\":\"no_rule\",\"pid\":77,"
        "\"uid\":1000,\"argv\":[\"git\",\"x\\\"]}\\n{\\\"call\\\":9,\\\"ts\\\":1,"
        "\\\"kind\\\":\\\"exit\\\"}\\n\",\"\xef\xbf\xbd\xef\xbf\xbd\\u0000\"]}\n");
}

static void test_the_largest_request_is_logged_whole_and_its_memory_given_back(void **state)
{
    (void)state;
    static char bytes[1 << 20];
    struct policy_bytes arguments[256];
    struct stat status;
    memset(bytes, 1, sizeof bytes); /* each byte becomes six */
    for (size_t i = 0; i < 256; i++)
        arguments[i] = (struct policy_bytes){bytes, sizeof bytes / 256};
    trail_open();
    audit_reject(&audit, 1, &peer, AUDIT_NO_RULE, &(struct audit_request){arguments, 256},
                 "no_rule");
    assert_true(audit.healthy);
    assert_int_equal(stat(at("m.jsonl"), &status), 0);
    assert_true(status.st_size > 6 << 20);
    unsigned char resident[4096];
    size_t tail = audit.capacity - 131072;
    assert_true(tail / 4096 < sizeof resident);
    uintptr_t page = ((uintptr_t)audit.buffer + 131071) & ~(uintptr_t)4095;
    assert_int_equal(mincore((void *)page, tail & ~(size_t)4095, resident), 0);
    for (size_t i = 0; i < tail / 4096; i++)
        assert_int_equal(resident[i] & 1, 0);
}

static void test_without_a_logfile_nothing_is_written_and_all_is_well(void **state)
{
    (void)state;
    policy.logfile = (struct policy_template){0};
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 0);
    audit_serve(&audit, NULL);
    assert_int_equal(audit_admit(&audit, 1), AUDIT_PROCEED);
    assert_int_equal(audit_next_call(&audit), 1);
    assert_int_equal(start_call(1, 0), AUDIT_PROCEED);
    exit_call(1);
    audit_reject(&audit, 2, &peer, AUDIT_NO_RULE, &request, "no_rule");
    assert_int_equal(audit_reopen(&audit, &failure), 0);
    audit_reload(&audit, NULL);
    audit_stop(&audit);
    assert_true(audit.healthy);
    assert_string_equal(told("m.jsonl"), "(none)");
}

/* ---- the file -------------------------------------------------------------------------------- */

static void test_refuses_to_open_what_is_not_safe(void **state)
{
    (void)state;
    put("real", "");
    char target[256];
    strcpy(target, at("real"));
    assert_int_equal(symlink(target, at("m.jsonl")), 0);
    assert_int_equal(audit_open(&audit, &policy, &environment, &failure), -1);
    assert_non_null(strstr(failure.text, "m.jsonl: is a symbolic link"));
    policy.audit_strict = false;
    assert_int_equal(audit_open(&audit, &policy, &environment, &failure), -1);
    assert_int_equal(unlink(at("m.jsonl")), 0);
    assert_int_equal(chmod(base, 0777), 0);
    assert_int_equal(audit_open(&audit, &policy, &environment, &failure), -1);
    assert_non_null(strstr(failure.text, "can be written by everybody"));
    assert_int_equal(chmod(base, 0700), 0);

    logfile_pieces[0] = (struct policy_template_piece){TEMPLATE_HOME, NULL};
    assert_int_equal(audit_open(&audit, &policy, &environment, &failure), -1);
    assert_string_equal(failure.text, "logfile: HOME is not set in the broker's environment");
}

static void test_rotation_splits_and_loses_nothing(void **state)
{
    (void)state;
    char from[256];
    trail_open();
    for (uint64_t call = 1; call <= 300; call++) {
        start_call(audit_next_call(&audit), 1);
        if (call % 100 == 50) {
            char name[32];
            snprintf(name, sizeof name, "m.%llu", (unsigned long long)call);
            strcpy(from, at("m.jsonl"));
            assert_int_equal(rename(from, at(name)), 0);
        }
        if (call % 100 == 70) {
            assert_int_equal(audit_reopen(&audit, &failure), 0);
            audit_reload(&audit, NULL);
        }
        exit_call(call);
    }
    unsigned events = 0, reloads = 0;
    static const char *const names[] = {"m.50", "m.150", "m.250", "m.jsonl"};
    for (size_t i = 0; i < 4; i++) {
        const char *text = told(names[i]);
        assert_int_equal(text[strlen(text) - 1], '\n');
        for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
            assert_int_equal(*line, '{');
            assert_int_equal(*(strchr(line, '\n') - 1), '}');
            if (strncmp(line, "{\"call\":", 8) == 0)
                events++;
            else if (strncmp(line, "{\"ts\":T,\"kind\":\"reload\",", 24) == 0)
                reloads++;
        }
    }
    assert_int_equal(events, 600);
    assert_int_equal(reloads, 3);
}

static void test_a_failed_reopening_goes_on_with_the_old_file(void **state)
{
    (void)state;
    char from[256];
    trail_open();
    strcpy(from, at("m.jsonl"));
    assert_int_equal(rename(from, at("m.1")), 0);
    assert_int_equal(mkdir(at("m.jsonl"), 0700), 0);
    assert_int_equal(audit_reopen(&audit, &failure), -1);
    assert_non_null(strstr(failure.text, "m.jsonl: is not a regular file"));
    assert_int_equal(start_call(1, 1), AUDIT_PROCEED);
    assert_non_null(strstr(told("m.1"), "\"kind\":\"start\""));
}

static void test_a_removed_manifest_is_begun_anew(void **state)
{
    (void)state;
    trail_open();
    start_call(audit_next_call(&audit), 1);
    assert_int_equal(unlink(at("m.jsonl")), 0);
    exit_call(1);
    start_call(audit_next_call(&audit), 1);
    assert_string_equal(
        told("m.jsonl"),
        "{\"ts\":T,\"kind\":\"continue\",\"last_call\":1,\"active\":[]}\n"
        "{\"call\":1,\"ts\":T,\"kind\":\"exit\",\"status\":0,\"duration_ms\":0,\"stdout_bytes\":0,"
        "\"stderr_bytes\":0}\n"
        "{\"call\":2,\"ts\":T,\"kind\":\"start\",\"pid\":77,\"uid\":1000,\"line\":7,"
        "\"argv\":[\"git\",\"push\"],\"resolved\":\"/usr/bin/git\"}\n");
    assert_string_equal(told("stderr"), "sluice: B/m.jsonl was removed: a new one is begun\n");
}

static void test_a_logfile_of_the_call_goes_where_it_says(void **state)
{
    (void)state;
    static const struct audit_peer other = {true, 78, 2000};
    snprintf(logfile_text, sizeof logfile_text, "%s/by-uid/", base);
    logfile_pieces[1] = (struct policy_template_piece){TEMPLATE_UID, NULL};
    policy.logfile.count = 2;
    trail_open();
    audit_reject(&audit, audit_next_call(&audit), &peer, AUDIT_NO_RULE, &request, "no_rule");
    start_call(audit_next_call(&audit), 1);
    audit_reject(&audit, audit_next_call(&audit), &other, AUDIT_NO_RULE, &request, "no_rule");
    exit_call(2);
    assert_string_equal(
        told("by-uid/2000"),
        "{\"ts\":T,\"kind\":\"continue\",\"last_call\":3,\"active\":[2]}\n"
        "{\"call\":3,\"ts\":T,\"kind\":\"reject\",\"reason\":\"no_rule\",\"pid\":78,\"uid\":2000,"
        "\"argv\":[\"git\",\"push\"]}\n");
    assert_non_null(strstr(told("by-uid/1000"), "{\"call\":2,\"ts\":T,\"kind\":\"start\""));
    assert_non_null(strstr(told("by-uid/1000"), "{\"call\":2,\"ts\":T,\"kind\":\"exit\""));
}

/* ---- health ---------------------------------------------------------------------------------- */

static void file_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static off_t manifest_size(void)
{
    struct stat status;
    assert_int_equal(stat(at("m.jsonl"), &status), 0);
    return status.st_size;
}

/* The test's stderr is a file too: what it may say meanwhile must fit the limit as well. */
#define SPACE 4096

static void fill_manifest(void)
{
    char filler[SPACE + 1];
    memset(filler, 'x', sizeof filler);
    filler[SPACE - 1] = '\n';
    filler[SPACE] = '\0';
    put("m.jsonl", filler);
}

static void test_an_event_cut_short_is_taken_back(void **state)
{
    (void)state;
    fill_manifest();
    trail_open();
    file_limit(SPACE + 30); /* 30 bytes of the event would fit */
    assert_int_equal(start_call(1, 1), AUDIT_REFUSE);
    assert_int_equal(manifest_size(), SPACE);
    assert_false(audit.healthy);
    assert_int_equal(audit.active.count, 0);
    file_limit(RLIM_INFINITY);
    assert_non_null(strstr(told("stderr"), "sluice: not recorded: {\"call\":1,\"ts\":T,"
                                           "\"kind\":\"start\""));
    assert_non_null(strstr(told("stderr"), "sluice: the audit trail cannot be kept: B/m.jsonl: 30 "
                                           "of "));
}

static void test_strict_refuses_until_a_probe_works(void **state)
{
    (void)state;
    fill_manifest();
    trail_open();
    uint64_t now = clock_monotonic_ms();
    file_limit(SPACE);
    assert_int_equal(start_call(1, 1), AUDIT_REFUSE);
    assert_int_equal(audit_admit(&audit, now), AUDIT_REFUSE);
    assert_int_equal(start_call(2, 2), AUDIT_REFUSE); /* exit-only has nothing to write now */
    audit_reject(&audit, 2, &peer, AUDIT_NO_RULE, &request, "audit");
    file_limit(RLIM_INFINITY);
    /* Not before the interval is over. */
    now = audit.probed_ms;
    assert_int_equal(audit_admit(&audit, now + AUDIT_PROBE_INTERVAL_MS - 1), AUDIT_REFUSE);
    assert_int_equal(audit_admit(&audit, now + AUDIT_PROBE_INTERVAL_MS), AUDIT_PROCEED);
    assert_int_equal(start_call(3, 1), AUDIT_PROCEED);
    const char *text = told("m.jsonl") + SPACE;
    const char *healthy = "{\"ts\":T,\"kind\":\"healthy\",\"unhealthy_ms\":T,\"missed\":3}\n";
    assert_int_equal(strncmp(text, healthy, strlen(healthy)), 0);
    assert_non_null(strstr(text, "{\"call\":3,\"ts\":T,\"kind\":\"start\""));
}

static void test_a_probe_that_fails_keeps_refusing(void **state)
{
    (void)state;
    fill_manifest();
    trail_open();
    file_limit(SPACE);
    exit_call(1);
    assert_false(audit.healthy);
    uint64_t now = audit.probed_ms;
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(audit_admit(&audit, now + i * AUDIT_PROBE_INTERVAL_MS), AUDIT_REFUSE);
    assert_int_equal(manifest_size(), SPACE);
    file_limit(RLIM_INFINITY);
    audit_probe(&audit, now + 4 * AUDIT_PROBE_INTERVAL_MS);
    assert_true(audit.healthy);
}

static void test_best_effort_runs_and_says_so(void **state)
{
    (void)state;
    fill_manifest();
    policy.audit_strict = false;
    trail_open();
    file_limit(SPACE);
    assert_int_equal(start_call(1, 1), AUDIT_PROCEED_UNRECORDED);
    assert_int_equal(audit_admit(&audit, 0), AUDIT_PROCEED_UNRECORDED);
    file_limit(RLIM_INFINITY);
    assert_non_null(strstr(told("stderr"), "sluice: not recorded: {\"call\":1,"));
    assert_int_equal(audit_admit(&audit, audit.probed_ms + 1000), AUDIT_PROCEED);
}

static void test_reload_ends_unhealthy(void **state)
{
    (void)state;
    fill_manifest();
    trail_open();
    file_limit(SPACE);
    exit_call(1);
    assert_false(audit.healthy);
    file_limit(RLIM_INFINITY);
    assert_int_equal(audit_reopen(&audit, &failure), 0);
    assert_true(audit.healthy);
    assert_int_equal(audit_admit(&audit, 0), AUDIT_PROCEED);
}

static void test_a_failed_capture_is_probed_where_it_failed(void **state)
{
    (void)state;
    char capture[256];
    trail_open();
    assert_int_equal(mkdir(at("c"), 0700), 0);
    strcpy(capture, at("c/out"));
    audit_capture_failed(&audit, 5, capture, ENOSPC);
    assert_false(audit.healthy);
    assert_string_equal(told("m.jsonl"),
                        "{\"ts\":T,\"kind\":\"unhealthy\",\"reason\":\"call 5: B/c/out: No space "
                        "left on device\"}\n");
    /* The manifest is fine, the capture's directory is not. */
    uint64_t now = audit.probed_ms + AUDIT_PROBE_INTERVAL_MS;
    assert_int_equal(chmod(at("c"), 0777), 0);
    assert_int_equal(audit_admit(&audit, now), AUDIT_REFUSE);
    assert_int_equal(chmod(at("c"), 0700), 0);
    file_limit(SPACE);
    assert_int_equal(audit_admit(&audit, now + AUDIT_PROBE_INTERVAL_MS), AUDIT_REFUSE);
    file_limit(RLIM_INFINITY);
    assert_int_equal(audit_admit(&audit, now + 2 * AUDIT_PROBE_INTERVAL_MS), AUDIT_PROCEED);
    /* The probe left nothing. */
    assert_int_equal(rmdir(at("c")), 0);

    policy.audit_strict = false;
    audit_capture_failed(&audit, 6, capture, ENOSPC);
    assert_true(audit.healthy);
    assert_non_null(strstr(told("stderr"), "sluice: a capture is cut short: call 6: B/c/out"));
}

static void test_a_capture_that_cannot_be_opened(void **state)
{
    (void)state;
    trail_open();
    failure_set(&failure, EACCES, "/x: no");
    assert_int_equal(audit_capture_unopened(&audit, 1, &failure), AUDIT_REFUSE);
    assert_true(audit.healthy);
    policy.audit_strict = false;
    assert_int_equal(audit_capture_unopened(&audit, 2, &failure), AUDIT_PROCEED_UNRECORDED);
    assert_string_equal(told("stderr"), "sluice: call 2 runs without its capture file: /x: no\n");
}

static void test_the_manifest_is_no_capture_file(void **state)
{
    (void)state;
    char name[256];
    strcpy(name, at("m.jsonl"));
    trail_open();
    assert_int_equal(audit_open_capture(&audit, name, &failure), -1);
    assert_non_null(strstr(failure.text, "/m.jsonl: is the manifest"));
    /* Closing it again has not cost the lock: another process does not get it. */
    pid_t other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        trail_open();
        _exit(audit.manifest.sole_writer ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    strcpy(name, at("out"));
    int file = audit_open_capture(&audit, name, &failure);
    assert_true(file >= 0);
    close(file);
}

/* A file system that really is full: a small tmpfs, in a mount namespace of a child's own. */
static void fill_tmpfs(void)
{
    char filler[4096] = {0};
    int file;
    snprintf(logfile_text, sizeof logfile_text, "%s/t/m.jsonl", base);
    trail_open();
    while ((file = open(at("t/filler"), O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0 &&
           write(file, filler, sizeof filler) > 0)
        close(file);
    close(file);
    /* One page is left to the manifest at most: events go on until it is full. */
    uint64_t call = 1;
    while (start_call(call, 1) == AUDIT_PROCEED && call < 1000)
        call++;
    assert_in_range(call, 2, 999);
    const char *text = told("t/m.jsonl");
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(unlink(at("t/filler")), 0);
    assert_int_equal(audit_admit(&audit, audit.probed_ms + 1000), AUDIT_PROCEED);
    assert_int_equal(start_call(call, 1), AUDIT_PROCEED);
    text = told("t/m.jsonl");
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        assert_int_equal(*(strchr(line, '\n') - 1), '}');
}

static void test_a_full_tmpfs(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(at("t"), 0700), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
            mount("t", at("t"), "tmpfs", 0, "size=64k,mode=0700") != 0)
            _exit(99);
        put("t/m.jsonl", "{\"ts\":1,\"kind\":\"stop\"}\n"); /* has its page before it is full */
        fill_tmpfs();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        skip(); /* a container that forbids mounts */
    assert_int_equal(status, 0);
}

/* ---- after a crash --------------------------------------------------------------------------- */

/* What an earlier broker left, and what the next one adds at its start. */
static const char *recover(const char *left, int lost)
{
    put("m.jsonl", left);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), lost);
    const char *text = told("m.jsonl");
    return text;
}

#define START(n) "{\"call\":" #n ",\"ts\":5,\"kind\":\"start\",\"pid\":1}\n"
#define EXIT(n) "{\"call\":" #n ",\"ts\":5,\"kind\":\"exit\",\"status\":0}\n"
#define START_TOLD(n) "{\"call\":" #n ",\"ts\":T,\"kind\":\"start\",\"pid\":1}\n"
#define EXIT_TOLD(n) "{\"call\":" #n ",\"ts\":T,\"kind\":\"exit\",\"status\":0}\n"
#define LOST(n) "{\"call\":" #n ",\"ts\":T,\"kind\":\"lost\"}\n"

static void test_calls_without_an_end_are_lost_once(void **state)
{
    (void)state;
    assert_string_equal(recover(START(3) START(4) EXIT(3) START(9), 2),
                        START_TOLD(3) START_TOLD(4) EXIT_TOLD(3) START_TOLD(9) LOST(4) LOST(9));
    assert_int_equal(audit_next_call(&audit), 10);
    assert_int_equal(audit.active.count, 0);
    audit_close(&audit);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 0);
    assert_int_equal(audit_next_call(&audit), 10);
}

static void test_an_empty_or_new_manifest_begins_at_one(void **state)
{
    (void)state;
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 0);
    assert_int_equal(audit_next_call(&audit), 1);
}

static void test_rejects_count_for_the_numbering(void **state)
{
    (void)state;
    recover(START(1) EXIT(1) "{\"call\":12,\"ts\":5,\"kind\":\"reject\",\"reason\":\"x\"}\n", 0);
    assert_int_equal(audit_next_call(&audit), 13);
}

static void test_serve_and_reload_carry_what_rotation_took_away(void **state)
{
    (void)state;
    recover(START(1) "{\"ts\":5,\"kind\":\"serve\",\"last_call\":40,\"policy\":\"x\"}\n", 0);
    assert_int_equal(audit_next_call(&audit), 41);
    audit_close(&audit);
    recover("{\"ts\":5,\"kind\":\"reload\",\"last_call\":50,\"active\":[41,44,47],\"x\":1}\n" EXIT(
                44) START(51),
            3);
    assert_non_null(strstr(contents, LOST(41) LOST(47) LOST(51)));
    assert_int_equal(audit_next_call(&audit), 52);
    audit_close(&audit);
    /* The real thing: what one trail writes, the next one reads. */
    recover("", 0);
    for (int i = 0; i < 5; i++)
        start_call(audit_next_call(&audit), 1);
    exit_call(2);
    char from[256];
    strcpy(from, at("m.jsonl"));
    assert_int_equal(rename(from, at("m.1")), 0);
    assert_int_equal(audit_reopen(&audit, &failure), 0);
    audit_reload(&audit, NULL);
    exit_call(5);
    audit_close(&audit);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 3);
    assert_non_null(strstr(told("m.jsonl"), LOST(1) LOST(3) LOST(4)));
    assert_int_equal(audit_next_call(&audit), 6);
}

static void test_half_an_event_is_cut_off(void **state)
{
    (void)state;
    static const char *const halves[] = {"{\"call\":2,\"ts\":5,\"kind\":\"sta", "{", "{\"ts\":1",
                                         "{\"call\":2,\"ts\":5,\"kind\":\"start\",\"pid\":1}"};
    for (size_t i = 0; i < 4; i++) {
        char left[256];
        snprintf(left, sizeof left, "%s%s", START(1), halves[i]);
        assert_string_equal(recover(left, 1), START_TOLD(1) LOST(1));
        assert_int_equal(audit_next_call(&audit), 2);
        audit_close(&audit);
    }
    assert_non_null(strstr(told("stderr"), "B/m.jsonl: half an event at its end, 1 bytes, was cut "
                                           "off"));
}

/* A manifest cut at any byte, as a crash of the machine may leave it. */
static void test_any_beginning_of_a_manifest_is_mended(void **state)
{
    (void)state;
    static char whole[4096], left[4096];
    trail_open();
    audit_serve(&audit, NULL);
    for (int i = 1; i <= 3; i++)
        start_call(audit_next_call(&audit), 1);
    exit_call(2);
    audit_close(&audit);
    int file = open(at("m.jsonl"), O_RDONLY);
    ssize_t length = read_whole(file, whole, sizeof whole);
    close(file);
    assert_true(length > 500);
    for (ssize_t cut = 0; cut <= length; cut++) {
        memcpy(left, whole, (size_t)cut);
        left[cut] = '\0';
        int open_calls = 0;
        const char *line = left;
        for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
            open_calls += strstr(line, "\"kind\":\"start\"") != NULL &&
                          strstr(line, "\"kind\":\"start\"") < end;
        open_calls -= cut == length;
        put("m.jsonl", left);
        trail_open();
        assert_int_equal(audit_recover(&audit, &failure), open_calls);
        audit_stop(&audit);
        audit_close(&audit);
        for (line = told("m.jsonl"); *line != '\0'; line = strchr(line, '\n') + 1) {
            assert_int_equal(*line, '{');
            assert_int_equal(*(strchr(line, '\n') - 1), '}');
        }
    }
}

#define STOP_TOLD "{\"ts\":T,\"kind\":\"stop\",\"last_call\":0,\"active\":[],\"pid\":P}\n"

static void test_a_strangers_text_is_kept_and_closed(void **state)
{
    (void)state;
    assert_string_equal(recover("my notes\nwithout an end", 0), "my notes\nwithout an end");
    audit_stop(&audit);
    assert_string_equal(told("m.jsonl"), "my notes\nwithout an end\n"
                                         STOP_TOLD);
    audit_stop(&audit);
    assert_string_equal(told("m.jsonl"), "my notes\nwithout an end\n"
                                         STOP_TOLD STOP_TOLD);
}

static void test_lines_that_are_not_ours_do_not_count(void **state)
{
    (void)state;
    static const char *const strange[] = {
        "{\"call\":0,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"call\":99999999999999999999,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"call\":9223372036854775808,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"call\":-1,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"call\":,\"ts\":1,\"kind\":\"start\"}\n",
        "{ \"call\":7,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"call\":7,\"kind\":\"start\",\"ts\":1}\n",
        "x{\"call\":7,\"ts\":1,\"kind\":\"start\"}\n",
        "{\"ts\":1,\"kind\":\"serve\",\"last_call\":99999999999999999999}\n",
        "{\"ts\":1,\"kind\":\"serve\"}\n",
        "{\"ts\":1,\"kind\":\"reload\",\"last_call\":3,\"active\":[\n",
        "{\"ts\":1,\"kind\":\"start\"}\n",
        "\n",
        "{\"call\":\n",
    };
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        recover(strange[i], 0);
        assert_true(audit_next_call(&audit) <= 4);
        audit_close(&audit);
    }
    recover("{\"call\":7,\"ts\":1,\"kind\":\"started\"}\n", 0);
}

/* Whatever bytes there are, reading them keeps its bounds (the sanitizers watch) and its promises.
 */
static void test_damaged_manifests_are_read_without_harm(void **state)
{
    (void)state;
    static const char sound[] =
        START(1) "{\"ts\":5,\"kind\":\"reload\",\"last_call\":50,\"active\":[41,44,47],\"x\":1}"
                 "\n" EXIT(
                     44) "{\"ts\":5,\"kind\":\"serve\",\"last_call\":60,\"policy\":1}\n" START(61)
                     EXIT(61) START(62);
    static const char interesting[] = "0123456789\"{}[]:,\n\0astc";
    uint64_t room[4];
    unsigned seed = 1;
    int file = open(at("damaged"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof sound];
        size_t length = sizeof sound - 1;
        memcpy(text, sound, sizeof sound);
        for (int changes = rand_r(&seed) % 4; changes >= 0; changes--) {
            size_t at_byte = (size_t)rand_r(&seed) % length;
            text[at_byte] = interesting[(size_t)rand_r(&seed) % (sizeof interesting - 1)];
        }
        length -= (size_t)rand_r(&seed) % 3 == 0 ? (size_t)rand_r(&seed) % length : 0;
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(pwrite(file, text, length, 0), (ssize_t)length);
        struct recovery found = {.open = {.values = room, .capacity = 4}};
        assert_int_equal(recovery_read(file, &found, &failure), 0);
        assert_true(found.open.count <= 4 && found.last_call <= RECOVERY_CALL_MAX);
        assert_true(found.whole <= found.size && (size_t)found.size == length);
        assert_true(found.whole == 0 || text[found.whole - 1] == '\n');
        for (uint32_t i = 1; i < found.open.count; i++)
            assert_true(room[i - 1] < room[i]);
    }
    close(file);
}

static void test_only_the_end_of_a_huge_manifest_is_read(void **state)
{
    (void)state;
    /* A hole, then a line: the part that is read begins inside the hole. */
    put("m.jsonl", START(1));
    int file = open(at("m.jsonl"), O_WRONLY);
    static const char late[] = "\n" START(5);
    assert_int_equal(pwrite(file, late, strlen(late), RECOVERY_BYTES_MAX), strlen(late));
    close(file);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 1);
    assert_int_equal(audit_next_call(&audit), 6);
}

static void test_what_was_begun_long_before_is_found(void **state)
{
    (void)state;
    static const char line[] = "{\"call\":3,\"ts\":5,\"kind\":\"reject\",\"reason\":\"x\"}\n";
    static const char serve[] = "{\"ts\":5,\"kind\":\"serve\",\"last_call\":40,\"policy\":\"x\"}\n";
    char *long_ago = test_malloc(RECOVERY_BYTES_FIRST + 1000);
    size_t length = (size_t)sprintf(long_ago, "%s%s", START(1), EXIT(2));
    while (length < RECOVERY_BYTES_FIRST + 500)
        length += (size_t)sprintf(long_ago + length, "%s", line);
    put("m.jsonl", long_ago);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 1);
    assert_int_equal(audit_next_call(&audit), 4);
    audit_close(&audit);

    /* Nothing but what a broker has said since counts. */
    sprintf(long_ago + length, "%s", serve);
    put("m.jsonl", long_ago);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 0);
    assert_int_equal(audit_next_call(&audit), 41);
    audit_close(&audit);

    /* Nor what it said when it stopped: 3 was begun, and its end could not be written. */
    sprintf(long_ago + length, "%s", "{\"ts\":5,\"kind\":\"stop\",\"last_call\":7,\"active\":[3],\"pid\":1}\n");
    put("m.jsonl", long_ago);
    trail_open();
    assert_int_equal(audit_recover(&audit, &failure), 1);
    assert_int_equal(audit_next_call(&audit), 8);
    test_free(long_ago);
}

static void test_a_manifest_that_another_broker_writes_is_left_alone(void **state)
{
    (void)state;
    static const char left[] = START(1) "{\"call\":2,";
    int ready[2];
    put("m.jsonl", left);
    assert_int_equal(pipe(ready), 0);
    pid_t other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        trail_open();
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    trail_open();
    assert_false(audit.manifest.sole_writer);
    assert_int_equal(audit_recover(&audit, &failure), 0);
    assert_int_equal(audit_next_call(&audit), 2);
    assert_string_equal(told("m.jsonl"), START_TOLD(1) "{\"call\":2,");
    assert_non_null(strstr(told("stderr"), "another broker writes it"));
    audit_close(&audit);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    trail_open();
    assert_true(audit.manifest.sole_writer);
    close(ready[0]);
    close(ready[1]);
}

static void test_what_we_fork_does_not_hold_the_lock(void **state)
{
    (void)state;
    trail_open();
    assert_int_equal(audit_reopen(&audit, &failure), 0);
    assert_true(audit.manifest.sole_writer);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
    audit_close(&audit);
    pid_t next = fork();
    assert_true(next >= 0);
    if (next == 0) {
        trail_open();
        _exit(audit.manifest.sole_writer ? 0 : 1);
    }
    int status;
    waitpid(next, &status, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(status, 0);
}

static void test_a_broker_killed_while_writing_leaves_only_whole_lines(void **state)
{
    (void)state;
    static char bytes[1 << 18];
    struct policy_bytes argument = {bytes, sizeof bytes};
    memset(bytes, 'a', sizeof bytes);
    for (unsigned round = 0; round < 5; round++) {
        pid_t broker = fork();
        assert_true(broker >= 0);
        if (broker == 0) {
            trail_open();
            for (;;)
                audit_reject(&audit, audit_next_call(&audit), &peer, AUDIT_NO_RULE,
                             &(struct audit_request){&argument, 1}, "no_rule");
        }
        struct stat status = {0};
        while (stat(at("m.jsonl"), &status) != 0 || status.st_size < (1 << 20))
            sched_yield();
        kill(broker, SIGKILL);
        waitpid(broker, NULL, 0);
        trail_open();
        assert_true(audit_recover(&audit, &failure) >= 0);
        audit_stop(&audit);
        assert_int_equal(stat(at("m.jsonl"), &status), 0);
        char *text = malloc((size_t)status.st_size + 1);
        int file = open(at("m.jsonl"), O_RDONLY);
        assert_int_equal(read_whole(file, text, (size_t)status.st_size), status.st_size);
        text[status.st_size] = '\0';
        close(file);
        for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
            assert_non_null(strchr(line, '\n'));
            assert_int_equal(*(strchr(line, '\n') - 1), '}');
        }
        free(text);
        audit_close(&audit);
        assert_int_equal(unlink(at("m.jsonl")), 0);
    }
    trail_open();
}

static void test_a_re_exec_loses_nothing(void **state)
{
    (void)state;
    trail_open();
    start_call(audit_next_call(&audit), 1);
    start_call(audit_next_call(&audit), 1);
    uint64_t last = audit.last_call;
    audit_close(&audit);
    trail_open();
    audit_continue(&audit, last, (const uint64_t[]){1, 2}, 2);
    assert_int_equal(audit_next_call(&audit), 3);
    exit_call(1);
    manifest_empty();
    audit_reload(&audit, NULL);
    assert_non_null(strstr(told("m.jsonl"), "\"last_call\":3,\"active\":[2],"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start),
        TEST(test_the_timestamp_is_unix_milliseconds),
        TEST(test_exit),
        TEST(test_reject),
        TEST(test_argv_of_refusals_is_hidden_where_every_rule_hides_it),
        TEST(test_the_brokers_own_events),
        TEST(test_whatever_a_caller_sends_stays_inside_its_string),
        TEST(test_the_largest_request_is_logged_whole_and_its_memory_given_back),
        TEST(test_without_a_logfile_nothing_is_written_and_all_is_well),
        TEST(test_refuses_to_open_what_is_not_safe),
        TEST(test_rotation_splits_and_loses_nothing),
        TEST(test_a_failed_reopening_goes_on_with_the_old_file),
        TEST(test_a_removed_manifest_is_begun_anew),
        TEST(test_a_logfile_of_the_call_goes_where_it_says),
        TEST(test_an_event_cut_short_is_taken_back),
        TEST(test_strict_refuses_until_a_probe_works),
        TEST(test_a_probe_that_fails_keeps_refusing),
        TEST(test_best_effort_runs_and_says_so),
        TEST(test_reload_ends_unhealthy),
        TEST(test_a_failed_capture_is_probed_where_it_failed),
        TEST(test_a_capture_that_cannot_be_opened),
        TEST(test_the_manifest_is_no_capture_file),
        TEST(test_a_full_tmpfs),
        TEST(test_calls_without_an_end_are_lost_once),
        TEST(test_an_empty_or_new_manifest_begins_at_one),
        TEST(test_rejects_count_for_the_numbering),
        TEST(test_serve_and_reload_carry_what_rotation_took_away),
        TEST(test_half_an_event_is_cut_off),
        TEST(test_any_beginning_of_a_manifest_is_mended),
        TEST(test_a_strangers_text_is_kept_and_closed),
        TEST(test_lines_that_are_not_ours_do_not_count),
        TEST(test_damaged_manifests_are_read_without_harm),
        TEST(test_only_the_end_of_a_huge_manifest_is_read),
        TEST(test_what_was_begun_long_before_is_found),
        TEST(test_a_manifest_that_another_broker_writes_is_left_alone),
        TEST(test_what_we_fork_does_not_hold_the_lock),
        TEST(test_a_broker_killed_while_writing_leaves_only_whole_lines),
        TEST(test_a_re_exec_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
