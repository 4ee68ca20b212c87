#include "compiler/emit/emit.h"

#include "compiler/base/arena.h"
#include "compiler/emit/dispatch.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/patterns.h"
#include "compiler/emit/rules.h"
#include "compiler/emit/tables.h"

struct emitted *emit_policy(struct arena *arena, const struct model *model,
                            struct diagnostics *diagnostics)
{
    struct emitted *emitted = arena_alloc(arena, sizeof *emitted);
    emitted->arena = arena;
    const struct layout *layout = layout_make(arena, model);
    emitted->layout = layout;
    policy_emit(emitted, layout);
    texts_emit(emitted, layout);
    rules_emit(emitted, layout);
    dispatch_emit(emitted, layout);
    filters_emit(emitted, layout);
    return patterns_emit(emitted, layout, diagnostics) ? emitted : NULL;
}
