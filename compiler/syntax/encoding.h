/* Whether a rules file is text at all.
 *
 * Owns the checks on bytes that come before any reading of lines: UTF-8, NUL, byte order mark, line
 * ends. Knows nothing of the language. */
#ifndef SLUICE_ENCODING_H
#define SLUICE_ENCODING_H

#include "compiler/base/source.h"

struct arena;
struct diagnostics;

struct encoding {
    uint32_t text_begin;       /* 3 behind a byte order mark (reported), else 0 */
    const uint32_t *bad_lines; /* offsets at which the lines begin that hold a wrong byte, ascending */
    size_t bad_count;
};

/* Reports the first wrong byte of every line: NUL, what is not UTF-8, a CR without LF; and a byte
 * order mark at the start. Linear in the text. */
struct encoding encoding_check(struct arena *arena, const struct source *source,
                               struct diagnostics *diagnostics);

#endif
