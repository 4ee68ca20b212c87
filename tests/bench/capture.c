/* How fast capture is: the same bytes through it and through tee(1), and what it costs a short
 * call.
 *
 *     capture [MEBIBYTES [ROUNDS [DIRECTORY]]]        default: 1024 5 /tmp
 *
 * Each round passes MEBIBYTES from a process that writes 64 KiB at a time to one that reads as
 * much, once through tee(1) and once through a capture, with a file in DIRECTORY. The rounds are
 * interleaved and the median counts, so that what else the machine does hits both. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/broker/capture.h"
#include "runtime/broker/paths.h"
#include "runtime/shared/io.h"

#define BLOCK 65536u
#define ROUNDS_MAX 101
#define SHORT_CALLS 2000

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void keep_only(int descriptor)
{
    for (int other = 3; other < 64; other++)
        if (other != descriptor)
            close(other);
}

static pid_t fork_or_fail(void)
{
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    return child;
}

static pid_t producer_start(int descriptor, uint64_t length)
{
    static char block[BLOCK];
    pid_t child = fork_or_fail();
    if (child > 0)
        return child;
    keep_only(descriptor);
    memset(block, 'x', sizeof block);
    for (; length > 0; length -= BLOCK)
        if (write_whole(descriptor, block, BLOCK) != 0)
            _exit(1);
    _exit(0);
}

static pid_t consumer_start(int descriptor, uint64_t length)
{
    static char block[BLOCK];
    pid_t child = fork_or_fail();
    if (child > 0)
        return child;
    keep_only(descriptor);
    uint64_t have = 0;
    for (ssize_t count; (count = read(descriptor, block, sizeof block)) > 0;)
        have += (uint64_t)count;
    _exit(have == length ? 0 : 1);
}

static void expect_success(pid_t child, const char *what)
{
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static void file_check(const char *path, uint64_t length)
{
    struct stat status;
    if (stat(path, &status) < 0 || (uint64_t)status.st_size != length) {
        fprintf(stderr, "%s has not all bytes\n", path);
        exit(1);
    }
    unlink(path);
}

static void pipe_open(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
}

/* What a run took: seconds by the clock, and of processor time by all its processes. */
struct cost {
    double wall, processor;
};

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* Of the processes that have been waited for. */
static double processor_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
}

static struct cost cost_now(void)
{
    return (struct cost){(double)clock_monotonic_ns() / 1e9, processor_time()};
}

static struct cost cost_since(struct cost begun)
{
    struct cost now = cost_now();
    return (struct cost){now.wall - begun.wall, now.processor - begun.processor};
}

/* `length` bytes through tee(1). */
static struct cost tee_run(const char *path, uint64_t length)
{
    int in[2], out[2];
    pipe_open(in);
    pipe_open(out);
    struct cost begun = cost_now();
    pid_t producer = producer_start(in[1], length);
    pid_t consumer = consumer_start(out[0], length);
    pid_t tee = fork_or_fail();
    if (tee == 0) {
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
            _exit(1);
        execlp("tee", "tee", path, NULL);
        _exit(127);
    }
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    expect_success(producer, "the producer");
    expect_success(tee, "tee");
    expect_success(consumer, "the consumer");
    struct cost cost = cost_since(begun);
    file_check(path, length);
    return cost;
}

static void wait_ended(struct captures *captures, struct capture *capture)
{
    struct pollfd watched = {.fd = captures_descriptor(captures), .events = POLLIN};
    while (!capture_state(capture).ended) {
        poll(&watched, 1, -1);
        while (captures_next(captures) != NULL)
            continue;
    }
}

static struct capture *capture_begin(struct captures *captures, const char *path, int caller,
                                     int *child)
{
    struct failure failure;
    int ends[CAPTURE_STREAMS], file = path_open_append(path, &failure);
    struct capture_request request = {.call = 1, .file = {file, -1}, .caller = {caller, -1}};
    struct capture *capture = file < 0 ? NULL : capture_start(captures, &request, ends, &failure);
    if (capture == NULL) {
        fprintf(stderr, "%s\n", failure.text);
        exit(1);
    }
    close(file);
    *child = ends[CAPTURE_STDOUT];
    return capture;
}

static struct captures *captures_begin(void)
{
    struct failure failure;
    struct captures *captures = captures_open(4, -1, &failure);
    if (captures == NULL) {
        fprintf(stderr, "%s\n", failure.text);
        exit(1);
    }
    return captures;
}

/* The same through a capture, its process's life included. */
static struct cost capture_run(const char *path, uint64_t length)
{
    int out[2], child;
    pipe_open(out);
    struct cost begun = cost_now();
    struct captures *captures = captures_begin();
    struct capture *capture = capture_begin(captures, path, out[1], &child);
    pid_t producer = producer_start(child, length);
    pid_t consumer = consumer_start(out[0], length);
    close(child);
    close(out[0]);
    close(out[1]);
    wait_ended(captures, capture);
    expect_success(producer, "the producer");
    expect_success(consumer, "the consumer");
    capture_release(captures, capture);
    captures_close(captures);
    struct cost cost = cost_since(begun);
    file_check(path, length);
    return cost;
}

/* Microseconds from before a capture's start to its end, for a call that writes one line. */
static double short_run(struct captures *captures, const char *path, int caller)
{
    int child;
    uint64_t begun = clock_monotonic_ns();
    struct capture *capture = capture_begin(captures, path, caller, &child);
    if (write_whole(child, "one line\n", 9) != 0)
        fail("write");
    close(child);
    wait_ended(captures, capture);
    capture_release(captures, capture);
    return (double)(clock_monotonic_ns() - begun) / 1e3;
}

static int doubles_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, doubles_compare);
    return values[count / 2];
}

static void bulk_print(const char *path, uint64_t length, int rounds)
{
    double tee_wall[ROUNDS_MAX], tee_processor[ROUNDS_MAX];
    double capture_wall[ROUNDS_MAX], capture_processor[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        struct cost by_tee = tee_run(path, length);
        struct cost by_capture = capture_run(path, length);
        tee_wall[i] = by_tee.wall;
        tee_processor[i] = by_tee.processor;
        capture_wall[i] = by_capture.wall;
        capture_processor[i] = by_capture.processor;
    }
    double tee = median(tee_wall, rounds), capture = median(capture_wall, rounds);
    double megabytes = (double)length / 1e6;
    printf("capture: %.0f MB: tee(1) %.0f MB/s, capture %.0f MB/s: %.2f times (medians of %d)\n",
           megabytes, megabytes / tee, megabytes / capture, tee / capture, rounds);
    tee = median(tee_processor, rounds);
    capture = median(capture_processor, rounds);
    printf("capture: processor time, writer and reader included: tee(1) %.2f s, capture %.2f s: "
           "%.2f times\n",
           tee, capture, tee / capture);
}

static void short_print(const char *path)
{
    static double calls[SHORT_CALLS];
    struct captures *captures = captures_begin();
    int out[2];
    pipe_open(out);
    pid_t consumer = consumer_start(out[0], SHORT_CALLS * 9);
    close(out[0]);
    for (int i = 0; i < SHORT_CALLS; i++)
        calls[i] = short_run(captures, path, out[1]);
    close(out[1]);
    captures_close(captures);
    expect_success(consumer, "the consumer");
    unlink(path);
    printf("capture: a call of one line, file opened, captured, closed: %.0f us (median of %d)\n",
           median(calls, SHORT_CALLS), SHORT_CALLS);
}

int main(int count, char **arguments)
{
    uint64_t length = (count > 1 ? strtoull(arguments[1], NULL, 10) : 1024) << 20;
    int rounds = count > 2 ? atoi(arguments[2]) : 5;
    char directory[256], path[300];
    if (length == 0 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: capture [MEBIBYTES [ROUNDS [DIRECTORY]]]\n");
        return 2;
    }
    snprintf(directory, sizeof directory, "%s/sluice-bench-XXXXXX",
             count > 3 ? arguments[3] : "/tmp");
    if (mkdtemp(directory) == NULL)
        fail(directory);
    snprintf(path, sizeof path, "%s/out", directory);
    signal(SIGPIPE, SIG_IGN);
    bulk_print(path, length, rounds);
    short_print(path);
    rmdir(directory);
    return 0;
}
