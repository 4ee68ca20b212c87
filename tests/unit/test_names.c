/* Names made from words, and text inside comments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/names.h"

static void assert_comment(const char *text, const char *expected)
{
    struct buffer out = {0};
    comment_text(&out, text, strlen(text));
    assert_string_equal(buffer_text(&out), expected);
    buffer_free(&out);
}

static void words_become_one_name(void **state)
{
    (void)state;
    struct buffer name = {0};
    name_add_word(&name, "git", 3);
    name_add_word(&name, "--no-pager", 10);
    name_add_word(&name, "", 0);
    name_add_word(&name, "***", 3);
    name_add_word(&name, "a=b/c", 5);
    assert_string_equal(buffer_text(&name), "git_no_pager_a_b_c");
    buffer_free(&name);
}

static void a_name_has_a_longest_length(void **state)
{
    (void)state;
    struct buffer name = {0};
    for (int i = 0; i < 100; i++)
        name_add_word(&name, "word", 4);
    assert_true(name.length <= NAME_LENGTH_MAX);
    assert_memory_equal(name.text, "word_word_", 10);
    buffer_free(&name);
}

static void a_hash_depends_on_the_bytes_alone(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    /* The first eight digits of SHA-256("abc"). */
    assert_string_equal(name_hash(arena, "abc", 3), "ba7816bf");
    assert_string_not_equal(name_hash(arena, "abd", 3), "ba7816bf");
    arena_free(arena);
}

static void plain_text_stands_as_it_is(void **state)
{
    (void)state;
    assert_comment("git push origin #branch", "git push origin #branch");
    assert_comment("[a-z][a-z0-9-]{0,40}", "[a-z][a-z0-9-]{0,40}");
    assert_comment("caf\u00e9 \u6f22", "caf\u00e9 \u6f22");
    assert_comment("a/b * c ? d", "a/b * c ? d");
}

static void no_text_ends_or_begins_a_comment(void **state)
{
    (void)state;
    assert_comment(".*/x", ".*\\x{2f}x");
    assert_comment("x/*y", "x\\x{2f}*y");
    assert_comment("*/*", "*\\x{2f}*");
    assert_comment("/*!re2c */", "\\x{2f}*!re2c *\\x{2f}");
    assert_comment("/**/", "\\x{2f}**\\x{2f}");
}

static void no_text_makes_a_trigraph(void **state)
{
    (void)state;
    assert_comment("a?\?/b", "a?\\x{3f}/b");
    assert_comment("???", "?\\x{3f}\\x{3f}");
}

static void what_cannot_be_seen_is_written_out(void **state)
{
    (void)state;
    assert_comment("a\nb\tc\r", "a\\x{0a}b\\x{09}c\\x{0d}");
    assert_comment("a\u202eb", "a\\x{202e}b");          /* right-to-left override */
    assert_comment("a\u200bb", "a\\x{200b}b");          /* zero-width space */
    assert_comment("a\xff" "b\xc3", "a\\x{ff}b\\x{c3}"); /* not UTF-8 */
}

static void long_text_is_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text);
    struct buffer out = {0};
    comment_text(&out, text, sizeof text);
    assert_int_equal(out.length, COMMENT_TEXT_MAX + 3);
    assert_string_equal(out.text + COMMENT_TEXT_MAX, "...");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_one_name),
        cmocka_unit_test(a_name_has_a_longest_length),
        cmocka_unit_test(a_hash_depends_on_the_bytes_alone),
        cmocka_unit_test(plain_text_stands_as_it_is),
        cmocka_unit_test(no_text_ends_or_begins_a_comment),
        cmocka_unit_test(no_text_makes_a_trigraph),
        cmocka_unit_test(what_cannot_be_seen_is_written_out),
        cmocka_unit_test(long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
