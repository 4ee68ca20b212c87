/* What the compiler knows about programs (programs.txt), and what of it holds for one rule.
 *
 * Owns the reading of the facts and of command lines by them: which argument is the subcommand, which
 * are operands, which is the value of an option. Says nothing of danger: that is warnings_*. */
#ifndef SLUICE_PROGRAMS_H
#define SLUICE_PROGRAMS_H

#include "compiler/policy/model.h"

struct program_fact {
    const char *name;
    const char **values;
    size_t value_count;
    const char **subcommands; /* empty: whatever the subcommand */
    size_t subcommand_count;
};

struct program {
    const char *name;
    const char *source; /* the public documentation of the facts */
    const struct program_fact *facts;
    size_t fact_count;
};

struct programs;

/* Reads the built-in list. */
struct programs *programs_read(struct arena *arena);

/* The program of that base name, or NULL. */
const struct program *program_find(const struct programs *programs, const char *name);
size_t programs_count(const struct programs *programs);

/* How a rule's command line reads to its program. Places are token indexes. */
struct invocation {
    const struct model_rule *rule;
    const struct program *program; /* NULL: not a known one */
    const char *name;              /* the program's base name */
    const char *subcommand;        /* a literal one, else NULL */
    size_t *operands;              /* the subcommand among them, first, where the program has them */
    size_t operand_count;
};

struct invocation invocation_read(struct arena *arena, const struct programs *programs,
                                  const struct model_rule *rule);

/* The first fact of a name that holds for the invocation, or NULL; *after goes on behind one that was
 * returned before (NULL: from the first). */
const struct program_fact *invocation_fact(const struct invocation *invocation, const char *name,
                                           const struct program_fact *after);

/* A token's literal text, or NULL when it is not one. */
const char *token_literal(const struct model_token *token);

/* Whether a fact has a value. */
bool fact_has(const struct program_fact *fact, const char *value);

/* The number that a fact gives (`command-operand=2`), `otherwise` when it gives none. */
size_t fact_number(const struct program_fact *fact, size_t otherwise);

#endif
