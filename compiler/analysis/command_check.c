/* sluicec check RULES: errors, warnings, and a summary of each rule. */
#include <stdio.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/summary.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/load.h"

/* Options and the one path. Returns EXIT_GOOD, or the status to end with. */
static int read_arguments(const struct command *command, int argc, char **argv,
                          struct options *options, const char **path)
{
    bool only_paths = false;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        bool is_option = !only_paths && argument[0] == '-' && argument[1];
        if (is_option && strcmp(argument, "--") == 0) {
            only_paths = true;
        } else if (is_option) {
            enum option_result result = options_take(options, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (*path) {
            return command_misused(command, "one rules file at a time: '%s'", argument);
        } else {
            *path = argument;
        }
    }
    return *path ? EXIT_GOOD : command_misused(command, "a rules file is needed");
}

static void print_summary(const struct model *model)
{
    struct buffer text = {0};
    summary_policy(&text, model);
    for (size_t i = 0; i < model->rule_count && !ferror(stdout); i++) {
        summary_rule(&text, &model->rules[i]);
        fwrite(buffer_text(&text), 1, text.length, stdout);
        buffer_clear(&text);
    }
    buffer_free(&text);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct options options = {0};
    const char *path = NULL;
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options, &path);
    if (status == EXIT_GOOD && !load_policy(&loaded, &options, path))
        status = EXIT_USAGE;
    else if (status == EXIT_GOOD) {
        struct work work = {.steps = WORK_STEPS_MAX};
        if (loaded.model)
            warnings_check(loaded.arena, loaded.model, loaded.diagnostics, &work);
        status = load_report(&loaded, &options);
        if (status == EXIT_GOOD && options.format == DIAGNOSTIC_TEXT)
            print_summary(loaded.model);
        load_end(&loaded);
    }
    options_free(&options);
    return status;
}

const struct command command_check = {
    .name = "check",
    .run = run,
    .usage = "check [-WNAME] [-Wno-NAME] [-Werror=NAME] [--strict] [--diagnostics=json] RULES",
    .help = "errors, warnings, and a summary of each rule; 0: good, 1: errors\n",
};
