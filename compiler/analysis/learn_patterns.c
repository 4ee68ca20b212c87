/* Patterns for values that were seen. */
#include <string.h>

#include "compiler/analysis/learn.h"
#include "compiler/base/arena.h"

/* From the narrowest to the widest. */
static const char *const standard[] = {
    "@uint",     "@sha1",  "@sha256",  "@uuid",  "@ipv4",    "@semver",       "@word",
    "@filename", "@email", "@relpath", "@ipv6",  "@gitref",  "@ascii(1,200)", "@text(1,200)",
    "@text(1,4000)",
};

static bool pattern_takes(struct arena *arena, const char *text, const struct policy_bytes *values,
                          size_t count)
{
    struct pattern_error error = {0};
    const struct pattern *pattern = pattern_parse(arena, text, strlen(text), NULL, &error);
    const struct automaton *automaton =
        pattern ? automaton_from_pattern(arena, pattern, AUTOMATON_STATES_MAX) : NULL;
    for (size_t i = 0; i < count; i++)
        if (!automaton || !automaton_accepts(automaton, values[i].bytes, values[i].length))
            return false;
    return true;
}

/* Bytes up to the end of the last whole component that all values begin with. */
static size_t shared_folder(const struct policy_bytes *values, size_t count)
{
    size_t shared = values[0].length;
    for (size_t i = 1; i < count; i++) {
        size_t same = 0;
        while (same < shared && same < values[i].length &&
               values[i].bytes[same] == values[0].bytes[same])
            same++;
        shared = same;
    }
    while (shared && values[0].bytes[shared - 1] != '/')
        shared--;
    return shared ? shared - 1 : 0;
}

/* @under(FOLDER) for absolute paths, @url(SCHEME,HOST) for addresses of one host. */
static const char *pattern_with_place(struct arena *arena, const struct policy_bytes *values,
                                      size_t count)
{
    const char *first = values[0].bytes, *colon = strstr(first, "://");
    size_t folder = shared_folder(values, count);
    const char *text = NULL;
    if (first[0] == '/' && folder)
        text = arena_format(arena, "@under(%.*s)", (int)folder, first);
    else if (colon)
        text = arena_format(arena, "@url(%.*s,%.*s)", (int)(colon - first), first,
                            (int)strcspn(colon + 3, "/:?#"), colon + 3);
    return text && pattern_takes(arena, text, values, count) ? text : NULL;
}

const char *learn_pattern(struct arena *arena, const struct policy_bytes *values, size_t count)
{
    const char *text = pattern_with_place(arena, values, count);
    for (size_t i = 0; !text && i < sizeof standard / sizeof *standard; i++)
        if (pattern_takes(arena, standard[i], values, count))
            text = standard[i];
    return text;
}

/* A value as a pattern of itself, in a form that needs no quotes. */
static void pattern_add_literal(struct buffer *out, struct policy_bytes value)
{
    for (uint32_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte >= 0x80 || strchr("_-/:,%=", byte);
        if (plain && byte)
            buffer_char(out, (char)byte);
        else if (byte > ' ' && byte < 0x7F && byte != ';' && byte != '\'' && byte != '"')
            buffer_format(out, "\\%c", byte);
        else
            buffer_format(out, "\\x%02x", byte);
    }
}

const char *learn_list(struct arena *arena, const struct policy_bytes *values, size_t count)
{
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_char(&text, '|');
        if (values[i].length)
            pattern_add_literal(&text, values[i]);
        else
            buffer_puts(&text, "()");
    }
    const char *copy = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}
