#include "compiler/policy/settings.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/templates.h"
#include "compiler/policy/values.h"

#define EXEC_PATH_INITIAL "/bin:/usr/bin:/sbin:/usr/sbin"

void settings_initial(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    settings_initial_scalars(settings);
    for (size_t key = 0; key < KEY_COUNT; key++)
        settings->place[key] = SPAN_NONE;
    settings->exec_path = EXEC_PATH_INITIAL;
    settings->number[KEY_NET] = NETWORK_INHERIT;
    settings->number[KEY_SYSCALLS] = SYSCALLS_DEFAULT;
}

void settings_inherit(struct settings *settings, const struct settings *defaults)
{
    *settings = *defaults;
    settings->defaults = defaults;
    settings->caller_lines = (struct caller_table){0};
    settings->default_lines = &defaults->caller_lines;
}

/* Directories separated by ':', or `inherit`. Plain text: nothing is expanded, and an empty or
 * relative directory would be the working directory, which callers may write. */
static bool read_exec_path(struct check *check, struct settings *settings,
                           const struct tree_value *value)
{
    if (value_is(value, "inherit")) {
        settings->exec_path = NULL;
        return true;
    }
    bool good = true;
    for (uint32_t begin = 0, end; begin <= value->length; begin = end + 1) {
        const char *colon = memchr(value->text + begin, ':', value->length - begin);
        end = colon ? (uint32_t)(colon - value->text) : value->length;
        const char *directory = value->text + begin;
        if (end > begin && directory[0] == '/')
            continue;
        struct diagnostic *error = diagnostic_error(
            check->diagnostics, value_span(value, begin, end),
            "exec_path: `%s` is not an absolute directory",
            check_quote(check, directory, end - begin));
        check_hint(check, error,
                   template_variable_length(directory, end - begin)
                       ? "variables are not expanded in exec_path"
                       : "write absolute directories separated by `:`, or `inherit`");
        good = false;
    }
    if (good)
        settings->exec_path = arena_copy(check->arena, value->text, value->length);
    return good;
}

static bool read_path(struct check *check, struct settings *settings, enum attribute_key key,
                      const struct tree_value *value)
{
    struct policy_template path = {0};
    bool capture = key == KEY_STDOUTFILE || key == KEY_STDERRFILE;
    bool per_call = capture || key == KEY_LOGFILE;
    if (!(capture && value_is(value, "none")) &&
        !template_parse(check, key_definitions[key].name, value,
                        per_call ? TEMPLATE_OF_CALL : TEMPLATE_OF_BROKER, &path))
        return false;
    if (key == KEY_CWD)
        settings->cwd = path;
    else if (key == KEY_STDOUTFILE)
        settings->stdoutfile = path;
    else if (key == KEY_STDERRFILE)
        settings->stderrfile = path;
    else if (key == KEY_LOGFILE)
        settings->logfile = path;
    else
        settings->socket = path;
    return true;
}

/* Patterns are read where they are used (languages.c): the text stays as it is written. */
static void note_pattern(struct check *check, struct caller_lines *lines,
                         const struct tree_attribute *attribute)
{
    lines->key = attribute->key;
    arena_grow(check->arena, &lines->items, &lines->capacity, lines->count + 1,
               sizeof *lines->items);
    lines->items[lines->count++] = attribute;
}

static void note_caller_cwd(struct check *check, struct settings *settings,
                            const struct tree_attribute *attribute)
{
    settings->caller_cwd = NULL;
    if (value_is(&attribute->value, "none"))
        return;
    settings->caller_cwd = arena_alloc(check->arena, sizeof *settings->caller_cwd);
    note_pattern(check, settings->caller_cwd, attribute);
}

static void note_caller_variable(struct check *check, struct caller_table *table,
                                 const struct tree_attribute *attribute)
{
    struct caller_lines *lines = table_find(&table->table, attribute->key, attribute->key_length);
    if (!lines) {
        lines = arena_alloc(check->arena, sizeof *lines);
        table_add(check->arena, &table->table, attribute->key, attribute->key_length, lines);
        arena_grow(check->arena, &table->items, &table->capacity, table->count + 1,
                   sizeof(struct caller_lines *));
        table->items[table->count++] = lines;
    }
    note_pattern(check, lines, attribute);
}

static bool apply_value(struct check *check, struct settings *settings, enum attribute_key key,
                        const struct tree_value *value, const struct rule_draft *rule)
{
    switch (key_definitions[key].form) {
    case FORM_PATH:
    case FORM_TEMPLATE:
        return read_path(check, settings, key, value);
    case FORM_SEARCH_PATH:
        return read_exec_path(check, settings, value);
    case FORM_ENVIRONMENT:
        return settings_environment(check, settings, value);
    case FORM_VARIABLES:
        return settings_caller_names(check, settings, value);
    case FORM_USERS:
        return settings_users(check, settings, value);
    case FORM_GRANTS:
        return key == KEY_FS_DENY ? settings_denies(check, settings, value)
                                  : settings_grants(check, settings, key, value, rule);
    case FORM_NETWORK:
        return settings_network(check, settings, value);
    case FORM_SYSCALLS:
        return settings_syscalls(check, settings, value);
    default:
        return settings_scalar(check, settings, key, value);
    }
}

bool settings_apply(struct check *check, struct settings *settings, enum attribute_key key,
                    const struct tree_attribute *attribute, const struct rule_draft *rule)
{
    if (key == KEY_ENV_PATTERN)
        note_caller_variable(check, &settings->caller_lines, attribute);
    else if (key == KEY_CWD_FROM_CALLER)
        note_caller_cwd(check, settings, attribute);
    else if (!apply_value(check, settings, key, value_unescape(check->arena, &attribute->value),
                          rule))
        return false;
    if (key < KEY_COUNT)
        settings->place[key] = attribute->value.at;
    return true;
}
