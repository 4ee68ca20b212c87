#include "compiler/base/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

#define FIRST_READ ((size_t)64 * 1024)

static void find_lines(struct arena *arena, struct source *source)
{
    size_t lines = 1;
    for (uint32_t i = 0; i < source->length; i++)
        lines += source->text[i] == '\n';
    source->line_begins = arena_array(arena, lines, sizeof *source->line_begins);
    source->line_begins[source->line_count++] = 0;
    for (uint32_t i = 0; i < source->length; i++)
        if (source->text[i] == '\n')
            source->line_begins[source->line_count++] = i + 1;
}

struct source *source_from_text(struct arena *arena, const char *name, const char *text,
                                size_t length)
{
    struct source *source = arena_alloc(arena, sizeof *source);
    source->name = arena_copy(arena, name, strlen(name));
    source->text = arena_copy(arena, text, length);
    source->length = (uint32_t)length;
    find_lines(arena, source);
    return source;
}

/* Reads to the end, or one byte past what is allowed. Returns a block that the caller frees, or
 * NULL and errno. */
static char *read_all(int descriptor, size_t *length)
{
    size_t capacity = FIRST_READ;
    char *text = memory_alloc(capacity);
    for (*length = 0;;) {
        ssize_t got = read(descriptor, text + *length, capacity - *length);
        if (got == 0)
            return text;
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            *length += (size_t)got;
        if (got < 0 || *length > SOURCE_LENGTH_MAX) {
            int problem = got < 0 ? errno : EFBIG;
            free(text);
            errno = problem;
            return NULL;
        }
        if (*length == capacity)
            text = memory_resize(text, capacity *= 2, 1);
    }
}

struct source *source_from_file(struct arena *arena, const char *path)
{
    bool standard_input = strcmp(path, "-") == 0;
    int descriptor = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return NULL;
    size_t length;
    char *text = read_all(descriptor, &length);
    int problem = errno;
    if (!standard_input)
        close(descriptor);
    if (!text) {
        errno = problem;
        return NULL;
    }
    struct source *source =
        source_from_text(arena, standard_input ? "<stdin>" : path, text, length);
    free(text);
    return source;
}

uint32_t source_line(const struct source *source, uint32_t offset)
{
    /* line_begins[low] <= offset < line_begins[high] */
    uint32_t low = 0, high = source->line_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (source->line_begins[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    return low + 1;
}

uint32_t source_column(const struct source *source, uint32_t offset)
{
    if (offset > source->length)
        offset = source->length;
    uint32_t at = source->line_begins[source_line(source, offset) - 1];
    uint32_t column = 1;
    while (at < offset) {
        uint32_t scalar;
        at += (uint32_t)utf8_decode(source->text + at, source->length - at, &scalar);
        if (at <= offset)
            column++;
    }
    return column;
}

struct span source_line_span(const struct source *source, uint32_t line)
{
    uint32_t begin = source->line_begins[line - 1];
    uint32_t end = line < source->line_count ? source->line_begins[line] - 1 : source->length;
    if (end > begin && source->text[end - 1] == '\r')
        end--;
    return (struct span){begin, end};
}
