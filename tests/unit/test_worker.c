/* Workers with real processes: exit codes, signals, exec errors, what a child inherits, and that
 * nothing of a call is left when its worker says so. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- plain calls ----------------------------------------------------------------------------- */

static void exit_codes_come_back(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    assert_int_equal(fixture_shell(&f, "exit 7"), 7);
    assert_int_equal(fixture_shell(&f, "exit 255"), 255);
    assert_int_equal(f.report.left, 0);
    assert_int_equal(f.worker.calls, 3);
    fixture_end(&f);
}

static void signals_of_the_child_come_back(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "kill -TERM $$"), 128 + SIGTERM);
    assert_int_equal(fixture_shell(&f, "kill -KILL $$"), 128 + SIGKILL);
    assert_int_equal(fixture_shell(&f, "ulimit -c 0; kill -SEGV $$"), 128 + SIGSEGV);
    fixture_end(&f);
}

static void output_argv_and_environment_arrive(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    const struct fixture_call extra = {.environment = ARGV("A=1", "B=two words", "C=")};
    fixture_run(&f, &extra, ARGV("/bin/sh", "-c", "echo \"$0|$1|$2|$#\"; env | sort", "zero", "",
                                 "x y"));
    assert_non_null(strstr(f.output, "zero||x y|2\n"));
    assert_non_null(strstr(f.output, "A=1\nB=two words\nC=\n"));
    fixture_end(&f);
}

static void argv0_is_the_callers_not_the_path(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    const struct fixture_call extra = {.path = "/bin/cat"};
    fixture_run(&f, &extra, ARGV("kitten", "/proc/self/cmdline"));
    assert_memory_equal(f.output, "kitten\0/proc/self/cmdline", 26);
    fixture_end(&f);
}

static void usage_is_told(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    fixture_shell(&f, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_true(f.report.user_ms + f.report.system_ms > 0);
    assert_true(f.report.max_rss_kb > 100);
    fixture_end(&f);
}

/* ---- size ------------------------------------------------------------------------------------ */

static void a_mebibyte_of_arguments_and_environment(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    enum { PIECES = 64, PIECE = 16384 };
    static char piece[PIECE + 1];
    memset(piece, 'x', PIECE);
    const char *argv[PIECES + 4] = {"/bin/sh", "-c", "echo $#; cat /proc/$$/cmdline | wc -c"};
    for (int i = 3; i < PIECES + 3; i++)
        argv[i] = piece;
    fixture_run(&f, NULL, argv);
    assert_int_equal(f.report.kind, REPORT_ENDED);
    char expected[64];
    snprintf(expected, sizeof expected, "63\n%d\n",
             (int)(strlen("/bin/sh") + 1 + 3 + strlen(argv[2]) + 1 + PIECES * (PIECE + 1)));
    assert_string_equal(f.output, expected);
    /* and small again, with nothing left of it */
    assert_int_equal(fixture_shell(&f, "exit $(($# + 5))"), 5);
    fixture_end(&f);
}

static void too_much_is_refused_and_starts_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    char *huge = malloc(WORKER_BYTES_MAX + 1);
    memset(huge, 'x', WORKER_BYTES_MAX);
    huge[WORKER_BYTES_MAX] = '\0';
    assert_int_equal(fixture_begin(&f, NULL, ARGV("/bin/true", huge)), -E2BIG);
    free(huge);
    const char *argv[WORKER_ARGUMENTS_MAX + 1];
    for (size_t i = 0; i < WORKER_ARGUMENTS_MAX; i++)
        argv[i] = "/bin/true";
    argv[WORKER_ARGUMENTS_MAX] = NULL;
    fixture_run(&f, NULL, argv);
    assert_int_equal(f.report.kind, REPORT_ENDED);
    struct policy_bytes nul = {"a\0b", 3};
    const struct worker_call call = {.executable = 0, .path = "/bin/true", .directory = -1,
                                     .arguments = &nul, .argument_count = 1};
    assert_int_equal(worker_run(&f.worker, &f.policy, &call), -EINVAL);
    assert_int_equal(fixture_shell(&f, "exit 3"), 3);
    fixture_end(&f);
}

/* A single string that the kernel does not take: told by exec, exactly. */
static void too_long_for_the_kernel_is_told_exactly(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    char *string = malloc(200001);
    memset(string, 'x', 200000);
    string[200000] = '\0';
    fixture_run(&f, NULL, ARGV("/bin/true", string));
    assert_int_equal(f.report.kind, REPORT_FAILED);
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, E2BIG);
    free(string);
    fixture_end(&f);
}

/* ---- exec ------------------------------------------------------------------------------------ */

static void write_file(const char *path, const char *text, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write_whole(file, text, strlen(text)), 0);
    assert_int_equal(fchmod(file, mode), 0);
    assert_int_equal(close(file), 0);
}

static char *directory_make(char *path)
{
    strcpy(path, "/tmp/sluice-worker-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void directory_remove(const char *path)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static void exec_errors_are_told_exactly(void **state)
{
    struct fixture f;
    char base[64], path[128];
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    directory_make(base);

    snprintf(path, sizeof path, "%s/plain", base);
    write_file(path, "no program\n", 0644);
    fixture_run(&f, NULL, ARGV(path));
    assert_int_equal(f.report.kind, REPORT_FAILED);
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, EACCES);

    snprintf(path, sizeof path, "%s/noformat", base);
    write_file(path, "\177nonsense", 0755);
    fixture_run(&f, NULL, ARGV(path));
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, ENOEXEC);

    snprintf(path, sizeof path, "%s/nointerpreter", base);
    write_file(path, "#!/nonexistent/interpreter\n", 0755);
    fixture_run(&f, NULL, ARGV(path));
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, ENOENT);

    fixture_run(&f, NULL, ARGV(base));
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, EACCES);

    assert_int_equal(fixture_shell(&f, "exit 0"), 0); /* serves on */
    directory_remove(base);
    fixture_end(&f);
}

static void scripts_run_by_their_own_path(void **state)
{
    struct fixture f;
    char base[64], path[128];
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    directory_make(base);
    snprintf(path, sizeof path, "%s/script", base);
    /* The shell has the script itself open, whichever number it takes for that. */
    write_file(path,
               "#!/bin/sh -u\necho \"$0 $*\"\nfor fd in /proc/$$/fd/*; do\n"
               "case $fd in */[012]) ;; *) readlink $fd ;; esac; done\n",
               0755);
    fixture_run(&f, NULL, ARGV(path, "one", "two"));
    char expected[300];
    snprintf(expected, sizeof expected, "%s one two\n%s\n", path, path);
    assert_int_equal(f.report.kind, REPORT_ENDED);
    assert_string_equal(f.output, expected);
    directory_remove(base);
    fixture_end(&f);
}

static void a_program_swapped_after_opening_does_not_run(void **state)
{
    struct fixture f;
    char base[64], path[128], other[128];
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    directory_make(base);
    snprintf(path, sizeof path, "%s/program", base);
    snprintf(other, sizeof other, "%s/other", base);

    /* a script: refused */
    write_file(path, "#!/bin/sh\necho right\n", 0755);
    write_file(other, "#!/bin/sh\necho wrong\n", 0755);
    int opened = open(path, O_PATH | O_CLOEXEC);
    assert_int_equal(rename(other, path), 0);
    const struct fixture_call extra = {.executable = opened, .path = path};
    fixture_run(&f, &extra, ARGV(path));
    assert_int_equal(f.report.kind, REPORT_FAILED);
    assert_int_equal(f.report.stage, STAGE_EXEC);
    assert_int_equal(f.report.error, ESTALE);
    close(opened);

    /* a binary: what was opened runs */
    char command[512];
    snprintf(command, sizeof command, "cp /bin/echo '%s' && cp /bin/false '%s'", path, other);
    assert_int_equal(system(command), 0);
    opened = open(path, O_PATH | O_CLOEXEC);
    assert_int_equal(rename(other, path), 0);
    const struct fixture_call again = {.executable = opened, .path = path};
    fixture_run(&f, &again, ARGV(path, "right"));
    assert_int_equal(f.report.kind, REPORT_ENDED);
    assert_string_equal(f.output, "right\n");
    close(opened);
    directory_remove(base);
    fixture_end(&f);
}

/* ---- what a child is given ------------------------------------------------------------------- */

static void nothing_inherited_but_0_1_2(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    /* descriptors of the broker that must not be seen */
    int leaks[20];
    for (size_t i = 0; i < 20; i++)
        leaks[i] = dup(0);
    fixture_start(&f);
    fixture_run(&f, NULL, ARGV("/bin/ls", "/proc/self/fd"));
    assert_string_equal(f.output, "0\n1\n2\n3\n"); /* 3: ls's own, on the directory */
    for (size_t i = 0; i < 20; i++)
        close(leaks[i]);
    fixture_end(&f);
}

/* A worker holds nothing of the broker's: what the broker closes ends. */
static void a_worker_keeps_no_descriptor_of_the_brokers(void **state)
{
    enum { PIPES = 8 };
    struct fixture f;
    int pipes[PIPES][2];
    (void)state;
    fixture_make(&f);
    for (int i = 0; i < PIPES; i++) {
        int made[2];
        assert_int_equal(pipe2(made, O_CLOEXEC), 0);
        pipes[i][0] = made[0];
        /* above and below all that a worker keeps */
        pipes[i][1] = i % 2 ? made[1] : fcntl(made[1], F_DUPFD_CLOEXEC, 500);
        assert_true(pipes[i][1] >= 0);
        if (i % 2 == 0)
            close(made[1]);
    }
    fixture_start(&f);
    fixture_run(&f, NULL, ARGV("/bin/true")); /* its set-up is over */
    for (int i = 0; i < PIPES; i++) {
        close(pipes[i][1]);
        struct pollfd end = {.fd = pipes[i][0], .events = POLLIN};
        assert_int_equal(poll(&end, 1, 10000), 1);
        assert_true(end.revents & POLLHUP);
        close(pipes[i][0]);
    }
    fixture_end(&f);
}

static void signals_are_default_and_unblocked(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    fixture_start(&f);
    fixture_run(&f, NULL, ARGV("/bin/cat", "/proc/self/status"));
    assert_non_null(strstr(f.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                     "SigCgt:\t0000000000000000\n"));
    assert_non_null(strstr(f.output, "SigPnd:\t0000000000000000\n"));
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    fixture_end(&f);
}

static void own_group_and_session_umask_and_no_new_privs(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.attributes.umask = 027;
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("umask; cut -d' ' -f1,5,6,7 /proc/$$/stat; "
                                                   "grep NoNewPrivs /proc/$$/status")),
                     0);
    struct worker_report report = fixture_report(&f);
    fixture_read(&f);
    char expected[128];
    /* group: its own; session: the worker's; terminal: none */
    snprintf(expected, sizeof expected, "0027\n%d %d %d 0\nNoNewPrivs:\t1\n", report.pid,
             report.pid, f.worker.pid);
    assert_string_equal(f.output, expected);
    assert_int_equal(fixture_report(&f).kind, REPORT_ENDED);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

static void working_directory(void **state)
{
    struct fixture f;
    char base[64], path[128];
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    directory_make(base);
    const struct fixture_call in_base = {.directory = base};
    fixture_run(&f, &in_base, SHELL("pwd -P"));
    char expected[80];
    snprintf(expected, sizeof expected, "%s\n", base);
    assert_string_equal(f.output, expected);
    /* the next call is where the worker always was */
    fixture_run(&f, NULL, SHELL("pwd -P"));
    char here[PATH_MAX], line[PATH_MAX + 2];
    snprintf(line, sizeof line, "%s\n", getcwd(here, sizeof here));
    assert_string_equal(f.output, line);

    snprintf(path, sizeof path, "%s/file", base);
    write_file(path, "", 0644);
    const struct fixture_call in_file = {.directory = path};
    fixture_run(&f, &in_file, SHELL("echo ran"));
    assert_int_equal(f.report.kind, REPORT_FAILED);
    assert_int_equal(f.report.stage, STAGE_DIRECTORY);
    assert_int_equal(f.report.error, ENOTDIR);
    directory_remove(base);
    fixture_end(&f);
}

static void limits_are_the_childs_alone(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.confinement.limits.open_files = 64;
    f.confinement.limits.cpu_time = 1;
    f.confinement.limits.file_size = 4096;
    f.confinement.limits.core = 0;
    f.confinement.nice = 5;
    fixture_start(&f);
    fixture_shell(&f, "ulimit -n; ulimit -Ht; ulimit -c; nice");
    char expected[64];
    snprintf(expected, sizeof expected, "64\n2\n0\n%d\n", getpriority(PRIO_PROCESS, 0) + 5);
    assert_string_equal(f.output, expected);
    /* the processor time of one call is none of the next one's */
    for (int i = 0; i < 2; i++)
        assert_int_equal(fixture_shell(&f, "while :; do :; done"), 128 + SIGXCPU);
    assert_int_equal(fixture_shell(&f, "head -c 10000 /dev/zero > /dev/null"), 0);
    fixture_end(&f);
}

static void open_files_are_those_of_the_start(void **state)
{
    struct fixture f;
    struct rlimit before, raised;
    (void)state;
    fixture_make(&f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    f.host.open_files = (struct rlimit){.rlim_cur = 200, .rlim_max = before.rlim_max};
    raised = before;
    raised.rlim_cur = raised.rlim_max;
    setrlimit(RLIMIT_NOFILE, &raised);
    fixture_start(&f);
    fixture_shell(&f, "ulimit -Sn");
    assert_string_equal(f.output, "200\n");
    setrlimit(RLIMIT_NOFILE, &before);
    fixture_end(&f);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void a_signal_reaches_the_whole_group(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL,
                                   SHELL("trap 'echo first; exit 1' USR1\n"
                                         "(trap 'echo second; exit 1' USR1; echo up; "
                                         "while :; do sleep 0.05; done) &\n"
                                         "wait; wait")),
                     0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    fixture_read_line(&f);
    assert_int_equal(worker_order(&f.worker, ORDER_SIGNAL, SIGUSR1), 0);
    fixture_read(&f);
    assert_non_null(strstr(f.output, "first"));
    assert_non_null(strstr(f.output, "second"));
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(WEXITSTATUS(report.status), 1);
    while (fixture_report(&f).kind != REPORT_IDLE)
        continue;
    fixture_end(&f);
}

/* The known failure: the leader dies of SIGTERM, a member of its group ignores it, and SIGKILL is
 * then not sent because the leader is gone. */
static void group_kill_works_after_the_leaders_death(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.attributes.kill = KILL_GROUP;
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL,
                                   SHELL("(trap '' TERM; echo up; exec sleep 600) & "
                                         "exec sleep 600")),
                     0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    fixture_read_line(&f);
    assert_int_equal(worker_order(&f.worker, ORDER_SIGNAL, SIGTERM), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(WTERMSIG(report.status), SIGTERM);
    assert_int_equal(report.left, 1);
    assert_true(f.worker.busy);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_GROUP, 0), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_read(&f); /* ends: nobody holds the pipe any more */
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    fixture_end(&f);
}

static void orders_for_an_ended_call_do_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, 0), 0);
    assert_int_equal(fixture_shell(&f, "sleep 0.05; exit 4"), 4);
    /* one that crosses the end of its call on the way */
    f.worker.busy = true;
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, 0), 0);
    f.worker.busy = false;
    assert_int_equal(fixture_shell(&f, "sleep 0.05; exit 5"), 5);
    fixture_end(&f);
}

static void a_busy_worker_takes_no_second_call(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("exec sleep 600")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    struct policy_bytes name = {"true", 4};
    const struct worker_call call = {.path = "/bin/true", .directory = -1, .arguments = &name,
                                     .argument_count = 1};
    assert_int_equal(worker_run(&f.worker, &f.policy, &call), -EBUSY);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_GROUP, 0), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

/* ---- trees ----------------------------------------------------------------------------------- */

/* Starts a script whose processes all hold its output, waits for the line "up", orders the tree's
 * end, and sees that the pipe is then held by nobody: nothing has survived. */
static void tree_is_ended(struct fixture *f, const char *script)
{
    fixture_start(f);
    assert_int_equal(fixture_begin(f, NULL, SHELL(script)), 0);
    assert_int_equal(fixture_report(f).kind, REPORT_STARTED);
    do {
        fixture_read_line(f);
    } while (strcmp(f->output, "up\n") != 0);
    assert_int_equal(worker_order(&f->worker, ORDER_KILL_TREE, 0), 0);
    struct worker_report report;
    while ((report = fixture_report(f)).kind != REPORT_IDLE)
        assert_int_equal(report.kind, REPORT_ENDED);
    f->output_length = 0;
    fixture_read(f);
    assert_int_equal(fixture_shell(f, "exit 0"), 0);
    fixture_end(f);
}

static const char daemons[] = "trap '' TERM HUP INT\n"
                              "setsid sh -c 'trap \"\" TERM; sleep 600 & sleep 601 & wait' &\n"
                              "(setsid sh -c '(setsid sleep 602 &) & sleep 603' &) &\n"
                              "sleep 0.2; echo up; sleep 604";

/* Each link of the chain leaves its session and group, starts the next and exits. Ended by its own
 * count if nothing else ends it. */
static const char runner[] =
    "exec /usr/bin/python3 -c '\n"
    "import os, time\n"
    "start = time.monotonic()\n"
    "os.write(1, b\"up\\n\")\n"
    "while time.monotonic() - start < 50:\n"
    "    if os.fork(): os._exit(0)\n"
    "    os.setsid()\n"
    "'";

/* Every process starts others as fast as it can; a third of them leave for sessions of their own, some
 * let their parents exit. For each one a byte is taken out of a pipe, so that there are never more than
 * 400 in all, whatever becomes of the kill: the machine that runs the test shall survive it. */
static const char storm[] =
    "exec /usr/bin/python3 -c '\n"
    "import os, time, signal\n"
    "tokens, fill = os.pipe()\n"
    "os.write(fill, b\"x\" * 400)\n"
    "os.close(fill)\n"
    "start = time.monotonic()\n"
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "generation = 0\n"
    "told = False\n"
    "while time.monotonic() - start < 50:\n"
    "    if not os.read(tokens, 1): time.sleep(0.05); continue\n"
    "    if not told and generation == 0:\n"
    "        told = True\n"
    "        os.write(1, b\"up\\n\")\n"
    "    if os.fork() == 0:\n"
    "        generation += 1\n"
    "        if generation % 3 == 0: os.setsid()\n"
    "    elif generation % 5 == 4: os._exit(0)\n"
    "'";

static const char stopped[] = "sleep 600 & kill -STOP $!; setsid sleep 601 & "
                              "sleep 0.1; kill -STOP $!; echo up; kill -STOP $$";

static void tree_of_daemons_is_ended(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    tree_is_ended(&f, daemons);
}

static void stopped_processes_are_ended(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    tree_is_ended(&f, stopped);
}

static void a_runner_is_caught(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    tree_is_ended(&f, runner);
}

static void a_fork_storm_is_ended(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    tree_is_ended(&f, storm);
}

static void with_scoped_signals_all_end_at_once(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    if (f.host.landlock_abi < 6) {
        confinement_host_release(&f.host);
        skip();
    }
    f.confinement.signals_own = true;
    tree_is_ended(&f, daemons);
    fixture_make(&f);
    f.confinement.signals_own = true;
    tree_is_ended(&f, runner);
    fixture_make(&f);
    f.confinement.signals_own = true;
    tree_is_ended(&f, storm);
}

static void kill_on_exit_leaves_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.attributes.kill = KILL_TREE_ON_EXIT;
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("setsid sleep 600 & sleep 601 & exit 9")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(WEXITSTATUS(report.status), 9);
    assert_int_equal(report.left, 2);
    fixture_read(&f);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

static void what_goes_on_in_the_background_keeps_the_worker(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("(sleep 0.3; echo late) & echo early")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_true(report.left >= 1);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_read(&f);
    assert_string_equal(f.output, "early\nlate\n");
    fixture_end(&f);
}

static void orphans_are_reaped_while_the_call_runs(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    char script[256];
    snprintf(script, sizeof script,
             "for i in 1 2 3 4 5 6 7 8; do (true & true) & wait; done; "
             "n=0; while grep -l '^State:.Z' $(for p in $(cat /proc/%d/task/%d/children); do "
             "echo /proc/$p/status; done) 2>/dev/null && [ $n -lt 100 ]; do n=$((n+1)); "
             "sleep 0.1; done; [ $n -lt 100 ]",
             f.worker.pid, f.worker.pid);
    assert_int_equal(fixture_shell(&f, script), 0);
    fixture_end(&f);
}

/* ---- the worker's own life ------------------------------------------------------------------- */

static bool has_ended(pid_t pid)
{
    siginfo_t ended = {0};
    return waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == pid;
}

static void pidfd_tells_the_workers_end(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    int pidfd = dup(f.worker.pidfd);
    struct pollfd event = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&event, 1, 0), 0);
    pid_t pid = f.worker.pid;
    worker_close(&f.worker);
    assert_int_equal(poll(&event, 1, PATIENCE_MS), 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pidfd);
    f.started = false;
    fixture_end(&f);
}

static void a_killed_worker_takes_its_child_along(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("echo up; exec sleep 600")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    fixture_read_line(&f);
    kill(f.worker.pid, SIGKILL);
    fixture_read(&f); /* ends: the child has gone too */
    struct worker_report report;
    struct pollfd event = {.fd = f.worker.control, .events = POLLIN};
    assert_int_equal(poll(&event, 1, PATIENCE_MS), 1);
    assert_int_equal(worker_receive(&f.worker, &report), -1);
    assert_int_equal(worker_run(&f.worker, &f.policy, &(struct worker_call){0}), -EBUSY);
    fixture_end(&f);
}

static void stop_signals_do_not_end_a_worker(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    kill(f.worker.pid, SIGTERM);
    kill(f.worker.pid, SIGINT);
    kill(f.worker.pid, SIGHUP);
    assert_int_equal(fixture_shell(&f, "exit 6"), 6);
    fixture_end(&f);
}

/* With the broker gone: SIGTERM, then what `kill` says. */
static void without_the_broker_the_tree_ends(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL,
                                   SHELL("trap 'echo term' TERM; setsid sleep 600 & echo up; "
                                         "while :; do sleep 0.05; done")),
                     0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    fixture_read_line(&f);
    pid_t pid = f.worker.pid;
    worker_close(&f.worker);
    f.output_length = 0;
    fixture_read(&f);
    assert_non_null(strstr(f.output, "term\n"));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    f.started = false;
    fixture_end(&f);
}

static void without_the_broker_a_left_daemon_goes_on_under_kill_group(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    f.attributes.kill = KILL_GROUP;
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("(sleep 0.5; echo lived) & exit 0")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    assert_int_equal(fixture_report(&f).kind, REPORT_ENDED);
    pid_t pid = f.worker.pid;
    worker_close(&f.worker);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    fixture_read(&f);
    assert_string_equal(f.output, "lived\n");
    f.started = false;
    fixture_end(&f);
}

/* A broker that execs: the same descriptors in a new image, without the shared memory. */
static void an_adopted_worker_reports_and_obeys(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("trap 'exit 11' TERM; echo up; "
                                                   "while :; do sleep 0.05; done")),
                     0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    fixture_read_line(&f);
    struct worker old = f.worker;
    worker_adopt(&f.worker, old.pid, dup(old.pidfd), dup(old.control), f.calls);
    worker_close(&old);
    assert_int_equal(worker_run(&f.worker, &f.policy, &(struct worker_call){0}), -EBUSY);
    assert_int_equal(worker_order(&f.worker, ORDER_SIGNAL, SIGTERM), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(report.call, f.calls);
    assert_int_equal(WEXITSTATUS(report.status), 11);
    while (fixture_report(&f).kind != REPORT_IDLE)
        continue;
    fixture_end(&f);
}

/* The earlier image took the report of the child's end; what this one hears is that nothing is left. */
static void an_adopted_worker_says_whose_call_is_over(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("sleep 100 & exit 0")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    assert_int_equal(fixture_report(&f).kind, REPORT_ENDED);
    struct worker old = f.worker;
    worker_adopt(&f.worker, old.pid, dup(old.pidfd), dup(old.control), f.calls);
    worker_close(&old);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, SIGKILL), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_IDLE);
    assert_int_equal(report.call, f.calls);
    fixture_end(&f);
}

static void no_descriptor_and_no_memory_is_left(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    for (int i = 0; i < 50; i++)
        assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", f.worker.pid);
    assert_false(has_ended(f.worker.pid));
    /* The worker hides its descriptors; as many calls again must not run it out of them. */
    struct rlimit few;
    assert_int_equal(prlimit(f.worker.pid, RLIMIT_NOFILE, NULL, &few), 0);
    few.rlim_cur = 24;
    assert_int_equal(prlimit(f.worker.pid, RLIMIT_NOFILE, &few, NULL), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    fixture_end(&f);
}

/* No room for what comes with a call: told, and the worker serves when there is room again. */
static void running_out_of_descriptors_fails_one_call(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    struct rlimit none = {.rlim_cur = 4, .rlim_max = 0}, before;
    assert_int_equal(prlimit(f.worker.pid, RLIMIT_NOFILE, NULL, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(prlimit(f.worker.pid, RLIMIT_NOFILE, &none, NULL), 0);
    fixture_run(&f, NULL, ARGV("/bin/true"));
    assert_int_equal(f.report.kind, REPORT_FAILED);
    assert_int_equal(f.report.stage, STAGE_INTERNAL);
    assert_int_equal(f.report.error, EMFILE);
    assert_int_equal(prlimit(f.worker.pid, RLIMIT_NOFILE, &before, NULL), 0);
    assert_int_equal(fixture_shell(&f, "exit 0"), 0);
    fixture_end(&f);
}

static void a_start_is_told_only_if_asked_for(void **state)
{
    const struct fixture_call silent = {.silent = true};
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, &silent, SHELL("echo here; exit 3")), 0);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(WEXITSTATUS(report.status), 3);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    assert_int_equal(fixture_begin(&f, NULL, SHELL("exit 4")), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    assert_int_equal(WEXITSTATUS(fixture_report(&f).status), 4);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

/* More children at the end than one reading of the kernel's list may bring. */
static void many_that_are_left_are_counted(void **state)
{
    struct fixture f;
    (void)state;
    fixture_make(&f);
    fixture_start(&f);
    assert_int_equal(fixture_begin(&f, NULL,
                                   SHELL("for i in $(seq 1000); do sleep 600 & done; exit 5")),
                     0);
    assert_int_equal(fixture_report(&f).kind, REPORT_STARTED);
    struct worker_report report = fixture_report(&f);
    assert_int_equal(report.kind, REPORT_ENDED);
    assert_int_equal(report.left, 1000);
    assert_int_equal(worker_order(&f.worker, ORDER_KILL_TREE, 0), 0);
    assert_int_equal(fixture_report(&f).kind, REPORT_IDLE);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_come_back),
        cmocka_unit_test(a_start_is_told_only_if_asked_for),
        cmocka_unit_test(many_that_are_left_are_counted),
        cmocka_unit_test(signals_of_the_child_come_back),
        cmocka_unit_test(output_argv_and_environment_arrive),
        cmocka_unit_test(argv0_is_the_callers_not_the_path),
        cmocka_unit_test(usage_is_told),
        cmocka_unit_test(a_mebibyte_of_arguments_and_environment),
        cmocka_unit_test(too_much_is_refused_and_starts_nothing),
        cmocka_unit_test(too_long_for_the_kernel_is_told_exactly),
        cmocka_unit_test(exec_errors_are_told_exactly),
        cmocka_unit_test(scripts_run_by_their_own_path),
        cmocka_unit_test(a_program_swapped_after_opening_does_not_run),
        cmocka_unit_test(nothing_inherited_but_0_1_2),
        cmocka_unit_test(a_worker_keeps_no_descriptor_of_the_brokers),
        cmocka_unit_test(signals_are_default_and_unblocked),
        cmocka_unit_test(own_group_and_session_umask_and_no_new_privs),
        cmocka_unit_test(working_directory),
        cmocka_unit_test(limits_are_the_childs_alone),
        cmocka_unit_test(open_files_are_those_of_the_start),
        cmocka_unit_test(a_signal_reaches_the_whole_group),
        cmocka_unit_test(group_kill_works_after_the_leaders_death),
        cmocka_unit_test(orders_for_an_ended_call_do_nothing),
        cmocka_unit_test(a_busy_worker_takes_no_second_call),
        cmocka_unit_test(tree_of_daemons_is_ended),
        cmocka_unit_test(stopped_processes_are_ended),
        cmocka_unit_test(a_runner_is_caught),
        cmocka_unit_test(a_fork_storm_is_ended),
        cmocka_unit_test(with_scoped_signals_all_end_at_once),
        cmocka_unit_test(kill_on_exit_leaves_nothing),
        cmocka_unit_test(what_goes_on_in_the_background_keeps_the_worker),
        cmocka_unit_test(orphans_are_reaped_while_the_call_runs),
        cmocka_unit_test(pidfd_tells_the_workers_end),
        cmocka_unit_test(a_killed_worker_takes_its_child_along),
        cmocka_unit_test(stop_signals_do_not_end_a_worker),
        cmocka_unit_test(without_the_broker_the_tree_ends),
        cmocka_unit_test(without_the_broker_a_left_daemon_goes_on_under_kill_group),
        cmocka_unit_test(an_adopted_worker_reports_and_obeys),
        cmocka_unit_test(an_adopted_worker_says_whose_call_is_over),
        cmocka_unit_test(no_descriptor_and_no_memory_is_left),
        cmocka_unit_test(running_out_of_descriptors_fails_one_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
