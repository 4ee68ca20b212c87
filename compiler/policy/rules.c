#include "compiler/policy/rules.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"
#include "compiler/policy/attributes.h"
#include "compiler/policy/confinement.h"
#include "compiler/policy/slots.h"
#include "compiler/policy/tokens.h"
#include "compiler/policy/values.h"

/* A stanza's attributes, as they are read one after the other. */
struct stanza_reader {
    enum key_place place;
    struct settings *settings;
    struct rule_draft *rule;          /* NULL in defaults */
    struct span seen[KEY_COUNT];      /* where each key stands */
};

/* ---- one attribute --------------------------------------------------------------------------- */

static bool report_unknown(struct check *check, const struct stanza_reader *reader,
                           const struct tree_attribute *attribute)
{
    /* The rule line is not known: any name may be a slot's. */
    if (reader->rule && reader->rule->tree->broken)
        return false;
    bool may_suggest = check_may_suggest(check);
    struct suggestion search = {.word = attribute->key, .length = attribute->key_length};
    for (size_t i = 0; may_suggest && reader->rule && i < reader->rule->slot_count; i++)
        suggest_offer(&search, reader->rule->slots[i].slot.name);
    for (size_t key = 0; may_suggest && key < KEY_COUNT; key++)
        if (key_definitions[key].place & reader->place)
            suggest_offer(&search, key_definitions[key].name);
    struct diagnostic *error = diagnostic_error(
        check->diagnostics, attribute->key_at,
        reader->rule ? "`%s` is neither an attribute nor a slot of this rule"
                     : "`%s` is not an attribute", attribute->key);
    check_suggest(check, error, search.nearest);
    return false;
}

static bool check_place(struct check *check, const struct stanza_reader *reader,
                        enum attribute_key key, const struct tree_attribute *attribute)
{
    if (key_place_of(key) & reader->place)
        return true;
    diagnostic_error(check->diagnostics, attribute->key_at,
                     reader->place == IN_RULE ? "`%s` can stand only in `defaults:`"
                                              : "`%s` can stand only on a rule",
                     attribute->key);
    return false;
}

static bool check_repeated(struct check *check, struct stanza_reader *reader,
                           enum attribute_key key, const struct tree_attribute *attribute)
{
    if (key == KEY_ENV_PATTERN)
        return true;
    struct span *seen = &reader->seen[key];
    if (seen->begin == SPAN_NONE.begin) {
        *seen = attribute->key_at;
        return true;
    }
    struct diagnostic *error = diagnostic_error(check->diagnostics, attribute->key_at,
                                                "`%s` is set twice", attribute->key);
    diagnostic_note(check->diagnostics, error, *seen, "the previous definition is here");
    return false;
}

static bool check_operator(struct check *check, enum attribute_key key,
                           const struct tree_attribute *attribute)
{
    if (attribute->operator == OPERATOR_IS || key == KEY_ENV_PATTERN)
        return true;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, attribute->operator_at,
                         "`%s` is not a pattern and cannot be excluded", attribute->key);
    check_hint(check, error, "`!=` is for slots; write `%s = ...`", attribute->key);
    return false;
}

/* `env.NAME` needs a variable's name behind the dot. */
static bool check_family(struct check *check, enum attribute_key key,
                         const struct tree_attribute *attribute)
{
    const uint32_t prefix = (uint32_t)strlen("env.");
    if (key != KEY_ENV_PATTERN ||
        is_variable_name(attribute->key + prefix, attribute->key_length - prefix))
        return true;
    diagnostic_error(check->diagnostics, attribute->key_at, "`%s` does not name a variable",
                     attribute->key);
    return false;
}

static bool is_slot_list(enum attribute_key key)
{
    return key == KEY_ALLOW_ANY || key == KEY_ALLOW_DASH || key == KEY_ALLOW_MAX ||
           key == KEY_ENGINE;
}

static bool read_attribute(struct check *check, struct stanza_reader *reader,
                           const struct tree_attribute *attribute)
{
    enum attribute_key key = key_find(attribute->key, attribute->key_length);
    if (key == KEY_NONE && reader->rule) {
        struct slot_draft *slot =
            slots_find(reader->rule, attribute->key, attribute->key_length);
        if (slot) {
            slots_add_line(check, slot, attribute);
            return true;
        }
    }
    if (key == KEY_NONE)
        return report_unknown(check, reader, attribute);
    if (!check_place(check, reader, key, attribute) ||
        !check_operator(check, key, attribute) || !check_family(check, key, attribute) ||
        !check_repeated(check, reader, key, attribute))
        return false;
    if (is_slot_list(key)) {
        bool good = slots_apply_list(check, reader->rule, key,
                                     value_unescape(check->arena, &attribute->value));
        reader->rule->lists_wrong |= !good;
        return good;
    }
    return settings_apply(check, reader->settings, key, attribute, reader->rule);
}

static bool read_stanza(struct check *check, struct stanza_reader *reader,
                        const struct tree_stanza *stanza)
{
    bool good = true;
    for (size_t key = 0; key < KEY_COUNT; key++)
        reader->seen[key] = SPAN_NONE;
    for (size_t i = 0; i < stanza->attribute_count; i++)
        if (!read_attribute(check, reader, &stanza->attributes[i]))
            good = false;
    return good;
}

/* ---- defaults -------------------------------------------------------------------------------- */

bool defaults_read(struct check *check, struct settings *settings)
{
    const struct rules_file *file = check->file;
    settings_initial(settings);
    if (!file->defaults_count)
        return true;
    const struct tree_stanza *first = file->defaults[0];
    for (size_t i = 1; i < file->defaults_count; i++) {
        struct diagnostic *error = diagnostic_error(check->diagnostics, file->defaults[i]->at,
                                                    "there is a second `defaults:`");
        diagnostic_note(check->diagnostics, error, first->at, "the previous definition is here");
    }
    if (file->rule_count && file->rules[0]->stanza.at.begin < first->at.begin) {
        struct diagnostic *error = diagnostic_error(check->diagnostics, first->at,
                                                    "`defaults:` must stand before the first rule");
        diagnostic_note(check->diagnostics, error, file->rules[0]->stanza.at,
                        "the first rule is here");
    }
    struct stanza_reader reader = {.place = IN_DEFAULTS, .settings = settings};
    bool good = read_stanza(check, &reader, first);
    return attributes_check_defaults(check, settings) && good;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static const struct model_slot *copy_slots(struct check *check, const struct rule_draft *draft)
{
    struct model_slot *slots = arena_array(check->arena, draft->slot_count, sizeof *slots);
    for (size_t i = 0; i < draft->slot_count; i++)
        slots[i] = draft->slots[i].slot;
    return slots;
}

/* The slots and tokens, once every attribute is read. */
static bool build_matching(struct check *check, struct rule_draft *draft, bool line_good,
                           struct model_rule *rule)
{
    if (!slots_constrain(check, draft) || !line_good)
        return false;
    tokens_mark_leading(draft);
    if (!slots_finish(check, draft))
        return false;
    rule->tokens = tokens_build(check, draft);
    rule->slots = copy_slots(check, draft);
    return rule->tokens != NULL;
}

bool rule_read(struct check *check, const struct tree_rule *tree, const struct settings *defaults,
               bool defaults_good, struct model_rule *rule)
{
    struct rule_draft draft;
    struct settings settings;
    struct stanza_reader reader = {.place = IN_RULE, .settings = &settings, .rule = &draft};
    draft.tree = tree;
    draft.slot_count = 0;
    draft.engine_pcre2 = draft.lists_wrong = false;
    draft.engine_at = SPAN_NONE;
    settings_inherit(&settings, defaults);
    bool line_good = !tree->broken && slots_declare(check, &draft);
    if (!tree->broken && !tokens_check(check, &draft))
        line_good = false;
    bool stanza_good = read_stanza(check, &reader, &tree->stanza);
    bool matching = build_matching(check, &draft, line_good, rule);
    if (!attributes_check_caller_lines(check, &settings) || !defaults_good || !stanza_good ||
        tree->broken)
        return false;
    *rule = (struct model_rule){
        .line = source_line(check->source, tree->stanza.at.begin),
        .span = tree->stanza.at,
        .text = tree->text,
        .comment = tree->comment,
        .tokens = rule->tokens,
        .token_count = tree->token_count,
        .slots = rule->slots,
        .slot_count = draft.slot_count,
        .attributes = attributes_from_settings(check, &settings, tree->stanza.at),
        .confinement = confinement_from_settings(check, &settings, &draft),
    };
    return matching && rule->attributes && rule->confinement;
}
