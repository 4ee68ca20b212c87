#include "compiler/analysis/warnings.h"

#include <string.h>

#include "compiler/analysis/command_line.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

static const char *const form_patterns[FORM_COUNT] = {
    [FORM_LONG_OPTION] = "(?s)--[A-Za-z].*",
    [FORM_DASH] = "(?s)-.*",
    [FORM_PARENT] = "(?s)(.*/)?\\.\\.(/.*)?",
    [FORM_ABSOLUTE] = "(?s)/.*",
    [FORM_RELATIVE] = "(?s)[^/].*",
    [FORM_SLASH] = "(?s).*/.*",
    [FORM_SPACE] = "(?s).* .*",
    [FORM_AT] = "(?s)@.*",
    [FORM_PLUS] = "(?s)\\+.*",
    [FORM_TILDE] = "(?s)~.*",
    [FORM_CONTROL] = "(?s).*[\\x01-\\x08\\x0b-\\x1f\\x7f].*",
    [FORM_NEWLINE] = "(?s).*\\n.*",
    [FORM_SHELL] = "(?s).*[;|&$`<>(){}*?\\[\\]!#~'\"\\\\\\n ].*",
    [FORM_URL] = "(?s)[a-z][a-z0-9+.-]*://.*",
    [FORM_PRINTABLE] = "[ -~]+",
};

const struct automaton *warner_language(struct warner *warner, const struct model_rule *rule,
                                        const struct model_token *token)
{
    return token_language_of(warner->arena, rule, token, warner->work).automaton;
}

const char *warner_witness(struct warner *warner, const struct automaton *language, enum form form)
{
    const char *bytes;
    size_t length;
    if (!language ||
        !automaton_overlaps(warner->arena, language, warner->forms[form], &bytes, &length))
        return NULL;
    return command_line_text(warner->arena, (struct command_line){&bytes, &length, 1});
}

void warner_name_lines(struct buffer *out, const uint32_t *lines, size_t count, bool and_others)
{
    const char *plural = count > 1 || and_others ? "s" : "";
    buffer_format(out, "rule%s at line%s ", plural, plural);
    for (size_t i = 0; i < count; i++)
        buffer_format(out, "%s%u", i ? ", " : "", lines[i]);
    buffer_puts(out, and_others ? " and others" : "");
}

/* So many words count as listed by the author. */
#define LISTED_MAX 32u

/* One word being written: where it is in the automaton, and the next scalar to try from there. */
struct listing {
    uint32_t state, transition, scalar;
};

bool language_is_listed(struct warner *warner, const struct automaton *language)
{
    if (!language)
        return false;
    struct listing *stack = arena_array(warner->arena, language->state_count + 1, sizeof *stack);
    size_t depth = 1;
    unsigned words = language->states[0].accepting;
    /* Every state leads to a word, so that a wide automaton soon has too many. */
    while (depth) {
        struct listing *top = &stack[depth - 1];
        const struct automaton_state *state = &language->states[top->state];
        if (top->transition == state->transition_count) {
            depth--;
            continue;
        }
        const struct transition *transition = &state->transitions[top->transition];
        if (transition->high - transition->low >= LISTED_MAX || depth > language->state_count)
            return false; /* a class, or a loop */
        if (transition->low + ++top->scalar > transition->high)
            top->transition++, top->scalar = 0;
        words += language->states[transition->target].accepting;
        if (words > LISTED_MAX || depth == language->state_count)
            return false;
        stack[depth++] = (struct listing){.state = transition->target};
    }
    return true;
}

const struct model_slot *token_slot(const struct model_rule *rule, const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++)
        if (token->pieces[i].is_slot)
            return &rule->slots[token->pieces[i].slot];
    return NULL;
}

/* What stands behind the option in a token that begins with it: "--option=" or "-o". */
static const struct automaton *token_behind(const struct model_rule *rule,
                                            const struct model_token *token, const char *option,
                                            bool *begins)
{
    const struct model_piece *piece = &token->pieces[0];
    size_t length = strlen(option);
    *begins = false;
    if (token->kind != TOKEN_MIXED || piece->is_slot || strncmp(piece->literal, option, length) != 0)
        return NULL;
    const char *rest = piece->literal + length;
    *begins = (rest[0] == '=' && !rest[1]) || (!rest[0] && (option[1] != '-' || option[length - 1] == '='));
    if (!*begins || token->piece_count != 2 || !token->pieces[1].is_slot)
        return NULL;
    return rule->slots[token->pieces[1].slot].accepted;
}

void warner_option_values(struct warner *warner, const struct invocation *invocation,
                          const char *fact_name, warner_on_value *on_value)
{
    const struct model_rule *rule = invocation->rule;
    const struct program_fact *fact = NULL;
    while ((fact = invocation_fact(invocation, fact_name, fact)))
        for (size_t v = 0; v < fact->value_count; v++)
            for (size_t t = 1; t < rule->token_count; t++) {
                const struct model_token *token = &rule->tokens[t];
                const char *literal = token_literal(token);
                bool begins;
                const struct automaton *behind =
                    token_behind(rule, token, fact->values[v], &begins);
                if (begins)
                    on_value(warner, invocation, fact, token, behind, fact->values[v]);
                else if (literal && strcmp(literal, fact->values[v]) == 0 &&
                         t + 1 < rule->token_count && rule->tokens[t + 1].kind != TOKEN_LITERAL)
                    on_value(warner, invocation, fact, &rule->tokens[t + 1],
                             warner_language(warner, rule, &rule->tokens[t + 1]),
                             fact->values[v]);
            }
}

void warnings_check(struct arena *arena, const struct model *model,
                    struct diagnostics *diagnostics, struct work *work)
{
    struct warner warner = {.arena = arena, .model = model, .diagnostics = diagnostics,
                            .programs = programs_read(arena),
                            .work = work};
    for (unsigned form = 0; form < FORM_COUNT; form++) {
        struct pattern_error error = {0};
        const struct pattern *pattern = pattern_parse(arena, form_patterns[form],
                                                      strlen(form_patterns[form]), NULL, &error);
        warner.forms[form] = automaton_from_pattern(arena, pattern, AUTOMATON_STATES_MAX);
    }
    warner.invocations = arena_array(arena, model->rule_count + 1, sizeof *warner.invocations);
    for (size_t r = 0; r < model->rule_count; r++)
        warner.invocations[r] = invocation_read(arena, warner.programs, &model->rules[r]);
    warnings_of_rules(&warner);
    warnings_of_values(&warner);
    warnings_of_programs(&warner);
    warnings_of_environments(&warner);
    warnings_of_combinations(&warner);
    warnings_of_text(&warner);
    if (!work->steps)
        diagnostic_note(diagnostics,
                        diagnostic_warning(diagnostics, "incomplete", SPAN_NONE,
                                           "what these rules accept is not all worked out: it takes "
                                           "over %llu million steps",
                                           (unsigned long long)WORK_STEPS_MAX / 1000000),
                        SPAN_NONE, "other warnings may be missing; lower caps (allow_max) of long "
                                   "patterns take most: write the bound into the pattern");
}
