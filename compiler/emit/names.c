#include "compiler/emit/names.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/sha256.h"
#include "compiler/base/utf8.h"

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

void name_add_word(struct buffer *name, const char *bytes, size_t length)
{
    bool gap = name->length > 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_name_byte(bytes[i])) {
            gap = name->length > 0;
            continue;
        }
        if (name->length + gap >= NAME_LENGTH_MAX)
            return;
        if (gap)
            buffer_char(name, '_');
        gap = false;
        buffer_char(name, bytes[i]);
    }
}

const char *name_hash(struct arena *arena, const void *bytes, size_t length)
{
    char hex[SHA256_HEX];
    sha256_hex(bytes, length, hex);
    return arena_copy(arena, hex, 8);
}

const char *names_intern(struct arena *arena, struct names *names, const char *prefix,
                         const char *words, const void *content, size_t length, bool *is_new)
{
    char *name = table_find(&names->by_content, content, length);
    if (is_new)
        *is_new = !name;
    if (name)
        return name;
    name = arena_format(arena, "%s_%s%s%s", prefix, words, *words ? "_" : "",
                        name_hash(arena, content, length));
    while (table_find(&names->by_name, name, strlen(name)))
        name = arena_format(arena, "%s_%s", name, name_hash(arena, name, strlen(name)));
    table_add(arena, &names->by_content, arena_copy(arena, content, length), length, name);
    table_add(arena, &names->by_name, name, strlen(name), name);
    return name;
}

/* Whether the byte at `at` could end a comment, begin one, or make a trigraph with what precedes. */
static bool is_unsafe_in_comment(const char *text, size_t length, size_t at)
{
    if (text[at] == '/')
        return (at > 0 && text[at - 1] == '*') || (at + 1 < length && text[at + 1] == '*');
    return text[at] == '?' && at > 0 && text[at - 1] == '?';
}

void comment_text(struct buffer *out, const char *text, size_t length)
{
    size_t shown = 0;
    for (size_t at = 0; at < length;) {
        if (shown >= COMMENT_TEXT_MAX) {
            buffer_puts(out, "...");
            return;
        }
        uint32_t scalar;
        size_t taken = utf8_decode(text + at, length - at, &scalar);
        if (scalar == UTF8_INVALID)
            buffer_format(out, "\\x{%02x}", (unsigned char)text[at]);
        else if (!utf8_is_visible(scalar) || is_unsafe_in_comment(text, length, at))
            buffer_format(out, "\\x{%02x}", scalar);
        else
            buffer_add(out, text + at, taken);
        at += taken;
        shown += taken;
    }
}
