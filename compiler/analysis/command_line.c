#include "compiler/analysis/command_line.h"

#include <stdbool.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/utf8.h"

/* Whether a shell takes the text as it is. */
static bool text_is_plain(const char *text, size_t length)
{
    if (!length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_",
                    text[i]))
            return false;
    return true;
}

static void control_quote(struct buffer *out, unsigned char byte)
{
    if (byte == '\n')
        buffer_puts(out, "\\n");
    else if (byte == '\t')
        buffer_puts(out, "\\t");
    else
        buffer_format(out, "\\x%02x", byte);
}

/* Whether the character at a place shows itself: what does not, or turns what stands beside it around, is
 * written by its bytes. */
static bool is_shown(const char *text, size_t length, size_t *used)
{
    uint32_t scalar;
    *used = utf8_decode(text, length, &scalar);
    return scalar == ' ' || (scalar != UTF8_INVALID && utf8_is_visible(scalar));
}

static void text_quote(struct buffer *out, const char *text, size_t length)
{
    size_t used;
    bool control = false;
    for (size_t i = 0; i < length; i += used)
        control = !is_shown(text + i, length - i, &used) || control;
    buffer_puts(out, control ? "$'" : "'");
    for (size_t i = 0; i < length; i += used) {
        bool shown = is_shown(text + i, length - i, &used);
        if (!shown)
            for (size_t byte = i; byte < i + used; byte++)
                control_quote(out, (unsigned char)text[byte]);
        else if (text[i] == '\'')
            buffer_puts(out, control ? "\\'" : "'\\''");
        else if (text[i] == '\\' && control)
            buffer_puts(out, "\\\\");
        else
            buffer_add(out, text + i, used);
    }
    buffer_char(out, '\'');
}

const char *command_line_text(struct arena *arena, struct command_line command)
{
    struct buffer out = {0};
    for (size_t i = 0; i < command.count; i++) {
        if (i)
            buffer_char(&out, ' ');
        if (text_is_plain(command.arguments[i], command.lengths[i]))
            buffer_add(&out, command.arguments[i], command.lengths[i]);
        else
            text_quote(&out, command.arguments[i], command.lengths[i]);
    }
    const char *text = arena_copy(arena, buffer_text(&out), out.length);
    buffer_free(&out);
    return text;
}
