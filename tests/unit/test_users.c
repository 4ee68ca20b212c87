/* Users found in a passwd file, however it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/users.h"

static char path[] = "/tmp/sluice-passwd-XXXXXX";
static struct failure failure;

static void file_write(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void users_are_found_anywhere(void **state)
{
    uint32_t uid;

    (void)state;
    file_write("root:x:0:0::/root:/bin/sh\nci:x:1500:1500:,,,:/home/ci:/bin/sh\nlast:x:7:7::/:/x");
    assert_int_equal(user_find(path, "root", &uid, &failure), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(user_find(path, "ci", &uid, &failure), 0);
    assert_int_equal(uid, 1500);
    assert_int_equal(user_find(path, "last", &uid, &failure), 0);
    assert_int_equal(uid, 7);
}

static void a_name_is_not_found_by_its_beginning_or_elsewhere(void **state)
{
    uint32_t uid;

    (void)state;
    file_write("cicd:x:1:1::/:/x\nx:ci:2:2:ci:/ci:/ci\n#ci:x:3:3::/:/x\n");
    assert_int_equal(user_find(path, "ci", &uid, &failure), -1);
    assert_non_null(strstr(failure.text, "no user ci"));
}

static void broken_numbers_are_not_taken(void **state)
{
    static const char *const lines[] = {"u:x::1::/:/x\n", "u:x:-1:1::/:/x\n", "u:x:1a:1::/:/x\n",
                                        "u:x:4294967295:1::/:/x\n", "u:x:99999999999999999999:1:\n",
                                        "u:x:12", "u:x", "u:"};
    uint32_t uid;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        file_write(lines[i]);
        assert_int_equal(user_find(path, "u", &uid, &failure), -1);
    }
}

static void long_lines_are_passed_over(void **state)
{
    char *text = malloc(20000);
    uint32_t uid;

    (void)state;
    memset(text, 'y', 10000);
    strcpy(text + 10000, "\nu:x:5:5::/:/x\n");
    memcpy(text, "v:x:6:6:", 8);
    file_write(text);
    assert_int_equal(user_find(path, "u", &uid, &failure), 0);
    assert_int_equal(uid, 5);
    free(text);
}

static void a_missing_file_is_said(void **state)
{
    uint32_t uid;

    (void)state;
    assert_int_equal(user_find("/nonexistent/passwd", "u", &uid, &failure), -1);
    assert_non_null(strstr(failure.text, "/nonexistent/passwd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_anywhere),
        cmocka_unit_test(a_name_is_not_found_by_its_beginning_or_elsewhere),
        cmocka_unit_test(broken_numbers_are_not_taken),
        cmocka_unit_test(long_lines_are_passed_over),
        cmocka_unit_test(a_missing_file_is_said),
    };

    return cmocka_run_group_tests_name("users", tests, set_up, tear_down);
}
