/* Walking to paths that must not be anybody else's.
 *
 * What root alone can arrange (directories and links of other users) is tried when the tests run as
 * root; what an ordinary user meets is tried as one in both cases: as root in a child that has
 * given root up. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/paths.h"

#define STRANGER 54321 /* a uid that owns nothing */

static char base[] = "/tmp/sluice-paths-XXXXXX";
static char path[8192];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static void make_directory(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(at(name), 0700), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

static void make_file(const char *name, mode_t mode)
{
    int file = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void make_link(const char *name, const char *target)
{
    char to[sizeof path];
    strcpy(to, target);
    assert_int_equal(symlink(to, at(name)), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(base + strlen(base) - 6, "XXXXXX");
    umask(022);
    return mkdtemp(base) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", base, base);
    return system(command);
}

/* The last failure, the base directory's random name taken out. */
static struct failure failure;

static const char *failure_told(void)
{
    static char told[FAILURE_TEXT_MAX];
    char *out = told;
    for (const char *in = failure.text; *in != '\0';) {
        if (strncmp(in, base, strlen(base)) == 0) {
            *out++ = 'B';
            in += strlen(base);
        } else {
            *out++ = *in++;
        }
    }
    *out = '\0';
    return told;
}

static void check_opens(int descriptor)
{
    if (descriptor < 0)
        fail_msg("%s", failure.text);
    assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
    close(descriptor);
}

static void check_fails(int descriptor, int error, const char *text)
{
    assert_int_equal(descriptor, -1);
    assert_string_equal(failure_told(), text);
    assert_int_equal(failure.error, error);
}

/* Runs `function` as an ordinary user. */
static void as_ordinary_user(void (*function)(void))
{
    if (geteuid() != 0) {
        function();
        return;
    }
    assert_int_equal(chown(base, STRANGER, STRANGER), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) != 0)
            _exit(99);
        function();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- audit files ----------------------------------------------------------------------------- */

static void test_makes_the_directories_and_the_file(void **state)
{
    (void)state;
    struct stat status;
    umask(0);
    int file = path_open_append(at("a/b//./c/m.jsonl"), &failure);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
                     O_WRONLY | O_APPEND);
    assert_int_equal(write(file, "x\n", 2), 2);
    assert_int_equal(fstat(file, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    check_opens(file);
    assert_int_equal(stat(at("a/b/c"), &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    assert_int_equal(stat(at("a"), &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);

    /* And the same again appends. */
    file = path_open_append(at("a/b/c/m.jsonl"), &failure);
    assert_int_equal(write(file, "y\n", 2), 2);
    check_opens(file);
    char read_back[8] = "";
    file = path_open_manifest(at("a/b/c/m.jsonl"), &failure);
    assert_int_equal(fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
    assert_int_equal(read(file, read_back, sizeof read_back), 4);
    assert_string_equal(read_back, "x\ny\n");
    check_opens(file);
}

static void test_refuses_what_is_no_regular_file_without_blocking(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    check_fails(path_open_append(at("fifo"), &failure), EPERM, "B/fifo: is not a regular file");
    check_fails(path_open_manifest(at("fifo"), &failure), EPERM, "B/fifo: is not a regular file");
    make_directory("directory", 0700);
    check_fails(path_open_append(at("directory"), &failure), EPERM,
                "B/directory: is not a regular file");
    make_file("real", 0600);
    make_link("link", "real");
    check_fails(path_open_append(at("link"), &failure), EPERM, "B/link: is a symbolic link");
    make_link("dangling", "nothing");
    check_fails(path_open_append(at("dangling"), &failure), EPERM,
                "B/dangling: is a symbolic link");
    assert_int_equal(access(at("nothing"), F_OK), -1);
    check_fails(path_open_append("/dev/null", &failure), EPERM, "/dev/null: is not a regular file");
    assert_int_equal(path_open_append("/proc/version/x", &failure), -1);
    assert_string_equal(failure.text, "/proc/version/x: /proc/version is not a directory");
}

static void test_refuses_files_that_others_could_write_or_rename(void **state)
{
    (void)state;
    make_file("group", 0620);
    check_fails(path_open_append(at("group"), &failure), EPERM,
                "B/group: can be written by other users");
    make_file("others", 0602);
    check_fails(path_open_append(at("others"), &failure), EPERM,
                "B/others: can be written by other users");
    make_file("readable", 0644);
    check_opens(path_open_append(at("readable"), &failure));
    make_file("one", 0600);
    char one[sizeof path];
    strcpy(one, at("one"));
    assert_int_equal(link(one, at("two")), 0);
    check_fails(path_open_append(at("two"), &failure), EPERM,
                "B/two: has more than one name (hard links)");
}

static void test_refuses_names_that_are_no_files(void **state)
{
    (void)state;
    static const char *const names[] = {"relative/m",   "", "/", "/tmp/", "/tmp/.", "/tmp/..",
                                        "/tmp/../etc/m"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(path_open_append(names[i], &failure), -1);
        assert_non_null(strstr(failure.text, ": is not the absolute path of a file"));
    }
}

/* ---- directories on the way ------------------------------------------------------------------ */

static void test_a_directory_that_everybody_can_write_ends_the_walk(void **state)
{
    (void)state;
    make_directory("open", 0777);
    make_directory("open/inner", 0700);
    check_fails(path_open_append(at("open/inner/m"), &failure), EPERM,
                "B/open/inner/m: B/open can be written by everybody");
    /* With the sticky bit others cannot touch what is ours. */
    assert_int_equal(chmod(at("open"), 01777), 0);
    check_opens(path_open_append(at("open/inner/m"), &failure));
    check_opens(path_open_append(at("open/m"), &failure));
}

static void group_can_write(void)
{
    make_directory("group", 0770);
    check_fails(path_open_append(at("group/m"), &failure), EPERM,
                "B/group/m: B/group can be written by its group");
    assert_int_equal(chmod(at("group"), 01770), 0);
    check_opens(path_open_append(at("group/m"), &failure));
}

static void test_so_does_an_ordinary_directory_that_its_group_can_write(void **state)
{
    (void)state;
    as_ordinary_user(group_can_write);
}

static void test_root_may_let_a_group_write_its_own(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_directory("group", 0770);
    check_opens(path_open_append(at("group/m"), &failure));
}

static void test_another_users_directory_ends_the_walk(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_directory("theirs", 0700);
    make_directory("theirs/inner", 0700);
    assert_int_equal(chown(at("theirs"), STRANGER, STRANGER), 0);
    check_fails(path_open_append(at("theirs/inner/m"), &failure), EPERM,
                "B/theirs/inner/m: B/theirs belongs to another user");
    /* The sticky bit does not bind a directory's owner. */
    assert_int_equal(chmod(at("theirs"), 01777), 0);
    check_fails(path_open_append(at("theirs/inner/m"), &failure), EPERM,
                "B/theirs/inner/m: B/theirs belongs to another user");
}

static void test_another_users_file_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_file("theirs", 0600);
    assert_int_equal(chown(at("theirs"), STRANGER, STRANGER), 0);
    check_fails(path_open_append(at("theirs"), &failure), EPERM,
                "B/theirs: belongs to another user");
}

static void test_our_own_symlinks_count(void **state)
{
    (void)state;
    make_directory("real", 0700);
    make_directory("real/deep", 0700);
    make_link("relative", "real/deep");
    make_link("real/up", "../real/./deep");
    make_link("absolute", at("relative"));
    check_opens(path_open_append(at("relative/1"), &failure));
    check_opens(path_open_append(at("real/up/2"), &failure));
    check_opens(path_open_append(at("absolute/3"), &failure));
    assert_int_equal(access(at("real/deep/1"), F_OK), 0);
    assert_int_equal(access(at("real/deep/2"), F_OK), 0);
    assert_int_equal(access(at("real/deep/3"), F_OK), 0);
}

static void test_what_a_symlink_leads_through_is_checked_too(void **state)
{
    (void)state;
    make_directory("open", 0777);
    make_directory("open/inner", 0700);
    make_link("link", "open/inner");
    check_fails(path_open_append(at("link/m"), &failure), EPERM,
                "B/link/m: B/open can be written by everybody");
}

static void test_another_users_symlink_does_not_count(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_directory("real", 0700);
    make_link("link", "real");
    assert_int_equal(lchown(at("link"), STRANGER, STRANGER), 0);
    check_fails(path_open_append(at("link/m"), &failure), EPERM,
                "B/link/m: B/link is a symbolic link of another user");
}

static void test_symlinks_are_counted(void **state)
{
    (void)state;
    char name[32], target[32];
    make_directory("l0", 0700);
    for (unsigned i = 1; i <= PATH_SYMLINKS_MAX + 1; i++) {
        snprintf(name, sizeof name, "l%u", i);
        snprintf(target, sizeof target, "l%u", i - 1);
        make_link(name, target);
    }
    snprintf(name, sizeof name, "l%u/m", PATH_SYMLINKS_MAX);
    check_opens(path_open_append(at(name), &failure));
    snprintf(name, sizeof name, "l%u/m", PATH_SYMLINKS_MAX + 1);
    assert_int_equal(path_open_append(at(name), &failure), -1);
    assert_non_null(strstr(failure.text, "l1 is one symbolic link too many"));
    make_link("loop", "loop");
    check_fails(path_open_append(at("loop/m"), &failure), ELOOP,
                "B/loop/m: B/loop is one symbolic link too many");
}

static void test_long_paths_are_refused_not_cut(void **state)
{
    (void)state;
    char name[8192], target[4090];
    memset(name, 'x', sizeof name);
    name[0] = '/';
    name[300] = '/';
    name[310] = '\0';
    assert_int_equal(path_open_append(name, &failure), -1);
    assert_int_equal(failure.error, ENAMETOOLONG);
    name[300] = 'x';
    for (size_t i = 0; i < 5000; i += 100)
        name[i] = '/';
    name[310] = 'x';
    name[5000] = '\0';
    assert_int_equal(path_open_append(name, &failure), -1);
    assert_int_equal(failure.error, ENAMETOOLONG);

    for (size_t i = 0; i < sizeof target; i++)
        target[i] = i % 2 ? '/' : '.';
    target[sizeof target - 1] = '\0';
    make_link("longlink", target);
    char whole[4096];
    snprintf(whole, sizeof whole, "longlink/%0*d/m", 200, 0);
    assert_int_equal(path_open_append(at(whole), &failure), -1);
    assert_int_equal(failure.error, ENAMETOOLONG);
    assert_non_null(strstr(failure.text, "longlink leads to a path that is too long"));
}

static void unwritable_parent(void)
{
    make_directory("closed", 0500);
    check_fails(path_open_append(at("closed/new/m"), &failure), EACCES,
                "B/closed/new/m: B/closed/new: Permission denied");
    check_fails(path_open_append(at("closed/m"), &failure), EACCES,
                "B/closed/m: Permission denied");
    make_directory("blind", 0000);
    check_fails(path_open_append(at("blind/m/m"), &failure), EACCES,
                "B/blind/m/m: B/blind/m: Permission denied");
}

static void test_failures_name_the_component(void **state)
{
    (void)state;
    make_file("file", 0600);
    check_fails(path_open_append(at("file/x/m"), &failure), ENOTDIR,
                "B/file/x/m: B/file is not a directory");
    as_ordinary_user(unwritable_parent);
}

static void test_no_descriptor_is_left(void **state)
{
    (void)state;
    int before = dup(0);
    close(before);
    make_file("file", 0600);
    make_directory("open", 0777);
    make_link("loop", "loop");
    for (int i = 0; i < 3; i++) {
        path_open_append(at("file/x"), &failure);
        path_open_append(at("open/x"), &failure);
        path_open_append(at("loop/x"), &failure);
        path_open_append(at("open"), &failure);
        path_open_manifest(at("file/y"), &failure);
        path_open_directory(at("file"), PATH_PRIVATE, &failure);
        path_open_caller_directory(at("loop"), &failure);
    }
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

static void test_shortage_of_descriptors_is_an_error(void **state)
{
    (void)state;
    int held[1024], count = 0;
    make_directory("a", 0700);
    make_file("a/m", 0600);
    /* Lowest limit first: each stage of the open fails in its turn, and none leaks. */
    while ((held[count] = dup(0)) >= 0 && held[count] < 60)
        count++;
    close(held[count]);
    char name[sizeof path];
    strcpy(name, at("a/m"));
    pid_t child = fork();
    if (child == 0) {
        int worked = 0;
        for (unsigned limit = 60; limit < 66 && !worked; limit++) {
            char line[64];
            snprintf(line, sizeof line, "%u", limit);
            if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, 1024}) != 0)
                _exit(98);
            int file = path_open_append(name, &failure);
            if (file >= 0)
                worked = 1;
            else if (failure.error != EMFILE)
                _exit(97);
        }
        _exit(worked ? 0 : 96);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    while (count > 0)
        close(held[--count]);
}

/* ---- other directories ----------------------------------------------------------------------- */

static void test_a_private_directory_admits_nobody_else(void **state)
{
    (void)state;
    make_directory("shared", 01777);
    check_opens(path_open_directory(at("shared"), 0, &failure));
    check_fails(path_open_directory(at("shared"), PATH_PRIVATE, &failure), EPERM,
                "B/shared: B/shared can be written by other users");
    assert_int_equal(chmod(at("shared"), 0775), 0);
    assert_int_equal(path_open_directory(at("shared/"), PATH_PRIVATE, &failure), -1);
    assert_int_equal(failure.error, EPERM);
    assert_int_equal(chmod(at("shared"), 0755), 0);
    check_opens(path_open_directory(at("shared"), PATH_PRIVATE, &failure));
    check_opens(path_open_directory(at("shared/new/dir"), PATH_PRIVATE | PATH_CREATE, &failure));
    check_fails(path_open_directory(at("none"), PATH_PRIVATE, &failure), ENOENT,
                "B/none: B/none: No such file or directory");
    check_opens(path_open_directory("/", 0, &failure));
}

static void test_a_callers_directory_has_no_symlink_on_the_way(void **state)
{
    (void)state;
    make_directory("real", 0777);
    make_directory("real/in", 0755);
    make_link("link", "real");
    make_file("file", 0600);
    check_opens(path_open_caller_directory(at("real/in"), &failure)); /* anybody's */
    check_opens(path_open_caller_directory("/", &failure));
    check_fails(path_open_caller_directory(at("link"), &failure), ELOOP,
                "B/link: B/link is a symbolic link");
    check_fails(path_open_caller_directory(at("link/in"), &failure), ELOOP,
                "B/link/in: B/link is a symbolic link");
    check_fails(path_open_caller_directory(at("file"), &failure), ENOTDIR,
                "B/file: B/file is not a directory");
    check_fails(path_open_caller_directory(at("none"), &failure), ENOENT,
                "B/none: B/none: No such file or directory");
    static const char *const names[] = {
        "", "tmp", "/tmp/", "//tmp", "/tmp/.", "/tmp/..", "/tmp/./x", "/../tmp", "/.", "/..", "//"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(path_open_caller_directory(names[i], &failure), -1);
        assert_int_equal(failure.error, EINVAL);
    }
}

/* ---- beneath --------------------------------------------------------------------------------- */

static int beneath(const char *asked)
{
    char value[sizeof path];
    strcpy(value, asked);
    int directory = open(at("work"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    char work[4096];
    snprintf(work, sizeof work, "%s/work", base);
    int file = path_open_beneath(directory, work, value, strlen(value), &failure);
    close(directory);
    return file;
}

static void test_files_that_callers_name_stay_beneath(void **state)
{
    (void)state;
    make_directory("work", 0755);
    make_directory("work/sub", 0755);
    make_directory("workshop", 0755);
    make_file("work/sub/f", 0644);
    make_file("work/-f", 0644);
    make_file("outside", 0644);
    make_link("work/in", "sub/f");
    make_link("work/out", "../outside");
    make_link("work/absolute", at("work/sub/f"));
    make_link("work/fd", "/proc/self/fd/0");
    assert_int_equal(mkfifo(at("work/fifo"), 0600), 0);

    check_opens(beneath("sub/f"));
    check_opens(beneath("./sub/../sub/f"));
    check_opens(beneath("-f"));
    check_opens(beneath("in"));
    check_opens(beneath("."));
    check_opens(beneath("fifo")); /* O_PATH: does not wait for anybody */
    check_opens(beneath(at("work/sub/f")));
    check_opens(beneath(at("work//sub/f")));
    check_opens(beneath(at("work")));
    check_opens(beneath(at("work/")));

    check_fails(beneath("out"), EXDEV, "out: leads out of B/work");
    check_fails(beneath("../outside"), EXDEV, "../outside: leads out of B/work");
    check_fails(beneath("absolute"), EXDEV, "absolute: leads out of B/work");
    check_fails(beneath("sub/../../work/sub/f"), EXDEV,
                "sub/../../work/sub/f: leads out of B/work");
    check_fails(beneath(at("outside")), EXDEV, "B/outside: is not beneath B/work");
    check_fails(beneath(at("workshop")), EXDEV, "B/workshop: is not beneath B/work");
    check_fails(beneath("none"), ENOENT, "none: No such file or directory");
    check_fails(beneath(""), ENOENT, ": No such file or directory");
    assert_int_equal(beneath("fd"), -1);

    /* A base of "/" is above everything absolute. */
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *name = at("work/sub/f");
    check_opens(path_open_beneath(root, "/", name, strlen(name), &failure));
    close(root);
    char big[PATH_MAX];
    memset(big, 'x', sizeof big);
    assert_int_equal(path_open_beneath(0, "/", big, sizeof big, &failure), -1);
    assert_int_equal(failure.error, ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_makes_the_directories_and_the_file),
        TEST(test_refuses_what_is_no_regular_file_without_blocking),
        TEST(test_refuses_files_that_others_could_write_or_rename),
        TEST(test_refuses_names_that_are_no_files),
        TEST(test_a_directory_that_everybody_can_write_ends_the_walk),
        TEST(test_so_does_an_ordinary_directory_that_its_group_can_write),
        TEST(test_root_may_let_a_group_write_its_own),
        TEST(test_another_users_directory_ends_the_walk),
        TEST(test_another_users_file_is_refused),
        TEST(test_our_own_symlinks_count),
        TEST(test_what_a_symlink_leads_through_is_checked_too),
        TEST(test_another_users_symlink_does_not_count),
        TEST(test_symlinks_are_counted),
        TEST(test_long_paths_are_refused_not_cut),
        TEST(test_failures_name_the_component),
        TEST(test_no_descriptor_is_left),
        TEST(test_shortage_of_descriptors_is_an_error),
        TEST(test_a_private_directory_admits_nobody_else),
        TEST(test_a_callers_directory_has_no_symlink_on_the_way),
        TEST(test_files_that_callers_name_stay_beneath),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
