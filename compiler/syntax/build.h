/* The nodes of the syntax tree, made one by one as the grammar recognises them.
 *
 * Owns the tree while it is being made, and the limits on how many of each thing there are. Never
 * reads text: that is the lexer's. Called from grammar/rules.y alone. */
#ifndef SLUICE_BUILD_H
#define SLUICE_BUILD_H

#include "compiler/syntax/lexer.h"
#include "compiler/syntax/tree.h"

struct arena;
struct diagnostics;

struct builder {
    struct arena *arena;
    const struct source *source;
    struct diagnostics *diagnostics;
    struct rules_file *file;
    size_t defaults_capacity, patterns_capacity, rules_capacity;
    size_t all_tokens, all_attributes; /* of the file so far */
    bool full;                         /* over a limit of the file: read no further */

    struct tree_stanza *stanza; /* the open one; NULL before the first */
    size_t attribute_capacity;
    bool stanza_reported; /* it is over a limit, and said so */

    /* The rule line being read. */
    struct tree_piece *pieces; /* of the word being read */
    size_t piece_count, piece_capacity;
    bool word_quoted;
    struct tree_token *tokens;
    size_t token_count, token_capacity;
    size_t slot_count;
    bool line_reported; /* it is over a limit, and said so */
};

/* Starts an empty tree. */
void builder_start(struct builder *builder, struct arena *arena, const struct source *source,
                   struct diagnostics *diagnostics);

/* Opens a stanza with the line at `at`. */
void build_defaults(struct builder *builder, struct span at);
void build_patterns(struct builder *builder, struct span at);

/* Opens a rule of the words built since the last line. */
void build_rule(struct builder *builder, struct span at, const struct lexed_comment *comment);

/* Opens a rule whose line, at `newline`, was reported. */
void build_broken_rule(struct builder *builder, struct span newline);

/* Adds a piece to the word, then the word to the line. */
void build_piece(struct builder *builder, const struct lexed_piece *piece);
void build_token(struct builder *builder, struct span at);
void build_rest(struct builder *builder, struct span at, const struct lexed_rest *rest);

/* Adds an attribute to the open stanza, or reports that there is none. */
void build_attribute(struct builder *builder, const struct lexed_key *key, struct span key_at,
                     enum tree_operator operator, struct span operator_at,
                     const struct tree_value *value);

/* Notes that something of the open stanza was reported and is missing. */
void build_incomplete(struct builder *builder);

/* Reports what the parser says: "syntax error, unexpected ..., expecting ...". */
void build_syntax_error(struct builder *builder, struct span at, const char *message);

#endif
