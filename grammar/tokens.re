/* What the bytes of a line are. See compiler/syntax/lexer.h and scan.h.
 *
 * The scanners read the source in place: it ends in a NUL, and a line that holds another NUL, or
 * what is not UTF-8, or a CR without LF, was reported before and is skipped unread. So a NUL is the
 * text's end, a CR is half a line end, and bytes over 0x7f need no look. */
#include <string.h>

#include "compiler/syntax/scan.h"
#include "grammar/rules.tab.h"

/*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYCURSOR = "lexer->cursor";
    re2c:define:YYMARKER = marker;
    re2c:yyfill:enable = 0;
    re2c:sentinel = 0;
    re2c:indent:string = "    ";

    end     = "\x00";
    eol     = "\r"? "\n";
    blank   = [ \t];
    other   = [^\x00\r\n];
    single  = "'" [^\x00\r\n']* "'";
    double  = ["] ([^\x00\r\n"\\] | "\\" other)* ["];
    name    = [1-9][0-9]* | [A-Za-z_][A-Za-z0-9_-]*;  /* a slot's */
    key     = [A-Za-z0-9_] [A-Za-z0-9_.-]*;           /* an attribute's: a slot, a word, env.NAME */
    count   = [0-9]+;
*/

int scan_line(struct lexer *lexer)
{
    const unsigned char *marker, *begin;
    for (;;) {
        begin = lexer->cursor;
        lexer->last_end = lexer_offset(lexer, begin);
        lexer->in_word = false;
        if (lexer_is_bad_line(lexer)) {
            int token = lexer_skip_bad(lexer);
            if (token != NO_TOKEN)
                return token;
            continue;
        }
        /*!re2c
            blank* end {
                lexer->cursor--;
                lexer->last_end = lexer_offset(lexer, lexer->cursor);
                return LEX_YYEOF;
            }
            blank* eol {
                comment_forget(lexer);
                continue;
            }
            ";" other* {
                comment_add(lexer, begin);
                lexer_skip_to_next_line(lexer);
                continue;
            }
            blank+ ";" {
                comment_forget(lexer);
                lexer_skip_to_next_line(lexer);
                continue;
            }
            blank+ {
                comment_settle(lexer);
                lexer->mode = MODE_KEY;
                return LEX_INDENT;
            }
            "defaults:" { return line_head(lexer, begin, LEX_DEFAULTS); }
            "patterns:" { return line_head(lexer, begin, LEX_PATTERNS); }
            "" { return line_words(lexer); }
        */
    }
}

/* ---- rule lines ------------------------------------------------------------------------------ */

int scan_slot(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *marker, *begin = lexer->cursor;
    token->rest = (struct lexed_rest){.minimum = 1, .maximum = TREE_REST_MAX};
    /*!re2c
        "#{" name "}"   { return slot_braced(lexer, &token->piece, begin); }
        "#" name        { return slot_word(lexer, &token->piece, begin); }
        "#" name "..."  { return slot_rest(lexer, &token->rest, begin, lexer->cursor - 3); }
        "#" name "...{" count "," count "}" {
            return slot_rest_counted(lexer, &token->rest, begin);
        }
        "#" name "...{" {
            return lexer_report(lexer, lexer_byte(lexer, lexer->cursor - 1),
                                "for example {0,16}, or {3,3} for exactly 3",
                                "the number of words is written {m,n}");
        }
        "#{" {
            return lexer_report_hash(lexer, begin, "`#{` is not followed by a slot's name and `}`");
        }
        "#$" [A-Za-z0-9_]* {
            return lexer_report_hash(lexer, begin,
                                     "what a call tells of itself is for the paths of attributes");
        }
        "#" [0-9]+ { return lexer_report_hash(lexer, begin, "a slot's number begins with 1 to 9"); }
        ""         {
            lexer->cursor++;
            return lexer_report_hash(lexer, begin, "`#` is not followed by a slot's name");
        }
    */
}

int scan_text(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *marker, *begin = lexer->cursor, *part;
    struct lexed_piece *literal = &token->piece;
    *literal = (struct lexed_piece){.piece.kind = PIECE_LITERAL};
    lexer->text_length = 0;
    for (;;) {
        part = lexer->cursor;
        /*!re2c
            [^\x00\r\n\t ;#'"\\]+ {
                text_add(lexer, part, lexer->cursor);
                continue;
            }
            "\\" other {
                literal->quoted = true;
                text_add(lexer, part + 1, lexer->cursor);
                continue;
            }
            single {
                literal->quoted = true;
                text_add(lexer, part + 1, lexer->cursor - 1);
                continue;
            }
            double {
                literal->quoted = true;
                text_add_unescaped(lexer, part + 1, lexer->cursor - 1);
                continue;
            }
            ['"] { return lexer_report_quote(lexer, part); }
            "\\" {
                return lexer_report_backslash(
                    lexer, part, "a rule is one line; a literal backslash is written \\\\ or '\\'");
            }
            "" { break; }
        */
    }
    literal->piece.at = lexer_span(lexer, begin);
    literal->piece.text = text_take(lexer, &literal->piece.length);
    return LEX_TEXT;
}

/* ---- attributes ------------------------------------------------------------------------------ */

int scan_key(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *begin = lexer->cursor;
    /*!re2c
        key { return key_finish(lexer, &token->key, begin); }
        "#" {
            return lexer_report(lexer, lexer_span(lexer, begin), "write `name = PATTERN`",
                                "a slot's pattern is given without the '#'");
        }
        "" {
            return lexer_report(lexer, lexer_byte(lexer, begin),
                                "an indented line is `name = value`; a rule is not indented",
                                "no attribute's name begins like this");
        }
    */
}

int scan_operator(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *marker, *begin = lexer->cursor;
    /*!re2c
        "==" {
            return lexer_report(lexer, lexer_span(lexer, begin),
                                "write `=`; a value that begins with '=' stands after a blank or "
                                "in quotes",
                                "there is no operator `==`");
        }
        "=" {
            token->operator = OPERATOR_IS;
            lexer->mode = MODE_VALUE;
            return LEX_IS;
        }
        "!=" {
            token->operator = OPERATOR_IS_NOT;
            lexer->mode = MODE_VALUE;
            return LEX_IS_NOT;
        }
        "" {
            /* The parser says what is missing at the line's end. */
            return lexer_ends_word(*begin) ? LEX_NEWLINE : lexer_report_operator(lexer, begin);
        }
    */
}

/* A value without quotes: to the line's end or a comment. */
static int scan_plain_value(struct lexer *lexer, struct tree_value *value)
{
    const unsigned char *begin = lexer->cursor, *end = begin, *part;
    for (;;) {
        part = lexer->cursor;
        /*!re2c
            [^\x00\r\n\t ;\\]+ | "\\" other {
                end = lexer->cursor;
                continue;
            }
            blank+ { continue; }
            "\\" {
                return lexer_report_backslash(
                    lexer, part, "a value is one line; a literal backslash is written \\\\");
            }
            ";" other* {
                value->comment = lexer_span(lexer, part);
                break;
            }
            "" { break; }
        */
    }
    if (end == begin)
        return lexer_report(lexer, (struct span){lexer->last_end, lexer->last_end},
                            "an empty value is written ''", "there is no value here");
    text_add(lexer, begin, end);
    return value_finish(lexer, value, begin, end);
}

int scan_value(struct lexer *lexer, union RULES_STYPE *token)
{
    const unsigned char *marker, *begin = lexer->cursor;
    struct tree_value *value = &token->value;
    *value = (struct tree_value){.form = VALUE_PLAIN, .comment = SPAN_NONE};
    lexer->text_length = 0;
    /*!re2c
        single { return value_quoted(lexer, value, VALUE_SINGLE, begin); }
        double { return value_quoted(lexer, value, VALUE_DOUBLE, begin); }
        ['"]   { return lexer_report_quote(lexer, begin); }
        ""     { return scan_plain_value(lexer, value); }
    */
}
