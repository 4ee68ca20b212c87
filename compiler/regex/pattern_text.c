/* Trees written out again, as patterns of the dialect (which PCRE2 reads the same way). */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/regex/pattern.h"

#define LONG_SET 16u /* ranges; a longer set is written once and then referred to */

struct writer {
    struct arena *arena;
    struct buffer out;
    size_t limit; /* of the text, in bytes */
    bool refer;   /* write long sets that occur again as [=N] */
    struct charset *long_sets;
    size_t long_count, long_capacity;
};

static bool is_plain(uint32_t scalar)
{
    return (scalar >= '0' && scalar <= '9') || (scalar >= 'a' && scalar <= 'z') ||
           (scalar >= 'A' && scalar <= 'Z');
}

static void write_scalar(struct writer *writer, uint32_t scalar)
{
    if (is_plain(scalar) || scalar == '_' || scalar == '/')
        buffer_char(&writer->out, (char)scalar);
    else if (scalar > ' ' && scalar < 0x7f)
        buffer_format(&writer->out, "\\%c", (char)scalar);
    else
        buffer_format(&writer->out, "\\x{%x}", scalar);
}

static bool is_long_set_known(struct writer *writer, struct charset set)
{
    for (size_t i = 0; i < writer->long_count; i++)
        if (charset_equal(writer->long_sets[i], set)) {
            buffer_format(&writer->out, "[=%zu]", i);
            return true;
        }
    arena_grow(writer->arena, &writer->long_sets, &writer->long_capacity, writer->long_count + 1,
               sizeof *writer->long_sets);
    writer->long_sets[writer->long_count++] = set;
    return false;
}

static void write_set(struct writer *writer, struct charset set)
{
    if (set.count == 1 && set.ranges[0].low == set.ranges[0].high) {
        write_scalar(writer, set.ranges[0].low);
        return;
    }
    if (set.count == 0) {
        buffer_puts(&writer->out, "[^\\x{0}-\\x{10ffff}]");
        return;
    }
    if (writer->refer && set.count > LONG_SET && is_long_set_known(writer, set))
        return;
    buffer_char(&writer->out, '[');
    for (size_t i = 0; i < set.count; i++) {
        struct scalar_range range = set.ranges[i];
        write_scalar(writer, range.low);
        if (range.high > range.low + 1)
            buffer_char(&writer->out, '-');
        if (range.high > range.low)
            write_scalar(writer, range.high);
    }
    buffer_char(&writer->out, ']');
}

static void write_tree(struct writer *writer, const struct pattern *pattern);

static void write_group(struct writer *writer, const struct pattern *pattern)
{
    buffer_puts(&writer->out, "(?:");
    write_tree(writer, pattern);
    buffer_char(&writer->out, ')');
}

static void write_repeat(struct writer *writer, const struct pattern *pattern)
{
    if (pattern->children[0]->kind == PATTERN_SET)
        write_tree(writer, pattern->children[0]);
    else
        write_group(writer, pattern->children[0]);
    uint32_t minimum = pattern->minimum, maximum = pattern->maximum;
    if (maximum == PATTERN_REPEAT_NONE && minimum <= 1)
        buffer_char(&writer->out, minimum == 0 ? '*' : '+');
    else if (maximum == PATTERN_REPEAT_NONE)
        buffer_format(&writer->out, "{%u,}", minimum);
    else if (minimum == maximum)
        buffer_format(&writer->out, "{%u}", minimum);
    else if (minimum == 0 && maximum == 1)
        buffer_char(&writer->out, '?');
    else
        buffer_format(&writer->out, "{%u,%u}", minimum, maximum);
}

/* Recursion: as deep as the tree (pattern.depth). Stops adding at the writer's limit. */
static void write_tree(struct writer *writer, const struct pattern *pattern)
{
    if (writer->out.length > writer->limit)
        return;
    switch (pattern->kind) {
    case PATTERN_EMPTY:
        buffer_puts(&writer->out, "(?:)");
        break;
    case PATTERN_SET:
        write_set(writer, pattern->set);
        break;
    case PATTERN_CONCAT:
        for (size_t i = 0; i < pattern->child_count; i++) {
            if (pattern->children[i]->kind == PATTERN_ALTERNATE)
                write_group(writer, pattern->children[i]);
            else
                write_tree(writer, pattern->children[i]);
        }
        break;
    case PATTERN_ALTERNATE:
        for (size_t i = 0; i < pattern->child_count; i++) {
            if (i > 0)
                buffer_char(&writer->out, '|');
            write_tree(writer, pattern->children[i]);
        }
        break;
    case PATTERN_REPEAT:
        write_repeat(writer, pattern);
        break;
    }
}

static const char *tree_text(struct arena *arena, const struct pattern *pattern, bool refer,
                             size_t limit)
{
    struct writer writer = {.arena = arena, .limit = limit, .refer = refer};
    write_tree(&writer, pattern);
    const char *text = NULL;
    if (writer.out.length <= limit)
        text = arena_copy(arena, buffer_text(&writer.out), writer.out.length);
    buffer_free(&writer.out);
    return text;
}

const char *pattern_canonical(struct arena *arena, const struct pattern *pattern)
{
    return tree_text(arena, pattern, true, SIZE_MAX);
}

const char *pattern_spelled(struct arena *arena, const struct pattern *pattern)
{
    return tree_text(arena, pattern, false, PATTERN_EXPANDED_MAX);
}
