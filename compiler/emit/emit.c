#include "compiler/emit/emit.h"

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/emit/dispatch.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/patterns.h"
#include "compiler/emit/rules.h"
#include "compiler/emit/tables.h"
#include "compiler/policy/model.h"

/* Whether the rules are few enough to be compiled in a bounded time. */
static bool rules_fit(const struct model *model, struct diagnostics *diagnostics)
{
    size_t sum = 0;
    for (size_t i = 0; i < model->rule_count; i++) {
        sum += model->rules[i].token_count + model->rules[i].slot_count;
        if (sum <= EMIT_TOKENS_MAX)
            continue;
        diagnostic_error(diagnostics, model->rules[i].span,
                         "the rules are too large together: up to here they have more than %u words "
                         "and slots", EMIT_TOKENS_MAX);
        return false;
    }
    return true;
}

struct emitted *emit_policy(struct arena *arena, const struct model *model,
                            struct diagnostics *diagnostics)
{
    if (!rules_fit(model, diagnostics))
        return NULL;
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
