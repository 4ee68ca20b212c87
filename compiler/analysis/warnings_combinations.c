/* combination: one rule writes what another one reads as code, loads or runs. */
#include <string.h>

#include "compiler/analysis/space.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/arena.h"

/* Pairs told for one policy: the rest would say the same again. */
#define TOLD_MAX 50u

struct written {
    const struct invocation *by;
    const struct automaton *language; /* of the path */
};

struct written_list {
    struct written *items;
    size_t count, capacity;
};

struct gatherer {
    struct warner warner; /* first: the option call-back gets a pointer to it */
    struct written_list *list;
};

static void written_add(struct warner *warner, struct written_list *list,
                        const struct invocation *by, const struct automaton *language)
{
    if (!language || automaton_is_empty(language))
        return;
    arena_grow(warner->arena, &list->items, &list->capacity, list->count + 1, sizeof *list->items);
    list->items[list->count++] = (struct written){by, language};
}

static void on_written_value(struct warner *warner, const struct invocation *invocation,
                             const struct program_fact *fact, const struct model_token *token,
                             const struct automaton *language, const char *option)
{
    (void)fact, (void)option, (void)token;
    written_add(warner, ((struct gatherer *)warner)->list, invocation, language);
}

static void gather_operands(struct warner *warner, struct written_list *list,
                            const struct invocation *invocation)
{
    const struct program_fact *fact = NULL;
    while ((fact = invocation_fact(invocation, "writes", fact))) {
        bool last = fact_has(fact, "last");
        size_t at = fact_number(fact, 0);
        for (size_t o = 0; o < invocation->operand_count; o++) {
            if (last ? o + 1 != invocation->operand_count : at && o + 1 != at)
                continue;
            const struct model_token *token = &invocation->rule->tokens[invocation->operands[o]];
            written_add(warner, list, invocation,
                        warner_language(warner, invocation->rule, token));
        }
    }
}

static void tell(struct warner *warner, const struct written *written,
                 const struct invocation *reader, const char *how, const char *path)
{
    diagnostic_note(warner->diagnostics,
                    diagnostic_warning(warner->diagnostics, "combination", reader->rule->span,
                                       "%s %s %s, which the rule at line %u lets the caller write",
                                       reader->name, how, path, written->by->rule->line),
                    written->by->rule->span, "this rule writes it");
}

static const char *shared_path(struct warner *warner, const struct automaton *a,
                               const struct automaton *b)
{
    const char *bytes;
    size_t length;
    if (!a || !b || !automaton_overlaps(warner->arena, a, b, &bytes, &length))
        return NULL;
    return command_line_text(warner->arena, (struct command_line){&bytes, &length, 1});
}

/* The path of what a rule runs, loads as code, or finds in its directory, among what is written. */
static bool tell_reader(struct warner *warner, const struct written *written,
                        const struct invocation *reader)
{
    static const char *const facts[] = {"file-operand", "reads-code"};
    const struct model_rule *rule = reader->rule;
    const char *program = token_literal(&rule->tokens[0]);
    if (program && program[0] == '/' &&
        automaton_accepts(written->language, program, strlen(program))) {
        tell(warner, written, reader, "is", program);
        return true;
    }
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) {
        const struct program_fact *fact = NULL;
        while ((fact = invocation_fact(reader, facts[f], fact)))
            for (size_t o = 0; o < reader->operand_count; o++) {
                size_t at = fact_number(fact, 1);
                if (at && o + 1 != at)
                    continue;
                const struct model_token *token = &rule->tokens[reader->operands[o]];
                const char *path = shared_path(warner, written->language,
                                               warner_language(warner, rule, token));
                if (path) {
                    tell(warner, written, reader, "runs", path);
                    return true;
                }
            }
    }
    const struct program_fact *loads = NULL;
    while ((loads = invocation_fact(reader, "loads", loads)))
        for (size_t v = 0; v < loads->value_count; v++)
            if (automaton_accepts(written->language, loads->values[v], strlen(loads->values[v]))) {
                tell(warner, written, reader, "obeys", loads->values[v]);
                return true;
            }
    return false;
}

void warnings_of_combinations(struct warner *warner)
{
    struct written_list list = {0};
    struct gatherer gatherer = {*warner, &list};
    size_t told = 0;
    for (size_t r = 0; r < warner->model->rule_count; r++) {
        const struct invocation *invocation = &warner->invocations[r];
        gather_operands(warner, &list, invocation);
        warner_option_values(&gatherer.warner, invocation, "writes-option", on_written_value);
    }
    for (size_t w = 0; w < list.count; w++)
        for (size_t r = 0; r < warner->model->rule_count && told < TOLD_MAX; r++)
            if (list.items[w].by != &warner->invocations[r])
                told += tell_reader(warner, &list.items[w], &warner->invocations[r]);
}
