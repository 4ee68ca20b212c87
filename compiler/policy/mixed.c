#include "compiler/policy/mixed.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/intern.h"
#include "compiler/policy/languages.h"

/* What was found out about one sequence of literals and languages. */
struct mixed_language {
    const struct automaton *automaton; /* NULL: too large, or a part is matched by PCRE2 */
    bool too_large;
    bool ambiguous;
    const char *witness; /* ambiguous: a value, and the ends of its parts in two splits */
    size_t witness_length;
    size_t *split_a, *split_b;
};

/* What a part stands for in the proof. PCRE2's languages are not known: everything is more than
 * they are, so that a split unique with it is unique with them. */
static const struct automaton *part_automaton(struct check *check, const struct rule_draft *rule,
                                              const struct model_piece *piece)
{
    if (!piece->is_slot)
        return automaton_literal(check->arena, piece->literal, piece->literal_length);
    const struct model_language *language = rule->slots[piece->slot].slot.language;
    if (!language || !language->automaton)
        return automaton_everything(check->arena);
    return language->automaton;
}

static bool has_pcre2(const struct rule_draft *rule, const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        const struct model_language *language =
            piece->is_slot ? rule->slots[piece->slot].slot.language : NULL;
        if (language && language->pcre2)
            return true;
    }
    return false;
}

static size_t count_slots(const struct model_token *token)
{
    size_t count = 0;
    for (size_t i = 0; i < token->piece_count; i++)
        count += token->pieces[i].is_slot;
    return count;
}

static void spell(const struct rule_draft *rule, const struct model_token *token,
                  struct buffer *key)
{
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        key_number(key, piece->is_slot);
        if (!piece->is_slot)
            key_text(key, piece->literal);
        else
            key_number(key, (uintptr_t)rule->slots[piece->slot].slot.language);
    }
}

/* One slot between literals is where they leave it; more than one must be proved. */
static void examine(struct check *check, const struct rule_draft *rule,
                    const struct model_token *token, struct mixed_language *found)
{
    const struct automaton **parts =
        arena_array(check->arena, token->piece_count, sizeof *parts);
    for (size_t i = 0; i < token->piece_count; i++)
        parts[i] = part_automaton(check, rule, &token->pieces[i]);
    if (count_slots(token) > 1) {
        found->ambiguous = automaton_ambiguous(
            check->arena, parts, token->piece_count, AUTOMATON_STATES_MAX, &found->witness,
            &found->witness_length, &found->split_a, &found->split_b, &found->too_large);
        if (found->too_large)
            language_spend(check, NULL, token->span);
    }
    if (found->ambiguous || found->too_large || has_pcre2(rule, token))
        return;
    found->automaton =
        automaton_concat(check->arena, parts, token->piece_count, AUTOMATON_STATES_MAX);
    found->too_large = !found->automaton;
    language_spend(check, found->automaton, token->span);
}

static const struct mixed_language *find_language(struct check *check,
                                                  const struct rule_draft *rule,
                                                  const struct model_token *token)
{
    struct buffer key = {0};
    spell(rule, token, &key);
    struct mixed_language *found =
        table_find(&check->mixed_tokens, buffer_text(&key), key.length);
    if (!found) {
        found = arena_alloc(check->arena, sizeof *found);
        examine(check, rule, token, found);
        table_add(check->arena, &check->mixed_tokens,
                  arena_copy(check->arena, buffer_text(&key), key.length), key.length, found);
    }
    buffer_free(&key);
    return found;
}

/* "#a = `x`, #b = `y:z`" */
static void print_split(struct buffer *out, const struct rule_draft *rule,
                        const struct model_token *token, const struct mixed_language *found,
                        const size_t *split)
{
    size_t begin = 0;
    bool first = true;
    for (size_t i = 0; i < token->piece_count; i++) {
        size_t end = i + 1 < token->piece_count ? split[i] : found->witness_length;
        if (token->pieces[i].is_slot) {
            buffer_format(out, "%s#%s = `", first ? "" : ", ",
                          rule->slots[token->pieces[i].slot].slot.name);
            buffer_add(out, found->witness + begin, end - begin);
            buffer_char(out, '`');
            first = false;
        }
        begin = end;
    }
}

static bool report_ambiguous(struct check *check, const struct rule_draft *rule,
                             const struct model_token *token, const struct mixed_language *found)
{
    struct buffer a = {0}, b = {0};
    print_split(&a, rule, token, found, found->split_a);
    print_split(&b, rule, token, found, found->split_b);
    struct diagnostic *error =
        diagnostic_error(check->diagnostics, token->span,
                         "this token can be split in two ways: `%.*s` is %s, or %s",
                         (int)found->witness_length, found->witness, buffer_text(&a),
                         buffer_text(&b));
    check_hint(check, error, "keep what separates two slots out of one slot's pattern, or put a "
                             "literal between them that it cannot match");
    buffer_free(&a);
    buffer_free(&b);
    return false;
}

bool mixed_finish(struct check *check, const struct rule_draft *rule, struct model_token *token)
{
    if (check->exhausted)
        return false;
    const struct mixed_language *found = find_language(check, rule, token);
    if (found->ambiguous)
        return report_ambiguous(check, rule, token, found);
    if (found->too_large) {
        diagnostic_error(check->diagnostics, token->span,
                         "this token needs an automaton of more than %u states",
                         AUTOMATON_STATES_MAX);
        return false;
    }
    token->automaton = found->automaton;
    return true;
}
