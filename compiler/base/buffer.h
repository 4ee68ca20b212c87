/* A growing text: what emitters and printers write into.
 *
 * Owns its bytes until buffer_free. Always NUL-terminated. Never fails: out of memory ends the
 * process (arena.h). A zeroed struct is an empty buffer. */
#ifndef SLUICE_BUFFER_H
#define SLUICE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

struct buffer {
    char *text; /* NULL while nothing was ever added; use buffer_text */
    size_t length, capacity;
};

void buffer_add(struct buffer *buffer, const char *bytes, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_char(struct buffer *buffer, char byte);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_format_list(struct buffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
/* `length` bytes as the inside of a C string literal: printable ASCII as it is, everything else
 * escaped so that the compiler reads the same bytes back (no trigraphs, no run-on hex escapes). */
void buffer_c_string(struct buffer *buffer, const char *bytes, size_t length);
/* `length` bytes as a JSON string, quotes included; invalid UTF-8 becomes U+FFFD (RFC 8259). */
void buffer_json_string(struct buffer *buffer, const char *bytes, size_t length);
const char *buffer_text(const struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* empty again, keeps its room */
void buffer_free(struct buffer *buffer);

#endif
