/* sluicec RULES -o OUT, and sluicec --emit DIR RULES. */
#include <stdio.h>
#include <string.h>

#include "compiler/emit/build.h"
#include "compiler/emit/commands.h"
#include "compiler/policy/load.h"

struct compile_options {
    struct options common;
    struct build_options build;
    const char *emit; /* --emit: the folder */
    const char *path;
};

/* An option with a value, as the next argument or behind "=". Where it was one, *value is set; false
 * when the value is missing. */
static bool take_value(const char *name, int argc, char **argv, int *at, const char **value)
{
    size_t length = strlen(name);
    const char *argument = argv[*at];
    if (strncmp(argument, name, length) != 0)
        return true;
    if (argument[length] == '=' && argument[1] == '-') {
        *value = argument + length + 1;
        return true;
    }
    if (argument[length])
        return true;
    if (*at + 1 >= argc)
        return false;
    *value = argv[++*at];
    return true;
}

/* One option at argv[*at]. Returns EXIT_GOOD or the status to end with. */
static int read_option(const struct command *command, int argc, char **argv, int *at,
                       struct compile_options *options)
{
    const struct {
        const char *name;
        const char **value;
    } valued[] = {
        {"-o", &options->build.output},         {"--output", &options->build.output},
        {"--emit", &options->emit},             {"--cc", &options->build.cc},
        {"--target", &options->build.target},   {"--runtime", &options->build.runtime},
    };
    const char *argument = argv[*at];
    if (strcmp(argument, "--timings") == 0) {
        options->build.timings = true;
        return EXIT_GOOD;
    }
    for (size_t i = 0; i < sizeof valued / sizeof valued[0]; i++) {
        const char *value = NULL;
        if (!take_value(valued[i].name, argc, argv, at, &value))
            return command_misused(command, "%s needs a value", argument);
        if (value) {
            *valued[i].value = value;
            return EXIT_GOOD;
        }
    }
    switch (options_take(&options->common, argument)) {
    case OPTION_TAKEN:
        return EXIT_GOOD;
    case OPTION_WRONG:
        return EXIT_USAGE;
    case OPTION_UNKNOWN:
        break;
    }
    return command_misused(command, "unknown option '%s'", argument);
}

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct compile_options *options)
{
    bool only_paths = false;
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (!only_paths && strcmp(argument, "--") == 0) {
            only_paths = true;
        } else if (!only_paths && argument[0] == '-' && argument[1]) {
            int status = read_option(command, argc, argv, &i, options);
            if (status != EXIT_GOOD)
                return status;
        } else if (options->path) {
            return command_misused(command, "one rules file at a time: '%s'", argument);
        } else {
            options->path = argument;
        }
    }
    if (!options->path)
        return command_misused(command, "a rules file is needed");
    if (!options->build.output && !options->emit)
        return command_misused(command, "-o OUT or --emit DIR is needed");
    return EXIT_GOOD;
}

/* Warnings where they are asked for; EXIT_RULES when one of them counts as an error. */
static int warn(struct loaded *loaded, const struct options *options, compile_warner *warner)
{
    if (!loaded->model || (!options->strict && !options->warning_count))
        return EXIT_GOOD;
    warner(loaded->arena, loaded->model, loaded->diagnostics);
    return load_report(loaded, options);
}

static int compile_loaded(struct loaded *loaded, const struct compile_options *options,
                          compile_warner *warner)
{
    enum build_result result = BUILD_DONE;
    if (warn(loaded, &options->common, warner) != EXIT_GOOD)
        return EXIT_RULES;
    if (loaded->model && options->emit)
        result = build_sources(loaded->arena, loaded->model, options->emit, loaded->diagnostics);
    if (loaded->model && result == BUILD_DONE && options->build.output)
        result = build_broker(loaded->arena, loaded->model, &options->build, loaded->diagnostics);
    int status = load_report(loaded, &options->common);
    return result == BUILD_DONE ? status : (int)result;
}

int compile_run(const struct command *command, int argc, char **argv, compile_warner *warner)
{
    struct compile_options options = {0};
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && !load_policy(&loaded, &options.common, options.path)) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        status = compile_loaded(&loaded, &options, warner);
        load_end(&loaded);
    }
    options_free(&options.common);
    return status;
}

const struct command command_compile = {
    .name = "",
    .usage = "[-o OUT] [--emit DIR] [--cc CC] [--target TRIPLE] [--runtime DIR] [--timings] [--strict] RULES",
    .help = "compiles a rules file into a broker (-o), or writes its generated sources (--emit);\n"
            "--strict, -Werror=NAME: nothing where check warns\n",
};
