#include "compiler/emit/re2c.h"

#include <stdbool.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/table.h"
#include "compiler/emit/names.h"
#include "compiler/regex/pattern.h"

#define RANGES_A_LINE 6u

/* How tightly an expression binds; weaker ones need parentheses inside stronger ones. */
enum binding { BINDING_ALTERNATE, BINDING_CONCAT, BINDING_REPEAT };

/* A scalar inside a string or (in_class) a class. What re2c gives a meaning there, and a '*', which
 * beside a '/' would end or begin a comment, is written by number. */
static void scalar_add(struct buffer *out, uint32_t scalar, bool in_class)
{
    bool special = scalar == '"' || scalar == '\'' || scalar == '\\' || scalar == '[' ||
                   scalar == ']' || scalar == '^' || scalar == '*' || scalar == '%' || scalar == '?';
    if (scalar == '-' && in_class)
        buffer_puts(out, "\\-");
    else if (scalar > 0x20 && scalar < 0x7f && !special)
        buffer_char(out, (char)scalar);
    else if (scalar < 0x80)
        buffer_format(out, "\\x%02x", scalar);
    else if (scalar < 0x10000)
        buffer_format(out, "\\u%04x", scalar);
    else
        buffer_format(out, "\\U%08x", scalar);
}

static void ranges_add(struct buffer *out, const struct scalar_range *ranges, size_t count)
{
    buffer_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        scalar_add(out, ranges[i].low, true);
        if (ranges[i].high > ranges[i].low + 1)
            buffer_char(out, '-');
        if (ranges[i].high > ranges[i].low)
            scalar_add(out, ranges[i].high, true);
    }
    buffer_char(out, ']');
}

/* ---- sets with a name ------------------------------------------------------------------------ */

static bool set_has_name(struct charset set)
{
    return set.count > RE2C_SET_RANGES;
}

/* Depends on the ranges alone. */
static const char *set_name(struct arena *arena, struct charset set)
{
    struct buffer content = {0};
    for (size_t i = 0; i < set.count; i++)
        buffer_format(&content, "%x-%x ", set.ranges[i].low, set.ranges[i].high);
    const char *name =
        arena_format(arena, "set_%s", name_hash(arena, buffer_text(&content), content.length));
    buffer_free(&content);
    return name;
}

static void definition_add(struct buffer *out, const char *name, struct charset set,
                           unsigned indent)
{
    buffer_format(out, "%*s%s =\n", (int)indent, "", name);
    for (size_t i = 0; i < set.count; i += RANGES_A_LINE) {
        size_t count = set.count - i < RANGES_A_LINE ? set.count - i : RANGES_A_LINE;
        buffer_format(out, "%*s", (int)indent + 4, "");
        ranges_add(out, set.ranges + i, count);
        buffer_puts(out, i + count < set.count ? " |\n" : ";\n");
    }
}

static void tree_define(struct arena *arena, struct buffer *out, const struct pattern *tree,
                        unsigned indent, struct table *known)
{
    if (tree->kind == PATTERN_SET && set_has_name(tree->set)) {
        const char *name = set_name(arena, tree->set);
        if (!table_find(known, name, strlen(name))) {
            table_add(arena, known, name, strlen(name), known);
            definition_add(out, name, tree->set, indent);
        }
    }
    for (size_t i = 0; i < tree->child_count; i++)
        tree_define(arena, out, tree->children[i], indent, known);
}

void re2c_definitions(struct arena *arena, struct buffer *out, const struct pattern *const *trees,
                      unsigned count, unsigned indent)
{
    struct table known = {0};
    for (unsigned i = 0; i < count; i++)
        tree_define(arena, out, trees[i], indent, &known);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void expression_add(struct arena *arena, struct buffer *out, const struct pattern *tree,
                           enum binding around);

static bool is_one_scalar(const struct pattern *tree)
{
    return tree->kind == PATTERN_SET && tree->set.count == 1 &&
           tree->set.ranges[0].low == tree->set.ranges[0].high;
}

static void concat_add(struct arena *arena, struct buffer *out, const struct pattern *tree)
{
    for (size_t i = 0; i < tree->child_count;) {
        if (i)
            buffer_char(out, ' ');
        if (!is_one_scalar(tree->children[i])) {
            expression_add(arena, out, tree->children[i++], BINDING_CONCAT);
            continue;
        }
        buffer_char(out, '"');
        for (; i < tree->child_count && is_one_scalar(tree->children[i]); i++)
            scalar_add(out, tree->children[i]->set.ranges[0].low, false);
        buffer_char(out, '"');
    }
}

static void count_add(struct buffer *out, uint32_t minimum, uint32_t maximum)
{
    bool open = maximum == PATTERN_REPEAT_NONE;
    if (open && minimum == 0)
        buffer_char(out, '*');
    else if (open && minimum == 1)
        buffer_char(out, '+');
    else if (open)
        buffer_format(out, "{%u,}", minimum);
    else if (minimum == 0 && maximum == 1)
        buffer_char(out, '?');
    else if (minimum == maximum)
        buffer_format(out, "{%u}", minimum);
    else
        buffer_format(out, "{%u,%u}", minimum, maximum);
}

static void expression_add(struct arena *arena, struct buffer *out, const struct pattern *tree,
                           enum binding around)
{
    enum binding own = tree->kind == PATTERN_ALTERNATE ? BINDING_ALTERNATE
                       : tree->kind == PATTERN_CONCAT  ? BINDING_CONCAT
                                                       : BINDING_REPEAT;
    /* Repetitions do not nest without parentheses: `a{2}{3}` reads badly, whatever re2c makes of it. */
    bool grouped = own < around || (tree->kind == PATTERN_REPEAT && around == BINDING_REPEAT);
    if (grouped)
        buffer_char(out, '(');
    switch (tree->kind) {
    case PATTERN_EMPTY:
        buffer_puts(out, "\"\"");
        break;
    case PATTERN_SET:
        if (is_one_scalar(tree)) {
            buffer_char(out, '"');
            scalar_add(out, tree->set.ranges[0].low, false);
            buffer_char(out, '"');
        } else if (set_has_name(tree->set)) {
            buffer_puts(out, set_name(arena, tree->set));
        } else {
            ranges_add(out, tree->set.ranges, tree->set.count);
        }
        break;
    case PATTERN_CONCAT:
        concat_add(arena, out, tree);
        break;
    case PATTERN_ALTERNATE:
        for (size_t i = 0; i < tree->child_count; i++) {
            buffer_puts(out, i ? " | " : "");
            expression_add(arena, out, tree->children[i], BINDING_ALTERNATE);
        }
        break;
    case PATTERN_REPEAT:
        expression_add(arena, out, tree->children[0], BINDING_REPEAT);
        count_add(out, tree->minimum, tree->maximum);
        break;
    }
    if (grouped)
        buffer_char(out, ')');
}

void re2c_expression(struct arena *arena, struct buffer *out, const struct pattern *tree)
{
    expression_add(arena, out, tree, BINDING_CONCAT);
}
