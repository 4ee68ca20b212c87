#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/syntax/tree.h"

/* Whether the written byte is a backslash that the text's byte does not have. */
static bool is_dropped(enum tree_value_form form, const char *written)
{
    if (*written != '\\')
        return false;
    return form == VALUE_DOUBLE || (form == VALUE_UNESCAPED && written[1] == ';');
}

/* How many written bytes made one byte of the text, or a backslash pair that is kept. */
struct step {
    uint32_t text, written;
};

static struct step step_at(enum tree_value_form form, const char *written)
{
    if (is_dropped(form, written))
        return (struct step){1, 2};
    /* In an unescaped value `\\` stays two bytes, and the second escapes nothing. */
    if (form == VALUE_UNESCAPED && *written == '\\')
        return (struct step){2, 2};
    return (struct step){1, 1};
}

/* The offset behind value->written of the byte that text[index] begins with; `inside` gets how far
 * into a kept pair the index is. */
static uint32_t written_offset(const struct tree_value *value, uint32_t index)
{
    if (value->form == VALUE_PLAIN || value->form == VALUE_SINGLE)
        return index;
    uint32_t text = 0, written = 0;
    while (text < index) {
        struct step step = step_at(value->form, value->written + written);
        if (text + step.text > index) /* the second byte of a kept pair */
            return written + 1;
        text += step.text;
        written += step.written;
    }
    return written;
}

struct span value_span(const struct tree_value *value, uint32_t begin, uint32_t end)
{
    return (struct span){value->written_at + written_offset(value, begin),
                         value->written_at + written_offset(value, end)};
}

const struct tree_value *value_unescape(struct arena *arena, const struct tree_value *value)
{
    if (value->form != VALUE_PLAIN || !memchr(value->text, '\\', value->length))
        return value;
    struct tree_value *plain = arena_alloc(arena, sizeof *plain);
    *plain = *value;
    plain->form = VALUE_UNESCAPED;
    char *text = arena_alloc(arena, (size_t)value->length + 1);
    plain->length = 0;
    for (uint32_t i = 0; i < value->length;) {
        struct step step = step_at(VALUE_UNESCAPED, value->text + i);
        if (step.written > value->length - i) /* a part that was cut behind a backslash */
            step = (struct step){1, 1};
        memcpy(text + plain->length, value->text + i + step.written - step.text, step.text);
        plain->length += step.text;
        i += step.written;
    }
    plain->text = text;
    return plain;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct tree_value value_part(const struct tree_value *value, uint32_t begin, uint32_t end)
{
    while (begin < end && is_blank(value->text[begin]))
        begin++;
    while (end > begin && is_blank(value->text[end - 1]))
        end--;
    struct tree_value part = *value;
    part.at = value_span(value, begin, end);
    part.text = value->text + begin;
    part.length = end - begin;
    part.written = value->written + (part.at.begin - value->written_at);
    part.written_at = part.at.begin;
    return part;
}
