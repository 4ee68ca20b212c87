/* What the lexer says of a line that it cannot read, by its exact bytes. */
#include "tests/unit/lexer_run.h"

/* The errors must be `error`, byte by byte. */
static void reports_bytes(const char *text, size_t length, const char *tokens, const char *error)
{
    struct run run = run_bytes(text, length);
    assert_string_equal(run.errors, error);
    assert_string_equal(buffer_text(&run.tokens), tokens);
    run_free(&run);
}

static void reports(const char *text, const char *tokens, const char *error)
{
    reports_bytes(text, strlen(text), tokens, error);
}

#define HASH_NOTE "a '#' that begins no slot is written \\# or '#'\n"

static void reports_hashes(void **state)
{
    (void)state;
    reports("git #\n", "text(git) _ error \n",
            "t:1:5: error: `#` is not followed by a slot's name\n"
            "    1 | git #\n"
            "      |     ^\n"
            "t:1:5: note: " HASH_NOTE);
    reports("git a#\xc3\xa9\n", "text(git) _ text(a) error \n",
            "t:1:6: error: `#` is not followed by a slot's name\n"
            "    1 | git a#\xc3\xa9\n"
            "      |      ^\n"
            "t:1:6: note: " HASH_NOTE);
    reports("#0\n", "error \n",
            "t:1:1: error: a slot's number begins with 1 to 9\n"
            "    1 | #0\n"
            "      | ^~\n"
            "t:1:1: note: " HASH_NOTE);
    reports("x #{a b}\n", "text(x) _ error \n",
            "t:1:3: error: `#{` is not followed by a slot's name and `}`\n"
            "    1 | x #{a b}\n"
            "      |   ^~\n"
            "t:1:3: note: " HASH_NOTE);
    reports("x #{\n", "text(x) _ error \n",
            "t:1:3: error: `#{` is not followed by a slot's name and `}`\n"
            "    1 | x #{\n"
            "      |   ^~\n"
            "t:1:3: note: " HASH_NOTE);
    reports("x #$call\n", "text(x) _ error \n",
            "t:1:3: error: what a call tells of itself is for the paths of attributes\n"
            "    1 | x #$call\n"
            "      |   ^~~~~~\n"
            "t:1:3: note: " HASH_NOTE);
}

static void reports_slots_inside_words(void **state)
{
    (void)state;
    reports("--n=#a\n", "text(--n=) error \n",
            "t:1:5: error: a slot inside a word is written in braces\n"
            "    1 | --n=#a\n"
            "      |     ^~\n"
            "t:1:5: note: write #{a}, or \\# for a '#' that begins no slot\n");
    reports("#a.b\n", "error \n",
            "t:1:1: error: a slot inside a word is written in braces\n"
            "    1 | #a.b\n"
            "      | ^~\n"
            "t:1:1: note: write #{a}, or \\# for a '#' that begins no slot\n");
    reports("#12ab\n", "error \n",
            "t:1:1: error: a slot inside a word is written in braces\n"
            "    1 | #12ab\n"
            "      | ^~~\n"
            "t:1:1: note: write #{12}, or \\# for a '#' that begins no slot\n");
    reports("''#a\n", "quoted() error \n",
            "t:1:3: error: a slot inside a word is written in braces\n"
            "    1 | ''#a\n"
            "      |   ^~\n"
            "t:1:3: note: write #{a}, or \\# for a '#' that begins no slot\n");
}

static void reports_rest_slots(void **state)
{
    (void)state;
    static const char alone[] = "it is written #name... or #name...{m,n}, with a blank before and "
                                "after\n";
    char expected[512];
    snprintf(expected, sizeof expected,
             "t:1:2: error: a slot for several words is a word of its own\n"
             "    1 | a#b...\n"
             "      |  ^~~~~\n"
             "t:1:2: note: %s", alone);
    reports("a#b...\n", "text(a) error \n", expected);
    snprintf(expected, sizeof expected,
             "t:1:1: error: a slot for several words is a word of its own\n"
             "    1 | #b...{1,2}c\n"
             "      | ^~~~~~~~~~\n"
             "t:1:1: note: %s", alone);
    reports("#b...{1,2}c\n", "error \n", expected);
    reports("#b...{3}\n", "error \n",
            "t:1:6: error: the number of words is written {m,n}\n"
            "    1 | #b...{3}\n"
            "      |      ^\n"
            "t:1:6: note: for example {0,16}, or {3,3} for exactly 3\n");
    static const char *const most[] = {"{0,0}", "{1,256}", "{1,2550}", "{0,4294967297}",
                                       "{0,99999999999999999999}"};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        char text[64], line[sizeof text];
        snprintf(text, sizeof text, "#b...%s", most[i]);
        memset(line, '~', sizeof line);
        line[0] = '^';
        line[strlen(most[i])] = '\0';
        snprintf(expected, sizeof expected,
                 "t:1:6: error: the most words that a slot takes is 1 to 255\n"
                 "    1 | %s\n"
                 "      |      %s\n", text, line);
        reports(text, "error \n", expected);
    }
    reports("#b...{3,2}\n", "error \n",
            "t:1:6: error: the least number of words is over the most\n"
            "    1 | #b...{3,2}\n"
            "      |      ^~~~~\n");
}

static void reports_open_quotes_and_backslashes(void **state)
{
    (void)state;
    reports("git 'a\"\npush\n", "text(git) _ error \ntext(push) \n",
            "t:1:5: error: this quote is not closed on its line\n"
            "    1 | git 'a\"\n"
            "      |     ^\n");
    reports("git x\"a\\\"\r\n", "text(git) _ error \n",
            "t:1:6: error: this quote is not closed on its line\n"
            "    1 | git x\"a\\\"\n"
            "      |      ^\n");
    reports("git \"a\\", "text(git) _ error \n",
            "t:1:5: error: this quote is not closed on its line\n"
            "    1 | git \"a\\\n"
            "      |     ^\n");
    static const char note[] =
        "note: a rule is one line; a literal backslash is written \\\\ or '\\'\n";
    char expected[512];
    snprintf(expected, sizeof expected,
             "t:1:5: error: a backslash with nothing after it\n    1 | git \\\n      |     ^\n"
             "t:1:5: %s", note);
    reports("git \\\n", "text(git) _ error \n", expected);
    reports("git \\\r\n", "text(git) _ error \n", expected);
    reports("git \\", "text(git) _ error \n", expected);
}

#define INDENT_NOTE "an indented line is `name = value`; a rule is not indented\n"

static void reports_attributes(void **state)
{
    (void)state;
    reports("  = b\n", "> error \n",
            "t:1:3: error: no attribute's name begins like this\n"
            "    1 |   = b\n"
            "      |   ^\n"
            "t:1:3: note: " INDENT_NOTE);
    reports("  git push\n", "> key(git) error \n",
            "t:1:7: error: expected `=` or `!=` after `git`\n"
            "    1 |   git push\n"
            "      |       ^\n"
            "t:1:7: note: " INDENT_NOTE);
    reports(" a: b\n", "> key(a) error \n",
            "t:1:3: error: expected `=` or `!=` after `a`\n"
            "    1 |  a: b\n"
            "      |   ^\n"
            "t:1:3: note: " INDENT_NOTE);
    reports(" a == b\n", "> key(a) error \n",
            "t:1:4: error: there is no operator `==`\n"
            "    1 |  a == b\n"
            "      |    ^~\n"
            "t:1:4: note: write `=`; a value that begins with '=' stands after a blank or in "
            "quotes\n");
    reports(" #a = b\n", "> error \n",
            "t:1:2: error: a slot's pattern is given without the '#'\n"
            "    1 |  #a = b\n"
            "      |  ^\n"
            "t:1:2: note: write `name = PATTERN`\n");
    reads(" a\n", "> key(a) \n"); /* the parser says what is missing */
    reads(" a ; x\n", "> key(a) \n");
}

static void reports_values(void **state)
{
    (void)state;
    static const char *const empty[] = {" a =\n", " a = \t\r\n", " a ="};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct run run = run_bytes(empty[i], strlen(empty[i]));
        assert_string_equal(buffer_text(&run.tokens), "> key(a) = error \n");
        assert_non_null(strstr(run.errors, "t:1:5: error: there is no value here\n"));
        assert_non_null(strstr(run.errors, "t:1:5: note: an empty value is written ''\n"));
        run_free(&run);
    }
    reports(" a = ; b\n", "> key(a) = error \n",
            "t:1:5: error: there is no value here\n"
            "    1 |  a = ; b\n"
            "      |     ^\n"
            "t:1:5: note: an empty value is written ''\n");
    reports(" a = 'b\n", "> key(a) = error \n",
            "t:1:6: error: this quote is not closed on its line\n"
            "    1 |  a = 'b\n"
            "      |      ^\n");
    reports(" a = 'b'c\n", "> key(a) = error \n",
            "t:1:9: error: unexpected text after the closing quote\n"
            "    1 |  a = 'b'c\n"
            "      |         ^\n"
            "t:1:9: note: a value that begins with a quote is one quoted word\n");
    reports(" a = 'b' c\n", "> key(a) = error \n",
            "t:1:10: error: unexpected text after the closing quote\n"
            "    1 |  a = 'b' c\n"
            "      |          ^\n"
            "t:1:10: note: a value that begins with a quote is one quoted word\n");
    reports(" a = b\\\n", "> key(a) = error \n",
            "t:1:7: error: a backslash with nothing after it\n"
            "    1 |  a = b\\\n"
            "      |       ^\n"
            "t:1:7: note: a value is one line; a literal backslash is written \\\\\n");
}

static void reports_what_is_not_text(void **state)
{
    (void)state;
    reports("\xef\xbb\xbfgit\n", "text(git) \n",
            "t:1:1: error: the file begins with a byte order mark\n"
            "    1 | \\u{feff}git\n"
            "      | ^~~~~~~~\n"
            "t:1:1: note: save it as UTF-8 without one\n");
    reports("\xef\xbb\xbf", "",
            "t:1:1: error: the file begins with a byte order mark\n"
            "    1 | \\u{feff}\n"
            "      | ^~~~~~~~\n"
            "t:1:1: note: save it as UTF-8 without one\n");
    reports_bytes("a\nb\0c\n\0\nd\n", 9, "text(a) \nerror \nerror \ntext(d) \n",
                  "t:2:2: error: a NUL byte: a rules file is UTF-8 text\n"
                  "    2 | b\\x00c\n"
                  "      |  ^~~~\n"
                  "t:3:1: error: a NUL byte: a rules file is UTF-8 text\n"
                  "    3 | \\x00\n"
                  "      | ^~~~\n");
    reports("a\n\xc3\xa9\xff\xfe\n b=\xc0\n", "text(a) \nerror \n> error \n",
            "t:2:2: error: invalid UTF-8: byte 0xff\n"
            "    2 | \xc3\xa9\\xff\\xfe\n"
            "      |  ^~~~\n"
            "t:3:4: error: invalid UTF-8: byte 0xc0\n"
            "    3 |  b=\\xc0\n"
            "      |    ^~~~\n");
    reports("a\rb\nc\r\n\xc3", "error \ntext(c) \nerror \n",
            "t:1:2: error: a carriage return inside a line\n"
            "    1 | a\\x0db\n"
            "      |  ^~~~\n"
            "t:1:2: note: lines end in LF or in CR LF\n"
            "t:3:1: error: invalid UTF-8: byte 0xc3\n"
            "    3 | \\xc3\n"
            "      | ^~~~\n");
    reports("; \xff\n  ;\xff\ngit\r", "error \n",
            "t:1:3: error: invalid UTF-8: byte 0xff\n"
            "    1 | ; \\xff\n"
            "      |   ^~~~\n"
            "t:2:4: error: invalid UTF-8: byte 0xff\n"
            "    2 |   ;\\xff\n"
            "      |    ^~~~\n"
            "t:3:4: error: a carriage return inside a line\n"
            "    3 | git\n"
            "      |    ^\n"
            "t:3:4: note: lines end in LF or in CR LF\n");
}

/* Reads a text and wants its errors' ranges, as JSON tells them: a caret alone does not tell an empty
 * range from one of one byte. */
static void ranges(const char *text, size_t length, const unsigned (*expected)[3], size_t count)
{
    struct arena *arena = arena_new(0);
    struct source *source = source_from_text(arena, "t", text, length);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    struct lexer lexer;
    union RULES_STYPE token;
    struct span at;
    lexer_start(&lexer, arena, source, encoding_check(arena, source, diagnostics), diagnostics);
    while (lexer_next(&lexer, &token, &at) != LEX_YYEOF)
        ;
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    diagnostics_print(diagnostics, out, DIAGNOSTIC_JSON);
    fclose(out);
    const char *line = printed;
    for (size_t i = 0; i < count; i++) {
        char begin[128];
        snprintf(begin, sizeof begin,
                 "{\"file\":\"t\",\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u,",
                 expected[i][0], expected[i][1], expected[i][0], expected[i][2]);
        assert_memory_equal(line, begin, strlen(begin));
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
    free(printed);
    arena_free(arena);
}

static void has_exact_ranges(void **state)
{
    (void)state;
    static const char bytes[] = "\xef\xbb\xbf\n\0\n\xff\n\rx\n";
    static const unsigned in_bytes[][3] = {{1, 1, 2}, {2, 1, 2}, {3, 1, 2}, {4, 1, 2}};
    ranges(bytes, sizeof bytes - 1, in_bytes, 4);
    static const char words[] = "a 'b\nc \\\n#\nd#{\n#a...{1}\n#a...{0,0}\n";
    static const unsigned in_words[][3] = {{1, 3, 4}, {2, 3, 4}, {3, 1, 2},
                                           {4, 2, 4}, {5, 6, 7}, {6, 6, 11}};
    ranges(words, sizeof words - 1, in_words, 6);
    static const char lines[] = " @\n a b\n a =\n a == b\n a = 'b'c\n #a = b\n a = 'b\n";
    static const unsigned in_lines[][3] = {{1, 2, 3}, {2, 4, 5}, {3, 5, 5}, {4, 4, 6},
                                           {5, 9, 10}, {6, 2, 3}, {7, 6, 7}};
    ranges(lines, sizeof lines - 1, in_lines, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_hashes),
        cmocka_unit_test(reports_slots_inside_words),
        cmocka_unit_test(reports_rest_slots),
        cmocka_unit_test(reports_open_quotes_and_backslashes),
        cmocka_unit_test(reports_attributes),
        cmocka_unit_test(reports_values),
        cmocka_unit_test(reports_what_is_not_text),
        cmocka_unit_test(has_exact_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
