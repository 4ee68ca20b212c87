/* What programs do with their arguments: shell-metachar, command-position, interpreter-stdin, pager,
 * runs-caller-files, destination, set-id, and unconfined where such a rule has no bounds. */
#include <string.h>

#include "compiler/analysis/warnings.h"

static void warn_at_slot(struct warner *warner, const char *name, const struct model_slot *slot,
                         const char *note, const char *program, const char *what,
                         const char *witness)
{
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, name, slot->span, "%s %s #%s%s%s", program, what, slot->name,
        witness ? ", which accepts " : "", witness ? witness : "");
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE, "%s", note);
}

/* ---- commands and shells ------------------------------------------------------------------------ */

static const char *const command_note =
    "name the command in the rule; a slot belongs among its arguments";
static const char *const shell_note =
    "a pattern without the characters that a shell reads: @word, @filename, [A-Za-z0-9._/-]+";

/* The slot of a token that accepts what a shell reads, with such a value; NULL: none does. What the
 * author wrote around it is meant. */
static const struct model_slot *shell_slot(struct warner *warner, const struct model_rule *rule,
                                           const struct model_token *token, const char **witness)
{
    for (size_t p = 0; p < token->piece_count; p++) {
        if (!token->pieces[p].is_slot)
            continue;
        const struct model_slot *slot = &rule->slots[token->pieces[p].slot];
        const struct automaton *accepted =
            slot->any ? automaton_everything(warner->arena) : slot->accepted;
        if ((*witness = warner_witness(warner, accepted, FORM_SHELL)))
            return slot;
    }
    return NULL;
}

/* A slot at operand N of a fact is a command; with `shell`, every one from there on is read again. */
static void warn_operands(struct warner *warner, const struct invocation *invocation,
                          const char *fact_name, const char *what, bool shell)
{
    const struct program_fact *fact = NULL;
    while ((fact = invocation_fact(invocation, fact_name, fact))) {
        size_t first = fact_number(fact, 1);
        for (size_t o = 0; o < invocation->operand_count; o++) {
            const struct model_token *token = &invocation->rule->tokens[invocation->operands[o]];
            const struct model_slot *slot = token_slot(invocation->rule, token);
            /* `...` may reach from before; 0 means any operand. */
            bool at = first == 0 || o + 1 == first || (token->kind == TOKEN_REST && o + 1 < first);
            if (!slot || language_is_listed(warner, slot->accepted))
                continue;
            if (at && (token->pieces[0].is_slot || shell)) {
                warn_at_slot(warner, "command-position", slot, command_note, invocation->name, what,
                             NULL);
                warner->runs_callers = true;
            }
            const char *witness = NULL;
            const struct model_slot *read_again =
                shell && o + 1 >= first ? shell_slot(warner, invocation->rule, token, &witness)
                                        : NULL;
            if (read_again)
                warn_at_slot(warner, "shell-metachar", read_again, shell_note, invocation->name,
                             "hands to a shell", witness);
        }
    }
}

/* Whether a token sets, by its literal beginning, something that runs nothing. */
static bool is_safe_setting(const struct invocation *invocation, const struct model_token *token)
{
    const struct model_piece *first = &token->pieces[0];
    const struct program_fact *fact = NULL;
    while (!first->is_slot && (fact = invocation_fact(invocation, "safe-setting", fact)))
        for (size_t v = 0; v < fact->value_count; v++) {
            size_t length = strlen(fact->values[v]);
            if (strncmp(first->literal, fact->values[v], length) == 0 &&
                first->literal[length] == '=')
                return true;
        }
    return false;
}

static void on_command_value(struct warner *warner, const struct invocation *invocation,
                             const struct program_fact *fact, const struct model_token *token,
                             const struct automaton *language, const char *option)
{
    (void)fact;
    const struct model_slot *slot = token_slot(invocation->rule, token);
    if (!slot || language_is_listed(warner, language) || is_safe_setting(invocation, token))
        return;
    warner->runs_callers = true;
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "command-position", slot->span,
        "%s runs the value of %s, which is #%s", invocation->name, option, slot->name);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE, "%s", command_note);
}

static void on_shell_value(struct warner *warner, const struct invocation *invocation,
                           const struct program_fact *fact, const struct model_token *token,
                           const struct automaton *language, const char *option)
{
    const char *witness = NULL;
    const struct model_slot *slot = shell_slot(warner, invocation->rule, token, &witness);
    if (slot && language_is_listed(warner, slot->accepted))
        return;
    if (slot)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "shell-metachar", slot->span,
                                           "%s hands the value of %s to a shell: #%s accepts %s",
                                           invocation->name, option, slot->name, witness),
                        SPAN_NONE, "%s", shell_note);
    else if (token->pieces[0].is_slot)
        on_command_value(warner, invocation, fact, token, language, option);
}

static void warn_commands(struct warner *warner, const struct invocation *invocation)
{
    warn_operands(warner, invocation, "command-operand", "runs", false);
    warn_operands(warner, invocation, "code-operand", "runs the code in", false);
    warn_operands(warner, invocation, "file-operand", "runs the file", false);
    warn_operands(warner, invocation, "shell-operand", "hands to a shell", true);
    warner_option_values(warner, invocation, "command-option", on_command_value);
    warner_option_values(warner, invocation, "code-option", on_command_value);
    warner_option_values(warner, invocation, "config-option", on_command_value);
    warner_option_values(warner, invocation, "shell-option", on_shell_value);
}

/* ---- standard input, pagers, files ---------------------------------------------------------------- */

static bool rule_has_literal(const struct invocation *invocation, const struct program_fact *among)
{
    for (size_t t = 1; t < invocation->rule->token_count; t++) {
        const char *literal = token_literal(&invocation->rule->tokens[t]);
        if (literal && fact_has(among, literal))
            return true;
    }
    return false;
}

static bool has_code_option(const struct invocation *invocation)
{
    static const char *const facts[] = {"code-option", "shell-option", "config-option"};
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) {
        const struct program_fact *fact = NULL;
        while ((fact = invocation_fact(invocation, facts[f], fact)))
            if (rule_has_literal(invocation, fact))
                return true;
    }
    return false;
}

/* Whether the program may be run so that its code comes from standard input. */
static bool reads_code_from_input(const struct invocation *invocation)
{
    const struct program_fact *reads = invocation_fact(invocation, "stdin-code", NULL);
    if (!reads)
        return false;
    const struct model_rule *rule = invocation->rule;
    for (size_t t = 1; t < rule->token_count; t++) {
        const char *literal = token_literal(&rule->tokens[t]);
        const struct model_slot *slot = token_slot(rule, &rule->tokens[t]);
        if (literal && strcmp(literal, "-") == 0)
            return true;
        if (slot && slot->allow_dash && rule->tokens[t].pieces[0].is_slot && slot->accepted &&
            automaton_accepts(slot->accepted, "-", 1))
            return true;
    }
    size_t operands = 0;
    for (size_t o = 0; o < invocation->operand_count; o++) {
        const struct model_token *token = &rule->tokens[invocation->operands[o]];
        operands += token->kind == TOKEN_REST ? token->minimum : 1;
    }
    return operands < fact_number(reads, 1) && !has_code_option(invocation);
}

static bool is_confined(const struct model_confinement *confinement)
{
    return confinement->confines_files && (confinement->net_none || confinement->net_ports);
}

/* Programs that talk with their user, who can have them start a shell: where that is bounded, it has been
 * thought of. */
static bool warn_prompt(struct warner *warner, const struct invocation *invocation)
{
    if (!invocation_fact(invocation, "shell-escape", NULL) ||
        is_confined(invocation->rule->confinement) ||
        invocation_fact(invocation, "stdin-code", NULL) || has_code_option(invocation))
        return false;
    diagnostic_note(warner->diagnostics,
                    diagnostic_warning(warner->diagnostics, "interpreter-stdin",
                                       invocation->rule->span,
                                       "%s takes commands from its user, and one of them starts a "
                                       "shell", invocation->name),
                    SPAN_NONE, "name a program that only does what is wanted, or confine it (fs_*, "
                               "net) to what such a shell may do");
    return true;
}

static bool warn_input(struct warner *warner, const struct invocation *invocation)
{
    if (!reads_code_from_input(invocation))
        return warn_prompt(warner, invocation);
    diagnostic_note(warner->diagnostics,
                    diagnostic_warning(warner->diagnostics, "interpreter-stdin",
                                       invocation->rule->span,
                                       "%s reads code from the caller's standard input when run so",
                                       invocation->name),
                    SPAN_NONE, "name the file or the code that it is to run");
    return true;
}

/* A variable that turns the pager off: GIT_PAGER=cat and its like. */
static bool pager_is_off(const struct model_rule *rule)
{
    for (size_t i = 0; i < rule->attributes->environment_count; i++) {
        const struct policy_variable *variable = &rule->attributes->environment[i];
        size_t length = strlen(variable->name);
        if (length >= 5 && strcmp(variable->name + length - 5, "PAGER") == 0 && variable->value &&
            (strcmp(variable->value, "cat") == 0 || !*variable->value))
            return true;
    }
    return false;
}

static void warn_pager(struct warner *warner, const struct invocation *invocation)
{
    const struct program_fact *off = invocation_fact(invocation, "no-pager", NULL);
    if (!invocation_fact(invocation, "pager", NULL) || pager_is_off(invocation->rule) ||
        (off && rule_has_literal(invocation, off)))
        return;
    diagnostic_note(warner->diagnostics,
                    diagnostic_warning(warner->diagnostics, "pager", invocation->rule->span,
                                       "%s starts a pager on a terminal, and a pager runs commands",
                                       invocation->name),
                    SPAN_NONE, "%s%s%s", off ? "add " : "", off ? off->values[0] : "",
                    off ? " to the command line, or env = PAGER=cat" : "set env = PAGER=cat");
}

/* A rule whose files and network are bounded has done what the warning asks for. */
static bool warn_files(struct warner *warner, const struct invocation *invocation)
{
    if (!invocation_fact(invocation, "runs-caller-files", NULL) ||
        is_confined(invocation->rule->confinement))
        return false;
    struct diagnostic *warning = diagnostic_warning(
        warner->diagnostics, "runs-caller-files", invocation->rule->span,
        "%s runs code from files that the caller may write", invocation->name);
    diagnostic_note(warner->diagnostics, warning, SPAN_NONE,
                    "run it where the caller cannot write, or confine it (fs_*, net) to what such "
                    "code may do: %s",
                    invocation->program->source);
    return true;
}

/* ---- where data goes ------------------------------------------------------------------------------ */

static bool name_is_credential(const char *name)
{
    static const char *const parts[] = {"TOKEN", "SECRET", "PASSWORD", "PASSWD", "_KEY", "CREDENTIAL",
                                        "AUTH"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    return strcmp(name, "HOME") == 0;
}

static bool passes_credentials(const struct invocation *invocation)
{
    if (invocation_fact(invocation, "credentials", NULL))
        return true;
    const struct model_attributes *attributes = invocation->rule->attributes;
    for (size_t i = 0; i < attributes->environment_count; i++)
        if (name_is_credential(attributes->environment[i].name))
            return true;
    return false;
}

static void warn_destination_slot(struct warner *warner, const struct invocation *invocation,
                                  const struct model_slot *slot)
{
    /* A few words that the author listed (origin|upstream) are no choice of the caller's. */
    if (language_is_listed(warner, slot->accepted))
        return;
    diagnostic_note(warner->diagnostics,
                    diagnostic_warning(warner->diagnostics, "destination", slot->span,
                                       "#%s chooses where %s sends data, and the rule passes "
                                       "credentials",
                                       slot->name, invocation->name),
                    SPAN_NONE, "name the destination in the rule, or use @url(https,HOST)");
}

static void on_destination_value(struct warner *warner, const struct invocation *invocation,
                                 const struct program_fact *fact, const struct model_token *token,
                                 const struct automaton *language, const char *option)
{
    (void)fact, (void)language, (void)option;
    const struct model_slot *slot = token_slot(invocation->rule, token);
    if (slot)
        warn_destination_slot(warner, invocation, slot);
}

/* A slot declared with @url(...) alone names its host: that is the safe form. */
static bool slot_names_host(const struct model_slot *slot)
{
    for (size_t i = 0; slot->language && i < slot->language->line_count; i++)
        if (!slot->language->lines[i].excluded &&
            strncmp(slot->language->lines[i].text, "@url(", 5) == 0)
            return true;
    return false;
}

static void warn_destinations(struct warner *warner, const struct invocation *invocation)
{
    if (!passes_credentials(invocation))
        return;
    const struct program_fact *fact = NULL;
    while ((fact = invocation_fact(invocation, "destination", fact))) {
        size_t at = fact_number(fact, 0);
        for (size_t o = 0; o < invocation->operand_count; o++) {
            const struct model_token *token = &invocation->rule->tokens[invocation->operands[o]];
            const struct model_slot *slot = token_slot(invocation->rule, token);
            if (slot && token->pieces[0].is_slot && !slot_names_host(slot) &&
                (!at || o + 1 == at || (token->kind == TOKEN_REST && o + 1 < at)))
                warn_destination_slot(warner, invocation, slot);
        }
    }
    warner_option_values(warner, invocation, "destination-option", on_destination_value);
}

/* ---- privileges and bounds ------------------------------------------------------------------------- */

static void warn_set_id(struct warner *warner, const struct invocation *invocation)
{
    bool needs = invocation_fact(invocation, "set-id", NULL) != NULL;
    bool has = invocation->rule->confinement->new_privs;
    if (needs && !has)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "set-id", invocation->rule->span,
                                           "%s needs privileges that no_new_privs takes from it",
                                           invocation->name),
                        SPAN_NONE, "it will fail; new_privs = allow lets it, and excludes Landlock "
                                   "and seccomp on this rule");
    if (has && !needs && invocation->program)
        diagnostic_note(warner->diagnostics,
                        diagnostic_warning(warner->diagnostics, "set-id", invocation->rule->span,
                                           "%s has new_privs = allow and does not need it",
                                           invocation->name),
                        SPAN_NONE, "remove new_privs, and confine the rule");
}

/* A command line that only has the program tell about itself. */
static bool tells_about_itself(const struct model_rule *rule)
{
    static const char *const words[] = {"--version", "--help", "-V", "version"};
    const char *only = rule->token_count == 2 ? token_literal(&rule->tokens[1]) : NULL;
    for (size_t i = 0; only && i < sizeof words / sizeof *words; i++)
        if (strcmp(only, words[i]) == 0)
            return true;
    return false;
}

void warnings_of_programs(struct warner *warner)
{
    for (size_t r = 0; r < warner->model->rule_count; r++) {
        const struct invocation *invocation = &warner->invocations[r];
        warn_set_id(warner, invocation);
        if (!invocation->program || tells_about_itself(invocation->rule))
            continue;
        warner->runs_callers = false;
        warn_commands(warner, invocation);
        bool input = warn_input(warner, invocation);
        warn_pager(warner, invocation);
        bool files = warn_files(warner, invocation);
        warn_destinations(warner, invocation);
        /* runs-caller-files has said so already. */
        if (!files && (input || warner->runs_callers) &&
            !is_confined(invocation->rule->confinement))
            diagnostic_note(warner->diagnostics,
                            diagnostic_warning(warner->diagnostics, "unconfined",
                                               invocation->rule->span,
                                               "%s runs the caller's code here, and nothing bounds "
                                               "what that code may do",
                                               invocation->name),
                            SPAN_NONE, "set fs_read or fs_write, and net");
    }
}
