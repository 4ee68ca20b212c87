#include "compiler/emit/acceptors.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/matcher.h"
#include "compiler/emit/re2c.h"

#define TABLE_COLUMNS 92u

/* The file that is being written. */
struct writer {
    struct arena *arena;
    struct buffer *out;
    bool has_parts; /* its re2c blocks differ in how they step back */
};

static void function_begin(struct buffer *out, const char *name)
{
    buffer_format(out, "enum policy_verdict %s(const char *bytes, uint32_t length)\n{\n", name);
}

static void string_add(struct buffer *out, const char *bytes, size_t length)
{
    buffer_char(out, '"');
    buffer_c_string(out, bytes, length);
    buffer_char(out, '"');
}

/* ---- literals, nothing ----------------------------------------------------------------------- */

static void nothing_add(struct buffer *out, const char *name)
{
    function_begin(out, name);
    buffer_puts(out, "    (void)bytes, (void)length;\n    return POLICY_NO; /* no value at all */\n}\n");
}

static void literal_add(struct buffer *out, const char *name, const struct matcher *matcher)
{
    function_begin(out, name);
    if (matcher->literal_length == 0) {
        buffer_puts(out, "    (void)bytes;\n    return length == 0 ? POLICY_YES : POLICY_NO;\n}\n");
        return;
    }
    buffer_format(out, "    return length == %zu && memcmp(bytes, ", matcher->literal_length);
    string_add(out, matcher->literal, matcher->literal_length);
    buffer_format(out, ", %zu) == 0 ? POLICY_YES : POLICY_NO;\n}\n", matcher->literal_length);
}

/* ---- re2c ------------------------------------------------------------------------------------ */

/* Begins a re2c block. Where several kinds of blocks share a file, each says whether it steps back to
 * the end of the longest value so far. */
static void block_begin(const struct writer *writer, bool steps_back)
{
    buffer_puts(writer->out, "    /*!re2c\n");
    if (writer->has_parts)
        buffer_format(writer->out,
                      "        re2c:define:YYBACKUP = \"%s\";\n"
                      "        re2c:define:YYRESTORE = \"%s\";\n",
                      steps_back ? "end = at;" : "", steps_back ? "at = end;" : "");
}

/* A re2c block that takes all of the value, or nothing. */
static void whole_block_add(const struct writer *writer, const struct pattern *tree)
{
    struct re2c_text text = re2c_text(writer->arena, tree, 8);
    block_begin(writer, false);
    buffer_format(writer->out, "%s        %s \"\\x00\"", text.definitions, text.expression);
    buffer_puts(writer->out, " { return at == length + 1 ? POLICY_YES : POLICY_NO; }\n"
                             "        * { return POLICY_NO; }\n    */\n");
}

static void code_add(const struct writer *writer, const char *name, const struct pattern *tree)
{
    function_begin(writer->out, name);
    buffer_puts(writer->out, "    uint32_t at = 0;\n\n");
    whole_block_add(writer, tree);
    buffer_puts(writer->out, "}\n");
}

/* Whether a count is out of its bounds: `COUNT < least || COUNT > most`, without what never holds. */
static void bounds_add(struct buffer *out, const char *count, uint32_t least, uint32_t most)
{
    if (least > 0)
        buffer_format(out, "%s < %u", count, least);
    if (least > 0 && most != MATCHER_UNBOUNDED)
        buffer_puts(out, " || ");
    if (most != MATCHER_UNBOUNDED)
        buffer_format(out, "%s > %u", count, most);
}

/* The value as one part that is there once, within its bounds. */
static void split_add(const struct writer *writer, const char *name,
                      const struct matcher_part *part)
{
    struct buffer *out = writer->out;
    function_begin(out, name);
    buffer_puts(out, "    uint32_t at = 0;\n");
    if (!part->ascii)
        buffer_puts(out, "    const uint32_t count = scalar_count(bytes, length);\n");
    buffer_puts(out, "\n    if (");
    bounds_add(out, part->ascii ? "length" : "count", part->least, part->most);
    buffer_puts(out, ")\n        return POLICY_NO;\n");
    whole_block_add(writer, part->tree);
    buffer_puts(out, "}\n");
}

/* The function that takes one body of a part. */
static void part_function_add(const struct writer *writer, const char *name, size_t number,
                              const struct matcher_part *part)
{
    struct buffer *out = writer->out;
    buffer_format(out,
                  "/* Moves *from past the longest part %zu that begins there%s; false if none does. */\n"
                  "static bool %s_part_%zu(const char *bytes, uint32_t length, uint32_t *from)\n{\n",
                  number, part->nullable ? ", which may be empty" : "", name, number);
    bool counted = part->least > 0 || part->most != MATCHER_UNBOUNDED;
    buffer_format(out, "    uint32_t at = *from, end = at%s;\n    (void)end;\n\n",
                  counted && !part->ascii ? ", count" : "");
    block_begin(writer, true);
    struct re2c_text text = re2c_text(writer->arena, part->tree, 8);
    buffer_format(out, "%s        %s", text.definitions, text.expression);
    buffer_puts(out, " { goto taken; }\n        * { ");
    /* re2c prefers the one byte of '*' to a longest match of none. */
    buffer_puts(out, part->nullable ? "at = *from; goto taken; }" : "return false; }");
    buffer_puts(out, "\n    */\ntaken:\n");
    if (counted && !part->ascii)
        buffer_puts(out, "    count = scalar_count(bytes + *from, at - *from);\n");
    if (counted) {
        buffer_puts(out, "    if (");
        bounds_add(out, part->ascii ? "at - *from" : "count", part->least, part->most);
        buffer_puts(out, ")\n        return false;\n");
    }
    buffer_puts(out, "    *from = at;\n    return true;\n}\n\n");
}

/* The loop, or the single try, of one part inside the accept function. */
static void part_use_add(struct buffer *out, const char *name, size_t number,
                         const struct matcher_part *part)
{
    if (part->minimum == 1 && part->maximum == 1) {
        buffer_format(out, "    if (!%s_part_%zu(bytes, length, &at))\n        return POLICY_NO;\n",
                      name, number);
        return;
    }
    if (part->minimum == 0 && part->maximum == 1) {
        buffer_format(out, "    (void)%s_part_%zu(bytes, length, &at); /* may be left out */\n", name,
                      number);
        return;
    }
    buffer_format(out, "    times = 0;\n    while (times < %u && %s_part_%zu(bytes, length, &at))\n"
                       "        times++;\n", part->maximum, name, number);
    if (part->minimum > 0)
        buffer_format(out, "    if (times < %u)\n        return POLICY_NO;\n", part->minimum);
}

static void parts_add(struct buffer *out, const char *name, const struct matcher *matcher)
{
    bool repeats = false;
    function_begin(out, name);
    for (size_t i = 0; i < matcher->part_count; i++)
        repeats = repeats || matcher->parts[i].maximum > 1;
    buffer_puts(out, repeats ? "    uint32_t at = 0, times;\n\n" : "    uint32_t at = 0;\n\n");
    for (size_t i = 0; i < matcher->part_count; i++)
        part_use_add(out, name, i + 1, &matcher->parts[i]);
    if (matcher->rest)
        buffer_format(out, "    return %s_rest(bytes + at, length - at);\n}\n", name);
    else
        buffer_puts(out, "    return at == length ? POLICY_YES : POLICY_NO;\n}\n");
}

static void any_add(struct buffer *out, const char *name, const struct matcher *matcher)
{
    function_begin(out, name);
    buffer_puts(out, "    if (");
    for (size_t i = 0; i < matcher->other_count; i++)
        buffer_format(out, "%s%s_%zu(bytes, length) == POLICY_YES", i ? " ||\n        " : "", name,
                      i + 1);
    buffer_puts(out, ")\n        return POLICY_YES;\n    return POLICY_NO;\n}\n");
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void numbers_add(struct buffer *out, const uint32_t *numbers, size_t count,
                        const char *indent)
{
    size_t line = out->length;
    buffer_puts(out, indent);
    for (size_t i = 0; i < count; i++) {
        if (out->length - line > TABLE_COLUMNS) {
            buffer_char(out, '\n');
            line = out->length;
            buffer_puts(out, indent);
        }
        buffer_format(out, i + 1 < count ? "%u, " : "%u", numbers[i]);
        if (i + 1 < count && out->length - line > TABLE_COLUMNS)
            out->text[--out->length] = '\0'; /* no blank at the line's end */
    }
}

/* States in the order of the table: the dead one, those that do not accept, those that do. So one
 * comparison tells an accepting state. */
static void states_order(struct arena *arena, const struct byte_automaton *table, uint32_t **order,
                         uint32_t **number)
{
    uint32_t count = table->state_count, placed = 0;
    *order = arena_array(arena, count, sizeof **order);
    *number = arena_array(arena, count, sizeof **number);
    for (int accepting = 0; accepting <= 1; accepting++)
        for (uint32_t state = 0; state < count; state++)
            if (table->accepting[state] == (accepting != 0))
                (*order)[placed++] = state;
    for (uint32_t place = 0; place < count; place++)
        (*number)[(*order)[place]] = place;
}

static void transitions_add(struct arena *arena, struct buffer *out, const char *name,
                           const struct byte_automaton *table, const uint32_t *order,
                           const uint32_t *number)
{
    uint32_t classes[256];
    for (unsigned byte = 0; byte < 256; byte++)
        classes[byte] = table->classes[byte];
    buffer_format(out, "static const uint8_t %s_classes[256] = {\n", name);
    numbers_add(out, classes, 256, "    ");
    buffer_puts(out, "};\n\n");

    buffer_format(out, "static const %s %s_next[%u][%u] = {\n",
                  table->state_count <= 256 ? "uint8_t" : "uint16_t", name, table->state_count,
                  table->class_count);
    uint32_t *row = arena_array(arena, table->class_count, sizeof *row);
    for (uint32_t place = 0; place < table->state_count; place++) {
        for (uint32_t class = 0; class < table->class_count; class++)
            row[class] = number[table->next[order[place] * table->class_count + class]];
        buffer_puts(out, "    {");
        size_t brace = out->length;
        numbers_add(out, row, table->class_count, "     ");
        /* The first line of a row begins right after its brace. */
        memmove(out->text + brace, out->text + brace + 5, out->length - brace - 5 + 1);
        out->length -= 5;
        buffer_puts(out, "},\n");
    }
    buffer_puts(out, "};\n\n");
}

/* The first state that accepts, in the table's order. */
static uint32_t first_accepting(const struct byte_automaton *table)
{
    uint32_t count = 0;
    for (uint32_t state = 0; state < table->state_count; state++)
        count += !table->accepting[state];
    return count;
}

static void automaton_data_add(struct arena *arena, struct buffer *out, const char *name,
                               const struct byte_automaton *table)
{
    uint32_t *order, *number;
    states_order(arena, table, &order, &number);
    buffer_format(out,
                  "/* As a minimal automaton: bytes in %u classes, %u states. State 0 accepts nothing any\n"
                  " * more, state %u is the first; states from %u on accept. */\n",
                  table->class_count, table->state_count, number[1], first_accepting(table));
    transitions_add(arena, out, name, table, order, number);
}

static void automaton_add(struct arena *arena, struct buffer *out, const char *name,
                          const struct byte_automaton *table)
{
    uint32_t *order, *number;
    states_order(arena, table, &order, &number);
    function_begin(out, name);
    buffer_format(out,
                  "    uint32_t state = %u;\n\n"
                  "    for (uint32_t at = 0; at < length && state != 0; at++)\n"
                  "        state = %s_next[state][%s_classes[(unsigned char)bytes[at]]];\n"
                  "    return state >= %u ? POLICY_YES : POLICY_NO;\n}\n",
                  number[1], name, name, first_accepting(table));
}

/* ---- any form -------------------------------------------------------------------------------- */

static void matcher_add(const struct writer *writer, const char *name,
                        const struct matcher *matcher);
static void helpers_add(const struct writer *writer, const char *name,
                        const struct matcher *matcher);

/* A matcher inside another one. */
static void inner_add(const struct writer *writer, const char *name, const struct matcher *matcher)
{
    helpers_add(writer, name, matcher);
    buffer_puts(writer->out, "static ");
    matcher_add(writer, name, matcher);
    buffer_char(writer->out, '\n');
}

/* The functions and tables that a matcher is made of, before it. Matchers are nested MATCHER_DEPTH_MAX
 * deep at most. */
static void helpers_add(const struct writer *writer, const char *name,
                        const struct matcher *matcher)
{
    if (matcher->form == MATCHER_PARTS)
        for (size_t i = 0; i < matcher->part_count; i++)
            part_function_add(writer, name, i + 1, &matcher->parts[i]);
    if (matcher->rest)
        inner_add(writer, arena_format(writer->arena, "%s_rest", name), matcher->rest);
    for (size_t i = 0; i < matcher->other_count; i++)
        inner_add(writer, arena_format(writer->arena, "%s_%zu", name, i + 1), matcher->others[i]);
    if (matcher->form == MATCHER_TABLE)
        automaton_data_add(writer->arena, writer->out, name, matcher->table);
}

static void matcher_add(const struct writer *writer, const char *name,
                        const struct matcher *matcher)
{
    struct buffer *out = writer->out;
    switch (matcher->form) {
    case MATCHER_NOTHING:
        nothing_add(out, name);
        break;
    case MATCHER_LITERAL:
        literal_add(out, name, matcher);
        break;
    case MATCHER_SPLIT:
        split_add(writer, name, &matcher->parts[0]);
        break;
    case MATCHER_PARTS:
        parts_add(out, name, matcher);
        break;
    case MATCHER_ANY:
        any_add(out, name, matcher);
        break;
    case MATCHER_CODE:
        code_add(writer, name, matcher->tree);
        break;
    case MATCHER_TABLE:
        automaton_add(writer->arena, out, name, matcher->table);
        break;
    }
}

static bool has_parts(const struct matcher *matcher)
{
    if (matcher->form == MATCHER_PARTS)
        return true;
    for (size_t i = 0; i < matcher->other_count; i++)
        if (has_parts(matcher->others[i]))
            return true;
    return false;
}

void acceptor_matcher(struct arena *arena, struct buffer *out, const char *name,
                      const struct matcher *matcher)
{
    struct writer writer = {arena, out, has_parts(matcher)};
    helpers_add(&writer, name, matcher);
    matcher_add(&writer, name, matcher);
}

/* ---- made of other functions ----------------------------------------------------------------- */

void acceptor_combined(struct buffer *out, const struct accept *accept)
{
    const struct model_language *language = accept->language;
    function_begin(out, accept->name);
    if (language->pcre2)
        buffer_puts(out, "    enum policy_verdict verdict;\n\n");
    for (size_t i = 0; i < language->line_count; i++) {
        const char *part = accept->parts[i]->name;
        bool excluded = language->lines[i].excluded;
        if (!language->pcre2)
            buffer_format(out, "    if (%s(bytes, length) %s POLICY_YES)\n        return POLICY_NO;\n",
                          part, excluded ? "==" : "!=");
        else if (excluded)
            buffer_format(out, "    verdict = %s(bytes, length);\n    if (verdict != POLICY_NO)\n"
                               "        return verdict == POLICY_YES ? POLICY_NO : verdict;\n", part);
        else
            buffer_format(out, "    verdict = %s(bytes, length);\n    if (verdict != POLICY_YES)\n"
                               "        return verdict;\n", part);
    }
    buffer_puts(out, "    return POLICY_YES;\n}\n");
}

void acceptor_token(struct buffer *out, const struct layout *layout, const struct accept *accept)
{
    const struct model_token *token = accept->token;
    const struct model_piece *slot = NULL, *before = NULL, *after = NULL;
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot)
            slot = piece;
        else
            *(slot ? &after : &before) = piece;
    }
    size_t prefix = before ? before->literal_length : 0;
    size_t suffix = after ? after->literal_length : 0;
    const struct accept *value =
        layout_language(layout, accept->rule->slots[slot->slot].language);

    function_begin(out, accept->name);
    buffer_format(out, "    if (length < %zu", prefix + suffix);
    if (before) {
        buffer_puts(out, " || memcmp(bytes, ");
        string_add(out, before->literal, prefix);
        buffer_format(out, ", %zu) != 0", prefix);
    }
    if (after) {
        buffer_format(out, " ||\n        memcmp(bytes + length - %zu, ", suffix);
        string_add(out, after->literal, suffix);
        buffer_format(out, ", %zu) != 0", suffix);
    }
    buffer_puts(out, ")\n        return POLICY_NO;\n");
    if (!value)
        buffer_puts(out, "    return POLICY_YES; /* anything */\n}\n");
    else
        buffer_format(out, "    return %s(bytes + %zu, length - %zu);\n}\n", value->name, prefix,
                      prefix + suffix);
}

void acceptor_pcre2(struct buffer *out, const struct accept *accept)
{
    function_begin(out, accept->name);
    buffer_format(out, "    return sluice_pcre2_match(PCRE2_%s, bytes, length);\n}\n",
                  accept->name);
}
