#include "compiler/base/diagnostic.h"

#include <stdarg.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/excerpt.h"
#include "compiler/base/utf8.h"

struct note {
    struct note *next;
    struct span at;
    const char *message;
};

struct diagnostic {
    struct span at;
    enum severity severity;
    const char *warning; /* its name; NULL for errors proper */
    const char *message;
    struct note *notes, **last_note;
    size_t sequence; /* order of adding, for equal places */
};

struct warning_switch {
    struct warning_switch *next;
    const char *name;
    enum warning_level level;
};

struct diagnostics {
    struct arena *arena;
    const struct source *source;
    struct warning_switch *switches; /* newest first */
    bool strict;
    size_t errors, warnings; /* all that were added, printed or not */
    /* The errors to print are those that come first in the file, wherever they were found. */
    struct diagnostic *kept[DIAGNOSTIC_ERRORS_MAX];
    size_t kept_count, dropped;
    struct diagnostic **shown_warnings;
    size_t shown_count, shown_capacity;
    size_t sequence;
    struct diagnostic nowhere; /* stands for what is not printed; takes no notes */
};

struct diagnostics *diagnostics_new(struct arena *arena, const struct source *source)
{
    struct diagnostics *all = arena_alloc(arena, sizeof *all);
    all->arena = arena;
    all->source = source;
    return all;
}

/* Places first, then the order of adding. */
static bool comes_before(const struct diagnostic *a, const struct diagnostic *b)
{
    if (a->at.begin != b->at.begin)
        return a->at.begin < b->at.begin;
    return a->sequence < b->sequence;
}

static struct diagnostic *message_new(struct diagnostics *all, enum severity severity,
                                      const char *warning, struct span at)
{
    struct diagnostic *fresh = arena_alloc(all->arena, sizeof *fresh);
    fresh->at = at;
    fresh->severity = severity;
    fresh->warning = warning;
    fresh->last_note = &fresh->notes;
    fresh->sequence = all->sequence++;
    return fresh;
}

/* Counts an error and keeps it if it is among the first DIAGNOSTIC_ERRORS_MAX of the file; what is
 * not kept costs no memory, so that a file of nothing but errors does not either. */
static struct diagnostic *keep_error(struct diagnostics *all, const char *warning, struct span at,
                                     const char *format, va_list arguments)
    __attribute__((format(printf, 4, 0)));

static struct diagnostic *keep_error(struct diagnostics *all, const char *warning, struct span at,
                                     const char *format, va_list arguments)
{
    all->errors++;
    bool full = all->kept_count == DIAGNOSTIC_ERRORS_MAX;
    if (full) {
        all->dropped++;
        if (at.begin >= all->kept[DIAGNOSTIC_ERRORS_MAX - 1]->at.begin)
            return &all->nowhere;
        all->kept_count--;
    }
    struct diagnostic *fresh = message_new(all, SEVERITY_ERROR, warning, at);
    fresh->message = arena_format_list(all->arena, format, arguments);
    size_t place = all->kept_count++;
    for (; place && comes_before(fresh, all->kept[place - 1]); place--)
        all->kept[place] = all->kept[place - 1];
    all->kept[place] = fresh;
    return fresh;
}

struct diagnostic *diagnostic_error(struct diagnostics *all, struct span at, const char *format,
                                    ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct diagnostic *error = keep_error(all, NULL, at, format, arguments);
    va_end(arguments);
    return error;
}

static enum warning_level warning_level(const struct diagnostics *all, const char *name)
{
    for (const struct warning_switch *one = all->switches; one; one = one->next)
        if (strcmp(one->name, name) == 0)
            return one->level == WARNING_ON && all->strict ? WARNING_ERROR : one->level;
    return all->strict ? WARNING_ERROR : WARNING_ON;
}

struct diagnostic *diagnostic_warning(struct diagnostics *all, const char *name, struct span at,
                                      const char *format, ...)
{
    enum warning_level level = warning_level(all, name);
    if (level == WARNING_OFF)
        return &all->nowhere;
    va_list arguments;
    va_start(arguments, format);
    struct diagnostic *warning;
    if (level == WARNING_ERROR) {
        warning = keep_error(all, name, at, format, arguments);
    } else {
        warning = message_new(all, SEVERITY_WARNING, name, at);
        warning->message = arena_format_list(all->arena, format, arguments);
        arena_grow(all->arena, &all->shown_warnings, &all->shown_capacity, all->shown_count + 1,
                   sizeof(struct diagnostic *));
        all->shown_warnings[all->shown_count++] = warning;
        all->warnings++;
    }
    va_end(arguments);
    return warning;
}

void diagnostic_note(struct diagnostics *all, struct diagnostic *about, struct span at,
                     const char *format, ...)
{
    if (about == &all->nowhere)
        return;
    va_list arguments;
    va_start(arguments, format);
    struct note *note = arena_alloc(all->arena, sizeof *note);
    note->at = at;
    note->message = arena_format_list(all->arena, format, arguments);
    *about->last_note = note;
    about->last_note = &note->next;
    va_end(arguments);
}

size_t diagnostics_errors(const struct diagnostics *all)
{
    return all->errors;
}

size_t diagnostics_warnings(const struct diagnostics *all)
{
    return all->warnings;
}

void diagnostics_set_warning(struct diagnostics *all, const char *name, enum warning_level level)
{
    struct warning_switch *one = arena_alloc(all->arena, sizeof *one);
    one->name = arena_copy(all->arena, name, strlen(name));
    one->level = level;
    one->next = all->switches;
    all->switches = one;
}

void diagnostics_set_strict(struct diagnostics *all, bool strict)
{
    all->strict = strict;
}

/* ---- printing -------------------------------------------------------------------------------- */

static bool has_place(struct span at)
{
    return at.begin != SPAN_NONE.begin;
}

static const char *severity_word(enum severity severity)
{
    return severity == SEVERITY_ERROR ? "error" : "warning";
}

/* FILE:LINE:COLUMN: WORD: MESSAGE, and the name of the warning. */
static void text_line(struct buffer *out, const struct source *source, struct span at,
                      const char *word, const char *message, const char *suffix)
{
    excerpt_visible(out, source->name, strlen(source->name));
    if (has_place(at))
        buffer_format(out, ":%u:%u", source_line(source, at.begin),
                      source_column(source, at.begin));
    buffer_format(out, ": %s: ", word);
    excerpt_visible(out, message, strlen(message));
    buffer_format(out, "%s\n", suffix);
}

static void text_message(struct buffer *out, const struct source *source,
                         const struct diagnostic *one)
{
    struct buffer suffix = {0};
    if (one->warning)
        buffer_format(&suffix, " [-W%s%s]", one->severity == SEVERITY_ERROR ? "error=" : "",
                      one->warning);
    text_line(out, source, one->at, severity_word(one->severity), one->message,
              buffer_text(&suffix));
    buffer_free(&suffix);
    if (has_place(one->at))
        excerpt_add(out, source, one->at);
    for (const struct note *note = one->notes; note; note = note->next) {
        text_line(out, source, has_place(note->at) ? note->at : one->at, "note", note->message, "");
        if (has_place(note->at))
            excerpt_add(out, source, note->at);
    }
}

static void json_place(struct buffer *out, const struct source *source, struct span at)
{
    if (!has_place(at)) {
        buffer_puts(out, "\"line\":null,\"column\":null,\"end_line\":null,\"end_column\":null");
        return;
    }
    buffer_format(out, "\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u",
                  source_line(source, at.begin), source_column(source, at.begin),
                  source_line(source, at.end), source_column(source, at.end));
}

static void json_text(struct buffer *out, const char *key, const char *text)
{
    buffer_format(out, ",\"%s\":", key);
    if (text)
        buffer_json_string(out, text, strlen(text));
    else
        buffer_puts(out, "null");
}

static void json_message(struct buffer *out, const struct source *source,
                         const struct diagnostic *one)
{
    buffer_puts(out, "{\"file\":");
    buffer_json_string(out, source->name, strlen(source->name));
    buffer_char(out, ',');
    json_place(out, source, one->at);
    json_text(out, "severity", severity_word(one->severity));
    json_text(out, "message", one->message);
    json_text(out, "name", one->warning);
    buffer_puts(out, ",\"notes\":[");
    for (const struct note *note = one->notes; note; note = note->next) {
        buffer_puts(out, note == one->notes ? "{" : ",{");
        json_place(out, source, note->at);
        json_text(out, "message", note->message);
        buffer_char(out, '}');
    }
    buffer_puts(out, "]}\n");
}

/* Warnings by place: a merge sort, bottom up, because there may be many. */
static void sort_warnings(struct diagnostics *all)
{
    size_t count = all->shown_count;
    struct diagnostic **from = all->shown_warnings;
    struct diagnostic **to = arena_array(all->arena, count, sizeof *to);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t left = start, right = middle;
            for (size_t i = start; i < end; i++) {
                bool take_right = right < end && (left == middle ||
                                                  comes_before(from[right], from[left]));
                to[i] = from[take_right ? right++ : left++];
            }
        }
        struct diagnostic **swap = from;
        from = to;
        to = swap;
    }
    all->shown_warnings = from;
    all->shown_capacity = count;
}

static void print_one(struct diagnostics *all, struct buffer *out, FILE *file,
                      enum diagnostic_format format, const struct diagnostic *one)
{
    if (format == DIAGNOSTIC_JSON)
        json_message(out, all->source, one);
    else
        text_message(out, all->source, one);
    fwrite(buffer_text(out), 1, out->length, file);
    buffer_clear(out);
}

void diagnostics_print(struct diagnostics *all, FILE *file, enum diagnostic_format format)
{
    struct buffer out = {0};
    sort_warnings(all);
    for (size_t error = 0, warning = 0; error < all->kept_count || warning < all->shown_count;) {
        bool take_warning =
            warning < all->shown_count &&
            (error == all->kept_count ||
             comes_before(all->shown_warnings[warning], all->kept[error]));
        print_one(all, &out, file, format,
                  take_warning ? all->shown_warnings[warning++] : all->kept[error++]);
    }
    if (all->dropped) {
        struct diagnostic rest = {.at = SPAN_NONE, .severity = SEVERITY_ERROR};
        rest.message = arena_format(all->arena, "%zu more error%s not shown (the first %u are)",
                                    all->dropped, all->dropped == 1 ? " is" : "s are",
                                    DIAGNOSTIC_ERRORS_MAX);
        print_one(all, &out, file, format, &rest);
    }
    buffer_free(&out);
    all->kept_count = all->dropped = all->shown_count = all->shown_capacity = 0;
    all->shown_warnings = NULL;
}
