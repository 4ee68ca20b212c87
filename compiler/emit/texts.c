/* lines.c and source.c: everything that a comment or a moved line changes. */
#include <string.h>

#include "compiler/base/buffer.h"
#include "compiler/base/sha256.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/initialisers.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/tables.h"

static void lines_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    const struct model *model = layout->model;
    emitted_head(out, model, "Where each rule stands in the rules file, and the comment above it.");
    buffer_puts(out, "static const uint32_t rule_lines[RULE_COUNT] = {\n");
    for (size_t i = 0; i < model->rule_count; i++)
        buffer_format(out, "    [RULE_%s] = %u,\n", layout->rules[i].name, model->rules[i].line);
    buffer_puts(out, "};\n\n");
    for (size_t i = 0; i < model->rule_count; i++) {
        buffer_format(out, "static const char comment_%s[] = ", layout->rules[i].name);
        string_init(out, model->rules[i].comment);
        buffer_puts(out, ";\n");
    }
    emitted_add(emitted, "lines.c", out);
}

/* A string literal for each line of the text. */
static void source_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    const struct source *source = layout->model->source;
    char sum[SHA256_HEX];
    sha256_hex(source->text, source->length, sum);
    emitted_head(out, layout->model, "The rules as they were written, and their SHA-256.");
    buffer_puts(out, "static const char source_sha256[] =\n    \"");
    buffer_puts(out, sum);
    buffer_puts(out, "\";\n\nstatic const char source_text[] =\n");
    for (uint32_t begin = 0; begin < source->length;) {
        const char *newline = memchr(source->text + begin, '\n', source->length - begin);
        uint32_t end = newline ? (uint32_t)(newline - source->text) + 1 : source->length;
        buffer_puts(out, "    \"");
        buffer_c_string(out, source->text + begin, end - begin);
        buffer_puts(out, end < source->length ? "\"\n" : "\"");
        begin = end;
    }
    buffer_puts(out, source->length ? ";\n" : "    \"\";\n");
    emitted_add(emitted, "source.c", out);
}

void texts_emit(struct emitted *emitted, const struct layout *layout)
{
    struct buffer out = {0};
    lines_emit(emitted, layout, &out);
    source_emit(emitted, layout, &out);
    buffer_free(&out);
}
