/* printf-style text for messages, in a twentieth of the code.
 *
 * Owns: the conversions that the runtime's own messages use: %s %.Ns %.*s %c %d %u %x %% and the
 * lengths l, ll, z. Never: floating point, padding, %n, locales, stdio; the compiler checks the
 * arguments against the format as it does for printf(3). A conversion that is none of these is a
 * mistake in this program and stops it. */
#ifndef SLUICE_FORMAT_H
#define SLUICE_FORMAT_H

#include <stdarg.h>

#include "runtime/shared/io.h"

/* Appends to `text`, as text_append does. A NULL for %s reads "(null)". */
void text_append_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_append_list(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
