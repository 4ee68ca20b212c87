/* What is in force on a rule as a model_attributes; equal ones are one. */
#include "compiler/policy/attributes.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/intern.h"
#include "compiler/policy/languages.h"

/* ---- what the caller may send ---------------------------------------------------------------- */

static const char *const family = "env.";

/* What the lines accept, found out once. False when they are wrong (reported the first time). */
static bool read_lines(struct check *check, struct caller_lines *lines, const char *first_name)
{
    if (lines->read)
        return lines->good;
    struct language_use use = {.subject = lines->key,
                               .first_name = first_name,
                               .lines = lines->items,
                               .count = lines->count};
    lines->language = language_from_lines(check, &use);
    lines->description = language_description(check, &use);
    lines->read = true;
    lines->good = lines->language != NULL;
    return lines->good;
}

/* The lines env.NAME: the rule's own when it has any, else those of defaults, else NULL. */
static struct caller_lines *lines_about(struct check *check, const struct settings *settings,
                                        const char *name)
{
    const char *key = arena_format(check->arena, "%s%s", family, name);
    struct caller_lines *own = table_find(&settings->caller_lines.table, key, strlen(key));
    if (own || !settings->default_lines)
        return own;
    return table_find(&settings->default_lines->table, key, strlen(key));
}

static bool read_caller_environment(struct check *check, const struct settings *settings,
                                    struct model_attributes *attributes)
{
    size_t count = settings->caller_name_count;
    struct model_caller_value *values = arena_array(check->arena, count, sizeof *values);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const struct caller_name *name = &settings->caller_names[i];
        struct caller_lines *lines = lines_about(check, settings, name->name);
        if (lines && !read_lines(check, lines, name->name))
            good = false;
        values[i] = (struct model_caller_value){.name = name->name, .span = name->span};
        if (lines) {
            values[i].language = lines->language;
            values[i].description = lines->description;
        }
    }
    attributes->caller_environment = values;
    attributes->caller_environment_count = count;
    return good;
}

static bool read_caller_cwd(struct check *check, const struct settings *settings,
                            struct model_attributes *attributes)
{
    struct caller_lines *lines = settings->caller_cwd;
    if (!lines)
        return true;
    bool good = read_lines(check, lines, "cwd");
    struct model_caller_value *value = arena_alloc(check->arena, sizeof *value);
    *value = (struct model_caller_value){.name = "cwd",
                                         .span = lines->items[0]->value.at,
                                         .language = lines->language,
                                         .description = lines->description};
    attributes->caller_cwd = value;
    return good;
}

bool attributes_check_defaults(struct check *check, const struct settings *defaults)
{
    bool good = !defaults->caller_cwd || read_lines(check, defaults->caller_cwd, "cwd");
    for (size_t i = 0; i < defaults->caller_lines.count; i++) {
        struct caller_lines *lines = defaults->caller_lines.items[i];
        if (!read_lines(check, lines, lines->key + strlen(family)))
            good = false;
    }
    return good;
}

bool attributes_check_caller_lines(struct check *check, const struct settings *settings)
{
    bool good = true;
    for (size_t i = 0; i < settings->caller_lines.count; i++) {
        const struct caller_lines *lines = settings->caller_lines.items[i];
        const char *name = lines->key + strlen(family);
        bool listed = false;
        for (size_t j = 0; j < settings->caller_name_count && !listed; j++)
            listed = strcmp(settings->caller_names[j].name, name) == 0;
        if (listed)
            continue;
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, lines->items[0]->key_at,
                             "%s: the caller cannot send this variable", lines->key);
        check_hint(check, error, "add `env_from_caller = %s`", name);
        good = false;
    }
    return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Nothing that a call started may outlive its timeout; without one there is no such moment. */
enum policy_kill attributes_kill(const struct settings *settings)
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
        .kill = attributes_kill(settings),
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
                                                        const struct settings *settings,
                                                        struct span rule)
{
    struct model_attributes attributes = read_plain(settings);
    bool environment = read_caller_environment(check, settings, &attributes);
    bool directory = read_caller_cwd(check, settings, &attributes);
    if (!environment || !directory)
        return NULL;
    struct buffer key = {0};
    spell(&key, &attributes);
    struct model_attributes *known = intern_find(&check->attributes, &key);
    if (!known && intern_spend(check, attributes.environment_count +
                                          attributes.caller_environment_count, rule)) {
        known = arena_alloc(check->arena, sizeof *known);
        *known = attributes;
        intern_add(check, &check->attributes, &key, known);
    }
    buffer_free(&key);
    return known;
}
