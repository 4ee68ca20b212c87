#include "compiler/emit/emitted.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/names.h"
#include "compiler/policy/model.h"

void emitted_head(struct buffer *out, const struct model *model, const char *holds)
{
    buffer_puts(out, EMITTED_MARK);
    comment_text(out, model->file, strlen(model->file));
    buffer_puts(out, ": change the rules, not this file.\n *\n * ");
    for (; *holds; holds++) {
        buffer_char(out, *holds);
        if (*holds == '\n')
            buffer_puts(out, " * ");
    }
    buffer_puts(out, " */\n");
}

void emitted_add(struct emitted *emitted, const char *path, struct buffer *text)
{
    arena_grow(emitted->arena, &emitted->files, &emitted->capacity, emitted->count + 1,
               sizeof *emitted->files);
    emitted->files[emitted->count++] =
        (struct emitted_file){arena_copy(emitted->arena, path, strlen(path)),
                              arena_copy(emitted->arena, buffer_text(text), text->length),
                              text->length};
    buffer_clear(text);
}
