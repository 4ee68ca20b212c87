/* The lexer: what each byte of a line is. Tokens are compared as one line of text. */
#include "tests/unit/lexer_run.h"

static void skips_what_says_nothing(void **state)
{
    (void)state;
    reads("", "");
    reads("\n\n  \n\t\r\n", "");
    reads("; comment\n  ; indented\n;\n;;;\n", "");
    reads("; no line end", "");
    reads("   ", "");
    reads("  ; no line end", "");
}

static void splits_words(void **state)
{
    (void)state;
    reads("git push origin\n", "text(git) _ text(push) _ text(origin) \n");
    reads("git \t push  \t\n", "text(git) _ text(push) \n");
    reads("git\r\npush\r\n", "text(git) \ntext(push) \n");
    reads("git push", "text(git) _ text(push) \n");
    reads("git push \t", "text(git) _ text(push) \n");
    /* no operators, no expansion */
    reads("a|b && c > d $(e) `f` *? ~ {g,h} $HOME/x !i (j)\n",
          "text(a|b) _ text(&&) _ text(c) _ text(>) _ text(d) _ text($(e)) _ text(`f`) _ text(*?) _ "
          "text(~) _ text({g,h}) _ text($HOME/x) _ text(!i) _ text((j)) \n");
    reads("a = b\n", "text(a) _ text(=) _ text(b) \n");
    reads("\xc3\xa9\xe2\x82\xac \xc2\xa0\n", "text(\xc3\xa9\xe2\x82\xac) _ text(\xc2\xa0) \n");
    reads("\x01\x7f\x0b\x0c\n", "text(\x01\x7f\x0b\x0c) \n");
}

static void resolves_quotes_and_escapes(void **state)
{
    (void)state;
    reads("'a b'\n", "quoted(a b) \n");
    reads("\"a b\"\n", "quoted(a b) \n");
    reads("a'b'\"c\"d\n", "quoted(abcd) \n");
    reads("''\n", "quoted() \n");
    reads("\"\"''\n", "quoted() \n");
    reads("'a\\b\"c'\n", "quoted(a\\b\"c) \n");
    reads("\"a\\\"b\\\\c\\d'e\"\n", "quoted(a\"b\\cd'e) \n");
    reads("\\a\\ b\\\\\\'\\\"\\;\\#\n", "quoted(a b\\'\";#) \n");
    reads("'#a' \"#{b}\" '#c...'\n", "quoted(#a) _ quoted(#{b}) _ quoted(#c...) \n");
    reads("';' \";\" \\;\n", "quoted(;) _ quoted(;) _ quoted(;) \n");
    reads("\\\xc3\xa9 \"\\\xc3\xa9\"\n", "quoted(\xc3\xa9) _ quoted(\xc3\xa9) \n");
    reads("\\\tx\n", "quoted(\tx) \n");
    reads("'\t' '\\'\n", "quoted(\t) _ quoted(\\) \n");
}

static void ends_lines_at_comments(void **state)
{
    (void)state;
    reads("git ; all of it\n", "text(git) \n");
    reads("git;push\n", "text(git) \n");
    reads("git #a;b\n", "text(git) _ slot(a) \n");
    reads("git #a...;b\n", "text(git) _ rest(a1,255) \n");
    reads("git 'a';b\n", "text(git) _ quoted(a) \n");
    reads("git ; 'not open\n", "text(git) \n");
    reads("git ;\\\r\npush\n", "text(git) \ntext(push) \n");
}

static void reads_slots(void **state)
{
    (void)state;
    reads("x #a #1 #_b-C9 #20 #a1\n",
          "text(x) _ slot(a) _ slot(1) _ slot(_b-C9) _ slot(20) _ slot(a1) \n");
    reads("#{a} #{1}\n", "slot(a) _ slot(1) \n");
    reads("--jobs=#{n} #{a}:#{b} #{a}#{b}\n",
          "text(--jobs=) slot(n) _ slot(a) text(:) slot(b) _ slot(a) slot(b) \n");
    reads("#{a}'b'#{c}''\n", "slot(a) quoted(b) slot(c) quoted() \n");
    reads("#{a}...#{b}\n", "slot(a) text(...) slot(b) \n");
    reads("#a-\n", "slot(a-) \n");
}

static void reads_rest_slots(void **state)
{
    (void)state;
    reads("x #a...\n", "text(x) _ rest(a1,255) \n");
    reads("x #a... y\n", "text(x) _ rest(a1,255) _ text(y) \n");
    reads("x #1...{0,16}\r\n", "text(x) _ rest(1{}0,16) \n");
    reads("x #a...{255,255}", "text(x) _ rest(a{}255,255) \n");
    reads("x #a...{9,19}", "text(x) _ rest(a{}9,19) \n");
    reads("x #a...{000,0001}", "text(x) _ rest(a{}0,1) \n");
}

static void knows_stanza_lines(void **state)
{
    (void)state;
    reads("defaults:\npatterns:\n", "DEFAULTS \nPATTERNS \n");
    reads("defaults: \t ; x\r\n", "DEFAULTS \n");
    reads("patterns:;x\n", "PATTERNS \n");
    reads("defaults:", "DEFAULTS \n");
    reads("defaults: x\n", "DEFAULTS text(x) \n");
    reads("defaults: #x y\n", "DEFAULTS slot(x) _ text(y) \n");
    reads("defaults:x\n", "text(defaults:x) \n");
    reads("defaults\n", "text(defaults) \n");
    reads("'defaults:'\n", "quoted(defaults:) \n");
    reads("patterns:'x'\n", "quoted(patterns:x) \n");
}

static void reads_attributes(void **state)
{
    (void)state;
    reads(" a = b\n", "> key(a) = p(b) \n");
    reads("\ta=b", "> key(a) = p(b) \n");
    reads("  env.NAME-x_1  !=  b c\t d \t\r\n", "> key(env.NAME-x_1) != p(b c\t d) \n");
    reads(" 1 = x\n", "> key(1) = p(x) \n");
    reads(" a = = b\n", "> key(a) = p(= b) \n");
    reads(" a = !=b\n", "> key(a) = p(!=b) \n");
    reads(" a = #b 'c' \"d\n", "> key(a) = p(#b 'c' \"d) \n");
}

static void ends_values_at_comments(void **state)
{
    (void)state;
    reads(" a = b ; c\n", "> key(a) = p(b);7-10 \n");
    reads(" a = b;c;d", "> key(a) = p(b);6-10 \n");
    reads(" a = [;]\n", "> key(a) = p([);6-8 \n");
    reads(" a = b\\;c\n", "> key(a) = p(b\\;c) \n");
    reads(" a = b\\\\;c\n", "> key(a) = p(b\\\\);8-10 \n");
    reads(" a = b\\ \n", "> key(a) = p(b\\ ) \n");
    reads(" a = b\\ \t; c\n", "> key(a) = p(b\\ );9-12 \n");
    reads(" a = \\'b\n", "> key(a) = p(\\'b) \n");
    reads(" a = \\\xc3\xa9\n", "> key(a) = p(\\\xc3\xa9) \n");
}

static void reads_quoted_values(void **state)
{
    (void)state;
    reads(" a = 'b ; c'\n", "> key(a) = s(b ; c) \n");
    reads(" a = '' ; x\n", "> key(a) = s() \n");
    reads(" a = \"b\\\"\\d\\\\ \"\t;x\n", "> key(a) = d(b\"d\\ ) \n");
    reads(" a = 'b\\'\r\n", "> key(a) = s(b\\) \n");
    reads(" a = \"\"", "> key(a) = d() \n");
}

static void collects_comments(void **state)
{
    (void)state;
    reads("; one\ngit\n", "text(git) <one>\n");
    reads(";one\n;;  two \t\r\n; \n;three\ngit\n", "text(git) <one\n two\n\nthree>\n");
    reads("; far\n\n; near\ngit\n", "text(git) <near>\n");
    reads("; far\n \t\ngit\n", "text(git) \n");
    reads("; far\n  ; indented\ngit\n", "text(git) \n");
    reads("git ; own\npush\n", "text(git) \ntext(push) \n");
    reads("; a\ngit\n ; b\n x = 1\n; c\npush\n",
          "text(git) <a>\n> key(x) = p(1) \ntext(push) <c>\n");
    reads("; a\n x = 1\ngit\n", "> key(x) = p(1) <a>\ntext(git) \n");
    reads("; \xc3\xa9;\ngit", "text(git) <\xc3\xa9;>\n");
}

static void repeat(struct buffer *buffer, char byte, size_t count)
{
    while (count--)
        buffer_char(buffer, byte);
}

static void limit_is_exact(const char *before, size_t limit, const char *after, const char *message)
{
    for (size_t length = limit; length <= limit + 1; length++) {
        struct buffer text = {0};
        buffer_puts(&text, before);
        repeat(&text, 'a', length);
        buffer_puts(&text, after);
        struct run run = run_bytes(buffer_text(&text), text.length);
        if (length == limit)
            assert_string_equal(run.errors, "");
        else
            assert_non_null(strstr(run.errors, message));
        run_free(&run);
        buffer_free(&text);
    }
}

static void keeps_limits(void **state)
{
    (void)state;
    limit_is_exact("x #", 128, "\n", "error: a slot's name has at most 128 bytes\n");
    limit_is_exact("x #{", 128, "}\n", "error: a slot's name has at most 128 bytes\n");
    limit_is_exact("x #", 128, "...\n", "error: a slot's name has at most 128 bytes\n");
    limit_is_exact(" ", 128, " = x\n", "error: an attribute's name has at most 128 bytes\n");
    limit_is_exact(" a = ", 65536, "\n", "error: a value has at most 65536 bytes\n");
    limit_is_exact(" a = '", 65534, "'\n", "error: a value has at most 65536 bytes\n");
}

/* Random text of the language's own bytes: run_bytes checks what always holds. */
static void ends_every_line(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "git", "'", "\"", "\\", " ", "\t", "\n", "\r\n", "\n ", ";", "#", "#{a}", "#b", "...",
        "{0,16}", "=", "!=", "defaults:", "patterns:", "$HOME/", "\r", "\xc3\xa9", "\xff", "a",
    };
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t length = 0;
        for (int i = 0; i < 24; i++) {
            random = random * 1664525u + 1013904223u;
            const char *part = parts[(random >> 16) % (sizeof parts / sizeof *parts)];
            memcpy(text + length, part, strlen(part));
            length += strlen(part);
        }
        struct run run = run_bytes(text, length);
        run_free(&run);
    }
    for (int byte = 0; byte < 256; byte++)
        for (int place = 0; place < 6; place++) {
            char text[] = " a = b\ngit #c\n";
            text[(place * 2) % 14] = (char)byte;
            struct run run = run_bytes(text, sizeof text - 1);
            run_free(&run);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skips_what_says_nothing),
        cmocka_unit_test(splits_words),
        cmocka_unit_test(resolves_quotes_and_escapes),
        cmocka_unit_test(ends_lines_at_comments),
        cmocka_unit_test(reads_slots),
        cmocka_unit_test(reads_rest_slots),
        cmocka_unit_test(knows_stanza_lines),
        cmocka_unit_test(reads_attributes),
        cmocka_unit_test(ends_values_at_comments),
        cmocka_unit_test(reads_quoted_values),
        cmocka_unit_test(collects_comments),
        cmocka_unit_test(keeps_limits),
        cmocka_unit_test(ends_every_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
