/* sluicify: asks a broker to run a command.
 *
 * Privileges: those of whoever calls it, and none that it gains; it is not set-user-ID and must not
 * be. Inputs: its command line, its environment and what the broker answers. Its compromise gives
 * what its caller has already. */
#define _GNU_SOURCE 1 /* environ */

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/client/arguments.h"
#include "runtime/client/call.h"
#include "runtime/client/display.h"
#include "runtime/client/launch.h"
#include "runtime/client/place.h"
#include "runtime/client/shims.h"
#include "runtime/shared/descriptors.h"

static int fail(const char *what, const char *word)
{
    display_complain(what, word, NULL, NULL);
    return CLIENT_FAILURE;
}

static int print(const char *text)
{
    struct display display;

    display_start(&display, STDOUT_FILENO);
    display_append(&display, text);
    return display_finish(&display) == 0 ? 0 : CLIENT_FAILURE;
}

/* The variable of this process's environment whose name is the `length` bytes at `name`, as
 * "NAME=value", or NULL. */
static const char *environment_find(const char *name, size_t length)
{
    for (size_t i = 0; environ && environ[i]; i++)
        if (strncmp(environ[i], name, length) == 0 && environ[i][length] == '=')
            return environ[i];
    return NULL;
}

struct variables {
    const char
        *list[WIRE_VARIABLES_MAX + 1]; /* one more than can be sent, so that too many is seen */
    size_t count;
};

static void variables_add(struct variables *variables, const char *variable)
{
    if (variable && variables->count <= WIRE_VARIABLES_MAX)
        variables->list[variables->count++] = variable;
}

static bool variables_have(const struct variables *variables, const char *name, size_t length)
{
    for (size_t i = 0; i < variables->count; i++)
        if (strncmp(variables->list[i], name, length) == 0 && variables->list[i][length] == '=')
            return true;
    return false;
}

/* What -e and SLUICE_ENV ask for; -e goes first where both name one. */
static void variables_collect(struct variables *variables, const struct client_arguments *arguments)
{
    const char *names = getenv("SLUICE_ENV");

    variables->count = 0;
    for (size_t i = 0; i < arguments->variable_count; i++) {
        const char *variable = arguments->variables[i];
        variables_add(variables, strchr(variable, '=')
                                     ? variable
                                     : environment_find(variable, strlen(variable)));
    }
    while (names && *names) {
        const char *comma = strchr(names, ',');
        size_t length = comma ? (size_t)(comma - names) : strlen(names);
        if (length > 0 && !variables_have(variables, names, length))
            variables_add(variables, environment_find(names, length));
        names += length + (comma ? 1 : 0);
    }
}

/* The present directory, as the kernel has it. The library's getcwd(3) brings an allocator with it.
 */
static const char *present_directory(char *buffer, size_t capacity)
{
    /* "(unreachable)..." for one that is outside of this process's root. */
    return syscall(SYS_getcwd, buffer, capacity) > 0 && buffer[0] == '/' ? buffer : NULL;
}

/* The directory that is asked for, absolute and without symbolic links, which the broker does not
 * follow; written to `buffer`. One that this process cannot enter may be one that the broker can:
 * it is sent as it is. Returns NULL for neither. */
static const char *working_directory_find(const char *wanted, char *buffer, size_t capacity)
{
    cleanup_fd int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *found = wanted[0] == '/' ? wanted : NULL;

    if (strcmp(wanted, ".") == 0)
        return present_directory(buffer, capacity);
    if (here < 0 || chdir(wanted) < 0)
        return found;
    if (present_directory(buffer, capacity))
        found = buffer;
    return fchdir(here) == 0 ? found : NULL;
}

static int call(const struct client_arguments *arguments, struct client_place *place)
{
    struct variables variables;
    char directory[PATH_MAX];
    const char *wanted = arguments->working_directory;
    const char *working_directory = NULL;

    if (!wanted)
        wanted = getenv("SLUICE_CWD");
    variables_collect(&variables, arguments);
    if (wanted && wanted[0] != '\0') {
        working_directory = working_directory_find(wanted, directory, sizeof(directory));
        if (!working_directory)
            return fail("no such directory: ", wanted);
    }
    if (client_place_move(place) < 0)
        return fail("cannot open /dev/null", NULL);
    struct sluicify_request request = {
        .argument_count = arguments->word_count,
        .arguments = (const char *const *)arguments->words,
        .variable_count = variables.count,
        .variables = variables.list,
        .working_directory = working_directory,
        .descriptors = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
    };
    return client_call_run(place, &request);
}

int main(int argc, char **argv)
{
    struct client_arguments arguments;
    struct client_place place;
    const char *word;

    if (descriptors_fill_standard() < 0)
        return fail("cannot open /dev/null", NULL);
    const char *problem = client_arguments_read(&arguments, argc, argv, &word);
    if (problem) {
        display_complain(problem, word, "; ",
                         arguments.socket_is_operand ? client_operand_hint
                                                     : "try: sluicify --help");
        return CLIENT_FAILURE;
    }
    if (arguments.command == CLIENT_HELP)
        return print(client_help);
    if (arguments.command == CLIENT_VERSION)
        return print("sluicify " SLUICE_VERSION "\n");
    place.is_operand = arguments.socket_is_operand;
    if (client_place_find(&place, arguments.socket) < 0) {
        display_complain(place.name ? "no broker at " : "no broker", place.name, ": ",
                         place.problem);
        return CLIENT_FAILURE;
    }
    if (arguments.command == CLIENT_LIST)
        return client_list_run(&place);
    if (arguments.command == CLIENT_SHIMS)
        return client_shims_run(&place, arguments.directory);
    if (arguments.command == CLIENT_LAUNCH)
        return client_launch_run(&place, arguments.words);
    return call(&arguments, &place);
}
