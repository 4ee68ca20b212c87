/* A rules file's text and places in it.
 *
 * A place is two byte offsets (a span); line and column are computed only when printed. The text is
 * kept for as long as anything points into it. */
#ifndef SLUICE_SOURCE_H
#define SLUICE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* Bytes begin..end-1 of the source. */
struct span {
    uint32_t begin, end;
};

/* A span that says "no place of its own". */
#define SPAN_NONE ((struct span){UINT32_MAX, UINT32_MAX})

struct source {
    const char *name; /* as the user gave it: what diagnostics print */
    const char *text; /* `length` bytes and a NUL */
    uint32_t length;
    uint32_t *line_begins; /* byte offset of each line */
    uint32_t line_count;
};

/* The longest rules file, in bytes. */
#define SOURCE_LENGTH_MAX (64u * 1024 * 1024)

/* Takes `length` bytes of text (copied into the arena). length <= SOURCE_LENGTH_MAX. */
struct source *source_from_text(struct arena *arena, const char *name, const char *text,
                                size_t length);

/* Reads a whole file; "-" is standard input, named "<stdin>". NULL and errno when it cannot be read (EFBIG: over
 * SOURCE_LENGTH_MAX). */
struct source *source_from_file(struct arena *arena, const char *path);

/* The line (from 1) that holds a byte offset. */
uint32_t source_line(const struct source *source, uint32_t offset);

/* The column (from 1) of a byte offset, counted in Unicode scalar values as editors do; a tab is
 * one column, a byte that is not UTF-8 is one. */
uint32_t source_column(const struct source *source, uint32_t offset);

/* The bytes of a line (from 1, at most line_count), without its LF or CRLF. */
struct span source_line_span(const struct source *source, uint32_t line);

#endif
