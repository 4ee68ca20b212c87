/* sluicec sample RULES [LINE] [-n N]: command lines that a rule accepts. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/command_line.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/policy/load.h"
#include "compiler/regex/witness.h"

#define SAMPLE_DEFAULT 5u
#define SAMPLE_MAX 10000u

struct sample_options {
    struct options common;
    const char *path;
    uint32_t line, count;
};

static bool read_number(const char *text, uint32_t low, uint32_t high, uint32_t *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < low || value > high)
        return false;
    *number = (uint32_t)value;
    return true;
}

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct sample_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strncmp(argument, "-n", 2) == 0) {
            const char *value = argument[2] ? argument + 2 : i + 1 < argc ? argv[++i] : "";
            if (!read_number(value, 1, SAMPLE_MAX, &options->count))
                return command_misused(command, "-n takes a number from 1 to %u", SAMPLE_MAX);
        } else if (argument[0] == '-' && argument[1]) {
            enum option_result result = options_take(&options->common, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (!options->path) {
            options->path = argument;
        } else if (options->line || !read_number(argument, 1, INT_MAX, &options->line)) {
            return command_misused(command, "'%s' is not a rule's line", argument);
        }
    }
    return options->path ? EXIT_GOOD : command_misused(command, "a rules file is needed");
}

/* Values of each token of a rule: what its command lines are put together from. */
struct token_values {
    struct value *values;
    size_t count;
};

static bool rule_values(struct arena *arena, const struct model_rule *rule, uint32_t count,
                        struct work *work, struct token_values *tokens)
{
    for (size_t t = 0; t < rule->token_count; t++) {
        struct token_language language = token_language_of(arena, rule, &rule->tokens[t], work);
        if (!language.automaton)
            return false;
        tokens[t].count = witness_sample(arena, language.automaton, count, &tokens[t].values);
        if (!tokens[t].count)
            return false;
    }
    return true;
}

/* How many values a token gives the n-th command line. */
static uint32_t token_repeats(const struct model_token *token, uint32_t n)
{
    if (token->kind != TOKEN_REST)
        return 1;
    uint32_t span = token->maximum - token->minimum;
    /* The fewest, then one more each time, and every fifth the most that still reads well. */
    uint32_t extra = n % 5 == 4 ? 8 : n;
    return token->minimum + (extra < span ? extra : span);
}

/* The n-th command line: the n-th value of each token, so that the first is the shortest of all. */
static struct command_line rule_line(struct arena *arena, const struct model_rule *rule,
                                     const struct token_values *tokens, uint32_t n)
{
    struct command_line line = {0};
    for (size_t t = 0; t < rule->token_count; t++)
        line.count += token_repeats(&rule->tokens[t], n);
    line.arguments = arena_array(arena, line.count + 1, sizeof *line.arguments);
    line.lengths = arena_array(arena, line.count + 1, sizeof *line.lengths);
    size_t at = 0;
    for (size_t t = 0; t < rule->token_count; t++)
        for (uint32_t i = 0; i < token_repeats(&rule->tokens[t], n); i++, at++) {
            const struct value *value = &tokens[t].values[(n + i) % tokens[t].count];
            line.arguments[at] = value->bytes;
            line.lengths[at] = value->length;
        }
    return line;
}

/* The most different command lines that a rule's values make, at most `wanted`. */
static uint32_t rule_variety(const struct model_rule *rule, const struct token_values *tokens,
                             uint32_t wanted)
{
    uint32_t most = 1;
    for (size_t t = 0; t < rule->token_count; t++) {
        uint32_t here = (uint32_t)tokens[t].count;
        if (rule->tokens[t].kind == TOKEN_REST && rule->tokens[t].maximum > rule->tokens[t].minimum)
            here = wanted;
        most = here > most ? here : most;
    }
    return most < wanted ? most : wanted;
}

static void sample_rule(const struct model_rule *rule, uint32_t count, struct work *work)
{
    struct arena *arena = arena_new(LOAD_MEMORY_MAX);
    struct token_values *tokens = arena_array(arena, rule->token_count, sizeof *tokens);
    if (!rule_values(arena, rule, count, work, tokens)) {
        if (work->steps)
            printf("; %u: only a call can tell (engine = pcre2)\n", rule->line);
        else
            printf("; %u: limit: %s\n", rule->line, work_limit(arena, work));
    } else {
        uint32_t variety = rule_variety(rule, tokens, count);
        for (uint32_t n = 0; n < variety; n++)
            puts(command_line_text(arena, rule_line(arena, rule, tokens, n)));
    }
    arena_free(arena);
}

static int sample_model(const struct command *command, const struct model *model,
                        const struct sample_options *options)
{
    bool found = false;
    struct work work = {.steps = WORK_STEPS_MAX, .allowed = WORK_STEPS_MAX};
    for (size_t r = 0; r < model->rule_count; r++) {
        const struct model_rule *rule = &model->rules[r];
        if (options->line && rule->line != options->line)
            continue;
        found = true;
        if (!options->line)
            printf("; %u: %s\n", rule->line, rule->text);
        sample_rule(rule, options->count, &work);
    }
    return found ? EXIT_GOOD : command_misused(command, "no rule begins at line %u", options->line);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct sample_options options = {.count = SAMPLE_DEFAULT};
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && !load_policy(&loaded, &options.common, options.path)) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        status = load_report(&loaded, &options.common);
        if (status == EXIT_GOOD && loaded.model)
            status = sample_model(command, loaded.model, &options);
        load_end(&loaded);
    }
    options_free(&options.common);
    return status;
}

const struct command command_sample = {
    .name = "sample",
    .run = run,
    .usage = "sample [-n N] RULES [LINE]",
    .help = "command lines that each rule (or the one at LINE) accepts: the shortest first, then\n"
            "spread over what it accepts\n",
};
