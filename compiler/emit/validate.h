/* Translation validation: each compile checks its own output, since the emitter is not trusted.
 *
 * Values are taken from each language's automaton, at its bounds and through its transitions, and
 * changed a little; others just outside it, where one repetition more or less were allowed. For each, PCRE2 (on the pattern as written), the automaton and the generated
 * matcher must agree. Requests are made for the rules, right ones and nearly right ones; for each, the
 * generated dispatch must decide as the model does.
 *
 * Owns the questions and the expected answers (in the arena). Starts no process: the caller links
 * the generated objects with runtime/verify/verify.c and runs that. */
#ifndef SLUICE_VALIDATE_H
#define SLUICE_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct layout;
struct validation;

/* Values of one language, and near ones of each; and bytes of them all, at most. */
#define VALIDATE_VALUES 64u
#define VALIDATE_NEAR 6u
#define VALIDATE_BYTES (256u * 1024)
/* Repetitions of a pattern that are tried with one more and one less, and values for each. */
#define VALIDATE_REPEATS 16u
#define VALIDATE_LOOSE 8u
/* Processor time that parts of a validation may take, in seconds; what is over is left out, least
 * important first, so that no rules file makes a compile run away. A policy of a thousand rules needs
 * less than one. */
#define VALIDATE_PCRE2_SECONDS 3.0 /* PCRE2's answers */
#define VALIDATE_LOOSE_SECONDS 3.0 /* values just outside of bounds */
#define VALIDATE_VALUE_SECONDS 6.0 /* near values; then only those that cover */
#define VALIDATE_REQUEST_SECONDS 3.0
/* Looks of a rule at a request that the expectations may cost together. */
#define VALIDATE_LOOKS 100000000u
/* Bytes of one question file, at most. */
#define VALIDATE_QUESTIONS_MAX ((size_t)256 * 1024 * 1024)

/* Makes questions and answers for a policy; on the way, compares the automata with PCRE2. NULL when
 * they agree; else what differs, in one line. */
const char *validation_make(struct arena *arena, const struct layout *layout,
                            struct validation **validation);

/* What the program reads from its standard input. */
void validation_questions(const struct validation *validation, const char **bytes, size_t *length);

/* Compares what it wrote. NULL when all is as expected; else the first difference, in one line. */
const char *validation_compare(struct arena *arena, const struct validation *validation,
                               const char *answers, size_t length);

/* How many questions there are: for --timings. */
size_t validation_count(const struct validation *validation);

/* Gives back what is not in the arena. */
void validation_free(struct validation *validation);

#endif
