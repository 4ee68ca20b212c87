/* What the files of the pattern parser share; nothing outside of compiler/regex includes it.
 *
 * The parser is a recursive descent over the text: pattern_parse.c (alternatives, sequences,
 * groups, quantifiers), pattern_class.c (escapes and classes), pattern_name.c (references),
 * pattern_refusal.c (names what is not in the dialect), pattern_pcre2.c (the same text for PCRE2).
 * Groups recurse at most PATTERN_DEPTH_MAX deep. */
#ifndef SLUICE_REGEX_PARSER_H
#define SLUICE_REGEX_PARSER_H

#include "compiler/regex/pattern.h"

struct parser_flags {
    bool fold;     /* (?i) */
    bool dot_all;  /* (?s) */
    bool extended; /* (?x) */
};

/* Bytes begin..end-1 of the text, to be replaced for PCRE2. */
struct parser_edit {
    uint32_t begin, end;
    const char *text;
    size_t length;
};

struct parser {
    struct arena *arena;
    const char *text;
    uint32_t length;
    uint32_t at;
    const struct pattern_names *names;
    struct pattern_error *error;
    bool failed;
    struct parser_flags flags;
    unsigned depth;       /* of groups, at `at` */
    unsigned expansion;   /* how many named patterns this text is inside of */
    unsigned *expansions; /* references put in so far, by this parser and the ones inside of it */
    bool expand; /* edits hold the text of named patterns, else a stand-in of the same syntax */
    bool ends_extended;        /* (?x) is in force at the end of the text */
    struct parser_edit *edits; /* in the order of the text */
    size_t edit_count, edit_capacity;
};

/* Records the first error of a text (later ones are dropped) and returns NULL. */
void *parser_fail(struct parser *parser, uint32_t begin, uint32_t end, const char *hint,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Reads the whole text. NULL after parser_fail. */
struct pattern *parser_run(struct parser *parser);

/* The byte `ahead` places from here, as unsigned char; -1 at the end. */
int parser_peek(const struct parser *parser, uint32_t ahead);
/* Whether these characters come next. */
bool parser_sees(const struct parser *parser, const char *text);
/* One scalar, consumed; false after parser_fail (NUL, invalid UTF-8). */
bool parser_scalar(struct parser *parser, uint32_t *scalar);
void parser_edit_add(struct parser *parser, uint32_t begin, uint32_t end, const char *text,
                     size_t length);
/* Whether (?x) skips this scalar (PCRE2's list: Pattern_White_Space). */
bool scalar_is_pattern_space(uint32_t scalar);

/* What a backslash stands for. */
struct escape {
    bool is_set;
    uint32_t scalar;    /* unless is_set */
    struct charset set; /* is_set: \d, \p{...}, ... */
};
bool parser_escape(struct parser *parser, bool in_class, struct escape *escape);
/* The reference whose name begins at `name`, to the `close` (')', or -1: the text's end) behind it;
 * `begin` is where it starts. NULL after parser_fail. */
struct pattern *parser_name(struct parser *parser, uint32_t begin, uint32_t name, int close);
bool byte_is_letter(int byte); /* or an underscore: what an identifier begins with */
/* From '[' to behind the matching ']'. */
struct pattern *parser_class(struct parser *parser);

/* Both name the construct that begins here. False when it is none that has a name. */
bool parser_refuses_group(struct parser *parser);
void parser_refuse_escape(struct parser *parser, bool in_class);

/* Whether PCRE2 takes the edited text; false after parser_fail. */
bool parser_asks_pcre2(struct parser *parser);
/* Whether a text is within PATTERN_LENGTH_MAX; false after parser_fail. */
bool parser_fits(struct parser *parser, size_t length);
/* The PCRE2 text of what a parser stands at the start of, with its length; NULL after
 * parser_fail. */
const char *parser_expanded(struct parser *parser, size_t length, size_t *expanded_length);

#endif
