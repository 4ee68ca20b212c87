/* The parser: trees compared as text, errors by their exact bytes, places against the source. */
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
#include "compiler/syntax/parse.h"

struct fixture {
    struct arena *arena;
    struct source *source;
    struct diagnostics *diagnostics;
    struct rules_file *file;
};

static struct fixture parse_bytes(const char *text, size_t length)
{
    struct fixture f = {.arena = arena_new(0)};
    f.source = source_from_text(f.arena, "t", text, length);
    f.diagnostics = diagnostics_new(f.arena, f.source);
    f.file = parse_source(f.arena, f.source, f.diagnostics);
    return f;
}

static struct fixture parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

/* ---- the tree as text ------------------------------------------------------------------------ */

static void check_span(const struct fixture *f, struct span inner, struct span outer)
{
    assert_true(inner.begin <= inner.end);
    assert_true(outer.begin <= inner.begin && inner.end <= outer.end);
    assert_true(inner.end <= f->source->length);
}

static void dump_token(const struct fixture *f, struct buffer *out, const struct tree_token *token)
{
    buffer_puts(out, " [");
    assert_true(token->piece_count >= 1);
    for (uint32_t i = 0; i < token->piece_count; i++) {
        const struct tree_piece *piece = &token->pieces[i];
        check_span(f, piece->at, token->at);
        assert_int_equal(strlen(piece->text), piece->length);
        if (piece->kind == PIECE_SLOT) {
            check_span(f, piece->name_at, piece->at);
            assert_memory_equal(f->source->text + piece->name_at.begin, piece->text,
                                piece->length);
            buffer_format(out, "#%s", piece->text);
        } else {
            assert_true(i == 0 || token->pieces[i - 1].kind == PIECE_SLOT);
            assert_true(piece->length || token->piece_count == 1);
            buffer_format(out, "'%s'", piece->text);
        }
    }
    if (token->is_rest)
        buffer_format(out, "...%s%u,%u", token->rest_braces ? "{}" : "", token->minimum,
                      token->maximum);
    buffer_format(out, "]%s%s", token->quoted ? "q" : "", token->home ? "h" : "");
}

static void dump_stanza(const struct fixture *f, struct buffer *out,
                        const struct tree_stanza *stanza)
{
    check_span(f, stanza->at, (struct span){0, f->source->length});
    buffer_puts(out, stanza->incomplete ? " incomplete\n" : "\n");
    for (size_t i = 0; i < stanza->attribute_count; i++) {
        const struct tree_attribute *one = &stanza->attributes[i];
        assert_int_equal(one->key_at.end - one->key_at.begin, one->key_length);
        assert_memory_equal(f->source->text + one->key_at.begin, one->key, one->key_length);
        uint32_t operator_length = one->operator_at.end - one->operator_at.begin;
        assert_int_equal(operator_length, one->operator == OPERATOR_IS ? 1 : 2);
        assert_true(one->key_at.end <= one->operator_at.begin);
        assert_true(one->operator_at.end <= one->value.at.begin);
        buffer_format(out, "  %s %s <%s>\n", one->key,
                      one->operator == OPERATOR_IS ? "=" : "!=", one->value.text);
    }
}

static void dump(const struct fixture *f, struct buffer *out)
{
    for (size_t i = 0; i < f->file->defaults_count; i++) {
        buffer_puts(out, "defaults");
        dump_stanza(f, out, f->file->defaults[i]);
    }
    for (size_t i = 0; i < f->file->patterns_count; i++) {
        buffer_puts(out, "patterns");
        dump_stanza(f, out, f->file->patterns[i]);
    }
    for (size_t i = 0; i < f->file->rule_count; i++) {
        const struct tree_rule *rule = f->file->rules[i];
        uint32_t slots = 0;
        if (*rule->comment)
            buffer_format(out, "; %s\n", rule->comment);
        buffer_format(out, "rule%s", rule->broken ? " broken" : "");
        assert_memory_equal(rule->text, f->source->text + rule->stanza.at.begin,
                            strlen(rule->text));
        for (uint32_t token = 0; token < rule->token_count; token++) {
            check_span(f, rule->tokens[token].at, rule->stanza.at);
            dump_token(f, out, &rule->tokens[token]);
            for (uint32_t p = 0; p < rule->tokens[token].piece_count; p++)
                slots += rule->tokens[token].pieces[p].kind == PIECE_SLOT;
        }
        assert_int_equal(slots, rule->slot_count);
        assert_true(rule->broken ? rule->token_count == 0 : rule->token_count > 0);
        dump_stanza(f, out, &rule->stanza);
    }
}

static char *printed_errors(struct fixture *f)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    diagnostics_print(f->diagnostics, out, DIAGNOSTIC_TEXT);
    fclose(out);
    return text;
}

/* The text must give this tree and these errors. */
static void gives(const char *text, const char *tree, const char *errors)
{
    struct fixture f = parse(text);
    struct buffer out = {0};
    dump(&f, &out);
    char *printed = printed_errors(&f);
    assert_string_equal(printed, errors);
    assert_string_equal(buffer_text(&out), tree);
    free(printed);
    buffer_free(&out);
    arena_free(f.arena);
}

/* ---- trees ----------------------------------------------------------------------------------- */

static void reads_nothing(void **state)
{
    (void)state;
    gives("", "", "");
    gives("\n; only a comment\n\n", "", "");
}

static void reads_a_whole_file(void **state)
{
    (void)state;
    gives("defaults:                              ; at most one\n"
          "  timeout = 120s\n"
          "patterns:                              ; named patterns\n"
          "  branch = [a-z][a-z0-9-]{0,40}\n"
          "; pushes\n"
          "; a branch\n"
          "git -C /srv/work push origin #branch   ; a rule\n"
          "  branch = @branch\n"
          "\n"
          "  branch != .*--.*\n"
          "git log --max-count=#{n} -- #paths...{0,16}\n"
          "\tn=@uint\n"
          "\tpaths=@relpath",
          "defaults\n"
          "  timeout = <120s>\n"
          "patterns\n"
          "  branch = <[a-z][a-z0-9-]{0,40}>\n"
          "; pushes\na branch\n"
          "rule ['git'] ['-C'] ['/srv/work'] ['push'] ['origin'] [#branch]\n"
          "  branch = <@branch>\n"
          "  branch != <.*--.*>\n"
          "rule ['git'] ['log'] ['--max-count='#n] ['--'] [#paths...{}0,16]\n"
          "  n = <@uint>\n"
          "  paths = <@relpath>\n",
          "");
}

static void keeps_duplicates(void **state)
{
    (void)state;
    gives("defaults:\n log=full\ngit\npatterns:\ndefaults:\n log=full\n log=full\npatterns:\n x=y\n",
          "defaults\n  log = <full>\n"
          "defaults\n  log = <full>\n  log = <full>\n"
          "patterns\n"
          "patterns\n  x = <y>\n"
          "rule ['git']\n",
          "");
    struct fixture f = parse("defaults:\ngit\n\n  ; x\ndefaults: ; y\n");
    assert_int_equal(f.file->defaults[0]->at.begin, 0);
    assert_int_equal(f.file->defaults[0]->at.end, 9);
    assert_int_equal(f.file->defaults[1]->at.begin, 21);
    assert_int_equal(f.file->defaults[1]->at.end, 30);
    arena_free(f.arena);
}

static void joins_pieces(void **state)
{
    (void)state;
    gives("a'b'\\c\"d\"#{e}'f'g#{h}#{i}\n", "rule ['abcd'#e'fg'#h#i]q\n", "");
    gives("x '' \"\"'' ''#{a} #{a}'' ''#{a}''\n",
          "rule ['x'] ['']q ['']q [#a]q [#a]q [#a]q\n", "");
}

static void counts_rest_slots(void **state)
{
    (void)state;
    gives("x #a...\nx #a...{3,5} y\n",
          "rule ['x'] [#a...1,255]\nrule ['x'] [#a...{}3,5] ['y']\n", "");
}

static void marks_home(void **state)
{
    (void)state;
    gives("$HOME/bin/x $HOME/ $HOME '$HOME/x' \\$HOME/x x$HOME/y $HOME/#{a} $HOMER/x $'HOME/'\n",
          "rule ['$HOME/bin/x']h ['$HOME/']h ['$HOME'] ['$HOME/x']q ['$HOME/x']q ['x$HOME/y'] "
          "['$HOME/'#a]h ['$HOMER/x'] ['$HOME/']q\n",
          "");
    gives("x $HOME/'a b'", "rule ['x'] ['$HOME/a b']qh\n", "");
}

static void keeps_the_line(void **state)
{
    (void)state;
    struct fixture f = parse("a\ngit  'x y'\t#b  ; comment\n b = c\n");
    const struct tree_rule *rule = f.file->rules[1];
    assert_string_equal(rule->text, "git  'x y'\t#b");
    assert_int_equal(rule->stanza.at.begin, 2);
    assert_int_equal(rule->stanza.at.end, 15);
    const struct tree_token *token = &rule->tokens[2];
    assert_int_equal(token->at.begin, 13);
    assert_int_equal(token->at.end, 15);
    assert_int_equal(token->pieces[0].name_at.begin, 14);
    token = &rule->tokens[1];
    assert_int_equal(token->at.begin, 7);
    assert_int_equal(token->at.end, 12);
    arena_free(f.arena);
}

static void places_rest_slots(void **state)
{
    (void)state;
    struct fixture f = parse("ls #files...{1,3}\n");
    const struct tree_token *token = &f.file->rules[0]->tokens[1];
    assert_true(token->is_rest && token->rest_braces);
    assert_int_equal(token->at.begin, 3);
    assert_int_equal(token->at.end, 17);
    assert_int_equal(token->pieces[0].at.begin, 3);
    assert_int_equal(token->pieces[0].at.end, 9);
    assert_int_equal(token->pieces[0].name_at.begin, 4);
    assert_int_equal(token->pieces[0].name_at.end, 9);
    arena_free(f.arena);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void says_what_the_user_typed(void **state)
{
    (void)state;
    gives("x\n timeout\n", "rule ['x'] incomplete\n",
          "t:2:9: error: unexpected end of line, expecting `=` or `!=`\n"
          "    2 |  timeout\n"
          "      |         ^\n");
    gives("x\n timeout  ; = 5\n", "rule ['x'] incomplete\n",
          "t:2:9: error: unexpected end of line, expecting `=` or `!=`\n"
          "    2 |  timeout  ; = 5\n"
          "      |         ^\n");
    gives("defaults: timeout = 5\n log = full\n", "defaults incomplete\n  log = <full>\n",
          "t:1:11: error: unexpected word, expecting end of line\n"
          "    1 | defaults: timeout = 5\n"
          "      |           ^~~~~~~\n");
    gives("patterns: #a\n", "patterns incomplete\n",
          "t:1:11: error: unexpected slot, expecting end of line\n"
          "    1 | patterns: #a\n"
          "      |           ^~\n");
    gives("patterns: #a...\n", "patterns incomplete\n",
          "t:1:11: error: unexpected slot..., expecting end of line\n"
          "    1 | patterns: #a...\n"
          "      |           ^~~~~\n");
}

static void reports_lines_without_a_stanza(void **state)
{
    (void)state;
    static const char note[] = "note: a rule begins at the start of its line; an indented line is "
                               "an attribute of the rule, `defaults:` or `patterns:` above it\n";
    char expected[1024];
    snprintf(expected, sizeof expected,
             "t:1:3: error: an indented line with no stanza above it\n"
             "    1 |   timeout = 5\n"
             "      |   ^~~~~~~\n"
             "t:1:3: %s"
             "t:2:2: error: an indented line with no stanza above it\n"
             "    2 |  log = full\n"
             "      |  ^~~\n"
             "t:2:2: %s",
             note, note);
    gives("  timeout = 5\n log = full\ngit\n", "rule ['git']\n", expected);
}

static void reports_unknown_stanzas(void **state)
{
    (void)state;
    gives("default: ; x\n timeout = 5\ngit\n",
          "rule broken\n  timeout = <5>\nrule ['git']\n",
          "t:1:1: error: there is no stanza of this name\n"
          "    1 | default: ; x\n"
          "      | ^~~~~~~~\n"
          "t:1:1: note: there are `defaults:`, `patterns:` and rules; quote the word if it is a "
          "program's name\n");
    gives("'default:'\nx: y\n", "rule ['default:']q\nrule ['x:'] ['y']\n", "");
}

/* One run reports every bad line, wherever it is, and reads every good one. */
static void recovers_at_line_ends(void **state)
{
    (void)state;
    gives("'a\n"
          "defaults: x\n"
          " timeout\n"
          " log = full\n"
          "patterns:\n"
          " = x\n"
          " b = c\n"
          "git #\n"
          " c = d\n"
          " c d\n"
          "git push\n"
          " e = 'f\n"
          "#g...{1}\n"
          " h = i\n"
          "ls \\",
          "defaults incomplete\n"
          "  log = <full>\n"
          "patterns incomplete\n"
          "  b = <c>\n"
          "rule broken\n"
          "rule broken incomplete\n"
          "  c = <d>\n"
          "rule ['git'] ['push'] incomplete\n"
          "rule broken\n"
          "  h = <i>\n"
          "rule broken\n",
          "t:1:1: error: this quote is not closed on its line\n"
          "    1 | 'a\n"
          "      | ^\n"
          "t:2:11: error: unexpected word, expecting end of line\n"
          "    2 | defaults: x\n"
          "      |           ^\n"
          "t:3:9: error: unexpected end of line, expecting `=` or `!=`\n"
          "    3 |  timeout\n"
          "      |         ^\n"
          "t:6:2: error: no attribute's name begins like this\n"
          "    6 |  = x\n"
          "      |  ^\n"
          "t:6:2: note: an indented line is `name = value`; a rule is not indented\n"
          "t:8:5: error: `#` is not followed by a slot's name\n"
          "    8 | git #\n"
          "      |     ^\n"
          "t:8:5: note: a '#' that begins no slot is written \\# or '#'\n"
          "t:10:4: error: expected `=` or `!=` after `c`\n"
          "   10 |  c d\n"
          "      |    ^\n"
          "t:10:4: note: an indented line is `name = value`; a rule is not indented\n"
          "t:12:6: error: this quote is not closed on its line\n"
          "   12 |  e = 'f\n"
          "      |      ^\n"
          "t:13:6: error: the number of words is written {m,n}\n"
          "   13 | #g...{1}\n"
          "      |      ^\n"
          "t:13:6: note: for example {0,16}, or {3,3} for exactly 3\n"
          "t:15:4: error: a backslash with nothing after it\n"
          "   15 | ls \\\n"
          "      |    ^\n"
          "t:15:4: note: a rule is one line; a literal backslash is written \\\\ or '\\'\n");
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void repeat(struct buffer *out, const char *text, size_t count)
{
    while (count--)
        buffer_puts(out, text);
}

/* `before`, then `limit` and `limit` + 1 times `part`, then `after`: only the second is an error,
 * one, and says `message`. */
static void limit_is_exact(const char *before, const char *part, size_t limit, const char *after,
                           const char *message)
{
    for (size_t count = limit; count <= limit + 1; count++) {
        struct buffer text = {0};
        buffer_puts(&text, before);
        repeat(&text, part, count);
        buffer_puts(&text, after);
        struct fixture f = parse_bytes(buffer_text(&text), text.length);
        size_t expected = count - limit;
        assert_int_equal(diagnostics_errors(f.diagnostics), expected);
        char *errors = printed_errors(&f);
        if (expected)
            assert_non_null(strstr(errors, message));
        free(errors);
        arena_free(f.arena);
        buffer_free(&text);
    }
}

static void keeps_limits(void **state)
{
    (void)state;
    limit_is_exact("x", " y", 255, "\n", "error: a rule has at most 256 words\n");
    limit_is_exact("x", " #a", 64, "\n", "error: a rule has at most 64 slots\n");
    limit_is_exact("x ", "#{a}", 64, "\n", "error: a rule has at most 64 slots\n");
    limit_is_exact("x ", "a", 65536, "\n", "error: a word has at most 65536 bytes\n");
    limit_is_exact("x\n", " a=b\n", 20000, "y\n", "error: a stanza has at most 20000 attributes\n");
    limit_is_exact("", "a\n", 20000, "", "error: a rules file has at most 20000 rules\n");
    limit_is_exact(";", "a", 65535, "\nx\n",
                   "error: the comment above a rule has at most 65536 bytes\n");
}

static void reports_a_stanza_once(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_puts(&text, "x\n broken\n");
    repeat(&text, " a=b\n", TREE_ATTRIBUTES_MAX + 3);
    struct fixture f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 2);
    assert_int_equal(f.file->rules[0]->stanza.attribute_count, TREE_ATTRIBUTES_MAX);
    assert_true(f.file->rules[0]->stanza.incomplete);
    arena_free(f.arena);
    f = parse_bytes(buffer_text(&text) + 10, text.length - 10);
    assert_int_equal(diagnostics_errors(f.diagnostics), TREE_ATTRIBUTES_MAX + 3); /* no stanza */
    arena_free(f.arena);
    buffer_free(&text);
}

/* What follows on a line that is over a limit is not looked at. */
static void reports_a_line_once(void **state)
{
    (void)state;
    struct buffer text = {0};
    repeat(&text, "#a ", 65);
    buffer_puts(&text, "'open\nx\n");
    struct fixture f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 1);
    assert_int_equal(f.file->rule_count, 2);
    assert_true(f.file->rules[0]->broken);
    assert_false(f.file->rules[1]->broken);
    arena_free(f.arena);
    buffer_clear(&text);
    repeat(&text, "a ", 300);
    f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 1);
    assert_true(f.file->rules[0]->broken);
    arena_free(f.arena);
    buffer_free(&text);
}

static void keeps_limits_of_the_file(void **state)
{
    (void)state;
    struct buffer text = {0};
    /* 250 words in each of 4,000 rules are allowed; one more is not, and the rest is not read. */
    for (int i = 0; i < 4000; i++) {
        repeat(&text, "a ", 250);
        buffer_char(&text, '\n');
    }
    struct fixture f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 0);
    assert_int_equal(f.file->rule_count, 4000);
    arena_free(f.arena);
    buffer_puts(&text, "b 'c\n'd\n");
    f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 1);
    char *errors = printed_errors(&f);
    assert_string_equal(errors, "t:4001:1: error: a rules file has at most 1000000 words in all "
                                "its rules\n 4001 | b 'c\n      | ^\n");
    free(errors);
    arena_free(f.arena);

    buffer_clear(&text);
    for (int i = 0; i < 100; i++) {
        buffer_puts(&text, "a\n");
        repeat(&text, " a=b\n", 10000);
    }
    buffer_puts(&text, "b\n a=b\n 'x\n");
    f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 1);
    errors = printed_errors(&f);
    assert_non_null(strstr(errors, "t:1000102:2: error: a rules file has at most 1000000 "
                                   "attributes\n"));
    assert_true(f.file->rules[100]->stanza.incomplete);
    free(errors);
    arena_free(f.arena);
    buffer_free(&text);
}

static void leaves_long_comments_out(void **state)
{
    (void)state;
    struct buffer text = {0};
    repeat(&text, "; 0123456789\n", 6000);
    buffer_puts(&text, "\ngit\n");
    struct fixture f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 0);
    assert_string_equal(f.file->rules[0]->comment, "");
    arena_free(f.arena);
    buffer_clear(&text);
    repeat(&text, "; 0123456789\n", 6000);
    buffer_puts(&text, "git\n");
    f = parse_bytes(buffer_text(&text), text.length);
    assert_int_equal(diagnostics_errors(f.diagnostics), 1);
    assert_string_equal(f.file->rules[0]->comment, "");
    assert_false(f.file->rules[0]->broken);
    arena_free(f.arena);
    buffer_free(&text);
}

/* The parser's stack stays as it is however long a list is; no input stops it. */
static void reads_any_text(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "git", "'", "\"", "\\", " ", "\t", "\n", "\r\n", "\n ", ";", "#", "#{a}", "#b", "...",
        "{0,16}", "=", "!=", "defaults:", "patterns:", "$HOME/", "\r", "\xc3\xa9", "\xff", "a",
        "\n a = b", "\n a = '", "\ngit #a", "''",
    };
    uint32_t random = 7;
    for (int round = 0; round < 20000; round++) {
        char text[512];
        size_t length = 0;
        for (int i = 0; i < 32; i++) {
            random = random * 1664525u + 1013904223u;
            const char *part = parts[(random >> 16) % (sizeof parts / sizeof *parts)];
            memcpy(text + length, part, strlen(part));
            length += strlen(part);
        }
        struct fixture f = parse_bytes(text, length);
        struct buffer out = {0};
        dump(&f, &out); /* checks every place */
        assert_true(diagnostics_errors(f.diagnostics) <= f.source->line_count + 1);
        buffer_free(&out);
        arena_free(f.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_nothing),
        cmocka_unit_test(reads_a_whole_file),
        cmocka_unit_test(keeps_duplicates),
        cmocka_unit_test(joins_pieces),
        cmocka_unit_test(counts_rest_slots),
        cmocka_unit_test(marks_home),
        cmocka_unit_test(keeps_the_line),
        cmocka_unit_test(places_rest_slots),
        cmocka_unit_test(says_what_the_user_typed),
        cmocka_unit_test(reports_lines_without_a_stanza),
        cmocka_unit_test(reports_unknown_stanzas),
        cmocka_unit_test(recovers_at_line_ends),
        cmocka_unit_test(keeps_limits),
        cmocka_unit_test(reports_a_line_once),
        cmocka_unit_test(reports_a_stanza_once),
        cmocka_unit_test(keeps_limits_of_the_file),
        cmocka_unit_test(leaves_long_comments_out),
        cmocka_unit_test(reads_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
