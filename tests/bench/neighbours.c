/* What a neighbour's calls cost while others misuse the broker: latencies of whole calls, one after the
 * other on connections of their own, for people who wonder whose fault it is.
 *
 *   neighbours SOCKET CALLS TROUBLE
 *
 * TROUBLE is what others do meanwhile: none; idle (4,095 greeted connections); silent (2,000 that never send,
 * made anew when they are closed); half-open (connections shut down at once, as fast as they go); unread
 * (callers of captured output who never read it); refused (requests that no rule takes, as fast as they
 * go). Prints one JSON object; microseconds. The rules must have `true`, `refuse me` and `flood`. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/wire.h"

#define CALLS_MAX 1000000u
#define IDLE 4095u /* with the neighbour's own, as many as a broker takes */
#define SILENT 2000u
#define UNREAD 16u
#define FLOODERS 2u

static const char *socket_path;
static int null_descriptor;

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "neighbours: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    strncpy(to.sun_path, socket_path, sizeof(to.sun_path) - 1);
    if (connection < 0 || connect(connection, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connecting");
    return connection;
}

/* Sends a version 1 call of one or two words. */
static void call_send(int connection, const char *first, const char *second, int output)
{
    struct policy_bytes words[2] = {{first, (uint32_t)strlen(first)}, {second, 0}};
    struct wire_call call = {.argument_count = second ? 2 : 1, .arguments = words};
    const int descriptors[3] = {null_descriptor, output, null_descriptor};
    char frame[256];
    struct iovec part = {.iov_base = frame};

    if (second)
        words[1].length = (uint32_t)strlen(second);
    size_t header = wire_call_header_encode(1, 0, frame);
    wire_body_encode(1, &call, frame + header);
    part.iov_len = header + wire_body_size(1, &call);
    if (message_send(connection, &part, 1, descriptors, 3) < 0)
        die("sending");
}

static int32_t answer_read(int connection)
{
    struct wire_reply reply;
    char bytes[256];
    ssize_t got = recv(connection, bytes, sizeof(bytes), 0);

    if (got <= 0 || wire_reply_decode(&reply, bytes, (size_t)got))
        die("reading an answer");
    return reply.status;
}

static int32_t call_make(const char *first, const char *second)
{
    int connection = dial();

    call_send(connection, first, second, null_descriptor);
    int32_t status = answer_read(connection);
    close(connection);
    return status;
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void greeted_hold(void)
{
    char frame[16];
    struct iovec part = {.iov_base = frame,
                         .iov_len = wire_frame_encode(2, WIRE_HELLO, 0, frame)};

    for (unsigned i = 0; i < IDLE; i++) {
        int connection = dial();
        if (message_send(connection, &part, 1, NULL, 0) < 0 || answer_read(connection) != 0)
            die("greeting");
    }
}

/* Runs `trouble` in a process of its own, which ends with this one. */
static void aside(void (*trouble)(void))
{
    pid_t parent = getpid();
    pid_t child = fork();

    if (child < 0)
        die("fork");
    if (child != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        trouble();
    _exit(0);
}

static void keep_silent(void)
{
    static struct pollfd peers[SILENT];

    for (unsigned i = 0; i < SILENT; i++)
        peers[i] = (struct pollfd){.fd = dial(), .events = POLLIN};
    for (;;) {
        poll(peers, SILENT, -1);
        for (unsigned i = 0; i < SILENT; i++) {
            if (peers[i].revents == 0)
                continue;
            close(peers[i].fd);
            peers[i].fd = dial();
        }
    }
}

static void half_open(void)
{
    char byte;

    for (;;) {
        int connection = dial();
        shutdown(connection, SHUT_WR);
        while (recv(connection, &byte, 1, 0) > 0)
            continue;
        close(connection);
    }
}

static void flood_of_refused(void)
{
    for (;;)
        if (call_make("refuse", "me") != WIRE_NO_RULE)
            die("a flood");
}

static void never_read(void)
{
    for (unsigned i = 0; i < UNREAD; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            die("pipe");
        call_send(dial(), "flood", NULL, ends[1]);
    }
    for (;;)
        pause();
}

static bool trouble_begin(const char *name)
{
    if (strcmp(name, "idle") == 0) {
        greeted_hold();
    } else if (strcmp(name, "silent") == 0) {
        aside(keep_silent);
    } else if (strcmp(name, "half-open") == 0) {
        for (unsigned i = 0; i < FLOODERS; i++)
            aside(half_open);
    } else if (strcmp(name, "unread") == 0) {
        aside(never_read);
    } else if (strcmp(name, "refused") == 0) {
        for (unsigned i = 0; i < FLOODERS; i++)
            aside(flood_of_refused);
    } else if (strcmp(name, "none") != 0) {
        return false;
    }
    /* What goes on aside is under way before anything is measured. */
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    return true;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(const char *key, const char *first, const char *second, int32_t expected,
                    double *samples, unsigned calls)
{
    for (unsigned i = 0; i < calls; i++) {
        double began = now_us();
        int32_t status = call_make(first, second);
        samples[i] = now_us() - began;
        if (status != expected) {
            fprintf(stderr, "neighbours: status %d, not %d\n", status, expected);
            exit(1);
        }
    }
    qsort(samples, calls, sizeof(*samples), compare);
    printf("\"%s\": {\"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f}", key, samples[calls / 2],
           samples[calls - 1 - calls / 100], samples[calls - 1]);
}

int main(int argc, char **argv)
{
    unsigned calls = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    struct rlimit limit;

    if (calls < 1 || calls > CALLS_MAX) {
        fprintf(stderr, "usage: neighbours SOCKET CALLS TROUBLE\n");
        return 2;
    }
    socket_path = argv[1];
    null_descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
    double *samples = calloc(calls, sizeof(*samples));
    if (null_descriptor < 0 || !samples || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("starting");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (!trouble_begin(argv[3])) {
        fprintf(stderr, "neighbours: no such trouble: %s\n", argv[3]);
        return 2;
    }
    printf("{\"trouble\": \"%s\", \"calls\": %u, ", argv[3], calls);
    measure("call", "true", NULL, 0, samples, calls);
    printf(", ");
    measure("refusal", "refuse", "me", WIRE_NO_RULE, samples, calls);
    printf("}\n");
    return 0;
}
