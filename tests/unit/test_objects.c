/* Which grants another grant makes superfluous. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/worker/objects.h"

static void add(struct setup_objects *objects, const char *path, uint64_t rights)
{
    assert_int_equal(objects_add(objects, path, rights), 0);
}

static void expect(const struct setup_objects *objects, const char *paths)
{
    char found[256] = "";
    for (size_t i = 0; i < objects->count; i++) {
        strcat(found, objects->all[i].path);
        strcat(found, " ");
    }
    assert_string_equal(found, paths);
}

static void test_what_lies_in_a_grant_with_all_its_rights_goes(void **state)
{
    struct setup_objects objects = {0};
    (void)state;
    add(&objects, "/usr/bin", FS_EXECUTE);
    add(&objects, "/usr", FS_EXECUTE | FS_READ_FILE);
    add(&objects, "/usr/lib", FS_READ_FILE);
    add(&objects, "/etc", FS_READ_FILE);
    assert_int_equal(objects_drop_held(&objects, &objects), 0);
    expect(&objects, "/usr /etc ");
    objects_release(&objects);
}

static void test_what_has_a_right_of_its_own_stays(void **state)
{
    struct setup_objects objects = {0};
    (void)state;
    add(&objects, "/usr", FS_READ_FILE);
    add(&objects, "/usr/bin", FS_READ_FILE | FS_EXECUTE);
    add(&objects, "/dev/null", FS_WRITE_FILE);
    assert_int_equal(objects_drop_held(&objects, &objects), 0);
    expect(&objects, "/usr /usr/bin /dev/null ");
    objects_release(&objects);
}

static void test_rights_of_several_holders_add_up(void **state)
{
    struct setup_objects objects = {0};
    (void)state;
    add(&objects, "/", FS_EXECUTE);
    add(&objects, "/usr", FS_READ_FILE);
    add(&objects, "/usr/bin", FS_READ_FILE | FS_EXECUTE);
    assert_int_equal(objects_drop_held(&objects, &objects), 0);
    expect(&objects, "/ /usr ");
    objects_release(&objects);
}

static void test_of_two_that_are_the_same_one_stays(void **state)
{
    struct setup_objects objects = {0};
    (void)state;
    add(&objects, "/usr", FS_READ_FILE);
    add(&objects, "/usr/../usr", FS_READ_FILE);
    add(&objects, "/usr/.", FS_READ_FILE | FS_EXECUTE);
    assert_int_equal(objects_drop_held(&objects, &objects), 0);
    expect(&objects, "/usr /usr/. ");
    objects_release(&objects);
}

static void test_a_name_that_only_begins_alike_stays(void **state)
{
    char folder[] = "/tmp/sluice-objects-XXXXXX", longer[64];
    struct setup_objects objects = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    strcat(strcpy(longer, folder), "er");
    assert_int_equal(mkdir(longer, 0700), 0);
    add(&objects, folder, FS_READ_FILE);
    add(&objects, longer, FS_READ_FILE);
    assert_int_equal(objects_drop_held(&objects, &objects), 0);
    assert_int_equal(objects.count, 2);
    objects_release(&objects);
    rmdir(longer);
    rmdir(folder);
}

static void test_another_list_may_hold(void **state)
{
    struct setup_objects objects = {0}, holders = {0};
    (void)state;
    add(&holders, "/usr", FS_READ_FILE);
    add(&objects, "/usr", FS_READ_FILE); /* the same, and in no list before it: it counts */
    add(&objects, "/usr/lib", FS_READ_FILE);
    add(&objects, "/etc", FS_READ_FILE);
    assert_int_equal(objects_drop_held(&objects, &holders), 0);
    expect(&objects, "/etc ");
    assert_int_equal(holders.count, 1);
    objects_release(&objects);
    objects_release(&holders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lies_in_a_grant_with_all_its_rights_goes),
        cmocka_unit_test(test_what_has_a_right_of_its_own_stays),
        cmocka_unit_test(test_rights_of_several_holders_add_up),
        cmocka_unit_test(test_of_two_that_are_the_same_one_stays),
        cmocka_unit_test(test_a_name_that_only_begins_alike_stays),
        cmocka_unit_test(test_another_list_may_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
