#include "compiler/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

#define FIRST_CAPACITY 256u

/* Room for `extra` more bytes and the NUL. */
static void buffer_reserve(struct buffer *buffer, size_t extra)
{
    if (extra >= SIZE_MAX / 2 - buffer->length)
        memory_exhausted(NULL);
    size_t needed = buffer->length + extra + 1;
    if (needed <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    buffer->text = memory_resize(buffer->text, capacity, 1);
    buffer->capacity = capacity;
}

void buffer_add(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_reserve(buffer, length);
    if (length)
        memcpy(buffer->text + buffer->length, bytes, length);
    buffer->length += length;
    buffer->text[buffer->length] = '\0';
}

void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_char(struct buffer *buffer, char byte)
{
    buffer_add(buffer, &byte, 1);
}

void buffer_format_list(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) /* only a result over INT_MAX bytes can fail: no wide characters here */
        memory_exhausted("formatted text");
    buffer_reserve(buffer, (size_t)length);
    vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, again);
    va_end(again);
    buffer->length += (size_t)length;
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_format_list(buffer, format, arguments);
    va_end(arguments);
}

void buffer_c_string(struct buffer *buffer, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        /* The second of two question marks could begin a trigraph. */
        bool trigraph = byte == '?' && i && bytes[i - 1] == '?';
        if (byte == '\n')
            buffer_puts(buffer, "\\n");
        else if (byte == '\t')
            buffer_puts(buffer, "\\t");
        else if (byte == '"' || byte == '\\' || trigraph)
            buffer_format(buffer, "\\%c", byte);
        else if (byte >= 0x20 && byte < 0x7f)
            buffer_char(buffer, (char)byte);
        else /* always three digits, so that none that follows is taken for part of it */
            buffer_format(buffer, "\\%03o", byte);
    }
}

static void add_json_scalar(struct buffer *buffer, uint32_t scalar, const char *bytes, size_t size)
{
    switch (scalar) {
    case '"':
        buffer_puts(buffer, "\\\"");
        break;
    case '\\':
        buffer_puts(buffer, "\\\\");
        break;
    case '\n':
        buffer_puts(buffer, "\\n");
        break;
    case '\r':
        buffer_puts(buffer, "\\r");
        break;
    case '\t':
        buffer_puts(buffer, "\\t");
        break;
    case UTF8_INVALID:
        buffer_puts(buffer, "\xef\xbf\xbd"); /* U+FFFD */
        break;
    default:
        /* What could steer a terminal is escaped as well, though JSON asks it of C0 alone. */
        if (scalar <= 0xffff && !utf8_is_visible(scalar))
            buffer_format(buffer, "\\u%04x", (unsigned)scalar);
        else
            buffer_add(buffer, bytes, size);
    }
}

void buffer_json_string(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_char(buffer, '"');
    for (size_t i = 0, size; i < length; i += size) {
        uint32_t scalar;
        size = utf8_decode(bytes + i, length - i, &scalar);
        add_json_scalar(buffer, scalar, bytes + i, size);
    }
    buffer_char(buffer, '"');
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->text ? buffer->text : "";
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->text)
        buffer->text[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->text);
    *buffer = (struct buffer){0};
}
