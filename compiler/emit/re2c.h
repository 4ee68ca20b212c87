/* Pattern trees in re2c's syntax (re2c(1), "REGULAR EXPRESSIONS"), for UTF-8 (-8).
 *
 * Owns the spelling. Sets of many ranges become named definitions, so that the expression itself
 * stays readable. Writes nothing that could end the comment that re2c blocks stand in. */
#ifndef SLUICE_RE2C_H
#define SLUICE_RE2C_H

struct arena;
struct buffer;
struct pattern;

/* Ranges up to which a set is written where it stands: if it occurs once, or again and again. */
#define RE2C_ONCE_RANGES 12u
#define RE2C_AGAIN_RANGES 2u

/* A tree (simplified before: simplify.h) as definitions, which belong before the rules of a re2c
 * block, and an expression on one line. Both live in the arena. Recurses as deep as the tree. */
struct re2c_text {
    const char *definitions; /* whole lines, each indented by `indent` spaces; may be "" */
    const char *expression;
};
struct re2c_text re2c_text(struct arena *arena, const struct pattern *tree, unsigned indent);

#endif
