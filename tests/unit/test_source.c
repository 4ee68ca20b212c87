/* Sources: UTF-8, lines, columns, and reading files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/source.h"
#include "compiler/base/utf8.h"

/* The reference: RFC 3629's syntax of UTF-8, written out as it stands there. */
static size_t reference_length(const unsigned char *b, size_t n)
{
#define TAIL(i) (n > (i) && b[i] >= 0x80 && b[i] <= 0xbf)
#define IN(i, low, high) (n > (i) && b[i] >= (low) && b[i] <= (high))
    if (b[0] <= 0x7f)
        return 1;
    if (IN(0, 0xc2, 0xdf) && TAIL(1))
        return 2;
    if ((b[0] == 0xe0 && IN(1, 0xa0, 0xbf) && TAIL(2)) ||
        (IN(0, 0xe1, 0xec) && TAIL(1) && TAIL(2)) ||
        (b[0] == 0xed && IN(1, 0x80, 0x9f) && TAIL(2)) ||
        (IN(0, 0xee, 0xef) && TAIL(1) && TAIL(2)))
        return 3;
    if ((b[0] == 0xf0 && IN(1, 0x90, 0xbf) && TAIL(2) && TAIL(3)) ||
        (IN(0, 0xf1, 0xf3) && TAIL(1) && TAIL(2) && TAIL(3)) ||
        (b[0] == 0xf4 && IN(1, 0x80, 0x8f) && TAIL(2) && TAIL(3)))
        return 4;
    return 0;
#undef TAIL
#undef IN
}

static void decodes_as_rfc_3629_says(void **state)
{
    (void)state;
    /* Every first and second byte, with third and fourth bytes at the bounds of what may follow,
     * and every length of what there is. */
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof edges; third++)
                for (size_t fourth = 0; fourth < sizeof edges; fourth++)
                    for (size_t length = 1; length <= 4; length++) {
                        unsigned char bytes[] = {(unsigned char)first, (unsigned char)second,
                                                 edges[third], edges[fourth]};
                        uint32_t scalar;
                        size_t got = utf8_decode((const char *)bytes, length, &scalar);
                        size_t expected = reference_length(bytes, length);
                        assert_int_equal(got, expected ? expected : 1);
                        assert_int_equal(scalar == UTF8_INVALID, expected == 0);
                    }
    uint32_t scalar;
    assert_int_equal(utf8_decode("\xf4\x8f\xbf\xbf", 4, &scalar), 4);
    assert_int_equal(scalar, 0x10ffff);
    assert_int_equal(utf8_decode("\xe2\x82\xac", 3, &scalar), 3);
    assert_int_equal(scalar, 0x20ac);
    assert_int_equal(utf8_decode("\xc3\xa9", 2, &scalar), 2);
    assert_int_equal(scalar, 0xe9);
}

static void knows_what_can_be_shown(void **state)
{
    (void)state;
    static const uint32_t hidden[] = {0,      7,      0x1b,   0x7f,   0x9b,    0xad,
                                      0x200b, 0x200e, 0x2028, 0x202e, 0x2066,  0xfeff,
                                      0xe0041, UTF8_INVALID, 0x110000};
    static const uint32_t visible[] = {' ', 'a', 0xa0, 0xe9, 0x20ac, 0x4e2d, 0x1f600, 0xfffd};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_false(utf8_is_visible(hidden[i]));
    for (size_t i = 0; i < sizeof visible / sizeof *visible; i++)
        assert_true(utf8_is_visible(visible[i]));
    assert_int_equal(utf8_width('a'), 1);
    assert_int_equal(utf8_width(0xe9), 1);
    assert_int_equal(utf8_width(0x301), 0);
    assert_int_equal(utf8_width(0x4e2d), 2);
    assert_int_equal(utf8_width(0x1f600), 2);
}

static struct source *source_of(struct arena *arena, const char *text)
{
    return source_from_text(arena, "test.rules", text, strlen(text));
}

static void finds_lines_and_columns(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct source *source = source_of(arena, "ab\n\n\tc\xc3\xa9" "d\r\nx");
    assert_int_equal(source->line_count, 4);
    static const struct {
        uint32_t offset, line, column;
    } cases[] = {
        {0, 1, 1}, {1, 1, 2}, {2, 1, 3},             /* the line end is the line's own */
        {3, 2, 1},                                   /* an empty line */
        {4, 3, 1}, {5, 3, 2}, {6, 3, 3}, {8, 3, 4},  /* a tab is one column; so is U+00E9 */
        {7, 3, 3},                                   /* inside U+00E9: still its column */
        {9, 3, 5}, {10, 3, 6}, {11, 4, 1}, {12, 4, 2},
        {99, 4, 2},                                  /* past the end: the end */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(source_line(source, cases[i].offset), cases[i].line);
        assert_int_equal(source_column(source, cases[i].offset), cases[i].column);
    }
    static const struct span lines[] = {{0, 2}, {3, 3}, {4, 9}, {11, 12}};
    for (uint32_t line = 1; line <= 4; line++) {
        struct span span = source_line_span(source, line);
        assert_int_equal(span.begin, lines[line - 1].begin);
        assert_int_equal(span.end, lines[line - 1].end);
    }
    arena_free(arena);
}

static void knows_empty_and_final_lines(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct source *empty = source_of(arena, "");
    assert_int_equal(empty->line_count, 1);
    assert_int_equal(source_line(empty, 0), 1);
    assert_int_equal(source_column(empty, 0), 1);
    struct source *ended = source_of(arena, "a\n");
    assert_int_equal(ended->line_count, 2);
    assert_int_equal(source_line(ended, 2), 2);
    assert_int_equal(source_line_span(ended, 2).begin, 2);
    assert_int_equal(source_line_span(ended, 2).end, 2);
    arena_free(arena);
}

static void counts_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct source *source = source_of(arena, "\xff\xc3" "a");
    assert_int_equal(source_column(source, 1), 2);
    assert_int_equal(source_column(source, 2), 3);
    assert_int_equal(source_column(source, 3), 4);
    arena_free(arena);
}

static void copies_the_text(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    char text[] = "a\0b", name[] = "n";
    struct source *source = source_from_text(arena, name, text, 3);
    memset(text, 'x', 3);
    name[0] = 'x';
    assert_string_equal(source->name, "n");
    assert_int_equal(source->length, 3);
    assert_memory_equal(source->text, "a\0b\0", 4);
    arena_free(arena);
}

static void write_file(char *path, size_t length)
{
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    for (size_t i = 0; i < length; i++)
        putc('a' + (int)(i % 26), file);
    assert_int_equal(fclose(file), 0);
}

static void reads_files(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    /* Lengths around the size of the first read, and none. */
    static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char path[] = "/tmp/sluice-source-XXXXXX";
        write_file(path, lengths[i]);
        struct source *source = source_from_file(arena, path);
        unlink(path);
        assert_non_null(source);
        assert_string_equal(source->name, path);
        assert_int_equal(source->length, lengths[i]);
        for (uint32_t at = 0; at < source->length; at++)
            assert_int_equal(source->text[at], 'a' + (int)(at % 26));
        assert_int_equal(source->text[source->length], 0);
    }
    arena_free(arena);
}

static void tells_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    errno = 0;
    assert_null(source_from_file(arena, "/nonexistent/rules"));
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_null(source_from_file(arena, "/"));
    assert_int_equal(errno, EISDIR);
    char path[] = "/tmp/sluice-source-XXXXXX";
    write_file(path, 1);
    assert_int_equal(truncate(path, (off_t)SOURCE_LENGTH_MAX + 1), 0);
    errno = 0;
    assert_null(source_from_file(arena, path));
    assert_int_equal(errno, EFBIG);
    assert_int_equal(truncate(path, (off_t)SOURCE_LENGTH_MAX), 0);
    struct source *source = source_from_file(arena, path);
    assert_non_null(source);
    assert_int_equal(source->length, SOURCE_LENGTH_MAX);
    unlink(path);
    arena_free(arena);
}

static void reads_standard_input(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "git\n", 4), 4);
    close(ends[1]);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    struct source *source = source_from_file(arena, "-");
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    assert_non_null(source);
    assert_string_equal(source->name, "<stdin>");
    assert_string_equal(source->text, "git\n");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_as_rfc_3629_says),
        cmocka_unit_test(knows_what_can_be_shown),
        cmocka_unit_test(finds_lines_and_columns),
        cmocka_unit_test(knows_empty_and_final_lines),
        cmocka_unit_test(counts_bytes_that_are_not_utf8),
        cmocka_unit_test(copies_the_text),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(tells_why_a_file_cannot_be_read),
        cmocka_unit_test(reads_standard_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
