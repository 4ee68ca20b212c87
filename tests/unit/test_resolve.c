/* Which file runs: exec_path searched as execvp would, and what was opened is what is meant. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/resolve.h"

#define STRANGER 54321

static char base[] = "/tmp/sluice-resolve-XXXXXX";
static char path[512];
static struct failure failure;
static struct resolved resolved;

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static void make_program(const char *name, mode_t mode)
{
    int file = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, "#!/bin/sh\nexit 7\n", 17), 17);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static int setup(void **state)
{
    static const char *const directories[] = {"a", "b", "c"};
    (void)state;
    strcpy(base + strlen(base) - 6, "XXXXXX");
    umask(022);
    if (mkdtemp(base) == NULL || chmod(base, 0755) != 0)
        return -1;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mkdir(at(directories[i]), 0755), 0);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* exec_path a:b:c of the base directory. */
static const char *directories(void)
{
    static char all[256];
    snprintf(all, sizeof all, "%s/a:%s/b:%s/c", base, base, base);
    return all;
}

static void check_found(const char *name, const char *searched, const char *where)
{
    struct stat expected, opened;
    if (resolve_executable(name, searched, &resolved, &failure) != 0)
        fail_msg("%s", failure.text);
    assert_string_equal(resolved.path, at(where));
    assert_true(fcntl(resolved.descriptor, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(stat(at(where), &expected), 0);
    assert_int_equal(fstat(resolved.descriptor, &opened), 0);
    assert_int_equal(expected.st_ino, opened.st_ino);
    close(resolved.descriptor);
}

static void check_not(const char *name, const char *searched, int error, const char *text)
{
    assert_int_equal(resolve_executable(name, searched, &resolved, &failure), -1);
    assert_int_equal(resolved.descriptor, -1);
    assert_int_equal(failure.error, error);
    assert_string_equal(failure.text, text);
}

static void test_the_first_directory_that_has_it_wins(void **state)
{
    (void)state;
    make_program("b/tool", 0755);
    make_program("c/tool", 0755);
    check_found("tool", directories(), "b/tool");
    make_program("a/tool", 0755);
    check_found("tool", directories(), "a/tool");
    assert_int_equal(fcntl(resolved.descriptor, F_GETFL) & O_PATH, O_PATH);
}

static void test_goes_on_past_what_cannot_run(void **state)
{
    (void)state;
    make_program("a/tool", 0644);
    assert_int_equal(mkdir(at("b/tool"), 0755), 0);
    make_program("c/tool", 0755);
    check_found("tool", directories(), "c/tool");
    assert_int_equal(unlink(at("c/tool")), 0);
    check_not("tool", directories(), EACCES, "tool: not a regular file that may be executed");
    assert_int_equal(mkfifo(at("c/tool"), 0755), 0);
    check_not("tool", directories(), EACCES, "tool: not a regular file that may be executed");
    char expected[512];
    snprintf(expected, sizeof expected, "other: not found in %s", directories());
    check_not("other", directories(), ENOENT, expected);
}

static void test_symlinks_are_followed_and_named_as_found(void **state)
{
    (void)state;
    make_program("c/tool", 0755);
    assert_int_equal(symlink("../c/tool", at("a/link")), 0);
    assert_int_equal(symlink("nowhere", at("a/dangling")), 0);
    check_found("link", directories(), "a/link");
    char expected[512];
    snprintf(expected, sizeof expected, "dangling: not found in %s", directories());
    check_not("dangling", directories(), ENOENT, expected);
}

static void test_absolute_names_search_nothing(void **state)
{
    (void)state;
    char name[512], expected[600];
    make_program("a/tool", 0755);
    strcpy(name, at("a/tool"));
    check_found(name, "/nowhere", "a/tool");
    check_found(name, "", "a/tool");
    strcpy(name, at("b/tool"));
    snprintf(expected, sizeof expected, "%s: No such file or directory", name);
    check_not(name, directories(), ENOENT, expected);
    make_program("b/tool", 0600);
    snprintf(expected, sizeof expected, "%s: not a regular file that may be executed", name);
    check_not(name, directories(), EACCES, expected);
}

static void test_the_working_directory_is_never_searched(void **state)
{
    (void)state;
    char searched[600];
    make_program("tool", 0755);
    make_program("c/far", 0755);
    assert_int_equal(chdir(base), 0);
    check_not("tool", "", ENOENT, "tool: not found in ");
    check_not("tool", ":.:", ENOENT, "tool: not found in :.:");
    snprintf(searched, sizeof searched, ":.::c:%s/c:", base);
    check_found("far", searched, "c/far");
    assert_int_equal(chdir("/"), 0);
    snprintf(searched, sizeof searched, ": not found in %s", directories());
    check_not("", directories(), ENOENT, searched);
}

static void test_too_long_a_directory_is_passed_over(void **state)
{
    (void)state;
    static char searched[6000];
    make_program("a/tool", 0755);
    memset(searched, 'x', 5000);
    searched[0] = '/';
    snprintf(searched + 5000, 500, ":%s/a", base);
    check_found("tool", searched, "a/tool");
}

static void unreadable(void)
{
    check_found("secret", directories(), "a/secret");
    check_not("rootonly", directories(), EACCES,
              "rootonly: not a regular file that may be executed");
}

static void test_programs_that_cannot_be_read_can_run(void **state)
{
    (void)state;
    make_program("a/secret", 0111);
    make_program("a/rootonly", 0700);
    if (geteuid() != 0) {
        assert_int_equal(chmod(at("a/rootonly"), 0600), 0);
        unreadable();
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        if (setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) != 0)
            _exit(99);
        unreadable();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_what_was_opened_runs_whatever_the_name_means_now(void **state)
{
    (void)state;
    make_program("a/tool", 0755);
    assert_int_equal(resolve_executable("tool", directories(), &resolved, &failure), 0);
    assert_int_equal(unlink(at("a/tool")), 0);
    make_program("a/tool", 0600);
    pid_t child = fork();
    if (child == 0) {
        /* A script is opened again by its interpreter, through this descriptor. */
        fcntl(resolved.descriptor, F_SETFD, 0);
        execveat(resolved.descriptor, "", (char *[]){(char[]){"tool"}, NULL}, (char *[]){NULL},
                 AT_EMPTY_PATH);
        _exit(98);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    close(resolved.descriptor);
}

static void test_nothing_leaks(void **state)
{
    (void)state;
    make_program("a/tool", 0644);
    int before = dup(0);
    close(before);
    for (int i = 0; i < 5; i++)
        assert_int_equal(resolve_executable("tool", directories(), &resolved, &failure), -1);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_directory_that_has_it_wins),
        TEST(test_goes_on_past_what_cannot_run),
        TEST(test_symlinks_are_followed_and_named_as_found),
        TEST(test_absolute_names_search_nothing),
        TEST(test_the_working_directory_is_never_searched),
        TEST(test_too_long_a_directory_is_passed_over),
        TEST(test_programs_that_cannot_be_read_can_run),
        TEST(test_what_was_opened_runs_whatever_the_name_means_now),
        TEST(test_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
