/* A checked model from rules text, for the emitter's tests. The text must be right. */
#ifndef SLUICE_TESTS_EMIT_MODEL_H
#define SLUICE_TESTS_EMIT_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/emit/emit.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/policy/model.h"

static inline const struct model *model_of(struct arena *arena, const char *text)
{
    struct source *source = source_from_text(arena, "test.rules", text, strlen(text));
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    const struct model *model = model_from_source(arena, source, diagnostics);
    if (!model)
        diagnostics_print(diagnostics, stderr, DIAGNOSTIC_TEXT);
    assert_non_null(model);
    return model;
}

static inline struct emitted *emitted_of(struct arena *arena, const char *text)
{
    const struct model *model = model_of(arena, text);
    struct diagnostics *diagnostics = diagnostics_new(arena, model->source);
    struct emitted *emitted = emit_policy(arena, model, diagnostics);
    if (!emitted)
        diagnostics_print(diagnostics, stderr, DIAGNOSTIC_TEXT);
    assert_non_null(emitted);
    return emitted;
}

static inline struct emitted_file *emitted_find(const struct emitted *emitted, const char *path)
{
    for (size_t i = 0; i < emitted->count; i++)
        if (strcmp(emitted->files[i].path, path) == 0)
            return &emitted->files[i];
    return NULL;
}

#endif
