/* How long a broker takes from its start to the end of its first call.
 *
 *     start ROUNDS BROKER SOCKET ARGV...
 *
 * Starts BROKER, waits until it says that it serves, makes the call ARGV, and ends it again. Prints
 * the median and the 90th percentile, in microseconds: until it serves, and until the call's end. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/io.h"
#include "tests/bench/caller.h"

#define ROUNDS_MAX 10000
#define READY_DESCRIPTOR "9"

extern char **environ;

struct measured {
    double serves, answered;
};

static struct measured start_once(char *path, char *socket,
                                  const struct caller_request *request, int null)
{
    static char serve[] = "serve", option[] = "--socket", ready_option[] = "--ready-fd",
                ready_number[] = READY_DESCRIPTOR;
    char *const argv[] = {path, serve, option, socket, ready_option, ready_number, NULL};
    posix_spawn_file_actions_t actions;
    int ready[2], status;
    pid_t broker;
    char byte;

    if (pipe2(ready, O_CLOEXEC) < 0)
        caller_fail("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ready[1], atoi(READY_DESCRIPTOR));
    uint64_t begin = clock_monotonic_ns();
    errno = posix_spawn(&broker, path, &actions, NULL, argv, environ);
    if (errno != 0)
        caller_fail(path);
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        caller_fail("the broker did not start");
    uint64_t serves = clock_monotonic_ns();
    int connection = caller_connect(socket);
    caller_call(connection, request, null);
    uint64_t answered = clock_monotonic_ns();
    close(connection);
    close(ready[0]);
    posix_spawn_file_actions_destroy(&actions);
    kill(broker, SIGTERM);
    if (waitpid(broker, &status, 0) != broker || status != 0)
        caller_fail("the broker did not end well");
    return (struct measured){(double)(serves - begin) / 1000, (double)(answered - begin) / 1000};
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    static double serves[ROUNDS_MAX], answered[ROUNDS_MAX];
    struct caller_request request;
    int rounds = argc > 4 ? atoi(argv[1]) : 0;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (rounds < 1 || rounds > ROUNDS_MAX || null < 0) {
        fprintf(stderr, "usage: start ROUNDS BROKER SOCKET ARGV...\n");
        return 2;
    }
    caller_request_make(&request, 2, argv + 4, (uint32_t)argc - 4);
    for (int i = -1; i < rounds; i++) { /* one to warm up */
        struct measured measured = start_once(argv[2], argv[3], &request, null);
        if (i < 0)
            continue;
        serves[i] = measured.serves;
        answered[i] = measured.answered;
    }
    qsort(serves, (size_t)rounds, sizeof *serves, by_value);
    qsort(answered, (size_t)rounds, sizeof *answered, by_value);
    printf("{\"serves_us\": %.1f, \"serves_p90_us\": %.1f, \"first_call_us\": %.1f, "
           "\"first_call_p90_us\": %.1f}\n",
           serves[rounds / 2], serves[rounds * 9 / 10], answered[rounds / 2],
           answered[rounds * 9 / 10]);
    return 0;
}
