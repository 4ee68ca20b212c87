/* Rules text to tokens.
 *
 * Owns what a byte of a line means: blanks, comments, quotes, backslashes, slots, keys and values
 * (grammar/tokens.re). Every line that is neither blank nor a comment is a run of tokens that ends
 * in NEWLINE, whatever is wrong with it: after an error, which it has reported, the lexer returns
 * bison's `error` token once, then NEWLINE. Never builds the tree. */
#ifndef SLUICE_LEXER_H
#define SLUICE_LEXER_H

#include "compiler/syntax/encoding.h"
#include "compiler/syntax/tree.h"

struct arena;
struct diagnostics;
union RULES_STYPE; /* build/grammar/rules.tab.h: what a token carries */

/* What the next bytes are. */
enum lexer_mode {
    MODE_LINE,     /* the start of a line */
    MODE_HEAD,     /* behind `defaults:` or `patterns:` */
    MODE_WORDS,    /* in a rule line */
    MODE_KEY,      /* behind the indentation */
    MODE_OPERATOR, /* behind the key */
    MODE_VALUE,    /* behind the operator */
    MODE_REPORTED, /* inside a line that was reported: `error` comes next */
    MODE_END,      /* nothing more is wanted of this line */
};

/* A literal part of a word, or a slot in it. */
struct lexed_piece {
    struct tree_piece piece;
    bool quoted; /* quotes or a backslash were used */
};

/* `#name...` or `#name...{m,n}` */
struct lexed_rest {
    struct tree_piece piece;
    bool braces;
    uint32_t minimum, maximum;
};

struct lexed_key {
    const char *text;
    uint32_t length;
};

/* The comment lines that stood directly above a line. */
struct lexed_comment {
    const char *text; /* at most TREE_COMMENT_LENGTH_MAX bytes of it */
    struct span at;   /* its lines in the source; SPAN_NONE when there are none */
    bool too_long;
};

struct lexer {
    struct arena *arena;
    const struct source *source;
    struct diagnostics *diagnostics;
    struct encoding encoding;
    size_t bad_next; /* of encoding.bad_lines: the next one ahead */
    enum lexer_mode mode;
    const unsigned char *cursor;
    uint32_t last_end; /* where the last token ended: where NEWLINE is said to be */
    bool in_word;      /* the last token was part of a word that may go on */
    struct span key_at; /* the key of this line's attribute */

    /* The comment lines just read. */
    char *comment;
    size_t comment_length, comment_capacity;
    struct span comment_at;
    bool comment_too_long;
    struct lexed_comment above; /* ... those above this line */

    /* The literal or value being read, its quotes and escapes resolved. */
    char *text;
    size_t text_length, text_capacity;
};

/* Starts at the text's first byte. The bytes were checked: `encoding` is what encoding_check said. */
void lexer_start(struct lexer *lexer, struct arena *arena, const struct source *source,
                 struct encoding encoding, struct diagnostics *diagnostics);

/* The next token (enum rules_tokentype), what it carries, and where it stands. At the text's end it
 * returns YYEOF, again and again. */
int lexer_next(struct lexer *lexer, union RULES_STYPE *value, struct span *at);

/* Skips what is left of a line that somebody else has reported: the next token is its NEWLINE, unless
 * that was the last one. */
void lexer_skip_line(struct lexer *lexer);

#endif
