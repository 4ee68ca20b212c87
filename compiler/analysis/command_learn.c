/* sluicec learn MANIFEST [RULES]: rules that would have taken what a broker refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/learn.h"
#include "compiler/base/arena.h"
#include "compiler/policy/load.h"

struct learn_options {
    struct options common;
    const char *paths[2]; /* the manifest, the rules */
    size_t path_count;
};

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct learn_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (argument[0] == '-' && argument[1]) {
            enum option_result result = options_take(&options->common, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (options->path_count == 2) {
            return command_misused(command, "a manifest and a rules file, and then '%s'", argument);
        } else {
            options->paths[options->path_count++] = argument;
        }
    }
    return options->path_count ? EXIT_GOOD : command_misused(command, "a manifest is needed");
}

static int learn(const char *path, const struct model *model)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!in) {
        fprintf(stderr, "sluicec: %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    struct arena *arena = arena_new(LOAD_MEMORY_MAX);
    struct work work = {.steps = WORK_STEPS_MAX, .allowed = WORK_STEPS_MAX};
    struct manifest manifest = manifest_read(arena, in);
    bool failed = ferror(in) != 0;
    if (in != stdin)
        fclose(in);
    if (failed) {
        fprintf(stderr, "sluicec: %s: cannot be read\n", path);
    } else {
        struct buffer out = {0};
        if (!learn_propose(arena, &manifest, model, &work, &out))
            buffer_puts(&out, "; nothing to propose: the rules take every call of the manifest\n");
        fwrite(buffer_text(&out), 1, out.length, stdout);
        buffer_free(&out);
    }
    arena_free(arena);
    return failed ? EXIT_USAGE : EXIT_GOOD;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct learn_options options = {0};
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && options.path_count == 1) {
        status = learn(options.paths[0], NULL);
    } else if (status == EXIT_GOOD && !load_policy(&loaded, &options.common, options.paths[1])) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        status = load_report(&loaded, &options.common);
        if (status == EXIT_GOOD && loaded.model)
            status = learn(options.paths[0], loaded.model);
        load_end(&loaded);
    }
    options_free(&options.common);
    return status;
}

const struct command command_learn = {
    .name = "learn",
    .run = run,
    .usage = "learn MANIFEST [RULES]",
    .help = "rules that would have taken the calls of a broker's manifest that RULES do not take:\n"
            "exact ones, and as comments wider ones, with what they would be warned of\n",
};
