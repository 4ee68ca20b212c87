/* All of a policy's generated code, in memory.
 *
 * Owns the order of the emitters. Writes no file and runs nothing. */
#ifndef SLUICE_EMIT_H
#define SLUICE_EMIT_H

struct arena;
struct diagnostics;
struct emitted;
struct model;

/* Tokens and slots of all rules together: what the C compiler's time depends on. */
#define EMIT_TOKENS_MAX 250000u

/* NULL when the rules cannot be compiled; the diagnostics then say why. The same model gives the same
 * bytes. */
struct emitted *emit_policy(struct arena *arena, const struct model *model,
                            struct diagnostics *diagnostics);

#endif
