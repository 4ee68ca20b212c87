/* sluicec: the table of subcommands. Each has its own file, reads its own arguments, and returns the
 * exit status. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/suggest.h"
#include "compiler/emit/commands.h"

static const struct command *const commands[] = {&command_check, &command_match,
                                                 &command_diff, &command_accepts,
                                                 &command_sample, &command_graph,
                                                 &command_learn};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_command(FILE *out, const struct command *command)
{
    fprintf(out, "  sluicec %s\n", command->usage);
    for (const char *line = command->help; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(out, "      %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_usage(FILE *out)
{
    fputs("usage:\n", out);
    print_command(out, &command_compile);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        print_command(out, commands[i]);
    fputs("  sluicec --version | --help\n", out);
}

static int report_unknown(const char *word)
{
    struct suggestion search = {.word = word, .length = strlen(word)};
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        suggest_offer(&search, commands[i]->name);
    fprintf(stderr, "sluicec: '%s' is not a subcommand", word);
    if (search.nearest)
        fprintf(stderr, "; did you mean '%s'?", search.nearest);
    fputs("\nsluicec --help lists them\n", stderr);
    return EXIT_USAGE;
}

/* Whether an argument was meant as a subcommand: no option, and nothing that a path has. */
static bool is_word(const char *argument)
{
    return argument[0] != '-' && !strpbrk(argument, "./");
}

/* What `check` warns of, for a compile that asks for it. */
static void warn(struct arena *arena, const struct model *model, struct diagnostics *diagnostics)
{
    struct work work = {.steps = WORK_STEPS_MAX};
    warnings_check(arena, model, diagnostics, &work);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("sluicec " SLUICE_VERSION);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return EXIT_GOOD;
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return is_word(argv[1]) ? report_unknown(argv[1])
                                : compile_run(&command_compile, argc - 1, argv + 1, warn);
    if (argc > 2 && strcmp(argv[2], "--help") == 0) {
        print_command(stdout, command);
        return EXIT_GOOD;
    }
    return command->run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || failed) {
        fputs("sluicec: standard output: write failed\n", stderr);
        return EXIT_USAGE;
    }
    return status;
}
