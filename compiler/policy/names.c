#include "compiler/policy/names.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/languages.h"

/* ---- definitions ----------------------------------------------------------------------------- */

static bool is_pattern_name(const struct tree_attribute *definition)
{
    for (uint32_t i = 0; i < definition->key_length; i++) {
        char c = definition->key[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && ((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return definition->key_length > 0;
}

static bool check_definition(struct check *check, const struct tree_attribute *definition)
{
    if (!is_pattern_name(definition)) {
        struct diagnostic *error = diagnostic_error(
            check->diagnostics, definition->key_at, "`%s` cannot name a pattern", definition->key);
        check_hint(check, error,
                   "a name is letters, digits, `_` and `-`, and begins with a letter or `_`");
        return false;
    }
    if (definition->operator != OPERATOR_IS) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, definition->operator_at,
                             "a named pattern cannot be an exclusion");
        check_hint(check, error, "write `%s != @NAME` on the slots of rules instead",
                   definition->key);
        return false;
    }
    const struct named_pattern *before =
        table_find(&check->names, definition->key, definition->key_length);
    if (before) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, definition->key_at,
                             "pattern @%s is defined twice", definition->key);
        diagnostic_note(check->diagnostics, error, before->definition->key_at,
                        "the previous definition is here");
        return false;
    }
    if (pattern_is_standard(definition->key, definition->key_length)) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, definition->key_at,
                             "@%s is a pattern of the standard set and cannot be defined again",
                             definition->key);
        check_hint(check, error, "give it another name");
        return false;
    }
    return true;
}

static void add_definition(struct check *check, const struct tree_attribute *definition)
{
    if (!check_definition(check, definition))
        return;
    struct named_pattern *named = arena_alloc(check->arena, sizeof *named);
    named->name = definition->key;
    named->definition = definition;
    table_add(check->arena, &check->names, definition->key, definition->key_length, named);
    check->name_list[check->name_count++] = named;
}

/* ---- use ------------------------------------------------------------------------------------- */

/* `@a` uses `@b` uses `@a`: every name on the way fails, and one error shows the way. */
static void report_cycle(struct check *check, const struct named_pattern *again)
{
    struct name_stack *stack = &check->name_stack;
    size_t first = stack->depth;
    while (first && stack->active[first - 1] != again)
        first--;
    struct buffer way = {0};
    for (size_t i = first - 1; i < stack->depth; i++) {
        buffer_format(&way, "@%s -> ", stack->active[i]->name);
        stack->active[i]->state = NAME_FAILED;
    }
    buffer_format(&way, "@%s", again->name);
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, again->definition->value.at,
                         "pattern @%s is defined by itself: %s", again->name, buffer_text(&way));
    for (size_t i = first; i < stack->depth; i++)
        diagnostic_note(check->diagnostics, error, stack->active[i]->definition->value.at,
                        "by way of @%s", stack->active[i]->name);
    buffer_free(&way);
}

static void report_depth(struct check *check, struct named_pattern *named)
{
    diagnostic_error(check->diagnostics, named->definition->value.at,
                     "pattern @%s uses names that use names, more than %u deep", named->name,
                     MODEL_NAMES_DEPTH_MAX);
    named->state = NAME_FAILED;
}

static void read_definition(struct check *check, struct named_pattern *named)
{
    struct name_stack *stack = &check->name_stack;
    if (stack->depth == MODEL_NAMES_DEPTH_MAX) {
        report_depth(check, named);
        return;
    }
    named->state = NAME_ACTIVE;
    stack->active[stack->depth++] = named;
    const struct pattern *tree = language_read_tree(check, &named->definition->value);
    stack->depth--;
    if (named->state == NAME_ACTIVE)
        named->state = tree ? NAME_READ : NAME_FAILED;
    named->tree = tree;
    if (named->state == NAME_READ && named->depth == MODEL_NAMES_DEPTH_MAX)
        report_depth(check, named);
}

/* The name that is being read uses `used`: as deep as that, and one more. */
static void note_use(struct check *check, const struct named_pattern *used)
{
    if (!check->name_stack.depth)
        return;
    struct named_pattern *user = check->name_stack.active[check->name_stack.depth - 1];
    if (user->depth <= used->depth)
        user->depth = used->depth + 1;
}

static const struct pattern *find_name(void *context, const char *name, size_t length)
{
    struct check *check = context;
    struct named_pattern *named = table_find(&check->names, name, length);
    if (!named)
        return NULL;
    if (named->state == NAME_UNREAD)
        read_definition(check, named);
    else if (named->state == NAME_ACTIVE)
        report_cycle(check, named);
    if (named->state == NAME_READ) {
        note_use(check, named);
        return named->tree;
    }
    check->poisoned = true;
    return NULL;
}

/* As its author wrote it: what PCRE2 is asked about. */
static const char *find_text(void *context, const char *name, size_t length, size_t *text_length)
{
    struct check *check = context;
    const struct named_pattern *named = table_find(&check->names, name, length);
    if (!named)
        return NULL;
    *text_length = named->definition->value.length;
    return named->definition->value.text;
}

struct pattern_names names_of(struct check *check)
{
    return (struct pattern_names){.find = find_name, .context = check, .text = find_text};
}

const struct tree_attribute *names_definition(struct check *check, const char *name, size_t length)
{
    const struct named_pattern *named = table_find(&check->names, name, length);
    return named ? named->definition : NULL;
}

void names_collect(struct check *check)
{
    size_t most = 0;
    for (size_t i = 0; i < check->file->patterns_count; i++)
        most += check->file->patterns[i]->attribute_count;
    check->name_list = arena_array(check->arena, most, sizeof(struct named_pattern *));
    for (size_t i = 0; i < check->file->patterns_count; i++) {
        const struct tree_stanza *stanza = check->file->patterns[i];
        for (size_t j = 0; j < stanza->attribute_count; j++)
            add_definition(check, &stanza->attributes[j]);
    }
    for (size_t i = 0; i < check->name_count; i++)
        if (check->name_list[i]->state == NAME_UNREAD)
            read_definition(check, check->name_list[i]);
}
