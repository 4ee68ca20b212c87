/* Diagnostics, by their exact bytes: text with its excerpts, JSON, order, counting, switches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/diagnostic.h"
#include "compiler/base/excerpt.h"

struct fixture {
    struct arena *arena;
    struct diagnostics *all;
};

static struct fixture start_bytes(const char *name, const char *text, size_t length)
{
    struct fixture fixture = {.arena = arena_new(0)};
    struct source *source = source_from_text(fixture.arena, name, text, length);
    fixture.all = diagnostics_new(fixture.arena, source);
    return fixture;
}

static struct fixture start(const char *text)
{
    return start_bytes("agent.rules", text, strlen(text));
}

static struct span at(uint32_t begin, uint32_t end)
{
    return (struct span){begin, end};
}

/* What is printed must be `expected`, byte by byte. */
static void prints(struct fixture *fixture, enum diagnostic_format format, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    diagnostics_print(fixture->all, out, format);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void prints_and_ends(struct fixture *fixture, const char *expected)
{
    prints(fixture, DIAGNOSTIC_TEXT, expected);
    arena_free(fixture->arena);
}

static void prints_as_the_header_says(void **state)
{
    (void)state;
    struct fixture f = start("a\nb\n\ngit push #branch\n");
    struct diagnostic *error =
        diagnostic_error(f.all, at(14, 21), "slot #%s has no pattern", "branch");
    diagnostic_note(f.all, error, SPAN_NONE,
                    "add a line `branch = PATTERN`, or list it in allow_any");
    assert_int_equal(diagnostics_errors(f.all), 1);
    prints_and_ends(&f, "agent.rules:4:10: error: slot #branch has no pattern\n"
                        "    4 | git push #branch\n"
                        "      |          ^~~~~~~\n"
                        "agent.rules:4:10: note: add a line `branch = PATTERN`, or list it in "
                        "allow_any\n");
}

static void shows_a_note_at_its_own_place(void **state)
{
    (void)state;
    struct fixture f = start("git\n timeout = 1\n timeout = 2\n");
    struct diagnostic *error = diagnostic_error(f.all, at(18, 25), "timeout is set twice");
    diagnostic_note(f.all, error, at(5, 12), "it was set here");
    diagnostic_note(f.all, error, SPAN_NONE, "remove one of them");
    prints_and_ends(&f, "agent.rules:3:2: error: timeout is set twice\n"
                        "    3 |  timeout = 2\n"
                        "      |  ^~~~~~~\n"
                        "agent.rules:2:2: note: it was set here\n"
                        "    2 |  timeout = 1\n"
                        "      |  ^~~~~~~\n"
                        "agent.rules:3:2: note: remove one of them\n");
}

static void lines_up_after_tabs(void **state)
{
    (void)state;
    struct fixture f = start("\tlog\t= full\n");
    diagnostic_error(f.all, at(5, 6), "before the value");
    diagnostic_error(f.all, at(1, 6), "over a tab");
    diagnostic_error(f.all, at(0, 1), "the tab itself");
    diagnostic_error(f.all, at(0, 4), "from the tab on");
    prints_and_ends(&f, "agent.rules:1:1: error: the tab itself\n"
                        "    1 | \tlog\t= full\n"
                        "      | ^\n"
                        "agent.rules:1:1: error: from the tab on\n"
                        "    1 | \tlog\t= full\n"
                        "      | ^\t~~~\n"
                        "agent.rules:1:2: error: over a tab\n"
                        "    1 | \tlog\t= full\n"
                        "      | \t^~~\t~\n"
                        "agent.rules:1:6: error: before the value\n"
                        "    1 | \tlog\t= full\n"
                        "      | \t   \t^\n");
}

static void counts_and_aligns_wide_characters(void **state)
{
    (void)state;
    /* U+00E9 is one column of a terminal, U+4E2D two, U+0301 none. */
    struct fixture f = start("\xc3\xa9\xe4\xb8\xad" "e\xcc\x81 xy\n");
    diagnostic_error(f.all, at(9, 11), "after them");
    diagnostic_error(f.all, at(2, 6), "wide");
    prints_and_ends(&f, "agent.rules:1:2: error: wide\n"
                        "    1 | \xc3\xa9\xe4\xb8\xad" "e\xcc\x81 xy\n"
                        "      |  ^~~\n"
                        "agent.rules:1:6: error: after them\n"
                        "    1 | \xc3\xa9\xe4\xb8\xad" "e\xcc\x81 xy\n"
                        "      |      ^~\n");
}

static void never_drives_a_terminal(void **state)
{
    (void)state;
    static const char text[] = "a\x1b[2J\xff\xc2\x9b\xe2\x80\xae\0z\n";
    struct fixture f = start_bytes("bad\x1b[0m.rules", text, sizeof text - 1);
    diagnostic_error(f.all, at(1, 2), "what %s is", "\x1b]0;title\a");
    diagnostic_error(f.all, at(12, 13), "z");
    prints_and_ends(&f,
                    "bad\\x1b[0m.rules:1:2: error: what \\x1b]0;title\\x07 is\n"
                    "    1 | a\\x1b[2J\\xff\\u{9b}\\u{202e}\\x00z\n"
                    "      |  ^~~~\n"
                    "bad\\x1b[0m.rules:1:10: error: z\n"
                    "    1 | a\\x1b[2J\\xff\\u{9b}\\u{202e}\\x00z\n"
                    "      |                               ^\n");
}

static void points_at_ends(void **state)
{
    (void)state;
    struct fixture f = start("ab\r\n\ncd");
    diagnostic_error(f.all, at(2, 2), "the end of a line");
    diagnostic_error(f.all, at(4, 4), "an empty line");
    diagnostic_error(f.all, at(7, 7), "the end of the text");
    diagnostic_error(f.all, at(1, 6), "over several lines");
    prints_and_ends(&f, "agent.rules:1:2: error: over several lines\n"
                        "    1 | ab\n"
                        "      |  ^\n"
                        "agent.rules:1:3: error: the end of a line\n"
                        "    1 | ab\n"
                        "      |   ^\n"
                        "agent.rules:2:1: error: an empty line\n"
                        "    2 | \n"
                        "      | ^\n"
                        "agent.rules:3:3: error: the end of the text\n"
                        "    3 | cd\n"
                        "      |   ^\n");
}

/* A line of `before` times a character, then X, then `after` times b, with the error at X. */
static void cut_line(const char *character, unsigned before, unsigned after, unsigned shown_before,
                     bool cut_before, unsigned shown_after, bool cut_after)
{
    uint32_t place = (uint32_t)strlen(character) * before;
    struct buffer line = {0}, expected = {0};
    for (unsigned i = 0; i < before; i++)
        buffer_puts(&line, character);
    buffer_char(&line, 'X');
    for (unsigned i = 0; i < after; i++)
        buffer_char(&line, 'b');
    struct fixture f = start(buffer_text(&line));
    diagnostic_error(f.all, at(place, place + 1), "here");
    buffer_format(&expected, "agent.rules:1:%u: error: here\n    1 | %s", before + 1,
                  cut_before ? "..." : "");
    for (unsigned i = 0; i < shown_before; i++)
        buffer_puts(&expected, character);
    buffer_char(&expected, 'X');
    for (unsigned i = 0; i < shown_after; i++)
        buffer_char(&expected, 'b');
    buffer_format(&expected, "%s\n      | %*s^\n", cut_after ? "..." : "",
                  (int)(shown_before + (cut_before ? 3 : 0)), "");
    prints_and_ends(&f, buffer_text(&expected));
    buffer_free(&line);
    buffer_free(&expected);
}

static void cuts_long_lines(void **state)
{
    (void)state;
    enum { WIDTH = EXCERPT_WIDTH_MAX, BEFORE = EXCERPT_BEFORE_MAX };
    /* Characters of one column and 1 to 4 bytes: U+0061, U+00E9, U+20AC, U+10300. */
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x90\x8c\x80"};
    for (size_t i = 0; i < 4; i++) {
        const char *one = characters[i];
        cut_line(one, 0, WIDTH - 1, 0, false, WIDTH - 1, false);
        cut_line(one, 0, WIDTH, 0, false, WIDTH - 1, true);
        cut_line(one, WIDTH - 1, 0, WIDTH - 1, false, 0, false);
        cut_line(one, WIDTH, 0, BEFORE, true, 0, false);
        cut_line(one, BEFORE, 100000, BEFORE, false, WIDTH - BEFORE - 1, true);
        cut_line(one, 200000, 200000, BEFORE, true, WIDTH - BEFORE - 1, true);
    }
}

static void sorts_by_place(void **state)
{
    (void)state;
    struct fixture f = start("abc\n");
    diagnostic_error(f.all, SPAN_NONE, "no place");
    diagnostic_error(f.all, at(2, 3), "third");
    diagnostic_warning(f.all, "shadowed", at(1, 2), "second");
    diagnostic_error(f.all, at(1, 2), "second, later");
    diagnostic_warning(f.all, "overlap", at(0, 1), "first");
    assert_int_equal(diagnostics_errors(f.all), 3);
    assert_int_equal(diagnostics_warnings(f.all), 2);
    prints_and_ends(&f, "agent.rules:1:1: warning: first [-Woverlap]\n"
                        "    1 | abc\n"
                        "      | ^\n"
                        "agent.rules:1:2: warning: second [-Wshadowed]\n"
                        "    1 | abc\n"
                        "      |  ^\n"
                        "agent.rules:1:2: error: second, later\n"
                        "    1 | abc\n"
                        "      |  ^\n"
                        "agent.rules:1:3: error: third\n"
                        "    1 | abc\n"
                        "      |   ^\n"
                        "agent.rules: error: no place\n");
}

/* Errors are added from the last place to the first: those printed are the first of the file. */
static void shows_the_first_twenty(void **state)
{
    (void)state;
    char text[100];
    memset(text, 'x', sizeof text);
    struct fixture f = start_bytes("a", text, sizeof text);
    struct buffer expected = {0};
    for (uint32_t i = 50; i--;) {
        struct diagnostic *error = diagnostic_error(f.all, at(i, i + 1), "number %u", i);
        diagnostic_note(f.all, error, SPAN_NONE, "its note");
    }
    for (uint32_t i = 50; i < 90; i++) {
        struct diagnostic *error = diagnostic_error(f.all, at(i, i + 1), "number %u", i);
        diagnostic_note(f.all, error, SPAN_NONE, "nobody's");
    }
    assert_int_equal(diagnostics_errors(f.all), 90);
    for (uint32_t i = 0; i < 20; i++)
        buffer_format(&expected,
                      "a:1:%u: error: number %u\n    1 | %.100s\n      | %*s^\n"
                      "a:1:%u: note: its note\n",
                      i + 1, i, text, (int)i, "", i + 1);
    buffer_puts(&expected, "a: error: 70 more errors are not shown (the first 20 are)\n");
    prints_and_ends(&f, buffer_text(&expected));
    buffer_free(&expected);
}

static void forgets_what_it_printed(void **state)
{
    (void)state;
    struct fixture f = start("ab");
    for (int i = 0; i < 21; i++)
        diagnostic_error(f.all, SPAN_NONE, "e");
    diagnostic_warning(f.all, "shadowed", SPAN_NONE, "w");
    struct buffer expected = {0};
    for (int i = 0; i < 20; i++)
        buffer_puts(&expected, "agent.rules: error: e\n");
    buffer_puts(&expected, "agent.rules: warning: w [-Wshadowed]\n"
                           "agent.rules: error: 1 more error is not shown (the first 20 are)\n");
    prints(&f, DIAGNOSTIC_TEXT, buffer_text(&expected));
    buffer_free(&expected);
    prints(&f, DIAGNOSTIC_TEXT, "");
    assert_int_equal(diagnostics_errors(f.all), 21);
    diagnostic_error(f.all, SPAN_NONE, "again");
    prints_and_ends(&f, "agent.rules: error: again\n");
}

static void sorts_many_warnings(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    char text[COUNT];
    memset(text, '\n', COUNT);
    struct fixture f = start_bytes("a", text, COUNT);
    struct buffer expected = {0};
    for (uint32_t i = 0; i < COUNT; i++) /* 7 and COUNT have no common factor: each place once */
        diagnostic_warning(f.all, "shadowed", at(i * 7 % COUNT, i * 7 % COUNT), "w");
    for (uint32_t i = 0; i < COUNT; i++)
        buffer_format(&expected, "a:%u:1: warning: w [-Wshadowed]\n%5u | \n      | ^\n", i + 1,
                      i + 1);
    prints_and_ends(&f, buffer_text(&expected));
    buffer_free(&expected);
}

static void obeys_switches(void **state)
{
    (void)state;
    struct fixture f = start("");
    diagnostics_set_warning(f.all, "quiet", WARNING_OFF);
    diagnostics_set_warning(f.all, "loud", WARNING_ERROR);
    diagnostics_set_warning(f.all, "twice", WARNING_OFF);
    diagnostics_set_warning(f.all, "twice", WARNING_ON);
    struct diagnostic *hidden = diagnostic_warning(f.all, "quiet", SPAN_NONE, "not seen");
    assert_non_null(hidden);
    diagnostic_note(f.all, hidden, SPAN_NONE, "nor this");
    diagnostic_warning(f.all, "loud", SPAN_NONE, "an error");
    diagnostic_warning(f.all, "twice", SPAN_NONE, "on again");
    assert_int_equal(diagnostics_errors(f.all), 1);
    assert_int_equal(diagnostics_warnings(f.all), 1);
    diagnostics_set_strict(f.all, true);
    diagnostic_warning(f.all, "quiet", SPAN_NONE, "still not seen");
    diagnostic_warning(f.all, "other", SPAN_NONE, "strict");
    diagnostic_warning(f.all, "twice", SPAN_NONE, "strict too");
    assert_int_equal(diagnostics_errors(f.all), 3);
    prints_and_ends(&f, "agent.rules: error: an error [-Werror=loud]\n"
                        "agent.rules: warning: on again [-Wtwice]\n"
                        "agent.rules: error: strict [-Werror=other]\n"
                        "agent.rules: error: strict too [-Werror=twice]\n");
}

static void prints_json(void **state)
{
    (void)state;
    struct fixture f = start("a\n\xc3\xa9 \"b\"\n");
    struct diagnostic *error = diagnostic_error(f.all, at(5, 8), "a \"quote\" \\ \x1b");
    diagnostic_note(f.all, error, SPAN_NONE, "one");
    diagnostic_note(f.all, error, at(0, 2), "two");
    diagnostic_warning(f.all, "shadowed", at(0, 1), "w");
    diagnostic_error(f.all, SPAN_NONE, "no place");
    prints(&f, DIAGNOSTIC_JSON,
           "{\"file\":\"agent.rules\",\"line\":1,\"column\":1,\"end_line\":1,\"end_column\":2,"
           "\"severity\":\"warning\",\"message\":\"w\",\"name\":\"shadowed\",\"notes\":[]}\n"
           "{\"file\":\"agent.rules\",\"line\":2,\"column\":3,\"end_line\":2,\"end_column\":6,"
           "\"severity\":\"error\",\"message\":\"a \\\"quote\\\" \\\\ \\u001b\",\"name\":null,"
           "\"notes\":[{\"line\":null,\"column\":null,\"end_line\":null,\"end_column\":null,"
           "\"message\":\"one\"},{\"line\":1,\"column\":1,\"end_line\":2,\"end_column\":1,"
           "\"message\":\"two\"}]}\n"
           "{\"file\":\"agent.rules\",\"line\":null,\"column\":null,\"end_line\":null,"
           "\"end_column\":null,\"severity\":\"error\",\"message\":\"no place\",\"name\":null,"
           "\"notes\":[]}\n");
    for (int i = 0; i < 22; i++)
        diagnostic_error(f.all, SPAN_NONE, "e");
    struct buffer expected = {0};
    for (int i = 0; i < 21; i++)
        buffer_format(&expected,
                      "{\"file\":\"agent.rules\",\"line\":null,\"column\":null,\"end_line\":null,"
                      "\"end_column\":null,\"severity\":\"error\",\"message\":\"%s\","
                      "\"name\":null,\"notes\":[]}\n",
                      i < 20 ? "e" : "2 more errors are not shown (the first 20 are)");
    prints(&f, DIAGNOSTIC_JSON, buffer_text(&expected));
    buffer_free(&expected);
    arena_free(f.arena);
}

/* A place inside a character, or in what is not UTF-8, is printed and costs nothing worse. */
static void survives_every_place(void **state)
{
    (void)state;
    char text[256];
    for (int i = 0; i < 256; i++)
        text[i] = (char)i;
    for (uint32_t begin = 0; begin <= 256; begin++)
        for (uint32_t end = begin; end <= 256; end += 1 + end / 4) {
            struct fixture f = start_bytes("a", text, 256);
            diagnostic_error(f.all, at(begin, end), "e");
            char *out = NULL;
            size_t length = 0;
            FILE *file = open_memstream(&out, &length);
            assert_non_null(file);
            diagnostics_print(f.all, file, DIAGNOSTIC_TEXT);
            fclose(file);
            for (size_t i = 0; i < length; i++)
                assert_true(out[i] == '\n' || out[i] == '\t' || (unsigned char)out[i] >= 0x20);
            /* Three lines, the last of nothing but the caret and its range. */
            const char *under = strchr(strchr(out, '\n') + 1, '\n') + 1;
            assert_memory_equal(under, "      | ", 8);
            under += 8 + strspn(under + 8, " \t");
            assert_int_equal(*under, '^');
            under += 1 + strspn(under + 1, "~\t");
            assert_string_equal(under, "\n");
            free(out);
            arena_free(f.arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_the_header_says),
        cmocka_unit_test(shows_a_note_at_its_own_place),
        cmocka_unit_test(lines_up_after_tabs),
        cmocka_unit_test(counts_and_aligns_wide_characters),
        cmocka_unit_test(never_drives_a_terminal),
        cmocka_unit_test(points_at_ends),
        cmocka_unit_test(cuts_long_lines),
        cmocka_unit_test(sorts_by_place),
        cmocka_unit_test(shows_the_first_twenty),
        cmocka_unit_test(forgets_what_it_printed),
        cmocka_unit_test(sorts_many_warnings),
        cmocka_unit_test(obeys_switches),
        cmocka_unit_test(prints_json),
        cmocka_unit_test(survives_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
