/* fs_read, fs_exec, fs_write and fs_deny: which parts of the file system. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/templates.h"
#include "compiler/policy/values.h"

static const struct choice set_choices[] = {{"@system", SET_SYSTEM},
                                            {"@tmp", SET_TMP},
                                            {"@dev", SET_DEV},
                                            {"@home-config", SET_HOME_CONFIG},
                                            {0}};

const char *settings_set_name(enum policy_path_set set)
{
    const struct choice *choice = set_choices;
    while (choice[1].word && choice->value != set)
        choice++;
    return choice->word;
}

static enum policy_access access_of(enum attribute_key key)
{
    return key == KEY_FS_READ ? ACCESS_READ : key == KEY_FS_EXEC ? ACCESS_EXECUTE : ACCESS_WRITE;
}

/* `#file`: the file that the caller names. */
static bool read_slot_grant(struct check *check, const char *key, const struct tree_value *item,
                            const struct rule_draft *rule, struct policy_grant *grant)
{
    if (!rule) {
        diagnostic_error(check->diagnostics, item->at,
                         "%s: `%s` is a slot of some rule, and cannot stand in defaults", key,
                         check_quote_value(check, item));
        return false;
    }
    struct suggestion search = {.word = item->text + 1, .length = item->length - 1};
    for (size_t i = 0; i < rule->slot_count; i++) {
        const char *name = rule->slots[i].slot.name;
        if (strlen(name) == search.length && memcmp(name, search.word, search.length) == 0) {
            grant->kind = GRANT_SLOT;
            grant->slot = (uint16_t)i;
            return true;
        }
        if (check_may_suggest(check))
            suggest_offer(&search, name);
    }
    if (rule->tree->broken)
        return false;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, item->at, "%s: the rule has no slot %s", key,
                         check_quote_value(check, item));
    if (search.nearest)
        check_hint(check, error, "did you mean `#%s`?", search.nearest);
    else
        check_hint(check, error, "`#NAME` is a slot of the rule line, and grants the file that the "
                                 "caller names there");
    return false;
}

static bool read_grant(struct check *check, enum attribute_key key, const struct tree_value *item,
                       const struct rule_draft *rule, struct policy_grant *grant)
{
    const char *name = key_definitions[key].name;
    uint64_t set;
    *grant = (struct policy_grant){.access = access_of(key)};
    if (value_starts(item, "@")) {
        if (!value_choice(check, name, item, set_choices, &set))
            return false;
        grant->kind = GRANT_SET;
        grant->set = (enum policy_path_set)set;
        return true;
    }
    if (value_starts(item, "#"))
        return read_slot_grant(check, name, item, rule, grant);
    grant->kind = GRANT_PATH;
    grant->optional = value_starts(item, "?");
    struct tree_value path = grant->optional ? value_rest(item, 1) : *item;
    if (grant->optional && (value_starts(&path, "@") || value_starts(&path, "#"))) {
        diagnostic_error(check->diagnostics, item->at, "%s: `?` is for paths alone", name);
        return false;
    }
    return template_parse(check, name, &path, TEMPLATE_OF_BROKER, &grant->path);
}

bool settings_grants(struct check *check, struct settings *settings, enum attribute_key key,
                     const struct tree_value *value, const struct rule_draft *rule)
{
    struct grant_list *list = &settings->grants[access_of(key)], fresh = {.set = true};
    if (value_is(value, "none") || value_is(value, "inherit")) {
        *list = (struct grant_list){.set = value_is(value, "none")};
        return true;
    }
    bool adds = value_starts(value, "+");
    struct tree_value body = adds ? value_rest(value, 1) : *value;
    struct value_list written;
    if (!value_split(check, key_definitions[key].name, &body, &written))
        return false;
    if (adds && settings->defaults)
        fresh.inherited = &settings->defaults->grants[access_of(key)];
    fresh.items = arena_array(check->arena, written.count, sizeof *fresh.items);
    bool good = true;
    for (size_t i = 0; i < written.count; i++)
        if (!read_grant(check, key, &written.items[i], rule, &fresh.items[fresh.count++]))
            good = false;
    if (good)
        *list = fresh;
    return good;
}

static bool read_deny(struct check *check, const struct tree_value *item,
                      struct policy_template *path)
{
    if (value_starts(item, "@") || value_starts(item, "#") || value_starts(item, "?")) {
        diagnostic_error(check->diagnostics, item->at,
                         "fs_deny: `%s` is not a path; fs_deny takes paths alone",
                         check_quote_value(check, item));
        return false;
    }
    return template_parse(check, "fs_deny", item, TEMPLATE_OF_BROKER, path);
}

bool settings_denies(struct check *check, struct settings *settings,
                     const struct tree_value *value)
{
    if (value_is(value, "none")) {
        settings->denies = (struct deny_list){0};
        return true;
    }
    bool adds = value_starts(value, "+");
    struct tree_value body = adds ? value_rest(value, 1) : *value;
    struct value_list written;
    if (!value_split(check, "fs_deny", &body, &written))
        return false;
    struct deny_list fresh = {
        .items = arena_array(check->arena, written.count, sizeof *fresh.items)};
    if (adds && settings->defaults)
        fresh.inherited = &settings->defaults->denies;
    bool good = true;
    for (size_t i = 0; i < written.count; i++)
        if (!read_deny(check, &written.items[i], &fresh.items[fresh.count++]))
            good = false;
    if (good)
        settings->denies = fresh;
    return good;
}
