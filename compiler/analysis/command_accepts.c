/* sluicec accepts RULES --never/--only PATTERN...: a proof for a gate in CI, or a witness. */
#include <stdio.h>
#include <string.h>

#include "compiler/analysis/accepts.h"
#include "compiler/analysis/commands.h"
#include "compiler/base/arena.h"
#include "compiler/policy/load.h"

/* The exit statuses. */
#define ACCEPTS_PROVED 0
#define ACCEPTS_REFUTED 1

/* Patterns of one call. */
#define ACCEPTS_PATTERNS_MAX 64

struct claim {
    const char *pattern;
    bool only; /* every accepted command line is of this form; else: none is */
};

struct accepts_options {
    struct options common;
    const char *path;
    struct claim claims[ACCEPTS_PATTERNS_MAX];
    size_t claim_count;
};

static int read_claim(const struct command *command, struct accepts_options *options, bool only,
                      const char *pattern)
{
    if (!pattern)
        return command_misused(command, "%s needs a pattern", only ? "--only" : "--never");
    if (options->claim_count == ACCEPTS_PATTERNS_MAX)
        return command_misused(command, "at most %d patterns", ACCEPTS_PATTERNS_MAX);
    options->claims[options->claim_count++] = (struct claim){pattern, only};
    return EXIT_GOOD;
}

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct accepts_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        bool only = strcmp(argument, "--only") == 0;
        if (only || strcmp(argument, "--never") == 0) {
            /* Every following word up to the next option is a pattern of it: PATTERN... */
            int status = read_claim(command, options, only, argv[i + 1]);
            if (status != EXIT_GOOD)
                return status;
            i++;
            while (options->path && i + 1 < argc && argv[i + 1][0] != '-') {
                status = read_claim(command, options, only, argv[++i]);
                if (status != EXIT_GOOD)
                    return status;
            }
        } else if (argument[0] == '-' && argument[1]) {
            enum option_result result = options_take(&options->common, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (options->path) {
            return command_misused(command, "one rules file at a time: '%s'", argument);
        } else {
            options->path = argument;
        }
    }
    if (!options->path)
        return command_misused(command, "a rules file is needed");
    return options->claim_count ? EXIT_GOOD
                                : command_misused(command, "--never or --only is needed");
}

static const struct automaton *claim_automaton(struct arena *arena, const char *text)
{
    struct pattern_error error = {0};
    const struct pattern *pattern = pattern_parse(arena, text, strlen(text), NULL, &error);
    if (!pattern) {
        fprintf(stderr, "sluicec: pattern '%s', byte %u: %s\n", text, error.begin + 1,
                error.message);
        return NULL;
    }
    const struct automaton *automaton =
        automaton_from_pattern(arena, pattern, AUTOMATON_STATES_MAX);
    if (!automaton)
        fprintf(stderr, "sluicec: pattern '%s': its automaton has over %u states\n", text,
                AUTOMATON_STATES_MAX);
    return automaton;
}

static size_t line_length(struct command_line line)
{
    size_t length = line.count;
    for (size_t i = 0; i < line.count; i++)
        length += line.lengths[i];
    return length;
}

/* What is known of one claim. */
struct finding {
    const struct model_rule *refuting;
    const char *witness; /* the shortest of all rules */
    size_t length;
    bool uncertain;
    const struct model_rule *exhausted; /* the first rule that was too much */
    size_t exhausted_count;
    const char *limit;
};

static void claim_try(const struct loaded *loaded, const struct model_rule *rule,
                      const struct automaton *form, bool outside, struct work *whole,
                      struct finding *finding)
{
    struct arena *scratch = arena_new(LOAD_MEMORY_MAX);
    struct work work = work_part(whole);
    struct accepts_result result = accepts_search(scratch, rule, form, outside, &work);
    if (result.answer == ACCEPTS_EXHAUSTED && !finding->exhausted_count++) {
        finding->exhausted = rule;
        finding->limit = work_limit(loaded->arena, &work);
    }
    if (result.answer == ACCEPTS_FOUND && line_length(result.witness) < finding->length) {
        finding->length = line_length(result.witness);
        finding->uncertain = result.uncertain;
        finding->refuting = rule;
        const char *text = command_line_text(scratch, result.witness);
        finding->witness = arena_copy(loaded->arena, text, strlen(text));
    }
    work_return(whole, &work);
    arena_free(scratch);
}

/* Checks one claim over every rule; says the shortest command line that refutes it. */
static int claim_check(const struct loaded *loaded, const char *path, const struct claim *claim,
                       struct work *work)
{
    const struct automaton *form = claim_automaton(loaded->arena, claim->pattern);
    if (!form)
        return EXIT_USAGE;
    const struct model *model = loaded->model;
    struct finding finding = {.length = SIZE_MAX};
    for (size_t r = 0; r < model->rule_count; r++)
        claim_try(loaded, &model->rules[r], form, claim->only, work, &finding);
    printf("%s %s: ", claim->only ? "only" : "never", claim->pattern);
    if (finding.refuting)
        printf("refuted: %s   %s:%u%s\n", finding.witness, path, finding.refuting->line,
               finding.uncertain ? " (only a call can tell: PCRE2 decides)" : "");
    else if (finding.exhausted)
        printf("not proved: %zu of %zu rules are too much, the first %s:%u: %s; narrow their "
               "patterns, or the claim's\n", finding.exhausted_count, model->rule_count, path,
               finding.exhausted->line, finding.limit);
    else
        printf("proved for all %zu rules\n", model->rule_count);
    return finding.refuting || finding.exhausted ? ACCEPTS_REFUTED : ACCEPTS_PROVED;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct accepts_options options = {0};
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && !load_policy(&loaded, &options.common, options.path)) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        /* Rules with errors prove nothing, and are no refutation either. */
        if (load_report(&loaded, &options.common) != EXIT_GOOD || !loaded.model)
            status = EXIT_USAGE;
        struct work work = {.steps = WORK_STEPS_MAX};
        for (size_t i = 0; i < options.claim_count && status != EXIT_USAGE; i++) {
            int answer = claim_check(&loaded, options.path, &options.claims[i], &work);
            status = answer == ACCEPTS_PROVED ? status : answer;
        }
        load_end(&loaded);
    }
    options_free(&options.common);
    return status;
}

const struct command command_accepts = {
    .name = "accepts",
    .run = run,
    .usage = "accepts RULES --never PATTERN... --only PATTERN...",
    .help = "proves that no accepted command line (its arguments joined by one space) matches a\n"
            "--never pattern, and that every one matches each --only pattern; 0: proved,\n"
            "1: refuted, with the shortest command line that shows it\n",
};
