#include "compiler/analysis/compare.h"

#include <string.h>

#include "compiler/analysis/changes.h"
#include "compiler/base/arena.h"

/* ---- the environment ----------------------------------------------------------------------------- */

static const struct policy_variable *variable_find(const struct model_attributes *in,
                                                   const char *name)
{
    for (size_t i = 0; i < in->environment_count; i++)
        if (strcmp(in->environment[i].name, name) == 0)
            return &in->environment[i];
    return NULL;
}

static const char *variable_text(struct arena *arena, const struct policy_variable *variable)
{
    if (!variable)
        return NULL;
    return variable->value ? arena_format(arena, "%s=%s", variable->name, variable->value)
                           : variable->name;
}

/* A variable more is wider, one less narrower; another value has no order. */
static void compare_environments(struct changes *changes, const struct model_attributes *from,
                                 const struct model_attributes *to)
{
    struct arena *arena = changes->arena;
    for (size_t i = 0; i < from->environment_count; i++) {
        const struct policy_variable *before = &from->environment[i];
        const struct policy_variable *after = variable_find(to, before->name);
        if (!after)
            change_add(changes, DIRECTION_NARROWER, "env", variable_text(arena, before), NULL);
        else
            compare_texts(changes, "env", variable_text(arena, before),
                          variable_text(arena, after));
    }
    for (size_t i = 0; i < to->environment_count; i++)
        if (!variable_find(from, to->environment[i].name))
            change_add(changes, DIRECTION_WIDER, "env", NULL,
                       variable_text(arena, &to->environment[i]));
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

static const char *caller_value_text(struct arena *arena, const struct model_caller_value *value)
{
    if (!value)
        return NULL;
    return value->language ? arena_format(arena, "%s %s", value->name, value->description)
                           : value->name;
}

static void compare_caller_values(struct changes *changes, const char *key,
                                  const struct model_caller_value *from,
                                  const struct model_caller_value *to)
{
    if (!from && !to)
        return;
    const char *before = caller_value_text(changes->arena, from);
    const char *after = caller_value_text(changes->arena, to);
    bool more = !from || (to && !language_within(changes->arena, to->language, from->language));
    bool less = !to || (from && !language_within(changes->arena, from->language, to->language));
    if (more)
        change_add(changes, DIRECTION_WIDER, key, before, after);
    if (less)
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

/* ---- one rule ---------------------------------------------------------------------------------- */

/* A mask that takes away more permissions is narrower; one that takes others has no order. */
static void compare_masks(struct changes *changes, uint32_t from, uint32_t to)
{
    if (from != to)
        change_add(changes, (from & to) == from ? DIRECTION_NARROWER : DIRECTION_WIDER, "umask",
                   describe_number(changes->arena, KEY_UMASK, from),
                   describe_number(changes->arena, KEY_UMASK, to));
}

static void compare_attributes(struct changes *changes, const struct model_attributes *from,
                               const struct model_attributes *to)
{
    static const unsigned logs[] = {[LOG_FULL] = 0, [LOG_ARGV_ONLY] = 1, [LOG_EXIT_ONLY] = 2};
    static const unsigned kills[] = {[KILL_TREE_ON_EXIT] = 0, [KILL_TREE] = 1, [KILL_GROUP] = 2};
    static const unsigned ends[] = {[DISCONNECT_KILL] = 0, [DISCONNECT_CONTINUE] = 1};
    compare_bounds(changes, KEY_TIMEOUT, from->timeout_ms, to->timeout_ms, 0);
    compare_paths(changes, KEY_CWD, from->cwd, to->cwd);
    compare_environments(changes, from, to);
    compare_texts(changes, "exec_path", from->exec_path ? from->exec_path : "inherit",
                  to->exec_path ? to->exec_path : "inherit");
    compare_ranks(changes, KEY_LOG, from->log, to->log, logs[from->log], logs[to->log]);
    compare_records(changes, KEY_STDOUTFILE, from->stdoutfile, to->stdoutfile);
    compare_records(changes, KEY_STDERRFILE, from->stderrfile, to->stderrfile);
    compare_bounds(changes, KEY_MAX_OUTPUT, from->max_output, to->max_output, 0);
    compare_caller_environments(changes, from, to);
    compare_caller_values(changes, "cwd_from_caller", from->caller_cwd, to->caller_cwd);
    compare_bits(changes, KEY_REFUSE, from->refuse, to->refuse, true);
    compare_bits(changes, KEY_FORWARD, from->forward, to->forward, false);
    compare_ranks(changes, KEY_ON_DISCONNECT, from->on_disconnect, to->on_disconnect,
                  ends[from->on_disconnect], ends[to->on_disconnect]);
    compare_ranks(changes, KEY_KILL, from->kill, to->kill, kills[from->kill], kills[to->kill]);
    compare_masks(changes, from->umask, to->umask);
}

void compare_rules(struct changes *changes, const struct model_rule *old_rule,
                   const struct model_rule *new_rule)
{
    if (old_rule->attributes != new_rule->attributes)
        compare_attributes(changes, old_rule->attributes, new_rule->attributes);
    compare_confinements(changes, old_rule, new_rule);
}

/* ---- whole policies ----------------------------------------------------------------------------- */

static void compare_users(struct changes *changes, const struct model *from, const struct model *to)
{
    struct words words[2];
    const struct model *models[2] = {from, to};
    for (size_t m = 0; m < 2; m++) {
        words[m] = words_new(changes->arena, models[m]->allow_uid_count);
        for (size_t i = 0; i < models[m]->allow_uid_count; i++) {
            const struct policy_user *user = &models[m]->allow_uid[i];
            words[m].items[words[m].count++] =
                user->name ? user->name : arena_format(changes->arena, "%u", user->uid);
        }
    }
    if (words[0].count && words[1].count)
        compare_sets(changes, "allow_uid", words[0], words[1], false);
    else if (words[0].count || words[1].count)
        change_add(changes, words[0].count ? DIRECTION_WIDER : DIRECTION_NARROWER, "allow_uid",
                   words[0].count ? "listed users" : "any peer that can connect",
                   words[1].count ? "listed users" : "any peer that can connect");
}

void compare_policies(struct changes *changes, const struct model *old_model,
                      const struct model *new_model)
{
    compare_records(changes, KEY_LOGFILE, old_model->logfile, new_model->logfile);
    compare_ranks(changes, KEY_AUDIT, old_model->audit_strict, new_model->audit_strict,
                  !old_model->audit_strict, !new_model->audit_strict);
    compare_paths(changes, KEY_SOCKET, old_model->socket, new_model->socket);
    compare_bounds(changes, KEY_MAX_ACTIVE, old_model->max_active, new_model->max_active,
                   UINT64_MAX);
    compare_bounds(changes, KEY_QUEUE, old_model->queue, new_model->queue, UINT64_MAX);
    compare_users(changes, old_model, new_model);
    compare_ranks(changes, KEY_EXPLAIN, old_model->explain, new_model->explain, old_model->explain,
                  new_model->explain);
    compare_bounds(changes, KEY_STOP_TIMEOUT, old_model->stop_timeout_ms,
                   new_model->stop_timeout_ms, UINT64_MAX);
    compare_ranks(changes, KEY_CONFINE, old_model->confine_strict, new_model->confine_strict,
                  !old_model->confine_strict, !new_model->confine_strict);
}
