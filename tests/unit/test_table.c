/* compiler/base/table and compiler/base/suggest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"
#include "compiler/base/table.h"

static void test_table_empty(void **state)
{
    (void)state;
    struct table table = {0};
    assert_null(table_find(&table, "a", 1));
    assert_null(table_find(&table, "", 0));
}

/* Keys are bytes, with their length: one that is the start of another is another. */
static void test_table_keys_are_bytes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct table table = {0};
    int values[4];
    table_add(arena, &table, "ab", 2, &values[0]);
    table_add(arena, &table, "a\0b", 3, &values[1]);
    table_add(arena, &table, "", 0, &values[2]);
    assert_ptr_equal(table_find(&table, "ab", 2), &values[0]);
    assert_ptr_equal(table_find(&table, "a\0b", 3), &values[1]);
    assert_ptr_equal(table_find(&table, "x", 0), &values[2]);
    assert_null(table_find(&table, "a", 1));
    assert_null(table_find(&table, "a\0c", 3));
    arena_free(arena);
}

static void test_table_many(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct arena *arena = arena_new(0);
    struct table table = {0};
    static int values[COUNT];
    for (int i = 0; i < COUNT; i++) {
        const char *key = arena_format(arena, "key%d", i);
        table_add(arena, &table, key, strlen(key), &values[i]);
    }
    assert_int_equal(table.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char key[16];
        int length = snprintf(key, sizeof key, "key%d", i);
        assert_ptr_equal(table_find(&table, key, (size_t)length), &values[i]);
    }
    assert_null(table_find(&table, "key5000", 7));
    arena_free(arena);
}

static void check_distance(const char *a, const char *b, size_t distance)
{
    assert_int_equal(suggest_distance(a, strlen(a), b, strlen(b)), distance);
    assert_int_equal(suggest_distance(b, strlen(b), a, strlen(a)), distance);
}

static void test_distances(void **state)
{
    (void)state;
    check_distance("", "", 0);
    check_distance("", "abc", 3);
    check_distance("kitten", "sitting", 3);
    check_distance("timeout", "timeout", 0);
    check_distance("timeuot", "timeout", 1); /* neighbours exchanged */
    check_distance("timout", "timeout", 1);
    check_distance("tmeoutt", "timeout", 2);
    check_distance("ca", "abc", 3); /* restricted: no letter is changed twice */
}

static const char *nearest(const char *word)
{
    static const char *const names[] = {"timeout", "cwd", "env", "log", "logfile", "nice"};
    struct suggestion search = {.word = word, .length = strlen(word)};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        suggest_offer(&search, names[i]);
    return search.nearest;
}

static void test_suggestions(void **state)
{
    (void)state;
    char longer[SUGGEST_LENGTH_MAX + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_string_equal(nearest("timout"), "timeout");
    assert_string_equal(nearest("logfiel"), "logfile");
    assert_string_equal(nearest("enb"), "env");
    assert_string_equal(nearest("lgo"), "log");
    assert_null(nearest("quite_other"));
    assert_null(nearest("x"));
    assert_null(nearest(""));
    assert_null(nearest(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_empty),  cmocka_unit_test(test_table_keys_are_bytes),
        cmocka_unit_test(test_table_many),   cmocka_unit_test(test_distances),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
