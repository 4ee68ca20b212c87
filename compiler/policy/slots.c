#include "compiler/policy/slots.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"
#include "compiler/policy/languages.h"
#include "compiler/policy/values.h"

static bool is_listed(struct span at)
{
    return at.begin != SPAN_NONE.begin;
}

/* ---- declarations ---------------------------------------------------------------------------- */

static bool declare_slot(struct check *check, struct rule_draft *rule,
                         const struct tree_piece *piece)
{
    const struct slot_draft *before = slots_find(rule, piece->text, piece->length);
    if (before) {
        struct diagnostic *error = diagnostic_error(
            check->diagnostics, piece->at, "the rule has two slots #%s", piece->text);
        diagnostic_note(check->diagnostics, error, before->slot.span, "the first one is here");
        return false;
    }
    struct slot_draft *slot = &rule->slots[rule->slot_count++];
    *slot = (struct slot_draft){
        .slot = {.name = piece->text, .span = piece->at, .max_bytes = POLICY_VALUE_MAX},
        .any_at = SPAN_NONE,
        .dash_at = SPAN_NONE,
        .max_at = SPAN_NONE,
        .pcre2_at = SPAN_NONE,
    };
    if (key_find(piece->text, piece->length) == KEY_NONE)
        return true;
    slot->misplaced = true;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, piece->name_at,
                         "a slot cannot be named `%s`: that is an attribute", piece->text);
    check_hint(check, error, "give the slot another name");
    return false;
}

bool slots_declare(struct check *check, struct rule_draft *rule)
{
    const struct tree_token *rest = NULL;
    bool good = true;
    for (uint32_t i = 0; i < rule->tree->token_count; i++) {
        const struct tree_token *token = &rule->tree->tokens[i];
        if (token->is_rest && rest) {
            struct diagnostic *error = diagnostic_error(
                check->diagnostics, token->at, "a rule can have only one `...` slot");
            diagnostic_note(check->diagnostics, error, rest->at, "the first one is here");
            good = false;
        } else if (token->is_rest) {
            rest = token;
        }
        for (uint32_t j = 0; j < token->piece_count; j++)
            if (token->pieces[j].kind == PIECE_SLOT &&
                !declare_slot(check, rule, &token->pieces[j]))
                good = false;
        /* A slot of the executable is an error by itself (tokens.c). */
        for (size_t slot = 0; i == 0 && slot < rule->slot_count; slot++)
            rule->slots[slot].misplaced = true;
    }
    return good;
}

struct slot_draft *slots_find(struct rule_draft *rule, const char *name, size_t length)
{
    for (size_t i = 0; i < rule->slot_count; i++) {
        const char *known = rule->slots[i].slot.name;
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return &rule->slots[i];
    }
    return NULL;
}

void slots_add_line(struct check *check, struct slot_draft *slot,
                    const struct tree_attribute *line)
{
    arena_grow(check->arena, &slot->lines, &slot->line_capacity, slot->line_count + 1,
               sizeof *slot->lines);
    slot->lines[slot->line_count++] = line;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static struct slot_draft *find_listed(struct check *check, struct rule_draft *rule,
                                      const char *key, const struct tree_value *item)
{
    struct slot_draft *slot = slots_find(rule, item->text, item->length);
    if (slot || rule->tree->broken)
        return slot;
    struct suggestion search = {.word = item->text, .length = item->length};
    for (size_t i = 0; check_may_suggest(check) && i < rule->slot_count; i++)
        suggest_offer(&search, rule->slots[i].slot.name);
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, item->at, "%s: the rule has no slot `%s`", key,
                         check_quote_value(check, item));
    check_suggest(check, error, search.nearest);
    if (!search.nearest && value_starts(item, "#"))
        check_hint(check, error, "write the slot's name without `#`");
    return NULL;
}

/* Notes that the slot stands in a list; twice is an error. */
static bool put_in_list(struct check *check, const char *key, const struct slot_draft *slot,
                        struct span *place, struct span at)
{
    if (is_listed(*place)) {
        struct diagnostic *error = diagnostic_error(
            check->diagnostics, at, "%s: slot `%s` is listed twice", key, slot->slot.name);
        diagnostic_note(check->diagnostics, error, *place, "it is here as well");
        return false;
    }
    *place = at;
    return true;
}

static struct span *place_in(struct slot_draft *slot, enum attribute_key key)
{
    return key == KEY_ALLOW_ANY ? &slot->any_at : key == KEY_ALLOW_DASH ? &slot->dash_at
                                              : key == KEY_ALLOW_MAX    ? &slot->max_at
                                                                        : &slot->pcre2_at;
}

/* `name` of one of the lists. */
static bool read_name(struct check *check, struct rule_draft *rule, enum attribute_key key,
                      const struct tree_value *item)
{
    const char *name = key_definitions[key].name;
    struct slot_draft *slot = find_listed(check, rule, name, item);
    return slot && put_in_list(check, name, slot, place_in(slot, key), item->at);
}

/* `name:65536` of allow_max. */
static bool read_size(struct check *check, struct rule_draft *rule, const struct tree_value *item)
{
    const char *colon = memchr(item->text, ':', item->length);
    int64_t bytes = 0;
    if (!colon) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, item->at, "allow_max: `%s` has no size",
                             check_quote_value(check, item));
        check_hint(check, error, "write NAME:BYTES, as in body:65536");
        return false;
    }
    uint32_t split = (uint32_t)(colon - item->text);
    struct tree_value name = value_part(item, 0, split), size = value_rest(item, split + 1);
    enum number_result result = number_size(size.text, size.length, &bytes);
    if (result == NUMBER_MALFORMED) {
        diagnostic_error(check->diagnostics, size.at,
                         "allow_max: `%s` is not a number of bytes",
                         check_quote_value(check, &size));
        return false;
    }
    if (result == NUMBER_TOO_LARGE || bytes < 1 || bytes > POLICY_VALUE_MAX_RAISED) {
        diagnostic_error(check->diagnostics, size.at, "allow_max: `%s` is out of range: 1 to %u",
                         check_quote_value(check, &size), POLICY_VALUE_MAX_RAISED);
        return false;
    }
    struct slot_draft *slot = find_listed(check, rule, "allow_max", &name);
    if (!slot || !put_in_list(check, "allow_max", slot, &slot->max_at, name.at))
        return false;
    slot->slot.max_bytes = (uint32_t)bytes;
    return true;
}

static bool read_list(struct check *check, struct rule_draft *rule, enum attribute_key key,
                      const struct tree_value *value)
{
    struct value_list list;
    if (!value_split(check, key_definitions[key].name, value, &list))
        return false;
    bool good = true;
    for (size_t i = 0; i < list.count; i++)
        if (!(key == KEY_ALLOW_MAX ? read_size(check, rule, &list.items[i])
                                   : read_name(check, rule, key, &list.items[i])))
            good = false;
    return good;
}

/* `pcre2`, `pcre2 a, b` or `pcre2 [a, b]`. */
static bool read_engine(struct check *check, struct rule_draft *rule,
                        const struct tree_value *value)
{
    static const char pcre2[] = "pcre2";
    uint32_t length = 0;
    while (length < value->length && value->text[length] != ' ' && value->text[length] != '\t' &&
           value->text[length] != '[')
        length++;
    struct tree_value engine = value_part(value, 0, length);
    struct tree_value names = value_rest(value, length);
    if (engine.length != strlen(pcre2) || memcmp(engine.text, pcre2, engine.length) != 0) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, engine.at, "engine: `%s` is not an engine",
                             check_quote_value(check, &engine));
        check_hint(check, error, "write `engine = pcre2`, or `engine = pcre2 NAME, NAME` for some "
                                 "slots alone");
        return false;
    }
    rule->engine_at = value->at;
    if (!names.length) {
        rule->engine_pcre2 = true;
        return true;
    }
    if (names.text[0] == '[') {
        if (names.text[names.length - 1] != ']') {
            diagnostic_error(check->diagnostics, names.at, "engine: the `[` is not closed");
            return false;
        }
        names = value_part(&names, 1, names.length - 1);
    }
    return read_list(check, rule, KEY_ENGINE, &names);
}

bool slots_apply_list(struct check *check, struct rule_draft *rule, enum attribute_key key,
                      const struct tree_value *value)
{
    return key == KEY_ENGINE ? read_engine(check, rule, value) : read_list(check, rule, key, value);
}

/* ---- constraints ----------------------------------------------------------------------------- */

static bool report_conflict(struct check *check, struct span at, struct span other,
                            const char *name, const char *message)
{
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, at, "slot #%s %s", name, message);
    diagnostic_note(check->diagnostics, error, other, "allow_any is here");
    return false;
}

static bool check_any(struct check *check, const struct slot_draft *slot)
{
    const char *name = slot->slot.name;
    if (slot->line_count)
        return report_conflict(check, slot->lines[0]->key_at, slot->any_at, name,
                               "cannot have a pattern and be in allow_any");
    if (is_listed(slot->dash_at))
        return report_conflict(check, slot->dash_at, slot->any_at, name,
                               "cannot be in allow_dash and in allow_any, which includes it");
    if (is_listed(slot->pcre2_at))
        return report_conflict(check, slot->pcre2_at, slot->any_at, name,
                               "has no pattern for PCRE2 to match: it is in allow_any");
    return true;
}

static bool report_missing(struct check *check, const struct rule_draft *rule,
                           const struct slot_draft *slot)
{
    if (slot->misplaced || rule->lists_wrong || rule->tree->stanza.incomplete)
        return false;
    const char *name = slot->slot.name;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, slot->slot.span, "slot #%s has no pattern", name);
    if (is_listed(slot->dash_at))
        diagnostic_note(check->diagnostics, error, slot->dash_at,
                        "allow_dash does not say what it accepts");
    check_hint(check, error, "add a line `%s = PATTERN`, or list it in allow_any", name);
    return false;
}

/* A slot whose shortest value is over its cap accepts nothing. */
static bool check_cap(struct check *check, const struct slot_draft *slot)
{
    uint32_t shortest, longest;
    if (!slot->slot.language->automaton)
        return true;
    automaton_lengths(slot->slot.language->automaton, &shortest, &longest);
    if (shortest <= slot->slot.max_bytes)
        return true;
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, slot->lines[0]->value.at,
                         "slot #%s accepts nothing: its shortest value has %u characters, and "
                         "values over %u bytes are refused",
                         slot->slot.name, shortest, slot->slot.max_bytes);
    if (slot->slot.max_bytes < POLICY_VALUE_MAX_RAISED)
        check_hint(check, error, "allow_max = %s:BYTES raises that, to at most %u",
                   slot->slot.name, POLICY_VALUE_MAX_RAISED);
    return false;
}

static bool constrain_slot(struct check *check, const struct rule_draft *rule,
                           struct slot_draft *slot)
{
    if (is_listed(slot->any_at)) {
        slot->slot.any = true;
        slot->slot.description = "anything";
        return check_any(check, slot);
    }
    if (!slot->line_count)
        return report_missing(check, rule, slot);
    struct language_use use = {
        .subject = arena_format(check->arena, "slot #%s", slot->slot.name),
        .first_name = slot->slot.name,
        .lines = slot->lines,
        .count = slot->line_count,
        .pcre2 = rule->engine_pcre2 || is_listed(slot->pcre2_at),
    };
    slot->slot.language = language_from_lines(check, &use);
    slot->slot.description = language_description(check, &use);
    slot->slot.under = language_under(check, &use);
    return slot->slot.language && check_cap(check, slot);
}

bool slots_constrain(struct check *check, struct rule_draft *rule)
{
    bool good = true, matched = false;
    for (size_t i = 0; i < rule->slot_count; i++) {
        if (!constrain_slot(check, rule, &rule->slots[i]))
            good = false;
        matched |= rule->slots[i].line_count > 0;
    }
    if (rule->engine_pcre2 && !matched && !rule->tree->broken && !rule->tree->stanza.incomplete) {
        diagnostic_error(check->diagnostics, rule->engine_at,
                         "engine: the rule has no slot with a pattern");
        good = false;
    }
    return good;
}

/* ---- the leading dash ------------------------------------------------------------------------ */

static bool finish_slot(struct check *check, struct slot_draft *slot)
{
    bool allowed = slot->slot.any || is_listed(slot->dash_at) || !slot->may_lead;
    slot->slot.allow_dash = allowed;
    if (slot->slot.any || !slot->slot.language->automaton)
        return true;
    slot->slot.accepted = slot->slot.language->automaton;
    if (allowed)
        return true;
    slot->slot.accepted = language_without_dash(check, slot->slot.language);
    if (!automaton_is_empty(slot->slot.accepted))
        return true;
    struct diagnostic *error = diagnostic_error(
        check->diagnostics, slot->lines[0]->value.at,
        "slot #%s accepts only values that begin with `-`, which are refused", slot->slot.name);
    check_hint(check, error, "if they are meant, add `allow_dash = %s`", slot->slot.name);
    return false;
}

bool slots_finish(struct check *check, struct rule_draft *rule)
{
    bool good = true;
    for (size_t i = 0; i < rule->slot_count; i++)
        if (!finish_slot(check, &rule->slots[i]))
            good = false;
    return good;
}
