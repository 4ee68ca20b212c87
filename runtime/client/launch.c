#define _GNU_SOURCE 1 /* execvpe */

#include "runtime/client/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/client/call.h"
#include "runtime/client/display.h"
#include "runtime/shared/descriptors.h"

/* Where the connection is put if it can be: shells and scripts use the small numbers by hand. */
#define LAUNCH_DESCRIPTOR 100

#define HELLO_TIMEOUT_MS 10000

static int launch_fail(const char *what, const char *word, int exit_code)
{
    display_complain(what, word, ": ", strerror(errno));
    return exit_code;
}

/* A greeted connection on a descriptor that survives exec. Returns it, or the negative exit code of
 * a failure that has been told. */
static int connection_make(const struct client_place *place)
{
    struct sluicify_exchange exchange;
    struct sluicify_answer answer = {0};
    cleanup_fd int connection = -1;
    int exit_code = 0;

    int result = sluicify_exchange_finish(&exchange, &place->address, SLUICIFY_HELLO, NULL,
                                          HELLO_TIMEOUT_MS, &answer);
    if (result != SLUICIFY_ANSWERED)
        exit_code = client_report_error(place, &exchange, NULL, result);
    else if (answer.status != 0)
        exit_code = client_report_answer(NULL, &answer);
    else
        connection = sluicify_exchange_take_connection(&exchange);
    sluicify_exchange_close(&exchange);
    if (exit_code != 0)
        return -exit_code;

    int inherited = fcntl(connection, F_DUPFD, LAUNCH_DESCRIPTOR);
    if (inherited < 0)
        inherited = fcntl(connection, F_DUPFD, 3);
    if (inherited < 0)
        return -launch_fail("cannot keep the connection", NULL, CLIENT_FAILURE);
    return inherited;
}

/* An inherited connection is passed on as it is. */
static int connection_pass_on(const struct client_place *place)
{
    int descriptor = place->address.descriptor;
    int flags = fcntl(descriptor, F_GETFD);

    if (flags < 0 || fcntl(descriptor, F_SETFD, flags & ~FD_CLOEXEC) < 0)
        return -launch_fail("cannot keep the connection", NULL, CLIENT_FAILURE);
    return descriptor;
}

/* The environment with `variable` in the place of every one of its name (`name_length` bytes, the
 * '=' included). NULL: no memory. */
static char **environment_make(char *variable, size_t name_length)
{
    size_t count = 0, kept = 0;

    while (environ && environ[count])
        count++;
    char **made = mmap(NULL, (count + 2) * sizeof(*made), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], variable, name_length) != 0)
            made[kept++] = environ[i];
    made[kept] = variable;
    return made;
}

int client_launch_run(const struct client_place *place, char *const *words)
{
    static const char name[] = "SLUICE_FD=";
    char variable[32];
    struct text text;

    int connection = place->address.path ? connection_make(place) : connection_pass_on(place);
    if (connection < 0)
        return -connection;
    text_start(&text, variable, sizeof(variable));
    text_append(&text, name);
    text_append_signed(&text, connection);
    char **environment = environment_make(variable, sizeof(name) - 1);
    if (!environment)
        return launch_fail("cannot start ", words[0], CLIENT_FAILURE);
    execvpe(words[0], words, environment);
    return launch_fail("cannot start ", words[0], errno == ENOENT || errno == ENOTDIR ? 127 : 126);
}
