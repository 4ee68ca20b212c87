/* The lexer: what each byte of a line is. Tokens are compared as one line of text, errors by their
 * exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/diagnostic.h"
#include "compiler/syntax/lexer.h"
#include "grammar/rules.tab.h"

struct run {
    struct buffer tokens; /* each token, a blank between; a line each */
    char *errors;
};

static void add_value(struct buffer *out, const struct tree_value *value)
{
    static const char forms[] = {'p', 'u', 's', 'd'};
    buffer_format(out, "%c(%s)", forms[value->form], value->text);
    assert_int_equal(strlen(value->text), value->length);
    if (value->comment.begin != SPAN_NONE.begin)
        buffer_format(out, ";%u-%u", value->comment.begin, value->comment.end);
}

static void add_token(struct buffer *out, int kind, const union RULES_STYPE *token)
{
    switch (kind) {
    case LEX_TEXT:
        buffer_format(out, "%s(%s)", token->piece.quoted ? "quoted" : "text",
                      token->piece.piece.text);
        assert_int_equal(strlen(token->piece.piece.text), token->piece.piece.length);
        break;
    case LEX_SLOT:
        buffer_format(out, "slot(%s)", token->piece.piece.text);
        break;
    case LEX_REST:
        buffer_format(out, "rest(%s%s%u,%u)", token->rest.piece.text,
                      token->rest.braces ? "{}" : "", token->rest.minimum, token->rest.maximum);
        break;
    case LEX_KEY:
        buffer_format(out, "key(%s)", token->key.text);
        assert_int_equal(strlen(token->key.text), token->key.length);
        break;
    case LEX_VALUE:
        add_value(out, &token->value);
        break;
    case LEX_NEWLINE:
        buffer_format(out, "%s%s%s\n", *token->comment.text ? "<" : "", token->comment.text,
                      *token->comment.text ? ">" : "");
        break;
    case LEX_INDENT:
        buffer_puts(out, ">");
        break;
    case LEX_BLANK:
        buffer_puts(out, "_");
        break;
    case LEX_IS:
        buffer_puts(out, "=");
        break;
    case LEX_IS_NOT:
        buffer_puts(out, "!=");
        break;
    case LEX_DEFAULTS:
        buffer_puts(out, "DEFAULTS");
        break;
    case LEX_PATTERNS:
        buffer_puts(out, "PATTERNS");
        break;
    case LEX_RULES_error:
        buffer_puts(out, "error");
        break;
    default:
        fail_msg("token %d", kind);
    }
    if (kind != LEX_NEWLINE)
        buffer_char(out, ' ');
}

/* Reads all tokens; checks what holds for any text: places are in order and inside the text, an
 * error is followed by NEWLINE, the end stays the end. */
static struct run run_bytes(const char *text, size_t length)
{
    struct arena *arena = arena_new(0);
    struct source *source = source_from_text(arena, "t", text, length);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    struct lexer lexer;
    lexer_start(&lexer, arena, source, encoding_check(arena, source, diagnostics), diagnostics);
    struct run run = {0};
    uint32_t last = 0;
    bool failed = false;
    for (;;) {
        union RULES_STYPE token;
        struct span at;
        int kind = lexer_next(&lexer, &token, &at);
        assert_true(at.begin <= at.end && at.end <= length);
        if (kind == LEX_YYEOF) {
            assert_int_equal(at.begin, length);
            assert_int_equal(lexer_next(&lexer, &token, &at), LEX_YYEOF);
            break;
        }
        assert_true(at.begin >= last);
        assert_true(!failed || kind == LEX_NEWLINE);
        failed = kind == LEX_RULES_error;
        last = failed ? last : at.end;
        add_token(&run.tokens, kind, &token);
    }
    assert_false(failed);
    size_t size;
    FILE *out = open_memstream(&run.errors, &size);
    assert_non_null(out);
    diagnostics_print(diagnostics, out, DIAGNOSTIC_TEXT);
    fclose(out);
    arena_free(arena);
    return run;
}

static void run_free(struct run *run)
{
    buffer_free(&run->tokens);
    free(run->errors);
}

static void reads(const char *text, const char *tokens)
{
    struct run run = run_bytes(text, strlen(text));
    assert_string_equal(run.errors, "");
    assert_string_equal(buffer_text(&run.tokens), tokens);
    run_free(&run);
}

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
    static const char *const most[] = {"{0,0}", "{1,256}", "{0,4294967297}",
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
        cmocka_unit_test(reports_hashes),
        cmocka_unit_test(reports_slots_inside_words),
        cmocka_unit_test(reports_rest_slots),
        cmocka_unit_test(reports_open_quotes_and_backslashes),
        cmocka_unit_test(reports_attributes),
        cmocka_unit_test(reports_values),
        cmocka_unit_test(reports_what_is_not_text),
        cmocka_unit_test(keeps_limits),
        cmocka_unit_test(ends_every_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
