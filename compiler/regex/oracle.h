/* Second opinions on patterns: PCRE2 and libfa.
 *
 * The automata of automaton.h are what the compiler believes. Translation validation and the tests
 * ask two independent implementations as well: PCRE2 on the pattern's text (pattern_pcre2), value
 * by value, and libfa on the pattern's tree, for the whole language at once. Owns the compiled
 * forms of both. Decides nothing: who asks says what a disagreement means. */
#ifndef SLUICE_ORACLE_H
#define SLUICE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct automaton;
struct pattern;

#define ORACLE_PCRE2_NO_MEMORY 121 /* pcre2_compile's error: no pattern is to blame for it */
#define ORACLE_PCRE2_MATCH_LIMIT 200000u  /* calls of PCRE2's matcher for one value */
#define ORACLE_PCRE2_HEAP_LIMIT 262144u   /* KiB for one value */
#define ORACLE_LIBFA_POSITIONS_MAX 20000u /* byte positions of a tree that libfa is given */

enum oracle_answer {
    ORACLE_NO,
    ORACLE_YES,
    ORACLE_UNKNOWN, /* over a limit: PCRE2's size or match limit, libfa's size bound */
};

/* ---- PCRE2 ----------------------------------------------------------------------------------- */

struct oracle_pcre2;

/* Whether PCRE2 takes the text: ORACLE_NO with the message (in the arena) and the byte offset that
 * pcre2_compile(3) gives; ORACLE_UNKNOWN for a pattern that is only too large for it. */
enum oracle_answer oracle_pcre2_compiles(struct arena *arena, const char *text, size_t length,
                                         const char **message, size_t *place);

/* Compiles `text` (of pattern_pcre2): PCRE2_UTF | ANCHORED | ENDANCHORED | DOLLAR_ENDONLY, newline
 * is LF, \C refused. NULL when PCRE2 does not take it, or cannot (too large). The caller ends it
 * with oracle_pcre2_free. */
struct oracle_pcre2 *oracle_pcre2_new(const char *text, size_t length);
void oracle_pcre2_free(struct oracle_pcre2 *oracle); /* NULL is allowed */

/* Whether the whole value is accepted; ORACLE_UNKNOWN when it passes a match limit. A value that is
 * not UTF-8 is not. */
enum oracle_answer oracle_pcre2_accepts(struct oracle_pcre2 *oracle, const char *bytes,
                                        size_t length);

/* ---- libfa ----------------------------------------------------------------------------------- */

/* Whether libfa, given the tree in bytes, comes to the language of `automaton`: exactly, by walking
 * its automaton and ours together. ORACLE_NO with the shortest value on which they differ
 * (bytes, in the arena; may not be UTF-8) when `witness` is not NULL. ORACLE_UNKNOWN for trees over
 * ORACLE_LIBFA_POSITIONS_MAX or otherwise beyond what libfa does in reasonable time, and for
 * automata that have no byte form within reach. */
enum oracle_answer oracle_libfa_equal(struct arena *arena, const struct pattern *pattern,
                                      const struct automaton *automaton, const char **witness,
                                      size_t *witness_length);

/* Whether libfa accepts the value. Builds the whole automaton for it: for a few values only. */
enum oracle_answer oracle_libfa_accepts(const struct pattern *pattern, const char *bytes,
                                        size_t length);

#endif
