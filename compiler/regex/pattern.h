/* Patterns: the regular expressions of the rules language, as trees.
 *
 * pattern_parse reads the dialect of LANGUAGE.md ("Patterns"): what is not regular is an error that
 * names the construct and its place. Trees are immutable and live in the arena. */
#ifndef SLUICE_PATTERN_H
#define SLUICE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/regex/charset.h"

struct arena;

#define PATTERN_LENGTH_MAX 65536u   /* bytes of one pattern as written */
#define PATTERN_DEPTH_MAX 200u      /* nested groups */
#define PATTERN_REPEAT_MAX 65536u   /* n and m of {n,m} */
#define PATTERN_REPEAT_NONE UINT32_MAX /* no upper bound */
#define PATTERN_NODES_MAX 200000u   /* nodes of one tree, named patterns expanded */

enum pattern_kind {
    PATTERN_EMPTY,  /* the empty string */
    PATTERN_SET,    /* one scalar of `set` (an empty set: nothing matches) */
    PATTERN_CONCAT, /* children in order */
    PATTERN_ALTERNATE,
    PATTERN_REPEAT, /* children[0], minimum..maximum times */
};

struct pattern {
    enum pattern_kind kind;
    struct charset set;
    struct pattern **children;
    size_t child_count;
    uint32_t minimum, maximum; /* PATTERN_REPEAT; maximum may be PATTERN_REPEAT_NONE */
};

/* What went wrong, and where: byte offsets into the pattern's text. `message` and `hint` live in the
 * arena; hint may be NULL. */
struct pattern_error {
    uint32_t begin, end;
    const char *message;
    const char *hint;
};

/* The user's named patterns: how `@name` finds its tree. Returns NULL when there is none of that
 * name (then the standard set is asked). `context` is handed through. */
struct pattern_names {
    const struct pattern *(*find)(void *context, const char *name, size_t length);
    void *context;
};

/* Reads `length` bytes of pattern text. `names` may be NULL: only the standard set then. NULL with
 * *error filled when it is not a pattern of the dialect. PCRE2's own syntax check runs as well, so
 * that what it would refuse is refused here. */
const struct pattern *pattern_parse(struct arena *arena, const char *text, size_t length,
                                    const struct pattern_names *names,
                                    struct pattern_error *error);

/* A pattern of the standard set, `name` without '@', `arguments` the text between parentheses or
 * NULL. NULL with *error filled (offsets into `arguments`) when there is none or they do not fit. */
const struct pattern *pattern_standard(struct arena *arena, const char *name, size_t name_length,
                                       const char *arguments, size_t arguments_length,
                                       struct pattern_error *error);

/* Whether the standard set has a pattern of that name, with arguments or without. */
bool pattern_is_standard(const char *name, size_t name_length);

/* The pattern as PCRE2 text (PCRE2_UTF, to be compiled with PCRE2_ANCHORED | PCRE2_ENDANCHORED |
 * PCRE2_DOLLAR_ENDONLY): the text as the user wrote it with named patterns put in their places, so
 * that PCRE2 is an oracle independent of our tree. */
const char *pattern_pcre2(struct arena *arena, const char *text, size_t length,
                          const struct pattern_names *names, struct pattern_error *error);

/* For engine = pcre2: whether PCRE2 compiles it (UTF, anchored); false with *error filled. */
bool pattern_check_pcre2(struct arena *arena, const char *text, size_t length,
                         struct pattern_error *error);

/* The literal that the pattern is, when it accepts exactly one string: true with the bytes. */
bool pattern_literal(struct arena *arena, const struct pattern *pattern, const char **bytes,
                     size_t *length);

/* Whether two trees are the same, node by node. */
bool pattern_equal(const struct pattern *a, const struct pattern *b);

/* A canonical text of the tree (same tree, same text; no spaces), for naming and deduplication. */
const char *pattern_canonical(struct arena *arena, const struct pattern *pattern);

#endif
