#include "compiler/policy/templates.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/suggest.h"
#include "compiler/policy/values.h"

struct template_name {
    const char *name;
    enum policy_template_kind kind;
};

static const struct template_name variables[] = {
    {"HOME", TEMPLATE_HOME},
    {"XDG_RUNTIME_DIR", TEMPLATE_XDG_RUNTIME_DIR},
    {"XDG_STATE_HOME", TEMPLATE_XDG_STATE_HOME},
    {"XDG_CONFIG_HOME", TEMPLATE_XDG_CONFIG_HOME},
    {NULL, TEMPLATE_TEXT},
};

static const struct template_name call_values[] = {
    {"call", TEMPLATE_CALL}, {"pid", TEMPLATE_PID}, {"uid", TEMPLATE_UID},
    {"rule", TEMPLATE_RULE}, {"ts", TEMPLATE_TS},   {"ts_ms", TEMPLATE_TS_MS},
    {"date", TEMPLATE_DATE}, {NULL, TEMPLATE_TEXT},
};

#define VARIABLES_LIST "$HOME, $XDG_RUNTIME_DIR, $XDG_STATE_HOME and $XDG_CONFIG_HOME"
#define CALL_VALUES_LIST "#$call, #$pid, #$uid, #$rule, #$ts, #$ts_ms and #$date"

/* A path as it is read. Pieces alternate: no two texts stand side by side. */
struct reader {
    struct check *check;
    const char *key;
    const struct tree_value *value;
    enum template_values values;
    struct policy_template_piece *pieces;
    size_t count, capacity;
    struct buffer text; /* of the piece that is being read */
};

/* ---- pieces ---------------------------------------------------------------------------------- */

static void add_piece(struct reader *reader, enum policy_template_kind kind, const char *text)
{
    arena_grow(reader->check->arena, &reader->pieces, &reader->capacity, reader->count + 1,
               sizeof *reader->pieces);
    reader->pieces[reader->count++] = (struct policy_template_piece){kind, text};
}

static void end_text(struct reader *reader)
{
    if (!reader->text.length)
        return;
    const char *text = buffer_text(&reader->text);
    add_piece(reader, TEMPLATE_TEXT,
              arena_copy(reader->check->arena, text, reader->text.length));
    buffer_clear(&reader->text);
}

static bool is_name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_name_byte(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static size_t name_length(const char *text, size_t length)
{
    size_t end = 0;
    while (end < length && is_name_byte(text[end]))
        end++;
    return end;
}

size_t template_variable_length(const char *text, size_t length)
{
    if (length < 2 || text[0] != '$')
        return 0;
    if (text[1] == '{') {
        const char *end = memchr(text, '}', length);
        return end ? (size_t)(end - text) + 1 : length;
    }
    return is_name_start(text[1]) ? 1 + name_length(text + 1, length - 1) : 0;
}

static const struct template_name *find_name(const struct template_name *names, const char *name,
                                             size_t length)
{
    for (; names->name; names++)
        if (strlen(names->name) == length && memcmp(names->name, name, length) == 0)
            return names;
    return NULL;
}

static const char *nearest_name(const struct template_name *names, const char *name, size_t length)
{
    struct suggestion search = {.word = name, .length = length};
    for (; names->name; names++)
        suggest_offer(&search, names->name);
    return search.nearest;
}

/* The name within `$NAME` or `${NAME}`; false when the brace is not closed. */
static bool variable_name(const char *text, size_t length, const char **name, size_t *name_size)
{
    bool braces = text[1] == '{';
    if (braces && text[length - 1] != '}')
        return false;
    *name = text + 1 + braces;
    *name_size = length - 1 - 2 * (size_t)braces;
    return true;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void report_variable(struct reader *reader, struct span at, const char *text,
                            size_t length)
{
    struct check *check = reader->check;
    const char *name;
    size_t name_size;
    if (!variable_name(text, length, &name, &name_size)) {
        struct diagnostic *error = diagnostic_error(check->diagnostics, at,
                                                    "%s: the `${` is not closed", reader->key);
        check_hint(check, error, "write ${NAME}, with a name of " VARIABLES_LIST);
        return;
    }
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, at, "%s: unknown variable `%s`", reader->key,
                         check_quote(check, text, length));
    const char *nearest = nearest_name(variables, name, name_size);
    if (nearest)
        check_hint(check, error, "did you mean `$%s`?", nearest);
    else
        check_hint(check, error, "the variables are " VARIABLES_LIST);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* `$NAME` or `${NAME}` at the start of the value; returns its length, 0 after an error. */
static size_t read_variable(struct reader *reader, uint32_t at)
{
    const struct tree_value *value = reader->value;
    const char *text = value->text + at, *name = NULL;
    size_t length = template_variable_length(text, value->length - at), name_size = 0;
    struct span span = value_span(value, at, at + (uint32_t)length);
    const struct template_name *found = NULL;
    if (variable_name(text, length, &name, &name_size))
        found = find_name(variables, name, name_size);
    if (!found) {
        report_variable(reader, span, text, length);
        return 0;
    }
    if (at) {
        struct diagnostic *error = diagnostic_error(
            reader->check->diagnostics, span, "%s: `$%s` can stand only at the start of a path",
            reader->key, found->name);
        check_hint(reader->check, error, "it is an absolute path by itself");
        return 0;
    }
    if (length < value->length && value->text[length] != '/') {
        diagnostic_error(reader->check->diagnostics, span, "%s: a `/` must follow `%.*s`",
                         reader->key, (int)length, text);
        return 0;
    }
    add_piece(reader, found->kind, NULL);
    return length;
}

/* `#$name`; returns its length, 0 after an error. */
static size_t read_call_value(struct reader *reader, uint32_t at)
{
    const struct tree_value *value = reader->value;
    const char *name = value->text + at + 2;
    size_t length = name_length(name, value->length - at - 2);
    struct span span = value_span(value, at, at + 2 + (uint32_t)length);
    const struct template_name *found = find_name(call_values, name, length);
    struct check *check = reader->check;
    if (!found) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, span, "%s: unknown value `#$%s`", reader->key,
                             check_quote(check, name, length));
        const char *nearest = nearest_name(call_values, name, length);
        if (nearest)
            check_hint(check, error, "did you mean `#$%s`?", nearest);
        else
            check_hint(check, error, "the values are " CALL_VALUES_LIST);
        return 0;
    }
    if (reader->values != TEMPLATE_OF_CALL) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, span,
                             "%s: `#$%s` differs from call to call and cannot stand here",
                             reader->key, found->name);
        check_hint(check, error, "only logfile, stdoutfile and stderrfile take values of the call");
        return 0;
    }
    end_text(reader);
    add_piece(reader, found->kind, NULL);
    return 2 + length;
}

static bool read_pieces(struct reader *reader)
{
    const struct tree_value *value = reader->value;
    for (uint32_t at = 0; at < value->length;) {
        const char *text = value->text + at;
        size_t left = value->length - at, taken = 1;
        if (template_variable_length(text, left))
            taken = read_variable(reader, at);
        else if (left >= 2 && text[0] == '#' && text[1] == '$')
            taken = read_call_value(reader, at);
        else
            buffer_char(&reader->text, *text);
        if (!taken)
            return false;
        at += (uint32_t)taken;
    }
    end_text(reader);
    return true;
}

/* Every component of the written path: none may be `..`. A value's text never contains a `/`, and
 * one beside the dots makes another component of them. */
static bool has_no_parent(struct reader *reader)
{
    const struct tree_value *value = reader->value;
    for (uint32_t begin = 0, end; begin < value->length; begin = end + 1) {
        const char *slash = memchr(value->text + begin, '/', value->length - begin);
        end = slash ? (uint32_t)(slash - value->text) : value->length;
        if (end - begin == 2 && memcmp(value->text + begin, "..", 2) == 0) {
            diagnostic_error(reader->check->diagnostics, value_span(value, begin, end),
                             "%s: a path cannot have the component `..`", reader->key);
            return false;
        }
    }
    return true;
}

bool template_parse(struct check *check, const char *key, const struct tree_value *value,
                    enum template_values values, struct policy_template *path)
{
    if (!value->length ||
        (value->text[0] != '/' && !template_variable_length(value->text, value->length))) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, value->at, "%s: `%s` is not an absolute path", key,
                             check_quote_value(check, value));
        check_hint(check, error, "a path begins with `/`, or with one of " VARIABLES_LIST);
        return false;
    }
    struct reader reader = {.check = check, .key = key, .value = value, .values = values};
    bool read = read_pieces(&reader) && has_no_parent(&reader);
    buffer_free(&reader.text);
    *path = (struct policy_template){reader.pieces, (uint32_t)reader.count};
    return read;
}

/* ---- other forms ----------------------------------------------------------------------------- */

struct policy_template template_home_literal(struct arena *arena, const char *literal,
                                             size_t length)
{
    const size_t home = strlen("$HOME");
    struct policy_template_piece *pieces = arena_array(arena, 2, sizeof *pieces);
    pieces[0].kind = TEMPLATE_HOME;
    pieces[1].kind = TEMPLATE_TEXT;
    pieces[1].text = arena_copy(arena, literal + home, length - home);
    return (struct policy_template){pieces, 2};
}

const char *template_text(struct arena *arena, const struct policy_template *path)
{
    struct buffer text = {0};
    for (uint32_t i = 0; i < path->count; i++) {
        const struct policy_template_piece *piece = &path->pieces[i];
        if (piece->kind == TEMPLATE_TEXT)
            buffer_puts(&text, piece->text);
        for (const struct template_name *name = variables; name->name; name++)
            if (name->kind == piece->kind)
                buffer_format(&text, "$%s", name->name);
        for (const struct template_name *name = call_values; name->name; name++)
            if (name->kind == piece->kind)
                buffer_format(&text, "#$%s", name->name);
    }
    const char *copy = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}
