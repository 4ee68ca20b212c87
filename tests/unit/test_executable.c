/* What a program needs to start, found by looking at files that are nobody's promise. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/worker/executable.h"

/* A script with this interpreter, open as the broker opens it; its file is gone already. */
static int script_open(const char *interpreter)
{
    char path[] = "/tmp/sluice-script-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_true(dprintf(file, "#!%s\n", interpreter) > 0);
    assert_int_equal(fchmod(file, 0755), 0);
    assert_int_equal(close(file), 0);
    int executable = open(path, O_PATH | O_CLOEXEC);
    assert_true(executable >= 0);
    assert_int_equal(unlink(path), 0);
    return executable;
}

static bool is_needed(const struct executable_needs *needs, const char *path)
{
    struct stat wanted, object;
    assert_int_equal(stat(path, &wanted), 0);
    for (size_t i = 0; i < needs->count; i++) {
        assert_int_equal(fstat(needs->objects[i], &object), 0);
        if (object.st_dev == wanted.st_dev && object.st_ino == wanted.st_ino)
            return true;
    }
    return false;
}

static void an_interpreter_and_its_loader_are_needed(void **state)
{
    struct executable_needs needs;
    (void)state;
    int script = script_open("/bin/sh");
    assert_int_equal(executable_needs_find(script, &needs), 0);
    assert_true(is_needed(&needs, "/bin/sh"));
    assert_int_equal(needs.count, needs.dynamic ? 2 : 1);
    assert_false(needs.missing);
    executable_needs_close(&needs);
    close(script);
}

static void what_is_no_regular_file_is_not_opened(void **state)
{
    struct executable_needs needs;
    char directory[] = "/tmp/sluice-pipe-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/pipe", directory);
    assert_int_equal(mkfifo(path, 0700), 0);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(watch >= 0 && inotify_add_watch(watch, path, IN_OPEN) >= 0);
    int script = script_open(path);
    assert_int_equal(executable_needs_find(script, &needs), 0);
    executable_needs_close(&needs);
    struct inotify_event event;
    assert_int_equal(read(watch, &event, sizeof event), -1);
    /* and an open is told of */
    int opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(opened >= 0);
    assert_int_equal(read(watch, &event, sizeof event), sizeof event);
    close(opened);
    close(script);
    close(watch);
    unlink(path);
    rmdir(directory);
}

/* A worker is a session's leader: the first terminal that it opens would be its calls' too. */
static void no_terminal_is_taken(void **state)
{
    struct executable_needs needs;
    (void)state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
        skip();
    int script = script_open(ptsname(terminal));
    pid_t pid = fork();
    if (pid == 0) {
        if (setsid() < 0 || executable_needs_find(script, &needs) < 0)
            _exit(2);
        _exit(open("/dev/tty", O_RDWR | O_CLOEXEC) >= 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(script);
    close(terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interpreter_and_its_loader_are_needed),
        cmocka_unit_test(what_is_no_regular_file_is_not_opened),
        cmocka_unit_test(no_terminal_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
