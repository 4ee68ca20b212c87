/* sluicec match RULES ARGV...: which rule takes a command line, or why none does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/refusal.h"
#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"
#include "compiler/policy/load.h"

#define EXIT_NO_MATCH 1

/* `$HOME/...` words stand for what they would if a broker were started here and now. */
static const struct policy_bytes *expand(struct arena *arena, const struct model *model)
{
    const char *home = getenv("HOME");
    struct policy_bytes *expansions =
        arena_array(arena, model->expansion_count, sizeof *expansions);
    for (size_t i = 0; i < model->expansion_count; i++) {
        const char *text = arena_format(arena, "%s%s", home ? home : "",
                                        model->expansions[i].pieces[1].text);
        expansions[i] = (struct policy_bytes){text, (uint32_t)strlen(text)};
    }
    return expansions;
}

static bool is_utf8(const char *text)
{
    for (size_t left = strlen(text), taken; left; text += taken, left -= taken) {
        uint32_t scalar;
        taken = utf8_decode(text, left, &scalar);
        if (scalar == UTF8_INVALID)
            return false;
    }
    return true;
}

static bool read_request(struct arena *arena, const struct model *model, int count, char **words,
                         struct policy_request *request)
{
    struct policy_bytes *arguments = arena_array(arena, (size_t)count, sizeof *arguments);
    for (int i = 0; i < count; i++) {
        if (!is_utf8(words[i])) {
            printf("token %d is not UTF-8: a broker refuses such a request\n", i + 1);
            return false;
        }
        arguments[i] = (struct policy_bytes){words[i], (uint32_t)strlen(words[i])};
    }
    *request = (struct policy_request){(uint32_t)count, arguments, expand(arena, model)};
    return true;
}

static void add_match(struct buffer *out, const struct model *model, const struct matching *found)
{
    buffer_format(out, "%s:%u: %s\n", model->file, found->rule->line, found->rule->text);
    for (size_t i = 0; i < found->bindings.count; i++) {
        const struct binding *binding = &found->bindings.items[i];
        buffer_format(out, "    #%s = ", found->rule->slots[binding->slot].name);
        show_value(out, binding->value);
        buffer_char(out, '\n');
    }
}

static int answer(struct loaded *loaded, int count, char **words)
{
    struct policy_request request;
    if (!read_request(loaded->arena, loaded->model, count, words, &request))
        return EXIT_NO_MATCH;
    struct matching found = matching_find(loaded->arena, loaded->model, &request);
    struct buffer out = {0};
    if (found.verdict == POLICY_YES)
        add_match(&out, loaded->model, &found);
    else
        refusal_explain(&out, loaded->arena, loaded->model, &request, &found);
    fwrite(buffer_text(&out), 1, out.length, stdout);
    buffer_free(&out);
    return found.verdict == POLICY_YES ? EXIT_GOOD : EXIT_NO_MATCH;
}

/* Errors of the rules are EXIT_USAGE here: 1 says that no rule matches. */
static int match(const struct options *options, const char *path, int count, char **words)
{
    struct loaded loaded;
    if (!load_policy(&loaded, options, path))
        return EXIT_USAGE;
    int status = EXIT_USAGE;
    if (load_report(&loaded, options) == EXIT_GOOD && loaded.model)
        status = answer(&loaded, count, words);
    load_end(&loaded);
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct options options = {0};
    int at = 1, status = EXIT_GOOD;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] && status == EXIT_GOOD; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        enum option_result result = options_take(&options, argv[at]);
        if (result == OPTION_UNKNOWN)
            status = command_misused(command, "unknown option '%s'", argv[at]);
        else if (result == OPTION_WRONG)
            status = EXIT_USAGE;
    }
    if (status == EXIT_GOOD && argc - at < 2)
        status = command_misused(command, "a rules file and a command line are needed");
    if (status == EXIT_GOOD)
        status = match(&options, argv[at], argc - at - 1, argv + at + 1);
    options_free(&options);
    return status;
}

const struct command command_match = {
    .name = "match",
    .run = run,
    .usage = "match [OPTIONS] RULES PROGRAM [ARGUMENT...]",
    .help = "which rule takes the command line, and its slots' values; or the nearest rule and\n"
            "why not; 0: a rule does, 1: none does, 2: the rules have errors\n",
};
