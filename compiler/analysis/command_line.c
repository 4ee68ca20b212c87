#include "compiler/analysis/command_line.h"

#include <stdbool.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

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

static void text_quote(struct buffer *out, const char *text, size_t length)
{
    bool control = false;
    for (size_t i = 0; i < length; i++)
        control = control || (unsigned char)text[i] < 0x20 || text[i] == 0x7F;
    buffer_puts(out, control ? "$'" : "'");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (control && (byte < 0x20 || byte == 0x7F))
            control_quote(out, byte);
        else if (byte == '\'')
            buffer_puts(out, control ? "\\'" : "'\\''");
        else if (byte == '\\' && control)
            buffer_puts(out, "\\\\");
        else
            buffer_char(out, (char)byte);
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
