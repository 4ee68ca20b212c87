#include "compiler/analysis/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/table.h"
#include "compiler/base/utf8.h"

#define ARGUMENTS_MAX 256u /* of one request: BROKER, "Wire protocol" */

/* ---- JSON (RFC 8259), as far as events need it ------------------------------------------------------ */

struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *in)
{
    while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at)
        in->at++;
}

static bool take(struct cursor *in, char byte)
{
    skip_blanks(in);
    if (in->at == in->end || *in->at != byte)
        return false;
    in->at++;
    return true;
}

static bool take_hex(struct cursor *in, uint32_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 4; i++, in->at++) {
        const char *digits = "0123456789abcdef", *digit;
        if (in->at == in->end || *in->at < '0' || !(digit = strchr(digits, *in->at | 0x20)))
            return false;
        *value = *value << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

/* What stands behind "\u". */
static bool take_scalar(struct cursor *in, struct buffer *out)
{
    uint32_t scalar, low;
    if (!take_hex(in, &scalar))
        return false;
    if (scalar >= 0xD800 && scalar < 0xDC00) {
        if (in->end - in->at < 6 || in->at[0] != '\\' || in->at[1] != 'u')
            return false;
        in->at += 2;
        if (!take_hex(in, &low) || low < 0xDC00 || low > 0xDFFF)
            return false;
        scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00);
    }
    if (!scalar || (scalar >= 0xDC00 && scalar <= 0xDFFF))
        return false; /* no argument holds NUL */
    char bytes[4];
    buffer_add(out, bytes, utf8_encode(scalar, bytes));
    return true;
}

static bool take_escape(struct cursor *in, struct buffer *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return false;
    char name = *in->at++;
    if (name == 'u')
        return take_scalar(in, out);
    const char *known = name ? strchr(names, name) : NULL;
    if (known)
        buffer_char(out, values[known - names]);
    return known != NULL;
}

/* How many bytes from here on stand for themselves: most strings are nothing else. */
static size_t plain_length(const struct cursor *in)
{
    const char *at = in->at;
    while (at < in->end && *at >= ' ' && *at < 0x7F && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - in->at);
}

/* A string, unescaped into `out`. False: it is none, or holds what no argument can. */
static bool take_string(struct cursor *in, struct buffer *out)
{
    buffer_clear(out);
    if (!take(in, '"'))
        return false;
    while (in->at < in->end && *in->at != '"') {
        uint32_t scalar;
        size_t plain = plain_length(in);
        if (plain) {
            buffer_add(out, in->at, plain);
            in->at += plain;
            continue;
        }
        size_t length = utf8_decode(in->at, (size_t)(in->end - in->at), &scalar);
        if (scalar == UTF8_INVALID || scalar < 0x20)
            return false;
        if (*in->at == '\\') {
            in->at++;
            if (!take_escape(in, out))
                return false;
            continue;
        }
        buffer_add(out, in->at, length);
        in->at += length;
    }
    return take(in, '"');
}

/* Skips any value: strings as strings, brackets in balance, numbers and words by their characters. */
static bool skip_value(struct cursor *in, struct buffer *scratch)
{
    char open[MANIFEST_DEPTH_MAX];
    unsigned depth = 0;
    do {
        skip_blanks(in);
        if (in->at == in->end)
            return false;
        char byte = *in->at;
        if (byte == '"') {
            if (!take_string(in, scratch))
                return false;
        } else if (byte == '{' || byte == '[') {
            if (depth == MANIFEST_DEPTH_MAX)
                return false;
            open[depth++] = byte == '{' ? '}' : ']';
            in->at++;
        } else if (byte == '}' || byte == ']') {
            if (!depth || open[--depth] != byte)
                return false;
            in->at++;
        } else if (depth && (byte == ',' || byte == ':')) {
            in->at++;
        } else if (byte && strchr("-+.0123456789abcdefghijklmnopqrstuvwxyzE", byte)) {
            while (in->at < in->end && *in->at &&
                   strchr("-+.0123456789abcdefghijklmnopqrstuvwxyzE", *in->at))
                in->at++;
        } else {
            return false;
        }
    } while (depth);
    return true;
}

/* ---- events -------------------------------------------------------------------------------------- */

struct event {
    bool is_start, is_reject, no_rule;
    struct policy_bytes arguments[ARGUMENTS_MAX];
    uint32_t count;
};

struct reader {
    FILE *in;
    char *block;         /* what was read of the file and not yet taken: no system call a line */
    size_t begin, end;
    struct buffer words; /* the arguments of one event, each behind its NUL */
    struct buffer text;
    struct event event;
};

static bool take_arguments(struct reader *reader, struct cursor *in)
{
    struct event *event = &reader->event;
    event->count = 0;
    buffer_clear(&reader->words);
    if (!take(in, '['))
        return false;
    if (take(in, ']'))
        return true;
    do {
        if (event->count == ARGUMENTS_MAX || !take_string(in, &reader->text))
            return false;
        buffer_add(&reader->words, buffer_text(&reader->text), reader->text.length);
        buffer_char(&reader->words, '\0');
        event->arguments[event->count++].length = (uint32_t)reader->text.length;
    } while (take(in, ','));
    /* Where they are, now that the buffer moves no more. */
    const char *at = buffer_text(&reader->words);
    for (uint32_t i = 0; i < event->count; at += event->arguments[i++].length + 1)
        event->arguments[i].bytes = at;
    return take(in, ']');
}

static bool take_member(struct reader *reader, struct cursor *in)
{
    struct buffer *text = &reader->text;
    struct event *event = &reader->event;
    if (!take_string(in, text))
        return false;
    bool kind = strcmp(buffer_text(text), "kind") == 0;
    bool reason = strcmp(buffer_text(text), "reason") == 0;
    bool arguments = strcmp(buffer_text(text), "argv") == 0;
    if (!take(in, ':'))
        return false;
    if (arguments)
        return take_arguments(reader, in);
    if (!kind && !reason)
        return skip_value(in, text);
    if (!take_string(in, text))
        return false;
    if (kind) {
        event->is_start = strcmp(buffer_text(text), "start") == 0;
        event->is_reject = strcmp(buffer_text(text), "reject") == 0;
    } else {
        event->no_rule = strcmp(buffer_text(text), "no_rule") == 0;
    }
    return true;
}

/* One line: an object, and nothing behind it. */
static bool take_event(struct reader *reader, const char *line, size_t length)
{
    struct cursor in = {line, line + length};
    reader->event.is_start = reader->event.is_reject = reader->event.no_rule = false;
    reader->event.count = 0;
    if (!take(&in, '{'))
        return false;
    if (!take(&in, '}')) {
        do {
            if (!take_member(reader, &in))
                return false;
        } while (take(&in, ','));
        if (!take(&in, '}'))
            return false;
    }
    skip_blanks(&in);
    return in.at == in.end;
}

/* ---- calls --------------------------------------------------------------------------------------- */

struct collection {
    struct arena *arena;
    struct manifest manifest;
    struct table table; /* arguments, each behind its NUL -> place of the call plus one */
    size_t capacity, bytes;
};

static struct manifest_call *collection_call(struct collection *all, const struct event *event)
{
    struct buffer key = {0};
    for (uint32_t i = 0; i < event->count; i++)
        buffer_add(&key, event->arguments[i].bytes, event->arguments[i].length + 1);
    uintptr_t found = (uintptr_t)table_find(&all->table, buffer_text(&key), key.length);
    if (!found) {
        if (all->manifest.call_count == MANIFEST_CALLS_MAX)
            all->manifest.limit =
                arena_format(all->arena, "%u different command lines", MANIFEST_CALLS_MAX);
        else if (all->bytes + key.length > MANIFEST_BYTES_MAX)
            all->manifest.limit = arena_format(all->arena, "%zu bytes of different command lines",
                                               MANIFEST_BYTES_MAX);
    }
    if (found || all->manifest.limit) {
        buffer_free(&key);
        return found ? &all->manifest.calls[found - 1] : NULL;
    }
    const char *copy = arena_copy(all->arena, buffer_text(&key), key.length);
    struct policy_bytes *arguments = arena_array(all->arena, event->count, sizeof *arguments);
    const char *at = copy;
    for (uint32_t i = 0; i < event->count; i++) {
        arguments[i] = (struct policy_bytes){at, event->arguments[i].length};
        at += arguments[i].length + 1;
    }
    all->bytes += key.length;
    struct manifest *manifest = &all->manifest;
    arena_grow(all->arena, &manifest->calls, &all->capacity, manifest->call_count + 1,
               sizeof *manifest->calls);
    manifest->calls[manifest->call_count++] =
        (struct manifest_call){.arguments = arguments, .count = event->count};
    table_add(all->arena, &all->table, copy, key.length,
              (void *)(uintptr_t)manifest->call_count);
    buffer_free(&key);
    return &manifest->calls[manifest->call_count - 1];
}

static void collection_add(struct collection *all, const struct event *event)
{
    if (!event->count || !(event->is_start || (event->is_reject && event->no_rule)))
        return;
    struct manifest_call *call = collection_call(all, event);
    if (call && event->is_start)
        call->accepted++;
    else if (call)
        call->rejected++;
}

/* Bytes of a file that are read at once. */
#define BLOCK_SIZE ((size_t)256 * 1024)

/* Reads a line without its end into `line`; *whole is false for one that is too long, of which the
 * rest is skipped. False: nothing is left. */
static bool read_line(struct reader *reader, struct buffer *line, bool *whole)
{
    bool any = false;
    buffer_clear(line);
    *whole = true;
    for (;;) {
        if (reader->begin == reader->end) {
            reader->begin = 0;
            reader->end = fread(reader->block, 1, BLOCK_SIZE, reader->in);
            if (!reader->end)
                return any;
        }
        any = true;
        const char *from = reader->block + reader->begin;
        const char *newline = memchr(from, '\n', reader->end - reader->begin);
        size_t length = newline ? (size_t)(newline - from) : reader->end - reader->begin;
        if (line->length + length > MANIFEST_LINE_MAX)
            *whole = false;
        else if (*whole)
            buffer_add(line, from, length);
        reader->begin += length + (newline != NULL);
        if (newline)
            return true;
    }
}

struct manifest manifest_read(struct arena *arena, FILE *in)
{
    struct collection all = {.arena = arena};
    struct reader *reader = memory_zeroed(1, sizeof *reader);
    struct buffer line = {0};
    uint64_t bytes = 0;
    bool whole;
    reader->in = in;
    reader->block = memory_alloc(BLOCK_SIZE);
    while (read_line(reader, &line, &whole)) {
        all.manifest.lines++;
        if (whole && take_event(reader, buffer_text(&line), line.length))
            collection_add(&all, &reader->event);
        else
            all.manifest.unreadable++;
        bytes += line.length + 1;
        if (bytes > MANIFEST_READ_MAX) {
            all.manifest.limit = arena_format(arena, "the first %llu MiB",
                                              (unsigned long long)(MANIFEST_READ_MAX >> 20));
            break;
        }
    }
    buffer_free(&line);
    buffer_free(&reader->text);
    buffer_free(&reader->words);
    free(reader->block);
    free(reader);
    return all.manifest;
}
