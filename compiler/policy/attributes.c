/* What is in force on a rule as a model_attributes; equal ones are one. */
#include "compiler/policy/attributes.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/intern.h"
#include "compiler/policy/languages.h"

/* ---- what the caller may send ---------------------------------------------------------------- */

static const char *const family = "env.";

static bool is_about(const struct tree_attribute *line, const char *name)
{
    return strcmp(line->key + strlen(family), name) == 0;
}

/* The lines env.NAME: the rule's own when it has any, else those of defaults. */
static struct attribute_lines lines_about(struct check *check, const struct settings *settings,
                                          const char *name)
{
    struct attribute_lines found = {0};
    const struct attribute_lines *sources[] = {&settings->caller_lines, settings->default_lines};
    for (size_t i = 0; i < 2 && sources[i] && !found.count; i++) {
        for (size_t j = 0; j < sources[i]->count; j++) {
            if (!is_about(sources[i]->items[j], name))
                continue;
            arena_grow(check->arena, &found.items, &found.capacity, found.count + 1,
                       sizeof *found.items);
            found.items[found.count++] = sources[i]->items[j];
        }
    }
    return found;
}

/* A value's patterns; false when they are wrong. */
static bool read_caller_value(struct check *check, const char *name, struct span span,
                              const char *subject, const struct attribute_lines *lines,
                              struct model_caller_value *value)
{
    *value = (struct model_caller_value){.name = name, .span = span};
    if (!lines->count)
        return true;
    struct language_use use = {
        .subject = subject, .first_name = name, .lines = lines->items, .count = lines->count};
    value->language = language_from_lines(check, &use);
    value->description = language_description(check, &use);
    return value->language != NULL;
}

static bool read_caller_environment(struct check *check, const struct settings *settings,
                                    struct model_attributes *attributes)
{
    size_t count = settings->caller_name_count;
    struct model_caller_value *values = arena_array(check->arena, count, sizeof *values);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const struct caller_name *name = &settings->caller_names[i];
        struct attribute_lines lines = lines_about(check, settings, name->name);
        const char *subject = arena_format(check->arena, "%s%s", family, name->name);
        if (!read_caller_value(check, name->name, name->span, subject, &lines, &values[i]))
            good = false;
    }
    attributes->caller_environment = values;
    attributes->caller_environment_count = count;
    return good;
}

static bool read_caller_cwd(struct check *check, const struct settings *settings,
                            struct model_attributes *attributes)
{
    if (!settings->caller_cwd)
        return true;
    struct attribute_lines lines = {0};
    arena_grow(check->arena, &lines.items, &lines.capacity, 1, sizeof *lines.items);
    lines.items[lines.count++] = settings->caller_cwd;
    struct model_caller_value *value = arena_alloc(check->arena, sizeof *value);
    attributes->caller_cwd = value;
    return read_caller_value(check, "cwd", settings->caller_cwd->value.at, "cwd_from_caller",
                             &lines, value);
}

/* Whether a line of the same variable stands before line `index`. */
static bool has_earlier_line(const struct attribute_lines *lines, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(lines->items[i]->key, lines->items[index]->key) == 0)
            return true;
    return false;
}

bool attributes_check_defaults(struct check *check, const struct settings *defaults)
{
    struct model_attributes scratch = {0};
    bool good = read_caller_cwd(check, defaults, &scratch);
    for (size_t i = 0; i < defaults->caller_lines.count; i++) {
        const struct tree_attribute *line = defaults->caller_lines.items[i];
        if (has_earlier_line(&defaults->caller_lines, i))
            continue;
        const char *name = line->key + strlen(family);
        struct attribute_lines lines = lines_about(check, defaults, name);
        struct model_caller_value value;
        if (!read_caller_value(check, name, line->key_at, line->key, &lines, &value))
            good = false;
    }
    return good;
}

bool attributes_check_caller_lines(struct check *check, const struct settings *settings)
{
    bool good = true;
    for (size_t i = 0; i < settings->caller_lines.count; i++) {
        const struct tree_attribute *line = settings->caller_lines.items[i];
        bool listed = false;
        for (size_t j = 0; j < settings->caller_name_count && !listed; j++)
            listed = is_about(line, settings->caller_names[j].name);
        if (listed)
            continue;
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, line->key_at,
                             "%s: the caller cannot send this variable", line->key);
        check_hint(check, error, "add `env_from_caller = %s`", line->key + strlen(family));
        good = false;
    }
    return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Nothing that a call started may outlive its timeout; without one there is no such moment. */
static enum policy_kill kill_in_force(const struct settings *settings)
{
    if (settings->place[KEY_KILL].begin != SPAN_NONE.begin)
        return (enum policy_kill)settings->number[KEY_KILL];
    return settings->number[KEY_TIMEOUT] ? KILL_TREE : KILL_GROUP;
}

static struct model_attributes read_plain(const struct settings *settings)
{
    return (struct model_attributes){
        .timeout_ms = settings->number[KEY_TIMEOUT],
        .cwd = settings->cwd,
        .environment = settings->environment.items,
        .environment_count = settings->environment.count,
        .log = (enum policy_log)settings->number[KEY_LOG],
        .stdoutfile = settings->stdoutfile,
        .stderrfile = settings->stderrfile,
        .exec_path = settings->exec_path,
        .max_output = settings->number[KEY_MAX_OUTPUT],
        .refuse = (uint32_t)settings->number[KEY_REFUSE],
        .forward = settings->number[KEY_FORWARD],
        .on_disconnect = (enum policy_disconnect)settings->number[KEY_ON_DISCONNECT],
        .kill = kill_in_force(settings),
        .umask = (uint32_t)settings->number[KEY_UMASK],
    };
}

static void key_caller_value(struct buffer *key, const struct model_caller_value *value)
{
    key_text(key, value->name);
    key_text(key, value->language ? value->language->key : NULL);
}

static void spell(struct buffer *key, const struct model_attributes *attributes)
{
    key_number(key, attributes->timeout_ms);
    key_template(key, &attributes->cwd);
    key_number(key, attributes->environment_count);
    for (size_t i = 0; i < attributes->environment_count; i++) {
        key_text(key, attributes->environment[i].name);
        key_text(key, attributes->environment[i].value);
    }
    key_number(key, attributes->log);
    key_template(key, &attributes->stdoutfile);
    key_template(key, &attributes->stderrfile);
    key_text(key, attributes->exec_path);
    key_number(key, attributes->max_output);
    key_number(key, attributes->caller_environment_count);
    for (size_t i = 0; i < attributes->caller_environment_count; i++)
        key_caller_value(key, &attributes->caller_environment[i]);
    key_number(key, attributes->caller_cwd != NULL);
    if (attributes->caller_cwd)
        key_caller_value(key, attributes->caller_cwd);
    key_number(key, attributes->refuse);
    key_number(key, attributes->forward);
    key_number(key, attributes->on_disconnect);
    key_number(key, attributes->kill);
    key_number(key, attributes->umask);
}

const struct model_attributes *attributes_from_settings(struct check *check,
                                                        const struct settings *settings)
{
    struct model_attributes attributes = read_plain(settings);
    bool environment = read_caller_environment(check, settings, &attributes);
    bool directory = read_caller_cwd(check, settings, &attributes);
    if (!environment || !directory)
        return NULL;
    struct buffer key = {0};
    spell(&key, &attributes);
    struct model_attributes *known = intern_find(&check->attributes, &key);
    if (!known) {
        known = arena_alloc(check->arena, sizeof *known);
        *known = attributes;
        intern_add(check, &check->attributes, &key, known);
    }
    buffer_free(&key);
    return known;
}
