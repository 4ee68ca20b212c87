/* What stands where in the generated code, and what it is called.
 *
 * Decides, once for all emitters: the name of each rule, the accept functions that are needed (each
 * distinct one once), and over which files the rules are spread. Names depend on content alone
 * (names.h). Writes no code. Everything lives in the compilation's arena. */
#ifndef SLUICE_LAYOUT_H
#define SLUICE_LAYOUT_H

#include "compiler/base/table.h"
#include "compiler/policy/model.h"

/* Rules up to which one file holds all rule functions, and the bounds of a file's share above. */
#define LAYOUT_ONE_FILE_MAX 400u
#define LAYOUT_SHARE_MIN 200u
#define LAYOUT_SHARE_MAX 1000u

enum accept_kind {
    ACCEPT_LINE,     /* one pattern line */
    ACCEPT_PCRE2,    /* one pattern line that PCRE2 matches at call time */
    ACCEPT_COMBINED, /* a language of several lines */
    ACCEPT_TOKEN,    /* a whole token made of literals and slots */
};

/* A function `enum policy_verdict NAME(const char *bytes, uint32_t length)`. */
struct accept {
    enum accept_kind kind;
    const char *name;
    const struct model_pattern *line;      /* LINE, PCRE2 */
    const struct model_language *language; /* COMBINED */
    const struct accept *const *parts;     /* COMBINED: of each line, in the language's order */
    const struct model_token *token;       /* TOKEN */
    const struct model_rule *rule;         /* TOKEN: the first rule that has it */
};

struct layout_rule {
    const char *name; /* `git_push_origin`: of rule_..., RULE_..., comment_... */
    const struct accept **tokens; /* of each TOKEN_MIXED, else NULL; NULL when the rule has none */
};

/* Rules first..first+count-1 share a file. */
struct layout_share {
    const char *file;
    size_t first, count;
};

struct layout {
    const struct model *model;
    const struct layout_rule *rules;    /* as model.rules */
    const struct accept *const *accepts; /* in the order of first use */
    size_t accept_count;
    const struct layout_share *shares;
    size_t share_count;
    const char *const *expansions; /* names of model.expansions: EXPANSION_... */
    struct table by_language;      /* of struct accept, by the language's address */
};

const struct layout *layout_make(struct arena *arena, const struct model *model);

/* The function that accepts a language's values; NULL for NULL (anything). */
const struct accept *layout_language(const struct layout *layout,
                                     const struct model_language *language);

/* How many slots a token has. */
size_t token_slot_count(const struct model_token *token);

#endif
