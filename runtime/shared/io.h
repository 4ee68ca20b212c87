/* Bytes in and out, text in fixed buffers, clocks.
 *
 * Owns: reads and writes that go on after an interruption or a part, appending text and numbers to
 * a buffer of the caller's, and reading the two clocks. Never: allocates, uses stdio (static
 * binaries stay small), keeps state, or decides what a failure means. */
#ifndef SLUICE_IO_H
#define SLUICE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Writes all `length` bytes. Returns 0 or a negative errno; part may then have been written. A
 * descriptor that is O_NONBLOCK and full is -EAGAIN. write(2). */
int write_whole(int descriptor, const void *bytes, size_t length);

/* The same, but waits as long as it takes for a descriptor that is O_NONBLOCK and full. For
 * programs that have nothing else to do. */
int write_patiently(int descriptor, const void *bytes, size_t length);

/* Reads until `length` bytes or the end of the file. Returns how many, or a negative errno (-EAGAIN
 * included); bytes that were read before an error are lost to the caller. read(2). */
ssize_t read_whole(int descriptor, void *bytes, size_t length);

/* The same from `offset` on, leaving the file position alone. pread(2). */
ssize_t read_whole_at(int descriptor, void *bytes, size_t length, off_t offset);

/* ---- text ------------------------------------------------------------------------------------ */

/* Text under construction in a buffer of the caller's. Always NUL-terminated when `capacity` > 0.
 * What does not fit is dropped, and `truncated` says so. */
struct text {
    char *bytes;
    size_t capacity; /* bytes, that for the NUL included */
    size_t length;   /* bytes, without the NUL */
    bool truncated;
};

/* Starts an empty text in `bytes`. */
void text_start(struct text *text, char *bytes, size_t capacity);

void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const char *bytes, size_t length);
void text_append_char(struct text *text, char character);
void text_append_unsigned(struct text *text, uint64_t value);
void text_append_signed(struct text *text, int64_t value);
/* Lower-case hexadecimal, with leading zeros up to `digits` (at most 16), never cut. */
void text_append_hex(struct text *text, uint64_t value, unsigned digits);

/* Reads a decimal number without sign, blanks or leading zeros ("0" aside). Returns whether
 * `string` is one and at most `maximum`; `*value` is set only then. */
bool text_to_unsigned(const char *string, uint64_t maximum, uint64_t *value);

/* ---- clocks ---------------------------------------------------------------------------------- */

/* Time since some fixed point, never going back: for durations and deadlines. clock_gettime(2),
 * CLOCK_MONOTONIC. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);

/* Unix time in milliseconds, as the audit trail writes it. CLOCK_REALTIME; a clock set before 1970
 * reads 0. */
uint64_t clock_wall_ms(void);

#endif
