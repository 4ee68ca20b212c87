/* Patterns: the regular expressions of the rules language, as trees.
 *
 * pattern_parse reads the dialect of LANGUAGE.md ("Patterns"): what is not regular is an error that
 * names the construct and its place. Trees are immutable, share parts, and live in the arena. */
#ifndef SLUICE_PATTERN_H
#define SLUICE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/regex/charset.h"

struct arena;

#define PATTERN_LENGTH_MAX 65536u      /* bytes of one pattern as written */
#define PATTERN_EXPANDED_MAX 4194304u  /* bytes of its PCRE2 text, named patterns put in */
#define PATTERN_DEPTH_MAX 200u         /* nested groups, named patterns counted */
#define PATTERN_REPEAT_MAX 65535u      /* n and m of {n,m}: PCRE2's own limit */
#define PATTERN_REPEAT_NONE UINT32_MAX /* no upper bound */
#define PATTERN_NODES_MAX 200000u      /* nodes of one tree, named patterns expanded */

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
    /* Of the whole tree below: */
    bool nullable;       /* accepts the empty string */
    uint32_t depth;      /* 1 for a leaf; at most 4 * PATTERN_DEPTH_MAX in a parsed pattern */
    uint32_t node_count; /* shared parts counted as often as they occur; stays at UINT32_MAX */
};

/* Trees are made by these, which put them in the form that the rest of the compiler relies on:
 * no CONCAT in a CONCAT or ALTERNATE in an ALTERNATE, at least two children in both, no EMPTY in
 * either (X|() is X{0,1}), the sets among alternatives merged into one, {1,1} and {0,0} and repeats
 * of repeats resolved where that is the same language, neighbours with the same body joined when
 * one of them is a repeat (XX* is X{1,}). Children are not changed. */
struct pattern *pattern_empty(struct arena *arena);
struct pattern *pattern_set(struct arena *arena, struct charset set);
struct pattern *pattern_concat(struct arena *arena, struct pattern *const *parts, size_t count);
struct pattern *pattern_alternate(struct arena *arena, struct pattern *const *parts, size_t count);
struct pattern *pattern_repeat(struct arena *arena, struct pattern *part, uint32_t minimum,
                               uint32_t maximum);

/* What went wrong, and where: byte offsets into the pattern's text. `message` and `hint` live in
 * the arena; hint may be NULL. */
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
    /* The text of a pattern that `find` knows, as its author wrote it, for pattern_pcre2. May be
     * NULL, and may return NULL: the tree is spelled out then. */
    const char *(*text)(void *context, const char *name, size_t length, size_t *text_length);
};

/* Reads `length` bytes of pattern text. `names` may be NULL: only the standard set then. NULL with
 * *error filled when it is not a pattern of the dialect. PCRE2's own syntax check runs as well, so
 * that what it would refuse is refused here. */
const struct pattern *pattern_parse(struct arena *arena, const char *text, size_t length,
                                    const struct pattern_names *names, struct pattern_error *error);

/* A pattern of the standard set, `name` without '@', `arguments` the text between parentheses or
 * NULL. NULL with *error filled (offsets into `arguments`) when none is there or they do not
 * fit. */
const struct pattern *pattern_standard(struct arena *arena, const char *name, size_t name_length,
                                       const char *arguments, size_t arguments_length,
                                       struct pattern_error *error);
/* The same as the text of a pattern, in the dialect; what pattern_standard parses. */
const char *pattern_standard_text(struct arena *arena, const char *name, size_t name_length,
                                  const char *arguments, size_t arguments_length,
                                  struct pattern_error *error);

/* Whether the standard set has a pattern of that name, with arguments or without. */
bool pattern_is_standard(const char *name, size_t name_length);

/* The pattern as PCRE2 text (PCRE2_UTF, to be compiled with PCRE2_ANCHORED | PCRE2_ENDANCHORED |
 * PCRE2_DOLLAR_ENDONLY): the text as the user wrote it with named patterns put in their places, so
 * that PCRE2 is an oracle independent of our tree. Only what PCRE2 reads in another way is put in
 * its words (`\v`; `^` and `$` at the ends are left out). */
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

/* A canonical text of the tree (same tree, same text; no spaces), for naming and deduplication. A
 * long set that occurs again is written `[=N]`, so this is not always a pattern. */
const char *pattern_canonical(struct arena *arena, const struct pattern *pattern);

/* The tree as a pattern of the dialect and of PCRE2: parses back to an equal tree. NULL when that
 * would take over PATTERN_EXPANDED_MAX bytes. */
const char *pattern_spelled(struct arena *arena, const struct pattern *pattern);

#endif
