/* What slots accept, whatever the program: any-value, option-like, path-escape, control-chars,
 * newline; and what some programs read into a value's first character: at-file, ex-command. */
#include <string.h>

#include "compiler/analysis/warnings.h"
#include "compiler/base/arena.h"

static bool slot_is_anything(struct warner *warner, const struct model_slot *slot)
{
    if (slot->any || !slot->accepted)
        return slot->any;
    /* A value may lose its leading dash to the dash rule and still be anything. */
    return slot->language->automaton &&
           automaton_contains(warner->arena, slot->language->automaton,
                              warner->forms[FORM_PRINTABLE], NULL, NULL);
}

static void warn_any_value(struct warner *warner, const struct model_slot *slot)
{
    struct diagnostic *warning =
        diagnostic_warning(warner->diagnostics, "any-value", slot->span,
                           "#%s accepts any value at all", slot->name);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "say what it is for: a standard pattern such as @filename, @relpath or "
                    "@text(1,200)");
}

/* A short option of the program that takes a value or runs something. */
static const char *dash_value(const struct invocation *invocation, const struct model_slot *slot)
{
    static const char *const facts[] = {"dash-values", "shell-option", "code-option",
                                        "command-option", "config-option", "writes-option"};
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) {
        const struct program_fact *fact = NULL;
        while ((fact = invocation_fact(invocation, facts[f], fact)))
            for (size_t v = 0; v < fact->value_count; v++)
                if (slot->accepted && fact->values[v][0] == '-' &&
                    automaton_accepts(slot->accepted, fact->values[v], strlen(fact->values[v])))
                    return fact->values[v];
    }
    return NULL;
}

static void warn_option_like(struct warner *warner, const struct invocation *invocation,
                             const struct model_token *token, const struct model_slot *slot)
{
    /* Only a whole token, or the beginning of one, can be an option. */
    if (!slot->allow_dash || slot->any || !token->pieces[0].is_slot)
        return;
    const char *witness = language_is_listed(warner, slot->accepted)
                              ? NULL
                              : warner_witness(warner, slot->accepted, FORM_LONG_OPTION);
    if (!witness)
        witness = dash_value(invocation, slot);
    if (!witness)
        return;
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "option-like", slot->span,
        "#%s is in allow_dash and accepts options that can do more than its values: %s",
        slot->name, witness);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "list the options that are meant: %s = -v|--verbose", slot->name);
}

static bool name_reads_like_path(const char *name)
{
    static const char *const words[] = {"path", "file", "dir", "folder", "source", "target", "dest"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

/* A slot that reads like a path: it takes '/' but no space (that is prose), or is named as one. */
static void warn_path_escape(struct warner *warner, const struct model_slot *slot)
{
    const char *what = NULL, *witness = NULL;
    bool reads_like_path = warner_witness(warner, slot->accepted, FORM_SLASH) &&
                           !warner_witness(warner, slot->accepted, FORM_SPACE);
    if (!reads_like_path && !name_reads_like_path(slot->name))
        return;
    if (!slot->accepted || language_is_listed(warner, slot->accepted) ||
        automaton_contains(warner->arena, warner->forms[FORM_URL], slot->accepted, NULL, NULL))
        return; /* a URL's dots climb nowhere on this machine */
    if ((witness = warner_witness(warner, slot->accepted, FORM_PARENT)))
        what = "paths that climb out with '..'";
    else if (warner_witness(warner, slot->accepted, FORM_RELATIVE) &&
             (witness = warner_witness(warner, slot->accepted, FORM_ABSOLUTE)))
        what = "absolute paths beside relative ones";
    else if (warner_witness(warner, slot->accepted, FORM_SLASH) &&
             (witness = warner_witness(warner, slot->accepted, FORM_DASH)))
        what = "paths that read like options";
    if (!what)
        return;
    struct diagnostic *warning =
        diagnostic_warning(warner->diagnostics, "path-escape", slot->span,
                           "#%s accepts %s: %s", slot->name, what, witness);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "use @relpath, @filename, @abspath or @under(/some/folder)");
}

static void warn_controls(struct warner *warner, const struct model_rule *rule,
                          const struct model_slot *slot)
{
    if (rule->attributes->refuse & REFUSE_CONTROL)
        return;
    const char *witness = warner_witness(warner, slot->accepted, FORM_CONTROL);
    if (witness)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "control-chars", slot->span,
                                           "#%s accepts control characters: %s", slot->name,
                                           witness),
                        SPAN_NONE, "use @text(1,200), or refuse = control on the rule");
    witness = warner_witness(warner, slot->accepted, FORM_NEWLINE);
    if (witness)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "newline", slot->span,
                                           "#%s accepts a newline: %s", slot->name, witness),
                        SPAN_NONE,
                        "a line of it can look like another in logs and files; exclude \\n, or "
                        "refuse = control on the rule");
}

/* The value as the program sees it: at the start of an argument, or behind "option=". */
static void warn_first_character(struct warner *warner, const struct invocation *invocation,
                                 const struct model_token *token, const struct model_slot *slot)
{
    bool begins = token->pieces[0].is_slot;
    const struct model_piece *before = &token->pieces[0];
    bool behind_equals = token->kind == TOKEN_MIXED && token->pieces[1].is_slot && !begins &&
                         before->literal_length &&
                         before->literal[before->literal_length - 1] == '=';
    bool at_file = invocation_fact(invocation, "at-file", NULL) != NULL;
    const char *witness;
    if (at_file && (begins || behind_equals) &&
        (witness = warner_witness(warner, slot->accepted, FORM_AT)))
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "at-file", slot->span,
                                           "%s reads a file when #%s is %s", invocation->name,
                                           slot->name, witness),
                        SPAN_NONE, "exclude it: %s != (?s)@.*", slot->name);
    if (begins && token->kind != TOKEN_MIXED && invocation_fact(invocation, "ex-command", NULL) &&
        (witness = warner_witness(warner, slot->accepted, FORM_PLUS)))
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "ex-command", slot->span,
                                           "%s runs a command when #%s is %s", invocation->name,
                                           slot->name, witness),
                        SPAN_NONE, "exclude it: %s != (?s)\\+.*", slot->name);
}

static void warn_slot(struct warner *warner, const struct invocation *invocation,
                      const struct model_token *token, const struct model_slot *slot)
{
    bool anything = slot_is_anything(warner, slot);
    if (anything)
        warn_any_value(warner, slot);
    warn_option_like(warner, invocation, token, slot);
    warn_first_character(warner, invocation, token, slot);
    if (anything)
        return; /* said once is enough */
    warn_path_escape(warner, slot);
    warn_controls(warner, invocation->rule, slot);
}

void warnings_of_values(struct warner *warner)
{
    for (size_t r = 0; r < warner->model->rule_count; r++) {
        const struct model_rule *rule = &warner->model->rules[r];
        for (size_t t = 0; t < rule->token_count; t++)
            for (size_t p = 0; p < rule->tokens[t].piece_count; p++)
                if (rule->tokens[t].pieces[p].is_slot)
                    warn_slot(warner, &warner->invocations[r], &rule->tokens[t],
                              &rule->slots[rule->tokens[t].pieces[p].slot]);
    }
}
