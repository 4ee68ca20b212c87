#include "compiler/syntax/encoding.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/base/utf8.h"

/* The offset of the first wrong byte in begin..end-1, or `end`. */
static uint32_t wrong_byte(const struct source *source, uint32_t begin, uint32_t end)
{
    const char *text = source->text;
    for (uint32_t i = begin; i < end;) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\0' || (byte == '\r' && text[i + 1] != '\n'))
            return i;
        if (byte < 0x80) {
            i++;
            continue;
        }
        uint32_t scalar;
        uint32_t size = (uint32_t)utf8_decode(text + i, end - i, &scalar);
        if (scalar == UTF8_INVALID)
            return i;
        i += size;
    }
    return end;
}

static void report(const struct source *source, struct diagnostics *diagnostics, uint32_t offset)
{
    unsigned byte = (unsigned char)source->text[offset];
    struct span at = {offset, offset + 1};
    if (byte == '\0') {
        diagnostic_error(diagnostics, at, "a NUL byte: a rules file is UTF-8 text");
    } else if (byte == '\r') {
        struct diagnostic *error =
            diagnostic_error(diagnostics, at, "a carriage return inside a line");
        diagnostic_note(diagnostics, error, SPAN_NONE, "lines end in LF or in CR LF");
    } else {
        diagnostic_error(diagnostics, at, "invalid UTF-8: byte 0x%02x", byte);
    }
}

struct encoding encoding_check(struct arena *arena, const struct source *source,
                               struct diagnostics *diagnostics)
{
    struct encoding encoding = {0};
    uint32_t *bad = NULL;
    size_t capacity = 0;
    if (source->length >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0) {
        encoding.text_begin = 3;
        struct diagnostic *error = diagnostic_error(diagnostics, (struct span){0, 3},
                                                    "the file begins with a byte order mark");
        diagnostic_note(diagnostics, error, SPAN_NONE, "save it as UTF-8 without one");
    }
    for (uint32_t line = 0; line < source->line_count; line++) {
        uint32_t begin = line ? source->line_begins[line] : encoding.text_begin;
        uint32_t end = line + 1 < source->line_count ? source->line_begins[line + 1]
                                                     : source->length;
        uint32_t wrong = wrong_byte(source, begin, end);
        if (wrong == end)
            continue;
        report(source, diagnostics, wrong);
        arena_grow(arena, &bad, &capacity, encoding.bad_count + 1, sizeof *bad);
        bad[encoding.bad_count++] = begin;
    }
    encoding.bad_lines = bad;
    return encoding;
}
