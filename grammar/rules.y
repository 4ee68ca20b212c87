/* The rules language: lines, stanzas, words.
 *
 * What a word or a value is made of is the lexer's (tokens.re); what it means is the checker's.
 * Actions only build nodes. Every list is left-recursive, so the stack stays a few entries deep
 * whatever the input; everything that a token carries is in the arena, so there is nothing to
 * destroy when one is discarded. */

%define api.pure full
%define api.prefix {rules_}
%define api.token.prefix {LEX_}
%define api.location.type {struct span}
%define parse.error detailed
%define parse.lac full
%locations
%expect 0
%param {struct lexer *lexer} {struct builder *builder}

%code requires {
#include "compiler/syntax/build.h"
#include "compiler/syntax/lexer.h"
}

%code {
/* A symbol's place is from its first part's begin to its last part's end. */
#define YYLLOC_DEFAULT(current, parts, count)                                                      \
    do {                                                                                           \
        (current).begin = (count) ? YYRHSLOC(parts, 1).begin : YYRHSLOC(parts, 0).end;             \
        (current).end = YYRHSLOC(parts, (count) ? (count) : 0).end;                                \
    } while (0)

/* More can never be needed: no list is right-recursive. */
#define YYINITDEPTH 64
#define YYMAXDEPTH 64

static int rules_lex(RULES_STYPE *value, struct span *at, struct lexer *lexer,
                     const struct builder *builder)
{
    if (builder->full)
        return LEX_YYEOF;
    if (builder->line_reported)
        lexer_skip_line(lexer);
    return lexer_next(lexer, value, at);
}

static void rules_error(struct span *at, struct lexer *lexer, struct builder *builder,
                        const char *message)
{
    build_syntax_error(builder, *at, message);
    lexer_skip_line(lexer);
}
}

%union {
    struct lexed_comment comment;
    struct lexed_piece piece;
    struct lexed_rest rest;
    struct lexed_key key;
    enum tree_operator operator;
    struct tree_value value;
}

%token YYEOF 0 "end of file"
%token <comment> NEWLINE "end of line"
%token INDENT "indented line"
%token DEFAULTS "defaults:"
%token PATTERNS "patterns:"
%token BLANK "blank"
%token <piece> TEXT "word"
%token <piece> SLOT "slot"
%token <rest> REST "slot..."
%token <key> KEY "attribute"
%token <operator> IS "`=`"
%token <operator> IS_NOT "`!=`"
%token <value> VALUE "value"
%type <operator> operator

%%

/* An attribute belongs to the stanza that was opened last: the builder knows which, and reports one
 * that has none above it. The list is flat because a line that cannot be read is recovered in the
 * state before a line, where `error` can be shifted at once. */
file: %empty | file line;

line: head | attribute;

head:
    "defaults:" NEWLINE { build_defaults(builder, @1); }
  | "patterns:" NEWLINE { build_patterns(builder, @1); }
  | words NEWLINE       { build_rule(builder, @1, &$2); }
  | "defaults:" error NEWLINE { build_defaults(builder, @1); build_incomplete(builder); yyerrok; }
  | "patterns:" error NEWLINE { build_patterns(builder, @1); build_incomplete(builder); yyerrok; }
  | error NEWLINE { build_broken_rule(builder, @2); yyerrok; }
  ;

words: word | words BLANK word;

word:
    pieces { build_token(builder, @1); }
  | REST   { build_rest(builder, @1, &$1); }
  ;

pieces: piece | pieces piece;

piece:
    TEXT { build_piece(builder, &$1); }
  | SLOT { build_piece(builder, &$1); }
  ;

attribute:
    INDENT KEY operator VALUE NEWLINE { build_attribute(builder, &$2, @2, $3, @3, &$4); }
  | INDENT error NEWLINE { build_incomplete(builder); yyerrok; }
  ;

operator: "`=`" | "`!=`";
