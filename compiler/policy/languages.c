#include "compiler/policy/languages.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/intern.h"
#include "compiler/policy/names.h"

/* What a pattern text was found to be. */
enum reading_result { READING_GOOD, READING_WRONG, READING_POISONED, READING_TOO_LARGE };

struct pattern_reading {
    enum reading_result result;
    struct pattern_error error; /* READING_WRONG; offsets into the text */
    const struct pattern *tree;
    const struct automaton *automaton;
    const char *canonical;
    const char *pcre2;
    const struct model_language *alone; /* of this text as the only `=` line, once it was used so */
};

/* A model_language with what is made of it on demand. */
struct language {
    struct model_language model; /* first: a pointer to it is a pointer to this */
    const struct automaton *without_dash;
};

/* ---- budget ---------------------------------------------------------------------------------- */

bool language_spend(struct check *check, const struct automaton *a, struct span at)
{
    uint64_t cost = MODEL_FAILURE_COST;
    if (a) {
        cost = (uint64_t)a->state_count * MODEL_STATE_COST;
        for (uint32_t i = 0; i < a->state_count; i++)
            cost += a->states[i].transition_count;
    }
    check->spent += cost;
    if (check->spent <= MODEL_AUTOMATA_MAX)
        return true;
    if (!check->exhausted)
        diagnostic_error(check->diagnostics, at,
                         "the automata of the patterns up to here are too large together: over %u, "
                         "where a state counts %u and a transition 1",
                         MODEL_AUTOMATA_MAX, MODEL_STATE_COST);
    check->exhausted = true;
    return false;
}

/* ---- one line -------------------------------------------------------------------------------- */

static void report_wrong(struct check *check, const struct tree_value *value,
                         const struct pattern_error *error)
{
    struct diagnostic *report = diagnostic_error(
        check->diagnostics, value_span(value, error->begin, error->end), "%s", error->message);
    if (error->hint)
        check_hint(check, report, "%s", error->hint);
    if (value->comment.begin == value->at.end) /* no blank between: hardly meant as a comment */
        diagnostic_note(check->diagnostics, report, value->comment,
                        "the pattern ends before this comment; write `\\;` for a `;` in it");
}

/* Parses a text, unless that was done before. */
static struct pattern_reading *read_text(struct check *check, const char *text, uint32_t length)
{
    struct pattern_reading *reading = table_find(&check->pattern_texts, text, length);
    if (reading)
        return reading;
    struct pattern_names names = names_of(check);
    reading = arena_alloc(check->arena, sizeof *reading);
    bool outer = check->poisoned;
    check->poisoned = false;
    reading->tree = pattern_parse(check->arena, text, length, &names, &reading->error);
    if (reading->tree)
        reading->canonical = pattern_canonical(check->arena, reading->tree);
    else
        reading->result = check->poisoned ? READING_POISONED : READING_WRONG;
    check->poisoned = outer;
    /* Parsing may have read named patterns, this very text among them. */
    if (!table_find(&check->pattern_texts, text, length))
        table_add(check->arena, &check->pattern_texts, text, length, reading);
    return reading;
}

const struct pattern *language_read_tree(struct check *check, const struct tree_value *value)
{
    struct pattern_reading *reading = read_text(check, value->text, value->length);
    if (reading->result == READING_WRONG)
        report_wrong(check, value, &reading->error);
    return reading->tree;
}

/* The text that PCRE2 is asked about when a compile validates itself. Names in it make it longer
 * than the file's: that counts, too. */
static void spell_pcre2(struct check *check, struct pattern_reading *reading,
                        const struct tree_value *value)
{
    struct pattern_names names = names_of(check);
    struct pattern_error error;
    reading->pcre2 = pattern_pcre2(check->arena, value->text, value->length, &names, &error);
    if (reading->pcre2)
        check->spent += strlen(reading->pcre2);
}

static void make_automaton(struct check *check, struct pattern_reading *reading,
                           const struct tree_value *value)
{
    if (reading->automaton || reading->result != READING_GOOD || check->exhausted)
        return;
    reading->automaton =
        automaton_from_pattern(check->arena, reading->tree, AUTOMATON_STATES_MAX);
    if (!reading->automaton)
        reading->result = READING_TOO_LARGE;
    else
        spell_pcre2(check, reading, value);
    language_spend(check, reading->automaton, value->at);
}

/* The text as PCRE2 is to match it (engine = pcre2): checked by PCRE2 alone. */
static bool read_pcre2_line(struct check *check, const struct tree_value *value,
                            struct model_pattern *line)
{
    struct pattern_error error;
    line->canonical = line->pcre2 = line->text;
    if (pattern_check_pcre2(check->arena, value->text, value->length, &error))
        return true;
    report_wrong(check, value, &error);
    return false;
}

static bool read_line(struct check *check, const struct language_use *use,
                      const struct tree_attribute *attribute, struct model_pattern *line)
{
    const struct tree_value *value = &attribute->value;
    line->text = arena_copy(check->arena, value->text, value->length);
    line->length = value->length;
    line->span = value->at;
    line->excluded = attribute->operator == OPERATOR_IS_NOT;
    if (use->pcre2)
        return read_pcre2_line(check, value, line);
    struct pattern_reading *reading = read_text(check, value->text, value->length);
    make_automaton(check, reading, value);
    if (reading->result == READING_WRONG)
        report_wrong(check, value, &reading->error);
    if (reading->result == READING_TOO_LARGE) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, value->at,
                             "the pattern of %s needs an automaton of more than %u states",
                             use->subject, AUTOMATON_STATES_MAX);
        check_hint(check, error, "smaller repetition counts, or fewer choices before a common end, "
                                 "make it smaller");
    }
    line->tree = reading->tree;
    line->automaton = reading->automaton;
    line->canonical = reading->canonical;
    line->pcre2 = reading->pcre2;
    return line->automaton != NULL;
}

/* ---- lines together -------------------------------------------------------------------------- */

static int compare_lines(const void *left, const void *right)
{
    const struct model_pattern *a = left, *b = right;
    if (a->excluded != b->excluded)
        return a->excluded ? 1 : -1;
    return strcmp(a->canonical, b->canonical);
}

static bool is_same_line(const struct model_pattern *a, const struct model_pattern *b)
{
    return a->excluded == b->excluded && strcmp(a->canonical, b->canonical) == 0;
}

/* Sorted, and each once: the same set of lines is the same array, however it was written. */
static const struct model_pattern *sort_lines(struct check *check,
                                              const struct model_pattern *lines, size_t *count)
{
    struct model_pattern *sorted = arena_array(check->arena, *count, sizeof *sorted);
    memcpy(sorted, lines, *count * sizeof *sorted);
    qsort(sorted, *count, sizeof *sorted, compare_lines);
    size_t kept = 1;
    for (size_t i = 1; i < *count; i++)
        if (!is_same_line(&sorted[kept - 1], &sorted[i]))
            sorted[kept++] = sorted[i];
    *count = kept;
    return sorted;
}

/* The texts with their operators and lengths: no text can look like another set's. */
static const char *language_key(struct check *check, const struct model_pattern *lines,
                                size_t count, bool pcre2)
{
    struct buffer key = {0};
    buffer_puts(&key, pcre2 ? "pcre2" : "regular");
    for (size_t i = 0; i < count; i++) {
        buffer_format(&key, " %s%zu:", lines[i].excluded ? "!=" : "=",
                      strlen(lines[i].canonical));
        buffer_puts(&key, lines[i].canonical);
    }
    const char *copy = arena_copy(check->arena, buffer_text(&key), key.length);
    buffer_free(&key);
    return copy;
}

static bool report_empty(struct check *check, const struct language_use *use,
                         const struct model_pattern *line, bool first)
{
    if (first)
        diagnostic_error(check->diagnostics, line->span, "the pattern of %s accepts nothing",
                         use->subject);
    else
        diagnostic_error(check->diagnostics, line->span,
                         line->excluded ? "this exclusion leaves nothing that %s accepts"
                                        : "no value fits this pattern and those before it: %s "
                                          "accepts nothing",
                         use->subject);
    return false;
}

/* Narrows *all by one line; the first one begins it. */
static bool narrow(struct check *check, const struct language_use *use,
                   const struct model_pattern *line, const struct automaton **all)
{
    const struct automaton *before = *all;
    if (!before)
        *all = line->automaton;
    else if (line->excluded)
        *all = automaton_subtract(check->arena, before, line->automaton, AUTOMATON_STATES_MAX);
    else
        *all = automaton_intersect(check->arena, before, line->automaton, AUTOMATON_STATES_MAX);
    if (before && !language_spend(check, *all, line->span))
        return false;
    if (!*all) {
        diagnostic_error(check->diagnostics, line->span,
                         "the patterns of %s together need an automaton of more than %u states",
                         use->subject, AUTOMATON_STATES_MAX);
        return false;
    }
    return !automaton_is_empty(*all) || report_empty(check, use, line, !before);
}

/* The `=` lines in the file's order, then the `!=` lines. */
static const struct automaton *combine(struct check *check, const struct language_use *use,
                                       const struct model_pattern *lines, size_t count)
{
    const struct automaton *all = NULL;
    for (int excluded = 0; excluded <= 1; excluded++)
        for (size_t i = 0; i < count; i++)
            if (lines[i].excluded == (excluded != 0) && !narrow(check, use, &lines[i], &all))
                return NULL;
    return all;
}

static const struct model_language *intern_language(struct check *check,
                                                    const struct language_use *use,
                                                    const struct model_pattern *lines)
{
    size_t count = use->count;
    const struct model_pattern *sorted = sort_lines(check, lines, &count);
    const char *key = language_key(check, sorted, count, use->pcre2);
    struct interned *languages = &check->languages;
    struct language *language = table_find(&languages->table, key, strlen(key));
    if (language)
        return &language->model;
    const struct automaton *automaton = NULL;
    if (!use->pcre2) {
        automaton = combine(check, use, lines, use->count);
        if (!automaton)
            return NULL;
    }
    language = arena_alloc(check->arena, sizeof *language);
    language->model = (struct model_language){.key = key,
                                              .lines = sorted,
                                              .line_count = count,
                                              .pcre2 = use->pcre2,
                                              .automaton = automaton,
                                              .first_name = use->first_name};
    table_add(check->arena, &languages->table, key, strlen(key), language);
    intern_append(check, languages, &language->model);
    check->uses_pcre2 |= use->pcre2;
    return &language->model;
}

/* The reading of a slot's only line, when it is a plain `=` line. */
static struct pattern_reading *only_reading(struct check *check, const struct language_use *use)
{
    if (use->count != 1 || use->pcre2 || use->lines[0]->operator != OPERATOR_IS)
        return NULL;
    return table_find(&check->pattern_texts, use->lines[0]->value.text,
                      use->lines[0]->value.length);
}

const struct model_language *language_from_lines(struct check *check,
                                                 const struct language_use *use)
{
    struct pattern_reading *only = only_reading(check, use);
    if (only && only->alone)
        return only->alone;
    struct model_pattern *lines = arena_array(check->arena, use->count, sizeof *lines);
    bool good = true;
    size_t inclusions = 0;
    for (size_t i = 0; i < use->count; i++) {
        if (!read_line(check, use, use->lines[i], &lines[i]))
            good = false;
        inclusions += !lines[i].excluded;
    }
    if (!inclusions) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, use->lines[0]->operator_at,
                             "%s has only exclusions", use->subject);
        check_hint(check, error, "add a line `%s = PATTERN` that says what it accepts",
                   use->lines[0]->key);
        return NULL;
    }
    const struct model_language *language = good ? intern_language(check, use, lines) : NULL;
    only = only_reading(check, use);
    if (only)
        only->alone = language;
    return language;
}

const struct automaton *language_without_dash(struct check *check,
                                              const struct model_language *language)
{
    struct language *whole = (struct language *)(uintptr_t)language;
    if (!whole->without_dash) {
        whole->without_dash = automaton_without_dash(check->arena, language->automaton);
        language_spend(check, whole->without_dash, language->lines[0].span);
    }
    return whole->without_dash;
}

/* ---- for people and for grants --------------------------------------------------------------- */

const char *language_description(struct check *check, const struct language_use *use)
{
    struct buffer text = {0};
    for (size_t i = 0; i < use->count; i++) {
        const struct tree_attribute *line = use->lines[i];
        if (i)
            buffer_puts(&text, " and ");
        if (line->operator == OPERATOR_IS_NOT)
            buffer_puts(&text, "not ");
        buffer_add(&text, line->value.text, line->value.length);
    }
    const char *copy = arena_copy(check->arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}

/* The value `@under(DIRECTORY)` stands for; names are followed, as deep as they may go. */
static const char *under_of(struct check *check, const struct tree_value *value)
{
    static const char prefix[] = "@under(";
    const size_t opening = sizeof prefix - 1;
    for (size_t depth = 0; depth <= MODEL_NAMES_DEPTH_MAX; depth++) {
        if (value->length > opening + 1 && memcmp(value->text, prefix, opening) == 0 &&
            memchr(value->text, ')', value->length) == value->text + value->length - 1)
            return arena_copy(check->arena, value->text + opening, value->length - opening - 1);
        if (!value->length || value->text[0] != '@')
            return NULL;
        const struct tree_attribute *definition =
            names_definition(check, value->text + 1, value->length - 1);
        if (!definition)
            return NULL;
        value = &definition->value;
    }
    return NULL;
}

const char *language_under(struct check *check, const struct language_use *use)
{
    const char *directory = NULL;
    for (size_t i = 0; i < use->count && !directory && !use->pcre2; i++)
        if (use->lines[i]->operator == OPERATOR_IS)
            directory = under_of(check, &use->lines[i]->value);
    return directory;
}
