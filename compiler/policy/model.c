#include "compiler/policy/model.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/names.h"
#include "compiler/policy/rules.h"
#include "compiler/syntax/parse.h"

/* ---- names of the file ----------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-';
}

/* The file's base name without ".rules", fit for file names and code. */
static const char *policy_name(struct arena *arena, const char *file)
{
    static const char suffix[] = ".rules";
    const size_t suffix_length = sizeof suffix - 1;
    size_t length = strlen(file);
    if (length > suffix_length && strcmp(file + length - suffix_length, suffix) == 0)
        length -= suffix_length;
    char *name = arena_copy(arena, file, length);
    for (size_t i = 0; i < length; i++)
        if (!is_name_byte(name[i]))
            name[i] = '_';
    return length ? name : "policy";
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct model *model_of(struct check *check, const struct settings *defaults,
                              const struct model_rule *rules)
{
    struct model *model = arena_alloc(check->arena, sizeof *model);
    const char *file = base_name(check->source->name);
    *model = (struct model){
        .source = check->source,
        .name = policy_name(check->arena, file),
        .file = file,
        .rules = rules,
        .rule_count = check->file->rule_count,
        .languages = (const struct model_language *const *)check->languages.items,
        .language_count = check->languages.count,
        .confinements = (const struct model_confinement *const *)check->confinements.items,
        .confinement_count = check->confinements.count,
        .filters = (const struct model_filter *const *)check->filters.items,
        .filter_count = check->filters.count,
        .attributes = (const struct model_attributes *const *)check->attributes.items,
        .attributes_count = check->attributes.count,
        .expansions = check->expansions,
        .expansion_count = check->expansion_count,
        .logfile = defaults->logfile,
        .socket = defaults->socket,
        .audit_strict = defaults->number[KEY_AUDIT],
        .confine_strict = defaults->number[KEY_CONFINE],
        .explain = defaults->number[KEY_EXPLAIN],
        .max_active = (uint32_t)defaults->number[KEY_MAX_ACTIVE],
        .queue = (uint32_t)defaults->number[KEY_QUEUE],
        .stop_timeout_ms = defaults->number[KEY_STOP_TIMEOUT],
        .allow_uid = defaults->users.items,
        .allow_uid_count = defaults->users.count,
        .uses_pcre2 = check->uses_pcre2,
    };
    return model;
}

/* A file without rules runs nothing: nobody means that. */
static void check_rule_count(struct check *check)
{
    const struct rules_file *file = check->file;
    if (file->rule_count || diagnostics_errors(check->diagnostics))
        return;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, SPAN_NONE, "the file has no rules");
    check_hint(check, error, "a rule is an unindented command line, such as `git status`");
}

const struct model *model_check(struct arena *arena, const struct rules_file *file,
                                struct diagnostics *diagnostics)
{
    struct check *check = arena_alloc(arena, sizeof *check);
    struct settings *defaults = arena_alloc(arena, sizeof *defaults);
    check->arena = arena;
    check->diagnostics = diagnostics;
    check->file = file;
    check->source = file->source;
    names_collect(check);
    bool defaults_good = defaults_read(check, defaults);
    struct model_rule *rules = arena_array(arena, file->rule_count, sizeof *rules);
    for (size_t i = 0; i < file->rule_count; i++)
        rule_read(check, file->rules[i], defaults, defaults_good, &rules[i]);
    check_rule_count(check);
    return diagnostics_errors(diagnostics) ? NULL : model_of(check, defaults, rules);
}

const struct model *model_from_source(struct arena *arena, const struct source *source,
                                      struct diagnostics *diagnostics)
{
    const struct rules_file *file = parse_source(arena, source, diagnostics);
    return model_check(arena, file, diagnostics);
}
