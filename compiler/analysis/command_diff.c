/* sluicec diff OLD NEW: what NEW lets through that OLD did not, and the reverse, with witnesses. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compiler/analysis/commands.h"
#include "compiler/analysis/diff.h"
#include "compiler/base/buffer.h"
#include "compiler/policy/load.h"

/* The exit statuses, for a gate in CI. */
#define DIFF_EQUAL 0
#define DIFF_NARROWER 1
#define DIFF_WIDER 3

struct diff_options {
    struct options common;
    bool json;
    const char *paths[2];
    size_t path_count;
};

static const char *const direction_words[] = {[DIRECTION_NARROWER] = "narrower",
                                              [DIRECTION_WIDER] = "wider"};

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct diff_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--json") == 0) {
            options->json = true;
        } else if (argument[0] == '-' && argument[1]) {
            enum option_result result = options_take(&options->common, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (options->path_count == 2) {
            return command_misused(command, "two rules files, and then '%s'", argument);
        } else {
            options->paths[options->path_count++] = argument;
        }
    }
    return options->path_count == 2 ? EXIT_GOOD
                                    : command_misused(command, "two rules files are needed");
}

/* ---- for people ------------------------------------------------------------------------------- */

/* Escapes for a terminal that shows colour; all empty elsewhere. */
struct colours {
    const char *wider, *narrower, *plain;
};

static struct colours colours_for(int descriptor)
{
    if (!isatty(descriptor))
        return (struct colours){"", "", ""};
    return (struct colours){"\033[32m", "\033[31m", "\033[0m"};
}

static void print_changes(struct buffer *out, const struct difference *difference)
{
    for (size_t i = 0; i < difference->change_count; i++)
        buffer_format(out, "    %s: %s -> %s (%s)\n", difference->changes[i].key,
                      difference->changes[i].from, difference->changes[i].to,
                      direction_words[difference->changes[i].direction]);
}

static void print_difference(struct buffer *out, struct arena *arena,
                             const struct difference *difference, const char *const paths[2],
                             struct colours colours)
{
    const char *line = difference->kind == DIFFERENCE_POLICY
                           ? NULL
                           : command_line_text(arena, difference->witness);
    switch (difference->kind) {
    case DIFFERENCE_ACCEPTED:
        buffer_format(out, "%s+ %s%s   %s:%u\n", colours.wider, line, colours.plain, paths[1],
                      difference->new_rule->line);
        break;
    case DIFFERENCE_REFUSED:
        buffer_format(out, "%s- %s%s   %s:%u\n", colours.narrower, line, colours.plain, paths[0],
                      difference->old_rule->line);
        break;
    case DIFFERENCE_DECIDED:
        buffer_format(out, "~ %s   %s:%u -> %s:%u\n", line, paths[0], difference->old_rule->line,
                      paths[1], difference->new_rule->line);
        break;
    case DIFFERENCE_POLICY:
        buffer_format(out, "~ the whole policy   %s -> %s\n", paths[0], paths[1]);
        break;
    }
    if (difference->uncertain)
        buffer_puts(out, "    (only a call can tell: PCRE2 or a raised cap decides)\n");
    print_changes(out, difference);
}

/* Rules named for one limit. */
#define NAMED_MAX 4u

static void print_limit(struct buffer *out, const struct diff_limit *limit, const char *const paths[2])
{
    buffer_format(out, "limit: what the rules for '%s' have in common is not worked out: %s",
                  limit->program, limit->text);
    for (size_t i = 0; i < limit->rule_count && i < NAMED_MAX; i++)
        buffer_format(out, "%s%s:%u", i ? ", " : "; at ", paths[1], limit->rules[i]->line);
    buffer_puts(out, limit->rule_count > NAMED_MAX ? " and others\n" : "\n");
    buffer_puts(out, "    what is beyond it counts as wider; tell these rules apart by a literal word, or "
                     "write them as fewer\n");
}

static void print_text(const struct diff *diff, struct arena *arena, const char *const paths[2])
{
    struct buffer out = {0};
    struct colours colours = colours_for(STDOUT_FILENO);
    for (size_t i = 0; i < diff->count; i++)
        print_difference(&out, arena, &diff->differences[i], paths, colours);
    for (size_t i = 0; i < diff->limit_count; i++)
        print_limit(&out, &diff->limits[i], paths);
    buffer_puts(&out, diff->wider ? diff->narrower ? "wider, and narrower\n" : "wider\n"
                      : diff->narrower ? "narrower\n"
                                       : "equal\n");
    fwrite(buffer_text(&out), 1, out.length, stdout);
    buffer_free(&out);
}

/* ---- for programs ----------------------------------------------------------------------------- */

static void json_string(struct buffer *out, const char *key, const char *text)
{
    buffer_format(out, ",\"%s\":", key);
    buffer_json_string(out, text, strlen(text));
}

static void json_difference(struct buffer *out, const struct difference *difference)
{
    static const char *const kinds[] = {[DIFFERENCE_ACCEPTED] = "accepted",
                                        [DIFFERENCE_REFUSED] = "refused",
                                        [DIFFERENCE_DECIDED] = "decided",
                                        [DIFFERENCE_POLICY] = "policy"};
    buffer_format(out, "{\"kind\":\"%s\",\"uncertain\":%s", kinds[difference->kind],
                  difference->uncertain ? "true" : "false");
    if (difference->kind != DIFFERENCE_POLICY) {
        buffer_puts(out, ",\"argv\":[");
        for (size_t i = 0; i < difference->witness.count; i++) {
            if (i)
                buffer_char(out, ',');
            buffer_json_string(out, difference->witness.arguments[i],
                               difference->witness.lengths[i]);
        }
        buffer_char(out, ']');
    }
    if (difference->old_rule)
        buffer_format(out, ",\"old_line\":%u", difference->old_rule->line);
    if (difference->new_rule)
        buffer_format(out, ",\"new_line\":%u", difference->new_rule->line);
    buffer_puts(out, ",\"changes\":[");
    for (size_t i = 0; i < difference->change_count; i++) {
        const struct change *change = &difference->changes[i];
        buffer_format(out, "%s{\"direction\":\"%s\"", i ? "," : "",
                      direction_words[change->direction]);
        json_string(out, "key", change->key);
        json_string(out, "from", change->from);
        json_string(out, "to", change->to);
        buffer_char(out, '}');
    }
    buffer_puts(out, "]}");
}

static void json_limit(struct buffer *out, const struct diff_limit *limit, bool follows)
{
    buffer_format(out, "%s{\"lines\":[", follows ? "," : "");
    for (size_t i = 0; i < limit->rule_count; i++)
        buffer_format(out, "%s%u", i ? "," : "", limit->rules[i]->line);
    buffer_char(out, ']');
    json_string(out, "program", limit->program);
    json_string(out, "limit", limit->text);
    buffer_char(out, '}');
}

static void print_json(const struct diff *diff, const char *const paths[2])
{
    struct buffer out = {0};
    buffer_format(&out, "{\"wider\":%s,\"narrower\":%s,\"complete\":%s",
                  diff->wider ? "true" : "false", diff->narrower ? "true" : "false",
                  diff->limit_count ? "false" : "true");
    json_string(&out, "old", paths[0]);
    json_string(&out, "new", paths[1]);
    buffer_puts(&out, ",\"differences\":[");
    for (size_t i = 0; i < diff->count; i++) {
        if (i)
            buffer_char(&out, ',');
        json_difference(&out, &diff->differences[i]);
    }
    buffer_puts(&out, "],\"limits\":[");
    for (size_t i = 0; i < diff->limit_count; i++)
        json_limit(&out, &diff->limits[i], i > 0);
    buffer_puts(&out, "]}\n");
    fwrite(buffer_text(&out), 1, out.length, stdout);
    buffer_free(&out);
}

/* ---- the command ------------------------------------------------------------------------------- */

static int diff_loaded(struct loaded loaded[2], const struct diff_options *options)
{
    int status = load_report(&loaded[0], &options->common);
    int second = load_report(&loaded[1], &options->common);
    /* Rules with errors end as wrong usage does: 1 means "narrower" here. */
    if (status != EXIT_GOOD || second != EXIT_GOOD || !loaded[0].model || !loaded[1].model)
        return EXIT_USAGE;
    struct diff diff = diff_models(loaded[1].arena, loaded[0].model, loaded[1].model);
    if (options->json)
        print_json(&diff, options->paths);
    else
        print_text(&diff, loaded[1].arena, options->paths);
    return diff.wider ? DIFF_WIDER : diff.narrower ? DIFF_NARROWER : DIFF_EQUAL;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct diff_options options = {0};
    struct loaded loaded[2];
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && !load_policy(&loaded[0], &options.common, options.paths[0])) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        if (load_policy(&loaded[1], &options.common, options.paths[1])) {
            status = diff_loaded(loaded, &options);
            load_end(&loaded[1]);
        } else {
            status = EXIT_USAGE;
        }
        load_end(&loaded[0]);
    }
    options_free(&options.common);
    return status;
}

const struct command command_diff = {
    .name = "diff",
    .run = run,
    .usage = "diff [--json] OLD NEW",
    .help = "what NEW lets through that OLD did not, and the reverse, each with a command line\n"
            "that shows it; 0: equal, 1: only narrower, 3: wider, 2: could not tell\n",
};
