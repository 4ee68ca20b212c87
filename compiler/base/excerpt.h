/* The source line under a diagnostic, with its caret.
 *
 * Owns how source text is shown to a person: one line, cut to a window around the caret when it is
 * long, with nothing in it that could steer the terminal. Knows nothing of errors. */
#ifndef SLUICE_EXCERPT_H
#define SLUICE_EXCERPT_H

#include "compiler/base/buffer.h"
#include "compiler/base/source.h"

/* Scalar values of a line that are shown at most; more are cut off, with "..." in their place. */
#define EXCERPT_WIDTH_MAX 160u
/* How many of them may stand before the caret when the line is cut. */
#define EXCERPT_BEFORE_MAX 60u

/* Adds two lines to `out`: the source line that `at` begins on, after its number, and a caret under
 * at.begin with `~` to at.end or the line's end. Tabs stay tabs in both, so that they line up. */
void excerpt_add(struct buffer *out, const struct source *source, struct span at);

/* Adds `length` bytes as they may be shown: what is not visible (utf8.h) and what is not UTF-8 as
 * \xHH or \u{H...}, tabs included. */
void excerpt_visible(struct buffer *out, const char *bytes, size_t length);

#endif
