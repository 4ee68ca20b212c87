#include "runtime/broker/options.h"

#include <stddef.h>
#include <string.h>

#include "runtime/shared/io.h"

#define DESCRIPTOR_MAX 1048576u

const char options_help[] =
    "usage: agent-broker [serve] [--socket PATH] [--ready-fd N]\n"
    "       agent-broker match ARGV...      which rule takes a command line; runs nothing\n"
    "       agent-broker list [--json]      what this broker runs\n"
    "       agent-broker policy [--json]    the rules it was made from\n"
    "       agent-broker check-host         what this host lacks for these rules\n"
    "       agent-broker --version | --help\n"
    "\n"
    "Signals: HUP reopens the audit trail and becomes a newer broker, TERM and INT end it,\n"
    "USR1 prints one line of status.\n";

static const struct {
    const char *word;
    enum options_command command;
} commands[] = {
    {"serve", COMMAND_SERVE},       {"match", COMMAND_MATCH},
    {"list", COMMAND_LIST},         {"policy", COMMAND_POLICY},
    {"check-host", COMMAND_CHECK_HOST}, {"--version", COMMAND_VERSION},
    {"--help", COMMAND_HELP},       {"-h", COMMAND_HELP},
};

/* The words of a command line that are still to be read. */
struct words {
    char *const *at;
    const char *value; /* of the option that was read last: after "=", or the word after it */
};

/* Whether the next word is option `name`; takes it and its value. A missing value is NULL. */
static bool option_take(struct words *words, const char *name)
{
    size_t length = strlen(name);
    const char *word = *words->at;

    if (strncmp(word, name, length) != 0 || (word[length] != '\0' && word[length] != '='))
        return false;
    words->at++;
    words->value = NULL;
    if (word[length] == '=')
        words->value = word + length + 1;
    else if (*words->at)
        words->value = *words->at++;
    return true;
}

static bool number_read(const char *text, uint64_t maximum, uint64_t *number)
{
    return text && text_to_unsigned(text, maximum, number);
}

static const char *serve_read(struct options *options, struct words *words, const char **word)
{
    uint64_t number;

    while (*words->at) {
        *word = *words->at;
        if (option_take(words, "--socket")) {
            options->socket = words->value;
            if (!options->socket || options->socket[0] == '\0')
                return "a path must follow";
        } else if (option_take(words, "--ready-fd")) {
            if (!number_read(words->value, DESCRIPTOR_MAX, &number))
                return "a descriptor's number must follow";
            options->ready_descriptor = (int)number;
        } else if (option_take(words, "--resume")) {
            if (!number_read(words->value, DESCRIPTOR_MAX, &number))
                return "a descriptor's number must follow";
            options->resume = (int)number;
        } else {
            return "serve does not know";
        }
    }
    return NULL;
}

static const char *check_host_read(struct options *options, struct words *words, const char **word)
{
    uint64_t number;

    while (*words->at) {
        *word = *words->at;
        if (option_take(words, "--socket")) {
            options->socket = words->value;
            if (!options->socket || options->socket[0] == '\0')
                return "a path must follow";
        } else if (option_take(words, "--takes-over")) {
            if (!number_read(words->value, UINT32_MAX, &number) || number == 0)
                return "a number must follow";
            options->takes_over = (uint32_t)number;
        } else if (option_take(words, "--inherits")) {
            if (!number_read(words->value, UINT64_MAX, &options->inherits))
                return "a number must follow";
        } else {
            return "check-host does not know";
        }
    }
    return NULL;
}

static const char *command_read(struct options *options, struct words *words, const char **word)
{
    switch (options->command) {
    case COMMAND_SERVE:
        return serve_read(options, words, word);
    case COMMAND_CHECK_HOST:
        return check_host_read(options, words, word);
    case COMMAND_MATCH:
        if (*words->at && strcmp(*words->at, "--") == 0)
            words->at++;
        options->arguments = (const char *const *)words->at;
        while (words->at[options->argument_count])
            options->argument_count++;
        return options->argument_count > 0 ? NULL : "match needs a command line";
    case COMMAND_LIST:
    case COMMAND_POLICY:
        if (*words->at && strcmp(*words->at, "--json") == 0) {
            options->json = true;
            words->at++;
        }
        break;
    case COMMAND_VERSION:
    case COMMAND_HELP:
        break;
    }
    *word = *words->at;
    return *word ? "one word too many" : NULL;
}

const char *options_read(struct options *options, int argc, char *const *argv, const char **word)
{
    struct words words = {.at = argc > 0 ? argv + 1 : argv};

    *options = (struct options){.command = COMMAND_SERVE, .ready_descriptor = -1, .resume = -1};
    *word = NULL;
    if (*words.at && (words.at[0][0] != '-' || strncmp(*words.at, "--socket", 8) != 0)) {
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(*words.at, commands[i].word) != 0)
                continue;
            options->command = commands[i].command;
            words.at++;
            return command_read(options, &words, word);
        }
        if (words.at[0][0] != '-') {
            *word = *words.at;
            return "no such command";
        }
    }
    return serve_read(options, &words, word);
}
