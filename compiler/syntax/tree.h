/* The syntax tree of a rules file: what was written, and where. No meaning.
 *
 * Owns the shape of the tree; everything in it lives in the compilation's arena or points into the
 * source text, and both outlive it. Never knows which attribute keys there are, what a pattern
 * means, or which slot belongs to which line: that is the checker's (compiler/policy). All texts are
 * valid UTF-8 without NUL; those of `const char *` with a length beside them are NUL-terminated too
 * unless they say otherwise. */
#ifndef SLUICE_TREE_H
#define SLUICE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/base/source.h"

struct arena;

/* The syntax's stated limits. The parser reports whatever is over one with the limit's number. */
#define TREE_RULES_MAX 20000u         /* rules of one file */
#define TREE_FILE_TOKENS_MAX 1000000u     /* tokens of all rules together */
#define TREE_FILE_ATTRIBUTES_MAX 1000000u /* attributes of all stanzas together */
#define TREE_TOKENS_MAX 256u          /* tokens of one rule: a request has at most 256 arguments */
#define TREE_TOKEN_LENGTH_MAX 65536u  /* bytes of one token, as written and as meant */
#define TREE_SLOTS_MAX 64u            /* slots of one rule */
#define TREE_NAME_LENGTH_MAX 128u     /* bytes of a slot's name or an attribute's key */
#define TREE_ATTRIBUTES_MAX 20000u    /* attributes of one stanza */
#define TREE_VALUE_LENGTH_MAX 65536u  /* bytes of one attribute's value, as written */
#define TREE_COMMENT_LENGTH_MAX 65536u /* bytes of the comment above a rule */
#define TREE_REST_MAX 255u            /* whole tokens that one `...` slot can take */

/* ---- rule lines ------------------------------------------------------------------------------ */

enum tree_piece_kind {
    PIECE_LITERAL,
    PIECE_SLOT,
};

/* A part of a token. Two literals never stand side by side: `a'b'c` is one. */
struct tree_piece {
    enum tree_piece_kind kind;
    struct span at;      /* as written: `#`, braces, quotes and backslashes included; not `...` */
    const char *text;    /* literal: its bytes, quotes and escapes resolved; slot: its name */
    uint32_t length;
    struct span name_at; /* slot: its name alone */
};

/* One word of a rule line. It has at least one piece: the empty token '' has one empty literal. A
 * token that is one slot (`#name`, `#{name}`) has one piece. */
struct tree_token {
    struct span at; /* as written, quotes and `...{m,n}` included */
    struct tree_piece *pieces;
    uint32_t piece_count;
    bool quoted; /* some of it stands in quotes or behind a backslash */
    bool home;   /* begins with `$HOME/`, unquoted; the first piece's text has it as written */
    bool is_rest;       /* `#name...`: pieces[0] is the slot, and the only one */
    bool rest_braces;   /* its `{m,n}` was written */
    uint32_t minimum, maximum; /* is_rest: whole tokens; 1..TREE_REST_MAX when not written. Always
                                * minimum <= maximum and 1 <= maximum <= TREE_REST_MAX */
};

/* ---- attributes ------------------------------------------------------------------------------ */

enum tree_value_form {
    VALUE_PLAIN,     /* to the end of the line or a comment; `\;` and all other `\x` still in it */
    VALUE_UNESCAPED, /* made of a plain one by value_unescape: `\;` has become `;` */
    VALUE_SINGLE,    /* one word in '...' */
    VALUE_DOUBLE,    /* one word in "...", `\x` resolved to x */
};

/* An attribute's value. Blanks around it, the comment and the outer quotes are not part of `text`. */
struct tree_value {
    enum tree_value_form form;
    struct span at; /* as written, quotes included */
    const char *text;
    uint32_t length;     /* 0 only for '' and "" */
    const char *written; /* the source's bytes from where text[0] was written: behind a quote */
    uint32_t written_at; /* and their offset in the source */
    struct span comment; /* a plain value's comment from its `;` on, else SPAN_NONE: a pattern that
                          * is wrong just before one probably meant `\;` */
};

/* Where bytes begin..end-1 of value->text stand in the source (escapes that made them included);
 * begin <= end <= value->length. An empty range is an empty span before the byte, or behind the
 * last. */
struct span value_span(const struct tree_value *value, uint32_t begin, uint32_t end);

/* The value with `\;` resolved to `;`: for every key but patterns, where `\;` is the pattern's own
 * escape. A value without one, or a quoted one, is returned as it is. */
const struct tree_value *value_unescape(struct arena *arena, const struct tree_value *value);

/* A list's item or the like: bytes begin..end-1 of value->text, with blanks around them left out.
 * Its text is not NUL-terminated; value_span works on it as on the whole. */
struct tree_value value_part(const struct tree_value *value, uint32_t begin, uint32_t end);

enum tree_operator {
    OPERATOR_IS,     /* = */
    OPERATOR_IS_NOT, /* != */
};

struct tree_attribute {
    const char *key; /* a slot's name, or letters, digits, `_`, `-` and `.` */
    uint32_t key_length;
    enum tree_operator operator;
    struct span key_at;
    struct span operator_at;
    struct tree_value value;
};

/* ---- stanzas --------------------------------------------------------------------------------- */

/* What stands under one unindented line. */
struct tree_stanza {
    struct span at; /* the unindented line, without its comment and the blanks around it */
    struct tree_attribute *attributes; /* in the file's order */
    size_t attribute_count;
    /* One of its lines was reported as an error and is not here: say nothing of what is missing (a
     * slot without a pattern, an unknown @name). */
    bool incomplete;
};

struct tree_rule {
    struct tree_stanza stanza;
    const char *text; /* the line as written, as far as stanza.at */
    /* The comment lines directly above it that are not indented, without their `;`, one blank behind
     * it and blanks at the end, joined by '\n'. "" when there are none or a blank line is between. */
    const char *comment;
    struct tree_token *tokens;
    uint32_t token_count;
    uint32_t slot_count; /* pieces that are slots, in all tokens */
    /* The line itself was reported as an error: tokens is empty. Its attributes are here, so that
     * they can be checked as far as they mean something by themselves. */
    bool broken;
};

/* A whole file. `defaults` and `patterns` may have more than one stanza: reporting the second, with
 * the first one's place, is the checker's, and so is that defaults stand before the first rule. */
struct rules_file {
    const struct source *source;
    struct tree_stanza **defaults;
    size_t defaults_count;
    struct tree_stanza **patterns;
    size_t patterns_count;
    struct tree_rule **rules;
    size_t rule_count;
};

#endif
