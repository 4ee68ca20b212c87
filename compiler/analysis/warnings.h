/* The warnings of `sluicec check`: what a policy allows that its author may not have meant.
 *
 * Owns nothing but the judgement: facts about programs come from programs.txt, about variables from
 * grammar/environment.def, about languages from automata. Each family has its own file and adds to
 * the diagnostics; each warning is named as grammar/warnings.def has it. */
#ifndef SLUICE_WARNINGS_H
#define SLUICE_WARNINGS_H

#include "compiler/analysis/programs.h"
#include "compiler/analysis/work.h"
#include "compiler/base/diagnostic.h"

/* Languages that warnings ask about, made once. */
enum form {
    FORM_LONG_OPTION,   /* --word... */
    FORM_DASH,          /* starts with '-' */
    FORM_PARENT,        /* has a component .. */
    FORM_ABSOLUTE,      /* starts with / */
    FORM_RELATIVE,      /* a path that does not */
    FORM_SLASH,         /* has a / */
    FORM_SPACE,         /* has a space */
    FORM_AT,            /* starts with @ */
    FORM_PLUS,          /* starts with + */
    FORM_TILDE,         /* starts with ~ */
    FORM_CONTROL,       /* has an ASCII control character but tab and newline */
    FORM_NEWLINE,       /* has a newline */
    FORM_SHELL,         /* has a character that a shell reads */
    FORM_URL,           /* scheme://... */
    FORM_PRINTABLE,     /* any printable ASCII, one or more: to be contained */
    FORM_COUNT,
};

struct buffer;

struct warner {
    struct arena *arena;
    const struct model *model;
    struct diagnostics *diagnostics;
    const struct programs *programs;
    const struct automaton *forms[FORM_COUNT];
    struct invocation *invocations; /* one for each rule */
    struct work *work;
    bool runs_callers; /* the rule being looked at got a command-position */
};

/* Adds every warning of a policy to the diagnostics. */
void warnings_check(struct arena *arena, const struct model *model,
                    struct diagnostics *diagnostics, struct work *work);

/* ---- for the families --------------------------------------------------------------------------- */

void warnings_of_rules(struct warner *warner);        /* shadowed, overlap, incomplete */
void warnings_of_values(struct warner *warner);       /* what slots accept */
void warnings_of_programs(struct warner *warner);     /* what programs do with it */
void warnings_of_environments(struct warner *warner); /* env-danger, writable-exec-path */
void warnings_of_combinations(struct warner *warner); /* combination */
void warnings_of_text(struct warner *warner);         /* lost-backslash, comment-in-word, invisible-char */

/* What a token accepts, or NULL when only a call can tell. */
const struct automaton *warner_language(struct warner *warner, const struct model_rule *rule,
                                        const struct model_token *token);

/* Whether a language has a value of a form: the shortest one, as a person would write it. NULL: no. */
const char *warner_witness(struct warner *warner, const struct automaton *language, enum form form);

/* Whether a language is a short list of words: what its author wrote down is no choice of the
 * caller's. */
bool language_is_listed(struct warner *warner, const struct automaton *language);

/* "rule at line 4", "rules at lines 4, 7 and others". */
void warner_name_lines(struct buffer *out, const uint32_t *lines, size_t count, bool and_others);

/* The first slot of a token, or NULL. */
const struct model_slot *token_slot(const struct model_rule *rule, const struct model_token *token);

/* Calls back for each value of an option that a fact names: "-o VALUE", "--option VALUE",
 * "--option=VALUE", "-oVALUE". `language` is what the value can be (NULL: only a call can tell). */
typedef void warner_on_value(struct warner *warner, const struct invocation *invocation,
                             const struct program_fact *fact, const struct model_token *token,
                             const struct automaton *language, const char *option);
void warner_option_values(struct warner *warner, const struct invocation *invocation,
                          const char *fact_name, warner_on_value *on_value);

#endif
