/* Pattern trees in re2c's syntax (re2c(1), "REGULAR EXPRESSIONS"), for UTF-8 (-8).
 *
 * Owns the spelling. Sets of many ranges become named definitions, so that the expression itself
 * stays readable. Writes nothing that could end the comment that re2c blocks stand in. */
#ifndef SLUICE_RE2C_H
#define SLUICE_RE2C_H

struct arena;
struct buffer;
struct pattern;

/* Ranges up to which a set is written where it stands. */
#define RE2C_SET_RANGES 12u

/* The definitions that re2c_expression(tree) refers to, each on lines of its own, indented by
 * `indent` spaces. Definitions of one block are shared: pass every tree of the block at once. */
void re2c_definitions(struct arena *arena, struct buffer *out, const struct pattern *const *trees,
                      unsigned count, unsigned indent);

/* The tree, simplified before (simplify.h), on one line. Recurses as deep as the tree. */
void re2c_expression(struct arena *arena, struct buffer *out, const struct pattern *tree);

#endif
