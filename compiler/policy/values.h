/* The small forms that attribute values are made of: words, numbers, durations, sizes, lists.
 * Internal to compiler/policy. Knows forms alone, not what any key does with them. */
#ifndef SLUICE_VALUES_H
#define SLUICE_VALUES_H

#include "compiler/policy/check.h"

/* The longest duration: no timer of the broker can overflow (365 days). */
#define VALUE_DURATION_MAX_MS INT64_C(31536000000)
/* The largest size: far beyond any machine, and no sum of a few can overflow. */
#define VALUE_SIZE_MAX (INT64_C(1) << 50)
/* Items of one list. Each rule may have one of each kind, and may add to the defaults' own. */
#define VALUE_ITEMS_MAX 128u

enum number_result { NUMBER_OK, NUMBER_MALFORMED, NUMBER_TOO_LARGE };

/* A whole decimal number, no sign. */
enum number_result number_decimal(const char *text, size_t length, int64_t *value);
/* Octal digits, as umask has them. */
enum number_result number_octal(const char *text, size_t length, int64_t *value);
/* `<n>(ms|s|m|h)`, bare: seconds; in milliseconds. */
enum number_result number_duration(const char *text, size_t length, int64_t *milliseconds);
/* `<n>`, or with K, M, G or T: powers of 1024; in bytes. */
enum number_result number_size(const char *text, size_t length, int64_t *bytes);

/* As the functions above read them; the largest unit that divides it. */
const char *format_duration(struct arena *arena, int64_t milliseconds);
const char *format_size(struct arena *arena, int64_t bytes);

/* Whether a value is this word, unquoted. */
bool value_is(const struct tree_value *value, const char *word);
bool value_starts(const struct tree_value *value, const char *prefix);

/* The value from byte `begin` on. */
struct tree_value value_rest(const struct tree_value *value, uint32_t begin);

/* A word of a closed set, with what it stands for; an array of them ends with word == NULL. */
struct choice {
    const char *word;
    uint64_t value;
};

/* Looks a word up. `key` and `what` ("system call set") are for the error. */
bool value_choice(struct check *check, const char *key, const struct tree_value *word,
                  const struct choice *choices, uint64_t *value);

struct value_list {
    const struct tree_value *items; /* until the next value_split */
    size_t count;
};

/* Splits at commas. Quotes around an item, or behind its `=`, hide commas; the former are taken
 * off. An empty item, an unclosed quote, an empty list and more than VALUE_ITEMS_MAX items are
 * errors. A quoted value is one item. */
bool value_split(struct check *check, const char *key, const struct tree_value *value,
                 struct value_list *list);

/* What stands between the quotes, when the whole item is in a pair of them; else the item. */
struct tree_value value_unquoted(const struct tree_value *item);

/* Whether it is [A-Za-z_][A-Za-z0-9_]*: a variable's name. */
bool is_variable_name(const char *text, size_t length);

#endif
