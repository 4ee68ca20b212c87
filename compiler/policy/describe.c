#include "compiler/policy/describe.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/templates.h"
#include "compiler/policy/values.h"

/* ---- collecting ------------------------------------------------------------------------------ */

static void add(struct arena *arena, struct descriptions *all, const char *key, const char *value,
                bool initial)
{
    arena_grow(arena, &all->items, &all->capacity, all->count + 1, sizeof *all->items);
    all->items[all->count++] = (struct description){key, value, initial};
}

/* Takes the text out of a buffer. */
static const char *keep(struct arena *arena, struct buffer *text)
{
    const char *copy = arena_copy(arena, buffer_text(text), text->length);
    buffer_free(text);
    return copy;
}

const char *describe_number(struct arena *arena, enum attribute_key key, uint64_t number)
{
    if (number == LIMIT_UNSET)
        return "none";
    switch (key_definitions[key].form) {
    case FORM_DURATION:
        if (!number)
            return "none";
        return format_duration(arena, (int64_t)number * (key == KEY_CPU_TIME ? 1000 : 1));
    case FORM_SIZE:
        if (!number && key == KEY_MAX_OUTPUT)
            return "none";
        return format_size(arena, (int64_t)number);
    case FORM_CHOICE:
    case FORM_CHOICES:
        return settings_words(arena, key, number);
    case FORM_OCTAL:
        return arena_format(arena, "%03o", (unsigned)number);
    default:
        return arena_format(arena, "%lld", (long long)number);
    }
}

static void add_number(struct arena *arena, struct descriptions *all, enum attribute_key key,
                       uint64_t number)
{
    struct settings initial;
    settings_initial(&initial);
    add(arena, all, key_definitions[key].name, describe_number(arena, key, number),
        number == initial.number[key]);
}

static void add_path(struct arena *arena, struct descriptions *all, enum attribute_key key,
                     const struct policy_template *path)
{
    add(arena, all, key_definitions[key].name, describe_path(arena, path), !path->count);
}

const char *describe_path(struct arena *arena, const struct policy_template *path)
{
    return path->count ? template_text(arena, path) : "none";
}

const char *describe_set(enum policy_path_set set)
{
    return settings_set_name(set);
}

/* ---- the call -------------------------------------------------------------------------------- */

static void add_environment(struct arena *arena, struct descriptions *all,
                            const struct model_attributes *attributes)
{
    struct buffer text = {0};
    for (size_t i = 0; i < attributes->environment_count; i++) {
        const struct policy_variable *variable = &attributes->environment[i];
        buffer_format(&text, "%s%s", i ? ", " : "", variable->name);
        if (variable->value)
            buffer_format(&text, "=%s", variable->value);
    }
    if (!attributes->environment_count)
        buffer_puts(&text, "none");
    add(arena, all, "env", keep(arena, &text), !attributes->environment_count);
}

static void add_caller_values(struct arena *arena, struct descriptions *all,
                              const struct model_attributes *attributes)
{
    size_t count = attributes->caller_environment_count;
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++)
        buffer_format(&text, "%s%s", i ? ", " : "", attributes->caller_environment[i].name);
    if (!count)
        buffer_puts(&text, "none");
    add(arena, all, "env_from_caller", keep(arena, &text), !count);
    for (size_t i = 0; i < count; i++) {
        const struct model_caller_value *value = &attributes->caller_environment[i];
        if (value->language)
            add(arena, all, arena_format(arena, "env.%s", value->name), value->description, false);
    }
    const struct model_caller_value *cwd = attributes->caller_cwd;
    add(arena, all, "cwd_from_caller", cwd ? cwd->description : "none", !cwd);
}

struct descriptions describe_attributes(struct arena *arena,
                                        const struct model_attributes *attributes)
{
    struct descriptions all = {0};
    struct settings initial;
    settings_initial(&initial);
    add_number(arena, &all, KEY_TIMEOUT, attributes->timeout_ms);
    add_path(arena, &all, KEY_CWD, &attributes->cwd);
    add_environment(arena, &all, attributes);
    add(arena, &all, "exec_path", attributes->exec_path ? attributes->exec_path : "inherit",
        attributes->exec_path && strcmp(attributes->exec_path, initial.exec_path) == 0);
    add_number(arena, &all, KEY_LOG, attributes->log);
    add_path(arena, &all, KEY_STDOUTFILE, &attributes->stdoutfile);
    add_path(arena, &all, KEY_STDERRFILE, &attributes->stderrfile);
    add_number(arena, &all, KEY_MAX_OUTPUT, attributes->max_output);
    add_caller_values(arena, &all, attributes);
    add_number(arena, &all, KEY_REFUSE, attributes->refuse);
    add_number(arena, &all, KEY_FORWARD, attributes->forward);
    add_number(arena, &all, KEY_ON_DISCONNECT, attributes->on_disconnect);
    add_number(arena, &all, KEY_UMASK, attributes->umask);
    add_number(arena, &all, KEY_KILL, attributes->kill);
    all.items[all.count - 1].initial =
        attributes->kill == (attributes->timeout_ms ? KILL_TREE : KILL_GROUP);
    return all;
}

/* ---- confinement ----------------------------------------------------------------------------- */

static void grant_text(struct arena *arena, struct buffer *text, const struct model_rule *rule,
                       const struct policy_grant *grant)
{
    if (text->length)
        buffer_puts(text, ", ");
    if (grant->optional)
        buffer_char(text, '?');
    if (grant->kind == GRANT_SLOT)
        buffer_format(text, "#%s", rule->slots[grant->slot].name);
    else if (grant->kind == GRANT_SET)
        buffer_puts(text, settings_set_name(grant->set));
    else
        buffer_puts(text, template_text(arena, &grant->path));
}

static void add_grants(struct arena *arena, struct descriptions *all, enum attribute_key key,
                       enum policy_access access, const struct model_rule *rule)
{
    const struct model_confinement *confinement = rule->confinement;
    struct buffer text = {0};
    for (size_t i = 0; i < confinement->grant_count; i++)
        if (confinement->grants[i].access == access)
            grant_text(arena, &text, rule, &confinement->grants[i]);
    bool initial = !text.length && (confinement->grant_count || !confinement->confines_files);
    if (!text.length)
        buffer_puts(&text, confinement->confines_files ? "none" : "inherit");
    add(arena, all, key_definitions[key].name, keep(arena, &text), initial);
}

static void add_denies(struct arena *arena, struct descriptions *all,
                       const struct model_confinement *confinement)
{
    struct buffer text = {0};
    for (size_t i = 0; i < confinement->deny_count; i++)
        buffer_format(&text, "%s%s", i ? ", " : "", template_text(arena, &confinement->denies[i]));
    if (!confinement->deny_count)
        buffer_puts(&text, "none");
    add(arena, all, "fs_deny", keep(arena, &text), !confinement->deny_count);
}

static void ports_text(struct buffer *text, const char *kind, const uint16_t *ports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_format(text, "%s%u", i ? "," : kind, ports[i]);
}

static void add_network(struct arena *arena, struct descriptions *all,
                        const struct model_confinement *confinement)
{
    struct buffer text = {0};
    ports_text(&text, "connect:", confinement->connect_ports, confinement->connect_count);
    if (confinement->connect_count && confinement->bind_count)
        buffer_char(&text, ' ');
    ports_text(&text, "bind:", confinement->bind_ports, confinement->bind_count);
    if (!confinement->net_ports)
        buffer_puts(&text, confinement->net_none ? "none" : "inherit");
    add(arena, all, "net", keep(arena, &text), !confinement->net_none && !confinement->net_ports);
}

/* The metadata rule that follows from the file system keys where none is written. */
static bool is_initial_metadata(const struct model_confinement *confinement)
{
    bool writes = false;
    for (size_t i = 0; i < confinement->grant_count; i++)
        writes |= confinement->grants[i].access == ACCESS_WRITE;
    if (writes)
        return confinement->metadata == METADATA_WITHIN;
    return confinement->metadata ==
           (confinement->confines_files ? METADATA_DENY : METADATA_ALLOW);
}

static bool is_initial_signals(const struct model_rule *rule)
{
    return rule->confinement->signals_own ==
           (rule->attributes->kill != KILL_GROUP && !rule->confinement->new_privs);
}

static void add_syscalls(struct arena *arena, struct descriptions *all,
                         const struct model_confinement *confinement)
{
    const struct model_filter *filter = confinement->filter;
    struct buffer text = {0};
    enum model_syscall_base base = filter ? filter->base : SYSCALLS_INHERIT;
    buffer_puts(&text, base == SYSCALLS_DEFAULT  ? "default"
                       : base == SYSCALLS_STRICT ? "strict"
                                                 : "inherit");
    for (size_t i = 0; filter && i < filter->change_count; i++)
        buffer_format(&text, " %c%s", filter->changes[i].add ? '+' : '-', filter->changes[i].name);
    bool initial = confinement->new_privs
                       ? !filter
                       : base == SYSCALLS_DEFAULT && filter && !filter->change_count;
    add(arena, all, "syscalls", keep(arena, &text), initial);
}

static void add_limits(struct arena *arena, struct descriptions *all,
                       const struct policy_limits *limits)
{
    add_number(arena, all, KEY_MEMORY, limits->memory);
    add_number(arena, all, KEY_CPU_TIME, limits->cpu_time);
    add_number(arena, all, KEY_OPEN_FILES, limits->open_files);
    add_number(arena, all, KEY_FILE_SIZE, limits->file_size);
    add_number(arena, all, KEY_PROCESSES, limits->processes);
    add_number(arena, all, KEY_CORE, limits->core);
}

struct descriptions describe_confinement(struct arena *arena, const struct model_rule *rule)
{
    const struct model_confinement *confinement = rule->confinement;
    struct descriptions all = {0};
    add_grants(arena, &all, KEY_FS_READ, ACCESS_READ, rule);
    add_grants(arena, &all, KEY_FS_EXEC, ACCESS_EXECUTE, rule);
    add_grants(arena, &all, KEY_FS_WRITE, ACCESS_WRITE, rule);
    add_denies(arena, &all, confinement);
    add_number(arena, &all, KEY_PROTECT, confinement->protect);
    add_network(arena, &all, confinement);
    add_number(arena, &all, KEY_METADATA, confinement->metadata);
    all.items[all.count - 1].initial = is_initial_metadata(confinement);
    add_number(arena, &all, KEY_UNIX, confinement->unix_none);
    add_number(arena, &all, KEY_SIGNALS, confinement->signals_own);
    all.items[all.count - 1].initial = is_initial_signals(rule);
    add_syscalls(arena, &all, confinement);
    add_limits(arena, &all, &confinement->limits);
    add_number(arena, &all, KEY_NICE, (uint64_t)(int64_t)confinement->nice);
    add_number(arena, &all, KEY_NEW_PRIVS, confinement->new_privs);
    add_number(arena, &all, KEY_ISOLATE, confinement->isolate);
    return all;
}
