#include "compiler/base/excerpt.h"

#include "compiler/base/utf8.h"

/* Adds one scalar value as it may be shown; returns the terminal columns that it takes. */
static unsigned add_visible(struct buffer *out, const char *bytes, size_t size, uint32_t scalar)
{
    size_t before = out->length;
    if (scalar == UTF8_INVALID || (scalar < 0x80 && !utf8_is_visible(scalar)))
        buffer_format(out, "\\x%02x", (unsigned char)bytes[0]);
    else if (!utf8_is_visible(scalar))
        buffer_format(out, "\\u{%x}", (unsigned)scalar);
    else {
        buffer_add(out, bytes, size);
        return utf8_width(scalar);
    }
    return (unsigned)(out->length - before);
}

void excerpt_visible(struct buffer *out, const char *bytes, size_t length)
{
    for (size_t i = 0, size; i < length; i += size) {
        uint32_t scalar;
        size = utf8_decode(bytes + i, length - i, &scalar);
        add_visible(out, bytes + i, size, scalar);
    }
}

/* Where the scalar before offset `at` begins; at > begin. */
static uint32_t step_back(const char *text, uint32_t begin, uint32_t at)
{
    for (uint32_t size = 1; size <= 4 && at - begin >= size; size++) {
        uint32_t scalar;
        if (utf8_decode(text + at - size, size, &scalar) == size && scalar != UTF8_INVALID)
            return at - size;
    }
    return at - 1;
}

/* Where `count` scalars from offset `at` end, at most `end`. */
static uint32_t step_on(const char *text, uint32_t at, uint32_t end, uint32_t count)
{
    while (count-- && at < end) {
        uint32_t scalar;
        at += (uint32_t)utf8_decode(text + at, end - at, &scalar);
    }
    return at;
}

/* The part of the line that is shown: all of it, or a window that holds the caret. */
static struct span window(const struct source *source, struct span line, uint32_t caret)
{
    const char *text = source->text;
    if (step_on(text, line.begin, line.end, EXCERPT_WIDTH_MAX) == line.end)
        return line;
    struct span shown = {caret, caret};
    for (uint32_t i = 0; i < EXCERPT_BEFORE_MAX && shown.begin > line.begin; i++)
        shown.begin = step_back(text, line.begin, shown.begin);
    shown.end = step_on(text, shown.begin, line.end, EXCERPT_WIDTH_MAX);
    return shown;
}

static void add_times(struct buffer *out, char byte, unsigned count)
{
    while (count--)
        buffer_char(out, byte);
}

/* Adds the shown part to `out` and what goes under it to `under`. */
static void add_line(struct buffer *out, struct buffer *under, const struct source *source,
                     struct span shown, struct span at)
{
    bool marked = false;
    for (uint32_t i = shown.begin; i < shown.end;) {
        uint32_t scalar;
        uint32_t size = (uint32_t)utf8_decode(source->text + i, shown.end - i, &scalar);
        bool caret = !marked && i + size > at.begin;
        bool inside = marked && i < at.end;
        unsigned width = 1;
        if (scalar == '\t')
            buffer_char(out, '\t');
        else
            width = add_visible(out, source->text + i, size, scalar);
        if (caret) {
            buffer_char(under, '^');
            /* A tab's own width is the terminal's affair: after it, the tab again. */
            if (scalar != '\t')
                add_times(under, '~', width > 1 ? width - 1 : 0);
            else if (i + size < at.end)
                buffer_char(under, '\t');
            marked = true;
        } else if (scalar == '\t') {
            buffer_char(under, '\t');
        } else if (inside || !marked) {
            add_times(under, inside ? '~' : ' ', width);
        }
        i += size;
    }
    if (!marked) /* the place is the line's end */
        buffer_char(under, '^');
}

void excerpt_add(struct buffer *out, const struct source *source, struct span at)
{
    uint32_t number = source_line(source, at.begin);
    struct span line = source_line_span(source, number);
    uint32_t caret = at.begin < line.end ? at.begin : line.end;
    if (at.begin > line.end)
        at.begin = line.end;
    struct span shown = window(source, line, caret);
    struct buffer under = {0};
    buffer_format(out, "%5u | ", number);
    buffer_puts(&under, "      | ");
    if (shown.begin > line.begin) {
        buffer_puts(out, "...");
        buffer_puts(&under, "   ");
    }
    add_line(out, &under, source, shown, at);
    buffer_puts(out, shown.end < line.end ? "...\n" : "\n");
    while (under.length && under.text[under.length - 1] == '\t')
        under.length--; /* tabs behind the range say nothing */
    buffer_add(out, buffer_text(&under), under.length);
    buffer_char(out, '\n');
    buffer_free(&under);
}
