/* The arena: alignment, zeroed memory, growth, and its one way of ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "compiler/base/arena.h"

static void gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    /* Sizes around a block's quarter and its whole, so that both kinds of block are used. */
    static const size_t sizes[] = {0, 1, 7, 16, 4096, 16383, 16384, 16385, 65536, 1 << 20};
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *memory = arena_alloc(arena, sizes[i]);
            assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
            for (size_t byte = 0; byte < sizes[i]; byte++)
                assert_int_equal(memory[byte], 0);
            memset(memory, 0xa5, sizes[i]); /* dirty: nobody else may see it */
        }
    }
    arena_free(arena);
}

static void keeps_allocations_apart(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    enum { COUNT = 5000 };
    static unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(arena, i % 97 + 1);
        memset(blocks[i], (int)(i % 251), i % 97 + 1);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t byte = 0; byte < i % 97 + 1; byte++)
            assert_int_equal(blocks[i][byte], i % 251);
    arena_free(arena);
}

static void copies_and_formats(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    char *copy = arena_copy(arena, "ab\0cd", 5);
    assert_memory_equal(copy, "ab\0cd\0", 6);
    assert_string_equal(arena_copy(arena, NULL, 0), "");
    assert_string_equal(arena_format(arena, "%s-%d", "x", 42), "x-42");
    char *wide = arena_format(arena, "%100000d", 7);
    assert_int_equal(strlen(wide), 100000);
    assert_true(arena_used(arena) >= 100000);
    arena_free(arena);
    arena_free(NULL);
}

static void grows_arrays(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        arena_grow(arena, &items, &capacity, i + 1, sizeof *items);
        assert_true(capacity > i);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(items[i], i);
    arena_free(arena);
}

/* Runs `action` in a child with standard error into a pipe; returns its exit status and what it
 * said. */
static int run_in_child(void (*action)(void), char *said, size_t room)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        action();
        _exit(99);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], said + length, room - 1 - length)) > 0;)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Reachable to the end of the child: what it leaves behind is no leak to a leak checker. */
static struct arena *kept;

static void exceed_budget(void)
{
    kept = arena_new(1 << 20);
    for (;;)
        arena_alloc(kept, 1000);
}

static void exceed_budget_at_once(void)
{
    kept = arena_new(1 << 20);
    arena_alloc(kept, 2 << 20);
}

static void overflow_product(void)
{
    kept = arena_new(0);
    arena_array(kept, SIZE_MAX / 2, 3);
}

static void overflow_resize(void)
{
    memory_resize(NULL, SIZE_MAX / 2, 3);
}

static void overflow_size(void)
{
    kept = arena_new(0);
    arena_alloc(kept, SIZE_MAX - 3);
}

static void ends_in_one_place(void **state)
{
    (void)state;
    static const char budget[] =
        "sluicec: out of memory: the rules need more than the compiler's stated limit\n";
    static const struct {
        void (*action)(void);
        const char *said;
    } cases[] = {
        {exceed_budget, budget},
        {exceed_budget_at_once, budget},
        {overflow_product, "sluicec: out of memory\n"},
        {overflow_resize, "sluicec: out of memory\n"},
        {overflow_size, "sluicec: out of memory\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char said[256];
        assert_int_equal(run_in_child(cases[i].action, said, sizeof said), 2);
        assert_string_equal(said, cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory), cmocka_unit_test(keeps_allocations_apart),
        cmocka_unit_test(copies_and_formats),          cmocka_unit_test(grows_arrays),
        cmocka_unit_test(ends_in_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
