#include "compiler/analysis/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

static void change_add(struct changes *changes, enum direction direction, const char *key,
                       const char *from, const char *to)
{
    arena_grow(changes->arena, &changes->items, &changes->capacity, changes->count + 1,
               sizeof *changes->items);
    changes->items[changes->count++] = (struct change){direction, key, from, to};
}

/* ---- values without an order --------------------------------------------------------------------- */

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void compare_texts(struct changes *changes, const char *key, const char *from, const char *to)
{
    if (!text_equal(from, to))
        change_add(changes, DIRECTION_WIDER, key, from ? from : "none", to ? to : "none");
}

static const char *template_text(struct arena *arena, struct policy_template template)
{
    static const char *const names[] = {
        [TEMPLATE_HOME] = "$HOME",
        [TEMPLATE_XDG_RUNTIME_DIR] = "$XDG_RUNTIME_DIR",
        [TEMPLATE_XDG_STATE_HOME] = "$XDG_STATE_HOME",
        [TEMPLATE_XDG_CONFIG_HOME] = "$XDG_CONFIG_HOME",
        [TEMPLATE_CALL] = "#$call",
        [TEMPLATE_PID] = "#$pid",
        [TEMPLATE_UID] = "#$uid",
        [TEMPLATE_RULE] = "#$rule",
        [TEMPLATE_TS] = "#$ts",
        [TEMPLATE_TS_MS] = "#$ts_ms",
        [TEMPLATE_DATE] = "#$date",
    };
    if (!template.pieces)
        return NULL;
    struct buffer text = {0};
    for (uint32_t i = 0; i < template.count; i++)
        buffer_puts(&text, template.pieces[i].kind == TEMPLATE_TEXT
                               ? template.pieces[i].text
                               : names[template.pieces[i].kind]);
    const char *copy = arena_copy(arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return copy;
}

static void compare_templates(struct changes *changes, const char *key, struct policy_template from,
                              struct policy_template to)
{
    compare_texts(changes, key, template_text(changes->arena, from),
                  template_text(changes->arena, to));
}

/* ---- values with an order ------------------------------------------------------------------------ */

/* A number where `none` (no bound) is the widest and a larger one is wider. */
static void compare_bounds(struct changes *changes, const char *key, uint64_t from, uint64_t to,
                           uint64_t none, const char *unit)
{
    if (from == to)
        return;
    struct arena *arena = changes->arena;
    bool wider = to == none || (from != none && to > from);
    change_add(changes, wider ? DIRECTION_WIDER : DIRECTION_NARROWER, key,
               from == none ? "none" : arena_format(arena, "%" PRIu64 "%s", from, unit),
               to == none ? "none" : arena_format(arena, "%" PRIu64 "%s", to, unit));
}

/* One of some words, ordered from the narrowest to the widest. */
static void compare_words(struct changes *changes, const char *key, const char *const *words,
                          unsigned from, unsigned to)
{
    if (from != to)
        change_add(changes, to > from ? DIRECTION_WIDER : DIRECTION_NARROWER, key, words[from],
                   words[to]);
}

/* ---- sets ------------------------------------------------------------------------------------- */

struct words {
    const char **items;
    size_t count;
};

static int word_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool words_have(struct words words, const char *word)
{
    for (size_t i = 0; i < words.count; i++)
        if (strcmp(words.items[i], word) == 0)
            return true;
    return false;
}

/* Members of a set that grants (or, with `restricts`, one that takes away). */
static void compare_sets(struct changes *changes, const char *key, struct words from,
                         struct words to, bool restricts)
{
    qsort(from.items, from.count, sizeof *from.items, word_compare);
    qsort(to.items, to.count, sizeof *to.items, word_compare);
    for (size_t i = 0; i < from.count; i++)
        if (!words_have(to, from.items[i]))
            change_add(changes, restricts ? DIRECTION_WIDER : DIRECTION_NARROWER, key,
                       from.items[i], "none");
    for (size_t i = 0; i < to.count; i++)
        if (!words_have(from, to.items[i]))
            change_add(changes, restricts ? DIRECTION_NARROWER : DIRECTION_WIDER, key, "none",
                       to.items[i]);
}

static struct words words_new(struct arena *arena, size_t count)
{
    return (struct words){arena_array(arena, count + 1, sizeof(const char *)), 0};
}

static struct words variable_words(struct arena *arena, const struct model_attributes *attributes)
{
    struct words words = words_new(arena, attributes->environment_count);
    for (size_t i = 0; i < attributes->environment_count; i++) {
        const struct policy_variable *variable = &attributes->environment[i];
        words.items[words.count++] =
            variable->value ? arena_format(arena, "%s=%s", variable->name, variable->value)
                            : variable->name;
    }
    return words;
}

static struct words port_words(struct arena *arena, const uint16_t *ports, size_t count)
{
    struct words words = words_new(arena, count);
    for (size_t i = 0; i < count; i++)
        words.items[words.count++] = arena_format(arena, "%u", ports[i]);
    return words;
}

static struct words bit_words(struct arena *arena, uint64_t bits, const char *const *names,
                              size_t count)
{
    struct words words = words_new(arena, 64);
    for (size_t i = 0; i < 64; i++)
        if (bits >> i & 1)
            words.items[words.count++] =
                i < count && names[i] ? names[i] : arena_format(arena, "%zu", i);
    return words;
}

static struct words template_words(struct arena *arena, const struct policy_template *templates,
                                   size_t count)
{
    struct words words = words_new(arena, count);
    for (size_t i = 0; i < count; i++)
        words.items[words.count++] = template_text(arena, templates[i]);
    return words;
}

/* ---- what a caller may send ---------------------------------------------------------------------- */

static bool language_within(struct arena *arena, const struct model_language *inner,
                            const struct model_language *outer)
{
    if (inner == outer || !outer)
        return true;
    if (!inner)
        return false;
    if (inner->pcre2 || outer->pcre2)
        return inner->pcre2 && outer->pcre2 && strcmp(inner->key, outer->key) == 0;
    return automaton_contains(arena, outer->automaton, inner->automaton, NULL, NULL);
}

static void compare_caller_values(struct changes *changes, const char *key,
                                  const struct model_caller_value *from,
                                  const struct model_caller_value *to)
{
    if (!from && !to)
        return;
    const char *before = from ? arena_format(changes->arena, "%s %s", from->name,
                                             from->description ? from->description : "")
                              : "none";
    const char *after = to ? arena_format(changes->arena, "%s %s", to->name,
                                          to->description ? to->description : "")
                           : "none";
    if (!from || !to) {
        change_add(changes, to ? DIRECTION_WIDER : DIRECTION_NARROWER, key, before, after);
        return;
    }
    if (!language_within(changes->arena, to->language, from->language))
        change_add(changes, DIRECTION_WIDER, key, before, after);
    else if (!language_within(changes->arena, from->language, to->language))
        change_add(changes, DIRECTION_NARROWER, key, before, after);
}

static const struct model_caller_value *caller_value_find(const struct model_attributes *in,
                                                          const char *name)
{
    for (size_t i = 0; i < in->caller_environment_count; i++)
        if (strcmp(in->caller_environment[i].name, name) == 0)
            return &in->caller_environment[i];
    return NULL;
}

static void compare_caller_environments(struct changes *changes, const struct model_attributes *from,
                                        const struct model_attributes *to)
{
    for (size_t i = 0; i < from->caller_environment_count; i++)
        compare_caller_values(changes, "env_from_caller", &from->caller_environment[i],
                              caller_value_find(to, from->caller_environment[i].name));
    for (size_t i = 0; i < to->caller_environment_count; i++)
        if (!caller_value_find(from, to->caller_environment[i].name))
            compare_caller_values(changes, "env_from_caller", NULL, &to->caller_environment[i]);
}

static void compare_attributes(struct changes *changes, const struct model_attributes *from,
                               const struct model_attributes *to)
{
    static const char *const logs[] = {"full", "argv-only", "exit-only"};
    static const char *const kills[] = {"tree-on-exit", "tree", "group"};
    static const unsigned kill_order[] = {[KILL_TREE_ON_EXIT] = 0, [KILL_TREE] = 1, [KILL_GROUP] = 2};
    static const char *const disconnects[] = {"kill", "continue"};
    static const char *const refusals[] = {"control", "shell"};
    struct arena *arena = changes->arena;
    compare_bounds(changes, "timeout", from->timeout_ms, to->timeout_ms, 0, "ms");
    compare_templates(changes, "cwd", from->cwd, to->cwd);
    compare_sets(changes, "env", variable_words(arena, from), variable_words(arena, to), false);
    compare_words(changes, "log", logs, from->log, to->log);
    compare_templates(changes, "stdoutfile", from->stdoutfile, to->stdoutfile);
    compare_templates(changes, "stderrfile", from->stderrfile, to->stderrfile);
    compare_texts(changes, "exec_path", from->exec_path ? from->exec_path : "inherit",
                  to->exec_path ? to->exec_path : "inherit");
    compare_bounds(changes, "max_output", from->max_output, to->max_output, 0, "");
    compare_caller_environments(changes, from, to);
    compare_caller_values(changes, "cwd_from_caller", from->caller_cwd, to->caller_cwd);
    compare_sets(changes, "refuse", bit_words(arena, from->refuse, refusals, 2),
                 bit_words(arena, to->refuse, refusals, 2), true);
    compare_sets(changes, "forward", bit_words(arena, from->forward, NULL, 0),
                 bit_words(arena, to->forward, NULL, 0), false);
    compare_words(changes, "on_disconnect", disconnects,
                  from->on_disconnect == DISCONNECT_CONTINUE, to->on_disconnect == DISCONNECT_CONTINUE);
    compare_words(changes, "kill", kills, kill_order[from->kill], kill_order[to->kill]);
    if (from->umask != to->umask)
        change_add(changes,
                   (from->umask & to->umask) == from->umask ? DIRECTION_NARROWER : DIRECTION_WIDER,
                   "umask", arena_format(arena, "%03o", from->umask),
                   arena_format(arena, "%03o", to->umask));
}

/* ---- confinement ------------------------------------------------------------------------------- */

/* The token and place in it of a slot: what stays when it is renamed. */
static const char *slot_place(struct arena *arena, const struct model_rule *rule, uint32_t slot)
{
    for (size_t t = 0; t < rule->token_count; t++)
        for (size_t p = 0; p < rule->tokens[t].piece_count; p++)
            if (rule->tokens[t].pieces[p].is_slot && rule->tokens[t].pieces[p].slot == slot)
                return arena_format(arena, "#%s (argument %zu)", "slot", t);
    return "#slot";
}

static struct words grant_words(struct arena *arena, const struct model_rule *rule,
                                enum policy_access access)
{
    static const char *const sets[] = {[SET_SYSTEM] = "@system", [SET_TMP] = "@tmp",
                                       [SET_DEV] = "@dev", [SET_HOME_CONFIG] = "@home-config"};
    const struct model_confinement *confinement = rule->confinement;
    struct words words = words_new(arena, confinement->grant_count);
    for (size_t i = 0; i < confinement->grant_count; i++) {
        const struct policy_grant *grant = &confinement->grants[i];
        if (grant->access != access)
            continue;
        const char *word = NULL;
        if (grant->kind == GRANT_SET)
            word = sets[grant->set];
        else if (grant->kind == GRANT_SLOT)
            word = slot_place(arena, rule, grant->slot);
        else
            word = template_text(arena, grant->path);
        words.items[words.count++] = word;
    }
    return words;
}

static void compare_files(struct changes *changes, const struct model_rule *old_rule,
                          const struct model_rule *new_rule)
{
    static const char *const views[] = {"confined to the fs_* keys", "everything"};
    static const char *const keys[] = {[ACCESS_READ] = "fs_read", [ACCESS_EXECUTE] = "fs_exec",
                                       [ACCESS_WRITE] = "fs_write"};
    static const char *const protects[] = {"@dotfiles", "@git-hooks"};
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    struct arena *arena = changes->arena;
    compare_words(changes, "file system", views, !from->confines_files, !to->confines_files);
    if (from->confines_files && to->confines_files)
        for (unsigned access = ACCESS_READ; access <= ACCESS_WRITE; access++)
            compare_sets(changes, keys[access],
                         grant_words(arena, old_rule, (enum policy_access)access),
                         grant_words(arena, new_rule, (enum policy_access)access), false);
    compare_sets(changes, "fs_deny", template_words(arena, from->denies, from->deny_count),
                 template_words(arena, to->denies, to->deny_count), true);
    compare_sets(changes, "protect", bit_words(arena, from->protect, protects, 2),
                 bit_words(arena, to->protect, protects, 2), true);
}

static void compare_networks(struct changes *changes, const struct model_confinement *from,
                             const struct model_confinement *to)
{
    static const char *const words[] = {"none", "ports", "inherit"};
    struct arena *arena = changes->arena;
    unsigned before = from->net_none ? 0 : from->net_ports ? 1 : 2;
    unsigned after = to->net_none ? 0 : to->net_ports ? 1 : 2;
    compare_words(changes, "net", words, before, after);
    if (before == 1 && after == 1) {
        compare_sets(changes, "net = connect", port_words(arena, from->connect_ports, from->connect_count),
                     port_words(arena, to->connect_ports, to->connect_count), false);
        compare_sets(changes, "net = bind", port_words(arena, from->bind_ports, from->bind_count),
                     port_words(arena, to->bind_ports, to->bind_count), false);
    }
}

static struct words filter_words(struct arena *arena, const struct model_filter *filter, bool add)
{
    size_t count = filter ? filter->change_count : 0;
    struct words words = words_new(arena, count);
    for (size_t i = 0; i < count; i++)
        if (filter->changes[i].add == add)
            words.items[words.count++] = filter->changes[i].name;
    return words;
}

static void compare_filters(struct changes *changes, const struct model_filter *from,
                            const struct model_filter *to)
{
    static const char *const words[] = {"strict", "default", "inherit"};
    static const unsigned order[] = {[SYSCALLS_STRICT] = 0, [SYSCALLS_DEFAULT] = 1, [SYSCALLS_INHERIT] = 2};
    struct arena *arena = changes->arena;
    if (from == to)
        return;
    compare_words(changes, "syscalls", words, from ? order[from->base] : 2, to ? order[to->base] : 2);
    compare_sets(changes, "syscalls +", filter_words(arena, from, true),
                 filter_words(arena, to, true), false);
    compare_sets(changes, "syscalls -", filter_words(arena, from, false),
                 filter_words(arena, to, false), true);
}

static void compare_confinements(struct changes *changes, const struct model_rule *old_rule,
                                 const struct model_rule *new_rule)
{
    static const char *const none_inherit[] = {"none", "inherit"};
    static const char *const own_inherit[] = {"own", "inherit"};
    static const char *const metadata[] = {"deny", "within", "allow"};
    static const unsigned metadata_order[] = {[METADATA_DENY] = 0, [METADATA_WITHIN] = 1, [METADATA_ALLOW] = 2};
    static const char *const privileges[] = {"deny", "allow"};
    static const char *const isolate[] = {"pid", "ipc", "uts", "mount", "user"};
    const struct model_confinement *from = old_rule->confinement, *to = new_rule->confinement;
    struct arena *arena = changes->arena;
    compare_files(changes, old_rule, new_rule);
    compare_networks(changes, from, to);
    compare_filters(changes, from->filter, to->filter);
    compare_words(changes, "unix", none_inherit, !from->unix_none, !to->unix_none);
    compare_words(changes, "signals", own_inherit, !from->signals_own, !to->signals_own);
    compare_words(changes, "metadata", metadata, metadata_order[from->metadata],
                  metadata_order[to->metadata]);
    const struct policy_limits *a = &from->limits, *b = &to->limits;
    compare_bounds(changes, "memory", a->memory, b->memory, LIMIT_UNSET, "");
    compare_bounds(changes, "cpu_time", a->cpu_time, b->cpu_time, LIMIT_UNSET, "s");
    compare_bounds(changes, "open_files", a->open_files, b->open_files, LIMIT_UNSET, "");
    compare_bounds(changes, "file_size", a->file_size, b->file_size, LIMIT_UNSET, "");
    compare_bounds(changes, "processes", a->processes, b->processes, LIMIT_UNSET, "");
    compare_bounds(changes, "core", a->core, b->core, LIMIT_UNSET, "");
    if (from->nice != to->nice)
        change_add(changes, to->nice < from->nice ? DIRECTION_WIDER : DIRECTION_NARROWER, "nice",
                   arena_format(arena, "%d", from->nice), arena_format(arena, "%d", to->nice));
    compare_words(changes, "new_privs", privileges, from->new_privs, to->new_privs);
    compare_sets(changes, "isolate", bit_words(arena, from->isolate, isolate, 5),
                 bit_words(arena, to->isolate, isolate, 5), true);
}

void compare_rules(struct changes *changes, const struct model_rule *old_rule,
                   const struct model_rule *new_rule)
{
    if (old_rule->attributes != new_rule->attributes)
        compare_attributes(changes, old_rule->attributes, new_rule->attributes);
    if (old_rule->confinement != new_rule->confinement)
        compare_confinements(changes, old_rule, new_rule);
}

/* ---- whole policies ----------------------------------------------------------------------------- */

static struct words user_words(struct arena *arena, const struct model *model)
{
    struct words words = words_new(arena, model->allow_uid_count);
    for (size_t i = 0; i < model->allow_uid_count; i++)
        words.items[words.count++] = model->allow_uid[i].name
                                         ? model->allow_uid[i].name
                                         : arena_format(arena, "%u", model->allow_uid[i].uid);
    return words;
}

void compare_policies(struct changes *changes, const struct model *old_model,
                      const struct model *new_model)
{
    static const char *const modes[] = {"strict", "best-effort"};
    static const char *const peers[] = {"listed users", "any peer that can connect"};
    static const char *const switches[] = {"off", "on"};
    struct arena *arena = changes->arena;
    compare_words(changes, "audit", modes, !old_model->audit_strict, !new_model->audit_strict);
    compare_words(changes, "confine", modes, !old_model->confine_strict,
                  !new_model->confine_strict);
    compare_words(changes, "explain", switches, old_model->explain, new_model->explain);
    compare_templates(changes, "logfile", old_model->logfile, new_model->logfile);
    compare_templates(changes, "socket", old_model->socket, new_model->socket);
    compare_bounds(changes, "max_active", old_model->max_active, new_model->max_active, UINT64_MAX, "");
    compare_bounds(changes, "queue", old_model->queue, new_model->queue, UINT64_MAX, "");
    compare_bounds(changes, "stop_timeout", old_model->stop_timeout_ms, new_model->stop_timeout_ms, UINT64_MAX, "ms");
    compare_words(changes, "allow_uid", peers, !old_model->allow_uid_count, !new_model->allow_uid_count);
    if (old_model->allow_uid_count && new_model->allow_uid_count)
        compare_sets(changes, "allow_uid", user_words(arena, old_model),
                     user_words(arena, new_model), false);
}
