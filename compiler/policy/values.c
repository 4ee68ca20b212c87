#include "compiler/policy/values.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/suggest.h"

#define QUOTE_LENGTH_MAX 60u
#define SUGGESTING_ERRORS_MAX 200u

/* ---- messages -------------------------------------------------------------------------------- */

const char *check_quote(struct check *check, const char *text, size_t length)
{
    if (length <= QUOTE_LENGTH_MAX)
        return arena_copy(check->arena, text, length);
    size_t cut = QUOTE_LENGTH_MAX;
    while (cut && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--;
    return arena_format(check->arena, "%.*s...", (int)cut, text);
}

const char *check_quote_value(struct check *check, const struct tree_value *value)
{
    return check_quote(check, value->text, value->length);
}

bool check_may_suggest(const struct check *check)
{
    return diagnostics_errors(check->diagnostics) < SUGGESTING_ERRORS_MAX;
}

void check_suggest(struct check *check, struct diagnostic *about, const char *nearest)
{
    if (nearest)
        check_hint(check, about, "did you mean `%s`?", nearest);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static enum number_result read_digits(const char *text, size_t length, int base, int64_t *value)
{
    if (!length)
        return NUMBER_MALFORMED;
    int64_t sum = 0;
    bool large = false;
    for (size_t i = 0; i < length; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit >= base)
            return NUMBER_MALFORMED;
        if (!large && (__builtin_mul_overflow(sum, base, &sum) ||
                       __builtin_add_overflow(sum, digit, &sum)))
            large = true;
    }
    *value = sum;
    return large ? NUMBER_TOO_LARGE : NUMBER_OK;
}

enum number_result number_decimal(const char *text, size_t length, int64_t *value)
{
    return read_digits(text, length, 10, value);
}

enum number_result number_octal(const char *text, size_t length, int64_t *value)
{
    return read_digits(text, length, 8, value);
}

struct unit {
    const char *suffix;
    int64_t factor;
};

/* Largest first: for printing. */
static const struct unit duration_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit size_units[] = {
    {"T", INT64_C(1) << 40}, {"G", INT64_C(1) << 30}, {"M", INT64_C(1) << 20},
    {"K", INT64_C(1) << 10}, {"", 1},                 {NULL, 0},
};

/* Digits and a unit's suffix; `bare` is the factor of a number without one. */
static enum number_result read_with_unit(const char *text, size_t length, const struct unit *units,
                                         int64_t bare, int64_t *value)
{
    size_t digits = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    int64_t factor = digits == length ? bare : 0;
    for (const struct unit *unit = units; unit->suffix && !factor; unit++)
        if (strlen(unit->suffix) == length - digits &&
            memcmp(unit->suffix, text + digits, length - digits) == 0)
            factor = unit->factor;
    if (!factor)
        return NUMBER_MALFORMED;
    enum number_result result = read_digits(text, digits, 10, value);
    if (result == NUMBER_OK && __builtin_mul_overflow(*value, factor, value))
        return NUMBER_TOO_LARGE;
    return result;
}

enum number_result number_duration(const char *text, size_t length, int64_t *milliseconds)
{
    return read_with_unit(text, length, duration_units, 1000, milliseconds);
}

enum number_result number_size(const char *text, size_t length, int64_t *bytes)
{
    return read_with_unit(text, length, size_units, 1, bytes);
}

static const char *format_with_unit(struct arena *arena, const struct unit *units, int64_t value)
{
    const struct unit *unit = units;
    while (unit[1].suffix && (value % unit->factor || !value))
        unit++;
    return arena_format(arena, "%lld%s", (long long)(value / unit->factor), unit->suffix);
}

const char *format_duration(struct arena *arena, int64_t milliseconds)
{
    return format_with_unit(arena, duration_units, milliseconds);
}

const char *format_size(struct arena *arena, int64_t bytes)
{
    return format_with_unit(arena, size_units, bytes);
}

/* ---- words ----------------------------------------------------------------------------------- */

bool value_is(const struct tree_value *value, const char *word)
{
    return (value->form == VALUE_PLAIN || value->form == VALUE_UNESCAPED) &&
           strlen(word) == value->length && memcmp(value->text, word, value->length) == 0;
}

bool value_starts(const struct tree_value *value, const char *prefix)
{
    size_t length = strlen(prefix);
    return value->length >= length && memcmp(value->text, prefix, length) == 0;
}

struct tree_value value_rest(const struct tree_value *value, uint32_t begin)
{
    return value_part(value, begin, value->length);
}

static const char *join_choices(struct check *check, const struct choice *choices)
{
    struct buffer joined = {0};
    for (size_t i = 0; choices[i].word; i++) {
        if (i)
            buffer_puts(&joined, choices[i + 1].word ? ", " : " or ");
        buffer_puts(&joined, choices[i].word);
    }
    const char *text = arena_copy(check->arena, buffer_text(&joined), joined.length);
    buffer_free(&joined);
    return text;
}

bool value_choice(struct check *check, const char *key, const struct tree_value *word,
                  const struct choice *choices, uint64_t *value)
{
    struct suggestion search = {.word = word->text, .length = word->length};
    for (size_t i = 0; choices[i].word; i++) {
        if (strlen(choices[i].word) == word->length &&
            memcmp(choices[i].word, word->text, word->length) == 0) {
            *value = choices[i].value;
            return true;
        }
        if (check_may_suggest(check))
            suggest_offer(&search, choices[i].word);
    }
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, word->at, "%s: `%s` is not one of %s", key,
                         check_quote_value(check, word), join_choices(check, choices));
    check_suggest(check, error, search.nearest);
    return false;
}

bool is_variable_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return length > 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The end of the item that begins at `begin`: its comma, or the value's end. A quote at its start
 * or behind a `=` hides commas; `*closed` says whether it ends. */
static uint32_t item_end(const struct tree_value *value, uint32_t begin, bool *closed)
{
    *closed = true;
    bool quote_can_open = true;
    uint32_t at = begin;
    for (; at < value->length && value->text[at] != ','; at++) {
        char byte = value->text[at];
        if (quote_can_open && (byte == '"' || byte == '\'')) {
            const char *end = memchr(value->text + at + 1, byte, value->length - at - 1);
            *closed = end != NULL;
            if (!end)
                return value->length;
            at = (uint32_t)(end - value->text);
        }
        quote_can_open = byte == '=' || (quote_can_open && (byte == ' ' || byte == '\t'));
    }
    return at;
}

struct tree_value value_unquoted(const struct tree_value *item)
{
    if (item->length < 2 || (item->text[0] != '"' && item->text[0] != '\'') ||
        item->text[item->length - 1] != item->text[0] ||
        memchr(item->text + 1, item->text[0], item->length - 2))
        return *item;
    struct tree_value inside = *item;
    inside.at = value_span(item, 1, item->length - 1);
    inside.text = item->text + 1;
    inside.length = item->length - 2;
    inside.written = item->written + (inside.at.begin - item->written_at);
    inside.written_at = inside.at.begin;
    return inside;
}

static bool add_item(struct check *check, const char *key, const struct tree_value *value,
                     uint32_t begin, uint32_t end, bool closed, struct tree_value *item)
{
    *item = value_part(value, begin, end);
    if (!item->length) {
        diagnostic_error(check->diagnostics, item->at, "%s: an item of the list is empty", key);
        return false;
    }
    if (!closed) {
        diagnostic_error(check->diagnostics, item->at, "%s: the quote is not closed", key);
        return false;
    }
    if (item->form == VALUE_PLAIN || item->form == VALUE_UNESCAPED)
        *item = value_unquoted(item);
    return true;
}

bool value_split(struct check *check, const char *key, const struct tree_value *value,
                 struct value_list *list)
{
    if (!value->length) {
        diagnostic_error(check->diagnostics, value->at, "%s: the list is empty", key);
        return false;
    }
    bool whole = value->form == VALUE_SINGLE || value->form == VALUE_DOUBLE;
    *list = (struct value_list){0};
    for (uint32_t begin = 0, end; begin <= value->length; begin = end + 1) {
        bool closed = true;
        end = whole ? value->length : item_end(value, begin, &closed);
        if (list->count == VALUE_ITEMS_MAX) {
            diagnostic_error(check->diagnostics, value_span(value, begin, end),
                             "%s: more than %u items", key, VALUE_ITEMS_MAX);
            return false;
        }
        arena_grow(check->arena, &check->list_scratch, &check->list_scratch_capacity,
                   list->count + 1, sizeof *check->list_scratch);
        if (!add_item(check, key, value, begin, end, closed, &check->list_scratch[list->count]))
            return false;
        list->items = check->list_scratch;
        list->count++;
    }
    return true;
}
