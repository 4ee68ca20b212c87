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

/* A set of the tree, and how often it stands there. */
struct known_set {
    const char *key; /* its ranges, spelled out */
    size_t uses;
    const char *name; /* NULL: it is written where it stands */
};

struct writer {
    struct arena *arena;
    struct table sets; /* of struct known_set, by key */
    unsigned indent;
    struct buffer definitions, expression;
};

static struct known_set *set_known(struct writer *writer, struct charset set)
{
    struct buffer key = {0};
    for (size_t i = 0; i < set.count; i++)
        buffer_format(&key, "%x-%x ", set.ranges[i].low, set.ranges[i].high);
    struct known_set *known = table_find(&writer->sets, buffer_text(&key), key.length);
    if (!known) {
        known = arena_alloc(writer->arena, sizeof *known);
        known->key = arena_copy(writer->arena, buffer_text(&key), key.length);
        table_add(writer->arena, &writer->sets, known->key, key.length, known);
    }
    buffer_free(&key);
    return known;
}

static void sets_count(struct writer *writer, const struct pattern *tree)
{
    if (tree->kind == PATTERN_SET)
        set_known(writer, tree->set)->uses++;
    for (size_t i = 0; i < tree->child_count; i++)
        sets_count(writer, tree->children[i]);
}

static void definition_add(struct writer *writer, const char *name, struct charset set)
{
    struct buffer *out = &writer->definitions;
    buffer_format(out, "%*s%s =", (int)writer->indent, "", name);
    for (size_t i = 0; i < set.count; i += RANGES_A_LINE) {
        size_t count = set.count - i < RANGES_A_LINE ? set.count - i : RANGES_A_LINE;
        if (set.count > RANGES_A_LINE)
            buffer_format(out, "\n%*s", (int)writer->indent + 4, "");
        else
            buffer_char(out, ' ');
        ranges_add(out, set.ranges + i, count);
        buffer_puts(out, i + count < set.count ? " |" : ";\n");
    }
}

/* Names and defines the sets that deserve it, in the order in which they occur. */
static void sets_define(struct writer *writer, const struct pattern *tree)
{
    for (size_t i = 0; i < tree->child_count; i++)
        sets_define(writer, tree->children[i]);
    if (tree->kind != PATTERN_SET)
        return;
    struct known_set *known = set_known(writer, tree->set);
    if (known->name || tree->set.count <= (known->uses > 1 ? RE2C_AGAIN_RANGES : RE2C_ONCE_RANGES))
        return;
    known->name = arena_format(writer->arena, "set_%s",
                               name_hash(writer->arena, known->key, strlen(known->key)));
    definition_add(writer, known->name, tree->set);
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void expression_add(struct writer *writer, const struct pattern *tree, enum binding around);

static bool is_one_scalar(const struct pattern *tree)
{
    return tree->kind == PATTERN_SET && tree->set.count == 1 &&
           tree->set.ranges[0].low == tree->set.ranges[0].high;
}

static void concat_add(struct writer *writer, const struct pattern *tree)
{
    struct buffer *out = &writer->expression;
    for (size_t i = 0; i < tree->child_count;) {
        if (i)
            buffer_char(out, ' ');
        if (!is_one_scalar(tree->children[i])) {
            expression_add(writer, tree->children[i++], BINDING_CONCAT);
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

static void set_add(struct writer *writer, const struct pattern *tree)
{
    struct buffer *out = &writer->expression;
    const struct known_set *known = set_known(writer, tree->set);
    if (is_one_scalar(tree)) {
        buffer_char(out, '"');
        scalar_add(out, tree->set.ranges[0].low, false);
        buffer_char(out, '"');
    } else if (known->name) {
        buffer_puts(out, known->name);
    } else {
        ranges_add(out, tree->set.ranges, tree->set.count);
    }
}

static void expression_add(struct writer *writer, const struct pattern *tree, enum binding around)
{
    struct buffer *out = &writer->expression;
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
        set_add(writer, tree);
        break;
    case PATTERN_CONCAT:
        concat_add(writer, tree);
        break;
    case PATTERN_ALTERNATE:
        for (size_t i = 0; i < tree->child_count; i++) {
            buffer_puts(out, i ? " | " : "");
            expression_add(writer, tree->children[i], BINDING_ALTERNATE);
        }
        break;
    case PATTERN_REPEAT:
        expression_add(writer, tree->children[0], BINDING_REPEAT);
        count_add(out, tree->minimum, tree->maximum);
        break;
    }
    if (grouped)
        buffer_char(out, ')');
}

struct re2c_text re2c_text(struct arena *arena, const struct pattern *tree, unsigned indent)
{
    struct writer writer = {.arena = arena, .indent = indent};
    sets_count(&writer, tree);
    sets_define(&writer, tree);
    expression_add(&writer, tree, BINDING_CONCAT);
    struct re2c_text made = {
        arena_copy(arena, buffer_text(&writer.definitions), writer.definitions.length),
        arena_copy(arena, buffer_text(&writer.expression), writer.expression.length)};
    buffer_free(&writer.definitions);
    buffer_free(&writer.expression);
    return made;
}
