#include "runtime/client/arguments.h"

#include <string.h>

const char client_help[] =
    "usage: sluicify [-s SOCKET | SOCKET] [-e NAME[=VALUE]]... [-C DIR | --cwd] [--] COMMAND "
    "[ARG]...\n"
    "       sluicify [-s SOCKET | SOCKET] --list\n"
    "       sluicify --launch [SOCKET] -- COMMAND [ARG]...\n"
    "       sluicify [-s SOCKET | SOCKET] --shims DIR\n"
    "       sluicify --version | --help\n"
    "\n"
    "Asks a broker to run COMMAND on this program's standard input, output and error, and exits as "
    "it\n"
    "does. Called through a link of another name, it asks for the command of that name.\n"
    "\n"
    "  -s SOCKET             the broker's socket, or fd:N for an inherited connection\n"
    "  -e NAME[=VALUE]       send a variable (NAME alone: its value here, if it has one)\n"
    "  -C DIR                send a working directory; --cwd sends the present one\n"
    "      --list            print what the broker runs\n"
    "      --launch          run a COMMAND that inherits a connection, for sandboxes without "
    "sockets\n"
    "      --shims DIR       make a link in DIR for each command that the broker runs\n"
    "\n"
    "A first operand with a '/' is the socket; -s or -- before it makes it the command. Without "
    "either:\n"
    "the connection on descriptor SLUICE_FD, the socket SLUICE_SOCKET, or the one socket in\n"
    "$XDG_RUNTIME_DIR/sluice. SLUICE_ENV=NAME,... and SLUICE_CWD=DIR are as -e and -C.\n"
    "\n"
    "Exit status: the command's; 129 to 140 when the broker refuses (129: no rule), 124 when the "
    "rule's\n"
    "timeout ended it, 125 when sluicify itself fails (no broker, for one).\n";

const char client_operand_hint[] =
    "a first operand with a '/' is the socket; where it is the command: sluicify -- COMMAND";

struct reader {
    char *const *words; /* what is not read yet, NULL at the end */
    struct client_arguments *arguments;
    bool socket_named; /* no operand is the socket any more */
};

/* The options, and where in `words` their values are: each takes the next word, if it takes one. */
enum option {
    OPTION_SOCKET,
    OPTION_VARIABLE,
    OPTION_DIRECTORY,
    OPTION_SHIMS, /* with a value */
    OPTION_HERE,
    OPTION_LIST,
    OPTION_LAUNCH,
    OPTION_NONE
};

static enum option option_find(const char *word)
{
    static const char names[][9] = {
        [OPTION_SOCKET] = "-s",       [OPTION_VARIABLE] = "-e", [OPTION_DIRECTORY] = "-C",
        [OPTION_SHIMS] = "--shims",   [OPTION_HERE] = "--cwd",  [OPTION_LIST] = "--list",
        [OPTION_LAUNCH] = "--launch",
    };
    unsigned option = 0;

    while (option < OPTION_NONE && strcmp(word, names[option]) != 0)
        option++;
    return (enum option)option;
}

static const char *socket_set(struct reader *reader, const char *value)
{
    if (reader->arguments->socket)
        return "more than one socket";
    reader->arguments->socket = value;
    reader->socket_named = true;
    return NULL;
}

static const char *command_choose(struct reader *reader, enum client_command command)
{
    if (reader->arguments->command != CLIENT_CALL)
        return "more than one of --list, --launch and --shims";
    reader->arguments->command = command;
    return NULL;
}

/* `--launch [SOCKET] [--]`: the command follows. */
static const char *launch_choose(struct reader *reader)
{
    const char *problem = command_choose(reader, CLIENT_LAUNCH);
    const char *next = reader->words[1];

    reader->socket_named = true;
    if (problem || !next || next[0] == '-' || reader->arguments->socket)
        return problem;
    reader->words++;
    return socket_set(reader, next);
}

static const char *value_set(struct reader *reader, enum option option, const char *value)
{
    struct client_arguments *arguments = reader->arguments;

    switch (option) {
    case OPTION_SOCKET:
        return socket_set(reader, value);
    case OPTION_VARIABLE:
        if (arguments->variable_count == WIRE_VARIABLES_MAX)
            return "more than 256 variables";
        arguments->variables[arguments->variable_count++] = value;
        return NULL;
    case OPTION_DIRECTORY:
        arguments->working_directory = value;
        return NULL;
    default:
        arguments->directory = value;
        return command_choose(reader, CLIENT_SHIMS);
    }
}

/* Reads one option, and its value if it has one. Returns what is wrong, or NULL. */
static const char *option_read(struct reader *reader)
{
    enum option option = option_find(reader->words[0]);

    if (option == OPTION_NONE)
        return "unknown option ";
    if (option == OPTION_LIST)
        return command_choose(reader, CLIENT_LIST);
    if (option == OPTION_LAUNCH)
        return launch_choose(reader);
    if (option == OPTION_HERE)
        return value_set(reader, OPTION_DIRECTORY, ".");
    if (!reader->words[1])
        return "no value after ";
    reader->words++;
    return value_set(reader, option, reader->words[0]);
}

/* Whether a word asks for the help or the version, wherever options can stand. */
static bool words_ask(struct client_arguments *arguments, const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        arguments->command = CLIENT_HELP;
    else if (strcmp(word, "--version") == 0)
        arguments->command = CLIENT_VERSION;
    else
        return false;
    return true;
}

/* Options, and the operand that is the socket, up to the command. */
static const char *words_read(struct reader *reader, const char **word)
{
    for (; reader->words[0]; reader->words++) {
        *word = reader->words[0];
        if (words_ask(reader->arguments, *word))
            break;
        if (strcmp(*word, "--") == 0) {
            reader->words++;
            break;
        }
        if (**word == '-') {
            const char *problem = option_read(reader);
            if (problem)
                return problem;
        } else if (!reader->socket_named && strchr(*word, '/')) {
            reader->arguments->socket_is_operand = true;
            socket_set(reader, *word);
        } else {
            break;
        }
    }
    *word = NULL;
    return NULL;
}

/* What must be there and what may not, now that it is known what is wanted. */
static const char *words_check(struct client_arguments *arguments, const char **word)
{
    bool runs = arguments->command == CLIENT_CALL || arguments->command == CLIENT_LAUNCH;

    if (arguments->command == CLIENT_HELP || arguments->command == CLIENT_VERSION)
        return NULL;
    if (!runs && !arguments->socket && arguments->word_count == 1) {
        arguments->socket = arguments->words[0];
        return NULL;
    }
    if (runs && arguments->word_count == 0)
        return arguments->socket_is_operand ? "no command after the socket" : "no command";
    if (arguments->command != CLIENT_CALL &&
        (arguments->variable_count > 0 || arguments->working_directory))
        return "-e, -C and --cwd go with a command for the broker only";
    if (!runs && arguments->word_count > 0) {
        *word = arguments->words[0];
        return "too many operands: ";
    }
    return NULL;
}

static void command_set(struct client_arguments *arguments, char *const *words)
{
    arguments->words = words;
    while (words[arguments->word_count])
        arguments->word_count++;
}

const char *client_arguments_read(struct client_arguments *arguments, int argc, char **argv,
                                  const char **word)
{
    struct reader reader = {.words = argv + 1, .arguments = arguments};

    memset(arguments, 0, sizeof(*arguments));
    *word = NULL;
    if (argc < 1)
        return "no program name";
    char *name = argv[0];
    for (char *at = name; *at; at++)
        if (*at == '/')
            name = at + 1;
    if (name[0] != '\0' && strncmp(name, "sluicify", 8) != 0) {
        argv[0] = name;
        command_set(arguments, argv);
        return NULL;
    }
    const char *problem = words_read(&reader, word);
    if (problem)
        return problem;
    command_set(arguments, reader.words);
    return words_check(arguments, word);
}
