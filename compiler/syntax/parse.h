/* Rules text to syntax tree.
 *
 * Owns the reading of the file: encoding, lines, quoting, slots, stanzas (grammar/tokens.re and
 * grammar/rules.y). Never decides what anything means. Costs time and memory linear in the text,
 * whatever it holds; every limit is in tree.h. */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#include "compiler/syntax/tree.h"

struct arena;
struct diagnostics;

/* The tree of a whole source, never NULL, in the arena. Errors go to `diagnostics`, one for each
 * bad line; what they say is not in the tree is not (tree_stanza.incomplete, tree_rule.broken), and
 * the rest can be checked. */
struct rules_file *parse_source(struct arena *arena, const struct source *source,
                                struct diagnostics *diagnostics);

#endif
