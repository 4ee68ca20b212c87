/* env and env_from_caller: the variables of a call. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/values.h"

/* A list's own items, behind those it adds to when the value begins with `+`. */
static struct tree_value list_body(const struct tree_value *value, bool *adds)
{
    *adds = value_starts(value, "+");
    return *adds ? value_rest(value, 1) : *value;
}

/* PATH is not for the rules to set: what runs must be found where exec_path says. */
static bool check_name(struct check *check, const char *key, const struct tree_value *item,
                       uint32_t length)
{
    struct span at = value_span(item, 0, length);
    if (!is_variable_name(item->text, length)) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, at, "%s: `%s` is not a variable's name", key,
                             check_quote(check, item->text, length));
        check_hint(check, error, "a name is letters, digits and `_`, and begins with no digit");
        return false;
    }
    if (length == 4 && memcmp(item->text, "PATH", 4) == 0) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, at, "%s: PATH is always what exec_path says", key);
        check_hint(check, error,
                   "write `exec_path = DIRECTORY:DIRECTORY` or `exec_path = inherit`");
        return false;
    }
    return true;
}

static bool report_repeated(struct check *check, const char *key, struct span at,
                            struct span before, const char *name)
{
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, at, "%s: %s is listed twice", key, name);
    diagnostic_note(check->diagnostics, error, before, "it is here as well");
    return false;
}

/* ---- env ------------------------------------------------------------------------------------- */

/* `NAME` or `NAME=value`. */
static bool read_variable(struct check *check, const struct tree_value *item,
                          struct policy_variable *variable)
{
    const char *equals = memchr(item->text, '=', item->length);
    uint32_t length = equals ? (uint32_t)(equals - item->text) : item->length;
    if (!check_name(check, "env", item, length))
        return false;
    variable->name = arena_copy(check->arena, item->text, length);
    if (equals) {
        struct tree_value text = value_rest(item, length + 1);
        text = value_unquoted(&text);
        variable->value = arena_copy(check->arena, text.text, text.length);
    }
    return true;
}

/* Adds a variable to the list. One of the first `inherited` is replaced, any other is a
 * repetition. */
static bool put_variable(struct check *check, struct variable_list *list, size_t inherited,
                         struct policy_variable variable, struct span at)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, variable.name) != 0)
            continue;
        if (i >= inherited)
            return report_repeated(check, "env", at, list->places[i], variable.name);
        list->items[i] = variable;
        list->places[i] = at;
        return true;
    }
    list->items[list->count] = variable;
    list->places[list->count++] = at;
    return true;
}

bool settings_environment(struct check *check, struct settings *settings,
                          const struct tree_value *value)
{
    bool adds;
    struct tree_value body = list_body(value, &adds);
    struct value_list written;
    struct variable_list list = {0};
    if (value_is(value, "none")) {
        settings->environment = list;
        return true;
    }
    if (!value_split(check, "env", &body, &written))
        return false;
    size_t inherited = adds ? settings->environment.count : 0;
    list.items = arena_array(check->arena, inherited + written.count, sizeof *list.items);
    list.places = arena_array(check->arena, inherited + written.count, sizeof *list.places);
    for (; list.count < inherited; list.count++) {
        list.items[list.count] = settings->environment.items[list.count];
        list.places[list.count] = settings->environment.places[list.count];
    }
    bool good = true;
    for (size_t i = 0; i < written.count; i++) {
        struct policy_variable variable = {0};
        if (!read_variable(check, &written.items[i], &variable) ||
            !put_variable(check, &list, inherited, variable, written.items[i].at))
            good = false;
    }
    if (good)
        settings->environment = list;
    return good;
}

/* ---- env_from_caller ------------------------------------------------------------------------- */

static bool put_caller_name(struct check *check, struct caller_name *names, size_t *count,
                            size_t inherited, const struct tree_value *item)
{
    if (!check_name(check, "env_from_caller", item, item->length))
        return false;
    struct caller_name fresh = {arena_copy(check->arena, item->text, item->length), item->at};
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(names[i].name, fresh.name) != 0)
            continue;
        if (i >= inherited)
            return report_repeated(check, "env_from_caller", item->at, names[i].span, fresh.name);
        return true;
    }
    names[(*count)++] = fresh;
    return true;
}

bool settings_caller_names(struct check *check, struct settings *settings,
                           const struct tree_value *value)
{
    bool adds;
    struct tree_value body = list_body(value, &adds);
    struct value_list written;
    if (value_is(value, "none")) {
        settings->caller_name_count = 0;
        return true;
    }
    if (!value_split(check, "env_from_caller", &body, &written))
        return false;
    size_t inherited = adds ? settings->caller_name_count : 0, count = inherited;
    struct caller_name *names =
        arena_array(check->arena, inherited + written.count, sizeof *names);
    if (inherited)
        memcpy(names, settings->caller_names, inherited * sizeof *names);
    bool good = true;
    for (size_t i = 0; i < written.count; i++)
        if (!put_caller_name(check, names, &count, inherited, &written.items[i]))
            good = false;
    if (good) {
        settings->caller_names = names;
        settings->caller_name_count = count;
    }
    return good;
}
