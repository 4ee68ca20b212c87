/* Capture: what a child writes reaches the caller and the file, whatever the caller's descriptor is
 * and does. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/capture.h"
#include "runtime/broker/copiers.h"
#include "runtime/broker/paths.h"
#include "runtime/shared/io.h"

/* How long anything may take on a loaded machine before a test fails. */
#define PATIENCE_MS 30000

static char base[] = "/tmp/sluice-capture-XXXXXX";
static struct captures *captures;
static struct failure failure;
static int descriptors_before;

static char path[256];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static int descriptors_count(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void captures_begin(uint32_t capacity)
{
    captures = captures_open(capacity, -1, &failure);
    if (captures == NULL)
        fail_msg("%s", failure.text);
}

static int setup(void **state)
{
    (void)state;
    strcpy(base + strlen(base) - 6, "XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    descriptors_before = descriptors_count();
    captures_begin(4);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    if (captures != NULL)
        captures_close(captures);
    captures = NULL;
    /* Nothing is left: no descriptor, no process, no zombie. */
    if (descriptors_count() != descriptors_before) {
        print_error("descriptors: %d before, %d after\n", descriptors_before, descriptors_count());
        return -1;
    }
    if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD) {
        print_error("a process is left\n");
        return -1;
    }
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* ---- running a capture ----------------------------------------------------------------------- */

static int file_open(const char *name)
{
    int file = path_open_append(at(name), &failure);
    if (file < 0)
        fail_msg("%s", failure.text);
    return file;
}

/* A capture of stdout alone into `name`; `*child` is what a child would have as 1. */
static struct capture *start_one(const char *name, int caller, uint64_t max_output, int *child)
{
    int file = file_open(name), ends[CAPTURE_STREAMS];
    struct capture_request request = {
        .call = 7, .file = {file, -1}, .caller = {caller, -1}, .max_output = max_output};
    struct capture *capture = capture_start(captures, &request, ends, &failure);
    close(file);
    if (capture == NULL)
        fail_msg("%s", failure.text);
    assert_int_equal(ends[CAPTURE_STDERR], -1);
    assert_true(fcntl(ends[CAPTURE_STDOUT], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fcntl(ends[CAPTURE_STDOUT], F_GETFL) & O_NONBLOCK, 0);
    *child = ends[CAPTURE_STDOUT];
    return capture;
}

static struct capture *start_two(int child[CAPTURE_STREAMS])
{
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct capture_request request = {.file = {file, file}, .caller = {file, file}};
    struct capture *capture = capture_start(captures, &request, child, &failure);
    close(file);
    return capture;
}

/* Lets reports come in for at most `milliseconds`; whether there were any. */
static bool reports_take(int milliseconds)
{
    struct pollfd watched = {.fd = captures_descriptor(captures), .events = POLLIN};
    if (poll(&watched, 1, milliseconds) <= 0)
        return false;
    while (captures_next(captures) != NULL)
        continue;
    return true;
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        uint64_t wait_begun = clock_monotonic_ms();                                                \
        while (!(condition)) {                                                                     \
            reports_take(20);                                                                      \
            if (clock_monotonic_ms() - wait_begun > PATIENCE_MS)                                   \
                fail_msg("not in time: " #condition);                                              \
        }                                                                                          \
    } while (0)

static void wait_ended(struct capture *capture)
{
    wait_until(capture_state(capture).ended);
}

static void write_all(int descriptor, const void *bytes, size_t length)
{
    assert_int_equal(write_whole(descriptor, bytes, length), 0);
}

/* Bytes that show any loss, repetition or change of order. */
static char *pattern(size_t length)
{
    uint32_t *words = malloc(length + 4);
    assert_non_null(words);
    for (size_t i = 0; i < length / 4 + 1; i++)
        words[i] = (uint32_t)i * 2654435761u;
    return (char *)words;
}

/* In a process that stands for a child or a caller: it has that one descriptor and no other of
 * ours. */
static void keep_only(int descriptor)
{
    for (int other = 3; other < 256; other++)
        if (other != descriptor)
            close(other);
}

/* A process that writes the pattern to `descriptor` in pieces, as a child of the broker would. */
static pid_t writer_start(int descriptor, size_t length, size_t piece)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    keep_only(descriptor);
    char *bytes = pattern(length);
    signal(SIGPIPE, SIG_DFL);
    for (size_t done = 0; done < length; done += piece)
        if (write_whole(descriptor, bytes + done, length - done < piece ? length - done : piece) !=
            0)
            _exit(1);
    _exit(0);
}

/* One that reads all of `descriptor` and exits with 0 if that is the pattern. */
static pid_t reader_start(int descriptor, size_t length)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    keep_only(descriptor);
    char *bytes = pattern(length), *got = malloc(length + 1);
    size_t have = 0;
    ssize_t count;
    while ((count = read(descriptor, got + have, length + 1 - have)) > 0)
        have += (size_t)count;
    _exit(have == length && memcmp(got, bytes, length) == 0 ? 0 : 1);
}

static void check_exit(pid_t child)
{
    int status;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void check_file_bytes(const char *name, const char *bytes, size_t length)
{
    char *got = malloc(length + 1);
    int file = open(at(name), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read_whole(file, got, length + 1), length);
    assert_memory_equal(got, bytes, length);
    close(file);
    free(got);
}

static void check_file_pattern(const char *name, size_t length)
{
    char *bytes = pattern(length);
    check_file_bytes(name, bytes, length);
    free(bytes);
}

static void check_file(const char *name, const char *expected)
{
    static char got[65536];
    int file = open(at(name), O_RDONLY | O_CLOEXEC);
    ssize_t length = read_whole(file, got, sizeof got - 1);
    assert_true(length >= 0);
    got[length] = '\0';
    close(file);
    assert_string_equal(got, expected);
}

static void check_clean(struct capture *capture, uint64_t bytes)
{
    struct capture_state state = capture_state(capture);
    assert_true(state.ended);
    assert_int_equal(state.bytes[CAPTURE_STDOUT], bytes);
    assert_false(state.over_limit);
    assert_int_equal(state.file_error[CAPTURE_STDOUT], 0);
    assert_int_equal(state.caller_error[CAPTURE_STDOUT], 0);
    capture_release(captures, capture);
}

/* ---- every kind of caller -------------------------------------------------------------------- */

#define MUCH ((size_t)5 << 20)

/* Passes MUCH bytes to `ours` and expects them at `theirs`. */
static void pass_through(int ours, int theirs, size_t piece)
{
    int child;
    struct capture *capture = start_one("out", ours, 0, &child);
    assert_ptr_equal(capture_owner(capture), NULL);
    assert_int_equal(capture_call(capture), 7);
    pid_t reader = reader_start(theirs, MUCH);
    close(ours);
    close(theirs);
    pid_t writer = writer_start(child, MUCH, piece);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_exit(reader);
    check_file_pattern("out", MUCH);
    check_clean(capture, MUCH);
}

static void test_a_pipe(void **state)
{
    (void)state;
    static const size_t pieces[] = {65536, 4096, 100003};
    for (size_t i = 0; i < 3; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pass_through(ends[1], ends[0], pieces[i]);
        assert_int_equal(unlink(at("out")), 0);
    }
}

static void test_a_small_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    pass_through(ends[1], ends[0], 777);
}

static void test_a_fifo(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    int reader = open(at("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = open(at("fifo"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
    pass_through(writer, reader, 65536);
}

static void test_a_stream_socket(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pass_through(ends[1], ends[0], 65536);
}

static void test_sockets_that_keep_messages_apart(void **state)
{
    (void)state;
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < 2; i++) {
        int ends[2], child, smallest = 1;
        assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends), 0);
        /* A message larger than the socket's buffer goes in several. */
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest);
        struct capture *capture = start_one("out", ends[1], 0, &child);
        close(ends[1]);
        char *bytes = pattern(MUCH / 8), *got = malloc(MUCH / 8);
        pid_t writer = writer_start(child, MUCH / 8, 65536);
        close(child);
        for (size_t have = 0; have < MUCH / 8;) {
            ssize_t count = recv(ends[0], got + have, MUCH / 8 - have, 0);
            assert_true(count > 0);
            have += (size_t)count;
        }
        assert_memory_equal(got, bytes, MUCH / 8);
        free(bytes);
        free(got);
        close(ends[0]);
        wait_ended(capture);
        check_exit(writer);
        check_clean(capture, MUCH / 8);
        assert_int_equal(unlink(at("out")), 0);
    }
}

static void test_a_file(void **state)
{
    (void)state;
    int child;
    int caller = open(at("theirs"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct capture *capture = start_one("out", caller, 0, &child);
    close(caller);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_file_pattern("out", MUCH);
    check_file_pattern("theirs", MUCH);
    check_clean(capture, MUCH);
}

static void test_dev_null(void **state)
{
    (void)state;
    int child;
    int caller = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct capture *capture = start_one("out", caller, 0, &child);
    close(caller);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_file_pattern("out", MUCH);
    check_clean(capture, MUCH);
}

/* A terminal as it comes, which makes \r\n of each \n: its two sides. */
static void terminal_open_cooked(int *terminal, int *theirs)
{
    *theirs = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*theirs >= 0);
    assert_int_equal(grantpt(*theirs), 0);
    assert_int_equal(unlockpt(*theirs), 0);
    *terminal = open(ptsname(*theirs), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*terminal >= 0);
}

/* One in raw mode. */
static void terminal_open(int *terminal, int *theirs)
{
    struct termios settings;
    terminal_open_cooked(terminal, theirs);
    assert_int_equal(tcgetattr(*terminal, &settings), 0);
    cfmakeraw(&settings);
    assert_int_equal(tcsetattr(*terminal, TCSANOW, &settings), 0);
}

static void test_a_terminal(void **state)
{
    (void)state;
    int terminal, theirs, child;
    size_t length = 300000, have = 0;
    terminal_open(&terminal, &theirs);
    struct capture *capture = start_one("out", terminal, 0, &child);
    pid_t writer = writer_start(child, length, 4096);
    close(child);
    char *bytes = pattern(length), *got = malloc(length);
    while (have < length) {
        ssize_t count = read(theirs, got + have, length - have);
        assert_true(count > 0);
        have += (size_t)count;
    }
    assert_memory_equal(got, bytes, length);
    free(bytes);
    free(got);
    wait_ended(capture);
    check_exit(writer);
    check_clean(capture, length);
    close(terminal);
    close(theirs);
}

static void test_two_streams_at_once(void **state)
{
    (void)state;
    int out[2], err[2], child[CAPTURE_STREAMS];
    int files[] = {file_open("out"), file_open("err")};
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    struct capture_request request = {
        .call = 9, .owner = &request, .file = {files[0], files[1]}, .caller = {out[1], err[1]}};
    struct capture *capture = capture_start(captures, &request, child, &failure);
    assert_non_null(capture);
    assert_ptr_equal(capture_owner(capture), &request);
    pid_t readers[] = {reader_start(out[0], MUCH), 0};
    close(out[1]);
    readers[1] = reader_start(err[0], MUCH / 3);
    close(err[1]);
    close(out[0]);
    close(err[0]);
    close(files[0]);
    close(files[1]);
    pid_t writers[] = {writer_start(child[0], MUCH, 30000), writer_start(child[1], MUCH / 3, 999)};
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    for (int i = 0; i < 2; i++) {
        check_exit(writers[i]);
        check_exit(readers[i]);
    }
    check_file_pattern("out", MUCH);
    check_file_pattern("err", MUCH / 3);
    assert_int_equal(capture_state(capture).bytes[CAPTURE_STDERR], MUCH / 3);
    check_clean(capture, MUCH);
}

/* As after 2>&1: the two copiers fill one pipe, each between the other's look at it and its own
 * try. */
static void test_two_streams_into_one_small_pipe(void **state)
{
    (void)state;
    int ends[2], child[CAPTURE_STREAMS];
    int files[] = {file_open("out"), file_open("err")};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    struct capture_request request = {.file = {files[0], files[1]}, .caller = {ends[1], ends[1]}};
    struct capture *capture = capture_start(captures, &request, child, &failure);
    assert_non_null(capture);
    pid_t writers[] = {writer_start(child[0], MUCH, 4096), writer_start(child[1], MUCH, 4096)};
    int all[] = {ends[1], files[0], files[1], child[0], child[1]};
    for (int i = 0; i < 5; i++)
        close(all[i]);
    size_t have = 0;
    static char sink[65536];
    for (ssize_t count; (count = read(ends[0], sink, sizeof sink)) > 0;)
        have += (size_t)count;
    close(ends[0]);
    assert_int_equal(have, 2 * MUCH);
    wait_ended(capture);
    check_exit(writers[0]);
    check_exit(writers[1]);
    check_file_pattern("out", MUCH);
    check_file_pattern("err", MUCH);
    assert_int_equal(capture_state(capture).bytes[CAPTURE_STDERR], MUCH);
    check_clean(capture, MUCH);
}

/* ---- callers that misbehave ------------------------------------------------------------------ */

static void test_a_nonblocking_caller_loses_nothing_and_keeps_its_flag(void **state)
{
    (void)state;
    static const int flags[] = {O_NONBLOCK, 0};
    for (size_t i = 0; i < 2; i++) {
        int pipe_ends[2], socket_ends[2];
        assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
        assert_int_equal(fcntl(pipe_ends[1], F_SETFL, flags[i]), 0);
        int kept = fcntl(pipe_ends[1], F_DUPFD_CLOEXEC, 100);
        int reading = pipe_ends[0];
        /* What shares the description sees no change. */
        int child;
        struct capture *capture = start_one("out", pipe_ends[1], 0, &child);
        pid_t writer = writer_start(child, MUCH, 65536);
        close(child);
        /* The reader is late: the pipe is full, which must not count as an error. */
        int held = 0;
        wait_until(ioctl(pipe_ends[0], FIONREAD, &held) == 0 && held == 65536);
        assert_int_equal(fcntl(kept, F_GETFL) & O_NONBLOCK, flags[i]);
        close(pipe_ends[1]);
        pid_t reader = reader_start(reading, MUCH);
        close(kept);
        close(reading);
        wait_ended(capture);
        check_exit(writer);
        check_exit(reader);
        check_file_pattern("out", MUCH);
        check_clean(capture, MUCH);
        assert_int_equal(unlink(at("out")), 0);

        assert_int_equal(socketpair(AF_UNIX,
                                    SOCK_STREAM | SOCK_CLOEXEC | (flags[i] ? SOCK_NONBLOCK : 0), 0,
                                    socket_ends),
                         0);
        assert_int_equal(fcntl(socket_ends[0], F_SETFL, 0), 0);
        pass_through(socket_ends[1], socket_ends[0], 65536);
        assert_int_equal(unlink(at("out")), 0);
    }
}

static void check_closed_caller(int ours, int theirs)
{
    int child;
    struct capture *capture = start_one("out", ours, 0, &child);
    close(ours);
    close(theirs);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_file_pattern("out", MUCH);
    check_clean(capture, MUCH);
    assert_int_equal(unlink(at("out")), 0);
}

static void test_a_caller_that_closes_its_end_does_not_stop_the_capture(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_closed_caller(ends[1], ends[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_closed_caller(ends[1], ends[0]);
    terminal_open(&ends[1], &ends[0]);
    check_closed_caller(ends[1], ends[0]);
}

static void test_a_caller_that_closes_while_it_is_waited_for(void **state)
{
    (void)state;
    int ends[2], child;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("out", ends[1], 0, &child);
    close(ends[1]);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    int held = 0;
    wait_until(ioctl(ends[0], FIONREAD, &held) == 0 && held == 65536);
    assert_false(capture_state(capture).ended);
    close(ends[0]);
    wait_ended(capture);
    check_exit(writer);
    check_file_pattern("out", MUCH);
    check_clean(capture, MUCH);
}

static void check_failing_caller(int caller, int error)
{
    int child;
    struct capture *capture = start_one("out", caller, 0, &child);
    close(caller);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_file_pattern("out", MUCH);
    struct capture_state state = capture_state(capture);
    assert_int_equal(state.caller_error[CAPTURE_STDOUT], error);
    assert_int_equal(state.file_error[CAPTURE_STDOUT], 0);
    capture_release(captures, capture);
    assert_int_equal(unlink(at("out")), 0);
}

static void test_what_a_caller_cannot_take_is_told_and_captured(void **state)
{
    (void)state;
    int ends[2];
    check_failing_caller(open("/dev/full", O_WRONLY | O_CLOEXEC), ENOSPC);
    check_failing_caller(open("/dev/null", O_RDONLY | O_CLOEXEC), EBADF);
    check_failing_caller(open("/dev/null", O_PATH | O_CLOEXEC), EBADF);
    check_failing_caller(open("/", O_RDONLY | O_CLOEXEC), EBADF);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    check_failing_caller(ends[0], EBADF); /* the end for reading: would never poll writable */
    close(ends[1]);
    check_failing_caller(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ENOTCONN);
}

static void test_a_caller_that_never_reads_stalls_its_own_child_alone(void **state)
{
    (void)state;
    int stuck[2], fine[2], child;
    assert_int_equal(pipe2(stuck, O_CLOEXEC), 0);
    struct capture *capture = start_one("stuck", stuck[1], 0, &child);
    close(stuck[1]);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    int held = 0;
    wait_until(ioctl(stuck[0], FIONREAD, &held) == 0 && held == 65536);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pipe2(fine, O_CLOEXEC), 0);
        pass_through(fine[1], fine[0], 65536);
        assert_int_equal(unlink(at("out")), 0);
    }
    /* Backpressure: the child has not got further than the two pipes. */
    assert_true(capture_state(capture).bytes[CAPTURE_STDOUT] <= 65536);
    assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
    pid_t reader = reader_start(stuck[0], MUCH);
    close(stuck[0]);
    wait_ended(capture);
    check_exit(writer);
    check_exit(reader);
    check_file_pattern("stuck", MUCH);
    check_clean(capture, MUCH);
}

/* Numbered lines, more than a terminal holds and less than a pipe does. */
#define LINES 6000
#define LINE_BYTES 8

static char *lines_make(void)
{
    char *lines = malloc(LINES * LINE_BYTES + 1);
    assert_non_null(lines);
    for (int i = 0; i < LINES; i++)
        snprintf(lines + i * LINE_BYTES, LINE_BYTES + 1, "%07d\n", i);
    return lines;
}

/* The output of a child that has ended, on a terminal of which nobody reads. */
static struct capture *capture_for_nobody(int *theirs, const char *lines)
{
    int terminal, child;
    terminal_open_cooked(&terminal, theirs);
    struct capture *capture = start_one("out", terminal, 0, &child);
    close(terminal);
    write_all(child, lines, LINES * LINE_BYTES);
    close(child);
    /* It polls writable while a write would wait; that it waits shows all the same. */
    wait_until(capture_state(capture).waits_for_caller);
    return capture;
}

static void test_a_terminal_that_nobody_reads_keeps_nothing_from_the_file(void **state)
{
    (void)state;
    int theirs;
    char *lines = lines_make();
    struct capture *capture = capture_for_nobody(&theirs, lines);
    assert_false(capture_state(capture).ended);
    capture_finish(capture);
    wait_ended(capture);
    check_file_bytes("out", lines, LINES * LINE_BYTES);
    check_clean(capture, LINES * LINE_BYTES);
    close(theirs);
    free(lines);
}

static void test_a_terminal_that_is_read_late_gets_all(void **state)
{
    (void)state;
    int theirs;
    char *lines = lines_make(), got[LINE_BYTES + 2];
    struct capture *capture = capture_for_nobody(&theirs, lines);
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(read_whole(theirs, got, LINE_BYTES + 1), LINE_BYTES + 1);
        assert_memory_equal(got, lines + i * LINE_BYTES, LINE_BYTES - 1);
        assert_memory_equal(got + LINE_BYTES - 1, "\r\n", 2);
    }
    wait_ended(capture);
    check_file_bytes("out", lines, LINES * LINE_BYTES);
    check_clean(capture, LINES * LINE_BYTES);
    close(theirs);
    free(lines);
}

/* ---- the end of the direct child ------------------------------------------------------------- */

static void test_a_drained_capture_goes_on_for_who_still_holds_the_pipe(void **state)
{
    (void)state;
    int ends[2], child;
    char got[16] = "";
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("out", ends[1], 0, &child);
    close(ends[1]);
    write_all(child, "first\n", 6);
    assert_false(capture_state(capture).drained);
    capture_drain(capture);
    wait_until(capture_state(capture).drained);
    /* Passed on already: no waiting here. */
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(ends[0], got, sizeof got), 6);
    check_file("out", "first\n");
    assert_false(capture_state(capture).ended);
    write_all(child, "second\n", 7);
    wait_until(capture_state(capture).bytes[CAPTURE_STDOUT] == 13);
    close(child);
    wait_ended(capture);
    assert_true(capture_state(capture).drained);
    check_file("out", "first\nsecond\n");
    assert_int_equal(read(ends[0], got, sizeof got), 7);
    check_clean(capture, 13);
    close(ends[0]);
}

static void test_draining_an_idle_or_ended_stream_is_immediate(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child;
    struct capture *capture = start_one("out", null, 0, &child);
    capture_drain(capture);
    capture_drain(capture);
    wait_until(capture_state(capture).drained);
    close(child);
    wait_ended(capture);
    check_clean(capture, 0);
    capture = start_one("out", null, 0, &child);
    close(child);
    wait_ended(capture);
    assert_false(capture_state(capture).drained);
    capture_drain(capture);
    assert_true(capture_state(capture).drained);
    check_clean(capture, 0);
    close(null);
}

static void test_draining_waits_for_a_slow_caller_only(void **state)
{
    (void)state;
    int ends[2], child;
    static char much[65536 + 100], got[65536 + 101];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("out", ends[1], 0, &child);
    close(ends[1]);
    memset(much, 'x', sizeof much);
    write_all(child, much, sizeof much);
    int held = 0;
    wait_until(ioctl(ends[0], FIONREAD, &held) == 0 && held == 65536);
    capture_drain(capture);
    uint64_t begun = clock_monotonic_ms();
    while (clock_monotonic_ms() - begun < 50)
        reports_take(10);
    assert_false(capture_state(capture).drained);
    assert_int_equal(read_whole(ends[0], got, 65536), 65536);
    wait_until(capture_state(capture).drained);
    assert_false(capture_state(capture).ended);
    assert_int_equal(read_whole(ends[0], got, 100), 100);
    close(child);
    wait_ended(capture);
    check_clean(capture, sizeof much);
    close(ends[0]);
}

/* A background process that writes for ever does not keep the drain from coming to an end. */
static void test_draining_ends_while_a_background_process_goes_on_writing(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child;
    struct capture *capture = start_one("out", null, 0, &child);
    close(null);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        keep_only(child);
        signal(SIGPIPE, SIG_DFL);
        static char block[65536];
        for (;;)
            if (write(child, block, sizeof block) < 0)
                _exit(0);
    }
    close(child);
    wait_until(capture_state(capture).bytes[CAPTURE_STDOUT] > 0);
    capture_drain(capture);
    wait_until(capture_state(capture).drained);
    assert_false(capture_state(capture).ended);
    capture_finish(capture);
    wait_ended(capture);
    int status;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    capture_release(captures, capture);
}

static void test_finishing_keeps_what_the_pipe_holds_though_nobody_reads(void **state)
{
    (void)state;
    size_t length = 100000;
    for (int kind = 0; kind < 3; kind++) {
        int ends[2], child, small = 4096;
        if (kind == 0) {
            assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        } else if (kind == 1) {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        } else {
            terminal_open(&ends[1], &ends[0]);
            assert_int_equal(tcflow(ends[1], TCOOFF), 0); /* as Ctrl-S does */
        }
        struct capture *capture = start_one("out", ends[1], 0, &child);
        char *bytes = pattern(length);
        write_all(child, bytes, length); /* fits the two pipes, or the pipe and the buffer */
        free(bytes);
        capture_finish(capture);
        wait_ended(capture);
        assert_true(capture_state(capture).drained);
        check_file_pattern("out", length);
        check_clean(capture, length);
        /* The pipe is nobody's now, or soon: the end is told before anything is closed. */
        wait_until(write(child, "x", 1) == -1 && errno == EPIPE);
        close(child);
        close(ends[0]);
        close(ends[1]);
        assert_int_equal(unlink(at("out")), 0);
    }
}

static void test_aborting_is_immediate(void **state)
{
    (void)state;
    int ends[2], child;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("out", ends[1], 0, &child);
    close(ends[1]);
    write_all(child, "abc", 3);
    wait_until(capture_state(capture).bytes[CAPTURE_STDOUT] == 3);
    capture_abort(capture);
    assert_true(capture_state(capture).ended);
    assert_int_equal(capture_state(capture).bytes[CAPTURE_STDOUT], 3);
    /* What could be lost to the file is told. */
    assert_int_equal(capture_state(capture).file_error[CAPTURE_STDOUT], ECANCELED);
    assert_int_equal(capture_state(capture).file_error[CAPTURE_STDERR], 0);
    capture_release(captures, capture);
    close(child);
    close(ends[0]);
    /* The slot is free again once the copier is dead, for any number of times. */
    for (int i = 0; i < 20; i++) {
        int both[CAPTURE_STREAMS];
        wait_until((capture = start_two(both)) != NULL);
        close(both[0]);
        close(both[1]);
        capture_release(captures, capture);
    }
}

static void test_aborting_what_has_ended_loses_nothing(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child;
    struct capture *capture = start_one("out", null, 0, &child);
    close(null);
    write_all(child, "abc", 3);
    close(child);
    /* It has told of its end, and nobody has listened yet. */
    struct pollfd told = {.fd = captures_descriptor(captures), .events = POLLIN};
    assert_int_equal(poll(&told, 1, PATIENCE_MS), 1);
    capture_abort(capture);
    check_file("out", "abc");
    check_clean(capture, 3);
}

/* ---- the limit ------------------------------------------------------------------------------- */

static void test_the_limit_is_exact(void **state)
{
    (void)state;
    static const uint64_t limits[] = {1, 4095, 65536, 65537, 1000000};
    for (size_t i = 0; i < 5; i++)
        for (int kind = 0; kind < 2; kind++) {
            int ends[2], child;
            if (kind == 0)
                assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
            else
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            struct capture *capture = start_one("out", ends[1], limits[i], &child);
            close(ends[1]);
            pid_t reader = reader_start(ends[0], limits[i]);
            close(ends[0]);
            pid_t writer = writer_start(child, 1100000, 50000);
            close(child);
            wait_until(capture_state(capture).over_limit);
            assert_false(capture_state(capture).ended);
            assert_int_equal(capture_state(capture).bytes[CAPTURE_STDOUT], limits[i]);
            /* The child is stalled, to be ended by the broker; then nothing more is waited for. */
            capture_drain(capture);
            wait_ended(capture);
            waitpid(writer, NULL, 0);
            check_exit(reader);
            check_file_pattern("out", limits[i]);
            capture_release(captures, capture);
            assert_int_equal(unlink(at("out")), 0);
        }
}

static void test_the_limit_itself_is_allowed(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child;
    struct capture *capture = start_one("out", null, 100000, &child);
    close(null);
    pid_t writer = writer_start(child, 100000, 4096);
    wait_until(capture_state(capture).bytes[CAPTURE_STDOUT] == 100000);
    while (reports_take(20))
        continue;
    assert_false(capture_state(capture).ended);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_clean(capture, 100000);
}

static void test_both_streams_share_the_limit(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child[CAPTURE_STREAMS];
        int files[] = {file_open("out"), file_open("err")};
        struct capture_request request = {
            .file = {files[0], files[1]}, .caller = {null, null}, .max_output = 300001};
        struct capture *capture = capture_start(captures, &request, child, &failure);
        assert_non_null(capture);
        pid_t writers[] = {writer_start(child[0], 250000, 4096),
                           writer_start(child[1], 250000, 1000)};
        close(null);
        close(files[0]);
        close(files[1]);
        close(child[0]);
        close(child[1]);
        wait_until(capture_state(capture).over_limit);
        struct capture_state reached;
        wait_until(
            (reached = capture_state(capture), reached.bytes[0] + reached.bytes[1] == 300001));
        capture_drain(capture);
        wait_ended(capture);
        reached = capture_state(capture);
        check_file_pattern("out", reached.bytes[0]);
        check_file_pattern("err", reached.bytes[1]);
        capture_release(captures, capture);
        waitpid(writers[0], NULL, 0);
        waitpid(writers[1], NULL, 0);
        assert_int_equal(unlink(at("out")), 0);
        assert_int_equal(unlink(at("err")), 0);
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static void test_a_file_that_cannot_grow_leaves_the_caller_whole(void **state)
{
    (void)state;
    struct rlimit before, limit;
    int ends[2], child;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){200000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0); /* the copier inherits it */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("out", ends[1], 0, &child);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    pid_t reader = reader_start(ends[0], MUCH);
    close(ends[0]);
    close(ends[1]);
    pid_t writer = writer_start(child, MUCH, 65536);
    /* Told at once, not at the end. */
    wait_until(capture_state(capture).file_error[CAPTURE_STDOUT] != 0);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_exit(reader);
    struct capture_state reached = capture_state(capture);
    assert_int_equal(reached.file_error[CAPTURE_STDOUT], EFBIG);
    assert_int_equal(reached.caller_error[CAPTURE_STDOUT], 0);
    assert_int_equal(reached.bytes[CAPTURE_STDOUT], MUCH);
    check_file_pattern("out", 200000);
    capture_release(captures, capture);
}

static void full_disk(void)
{
    int ends[2], child;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct capture *capture = start_one("t/out", ends[1], 0, &child);
    pid_t reader = reader_start(ends[0], MUCH);
    close(ends[0]);
    close(ends[1]);
    pid_t writer = writer_start(child, MUCH, 65536);
    close(child);
    wait_ended(capture);
    check_exit(writer);
    check_exit(reader);
    assert_int_equal(capture_state(capture).file_error[CAPTURE_STDOUT], ENOSPC);
    capture_release(captures, capture);
    captures_close(captures);
}

static void test_a_full_disk(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    captures_close(captures);
    captures = NULL;
    assert_int_equal(mkdir(at("t"), 0700), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
            mount("t", at("t"), "tmpfs", 0, "size=1m,mode=0700") != 0)
            _exit(99);
        captures_begin(1);
        full_disk();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        skip(); /* a container that forbids mounts */
    assert_int_equal(status, 0);
}

/* Lines of 1 to 4096 bytes, each written at once: "<letter of the writer> <its length> xxxx\n". */
static pid_t line_writer_start(int descriptor, char letter)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    keep_only(descriptor);
    unsigned seed = (unsigned)letter;
    for (int i = 0; i < 600; i++) {
        char line[4096];
        int length = 16 + rand_r(&seed) % 4081;
        int head = snprintf(line, sizeof line, "%c %d ", letter, length);
        memset(line + head, letter, (size_t)(length - head));
        line[length - 1] = '\n';
        if (write_whole(descriptor, line, (size_t)length) != 0)
            _exit(1);
    }
    _exit(0);
}

static void test_captures_of_one_file_never_split_a_line(void **state)
{
    (void)state;
    struct capture *running[4];
    pid_t writers[4];
    /* Two callers whose pipes are small, two that are no pipes. */
    int pipes[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    for (int i = 0; i < 4; i++) {
        int child;
        running[i] = start_one("shared", i < 2 ? pipes[1] : null, 0, &child);
        writers[i] = line_writer_start(child, (char)('a' + i));
        close(child);
    }
    pid_t swallow = fork();
    assert_true(swallow >= 0);
    if (swallow == 0) {
        char sink[3000];
        keep_only(pipes[0]);
        while (read(pipes[0], sink, sizeof sink) > 0)
            continue;
        _exit(0);
    }
    close(pipes[0]);
    close(pipes[1]);
    close(null);
    for (int i = 0; i < 4; i++) {
        wait_ended(running[i]);
        check_exit(writers[i]);
        capture_release(captures, running[i]);
    }
    check_exit(swallow);

    FILE *lines = fopen(at("shared"), "re");
    static char line[8192];
    int count[4] = {0};
    while (fgets(line, sizeof line, lines) != NULL) {
        char letter;
        int length;
        assert_int_equal(sscanf(line, "%c %d ", &letter, &length), 2);
        assert_int_equal(strlen(line), length);
        char *body = strrchr(line, ' ') + 1;
        assert_int_equal(strspn(body, (char[]){letter, '\0'}), strlen(body) - 1);
        count[letter - 'a']++;
    }
    fclose(lines);
    for (int i = 0; i < 4; i++)
        assert_int_equal(count[i], 600);
}

/* ---- shortages and deaths -------------------------------------------------------------------- */

static void test_a_full_table_says_so(void **state)
{
    (void)state;
    struct capture *running[4];
    int child[5][CAPTURE_STREAMS];
    for (int i = 0; i < 4; i++)
        running[i] = start_two(child[i]);
    assert_null(start_two(child[4]));
    assert_int_equal(failure.error, EBUSY);
    assert_string_equal(failure.text, "capture: 4 calls are captured already");
    assert_int_equal(child[4][0], -1);
    for (int i = 0; i < 4; i++) {
        close(child[i][0]);
        close(child[i][1]);
        wait_ended(running[i]);
        capture_release(captures, running[i]);
    }
    assert_non_null(running[0] = start_two(child[0]));
    close(child[0][0]);
    close(child[0][1]);
    wait_ended(running[0]);
    capture_release(captures, running[0]);
}

static void test_a_shortage_of_descriptors_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rlimit before, limit;
    int child[CAPTURE_STREAMS];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int highest = dup(0);
    close(highest);
    int worked = 0, failed = 0;
    for (rlim_t room = (rlim_t)highest + 1; room < (rlim_t)highest + 14; room++) {
        int count = descriptors_count();
        limit = (struct rlimit){room, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        struct capture *capture = start_two(child);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (capture == NULL) {
            failed++;
            assert_true(failure.error == EMFILE || failure.error == EINVAL ||
                        failure.error == EBADF);
        } else {
            worked++;
            close(child[0]);
            close(child[1]);
            wait_ended(capture);
            capture_release(captures, capture);
        }
        /* All are gone with the copiers. */
        captures_close(captures);
        captures_begin(4);
        assert_int_equal(descriptors_count(), count);
    }
    assert_true(worked > 0 && failed > 2);
}

static void few_processes(void)
{
    struct rlimit limit = {1, 1};
    int child[CAPTURE_STREAMS];
    if (setrlimit(RLIMIT_NPROC, &limit) != 0)
        _exit(98);
    captures = captures_open(2, -1, &failure);
    if (captures == NULL || start_two(child) != NULL || failure.error != EAGAIN)
        _exit(97);
    captures_close(captures);
    _exit(0);
}

static void test_a_shortage_of_processes_is_an_error(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The limit does not bind root. */
        if (geteuid() == 0 &&
            (setresgid(54321, 54321, 54321) != 0 || setresuid(54321, 54321, 54321) != 0))
            _exit(99);
        few_processes();
    }
    check_exit(child);
}

static pid_t copier_pid(const struct capture *capture, enum capture_stream stream)
{
    struct capture_saved saved;
    capture_save(capture, &saved);
    assert_true(saved.pid[stream] > 1);
    return saved.pid[stream];
}

/* Waits until a copier that has told of its end has nothing more to do: it sleeps. */
static void wait_asleep(pid_t pid)
{
    char name[32], text[256];
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    for (char letter = 'R'; letter != 'S';) {
        int file = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t length = read_whole(file, text, sizeof text - 1);
        close(file);
        assert_true(length > 0);
        text[length] = '\0';
        letter = strrchr(text, ')')[2];
        usleep(letter == 'S' ? 0 : 1000);
    }
}

/* Kills a process and waits until it is dead, without collecting it. */
static void kill_dead(pid_t pid, int pidfd)
{
    struct pollfd death = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(poll(&death, 1, PATIENCE_MS), 1);
}

static void test_a_copier_that_dies_is_a_failure_of_the_file(void **state)
{
    (void)state;
    int child[CAPTURE_STREAMS];
    struct capture *capture = start_two(child);
    assert_non_null(capture);
    kill(copier_pid(capture, CAPTURE_STDOUT), SIGKILL);
    wait_until(capture_state(capture).file_error[CAPTURE_STDOUT] == EIO);
    assert_false(capture_state(capture).ended);
    /* The child learns of it, and the other stream goes on. The dying copier's descriptors are closed
     * one after the other, and its socket may be gone before its end of the pipe is. */
    wait_until(write(child[0], "x", 1) == -1 && errno == EPIPE);
    write_all(child[1], "x", 1);
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    assert_int_equal(capture_state(capture).bytes[CAPTURE_STDERR], 1);
    capture_release(captures, capture);
}

static void test_copiers_are_used_again_and_replaced_when_dead(void **state)
{
    (void)state;
    struct capture_saved before = {0}, now;
    for (int i = 0; i < 10; i++) {
        int child[CAPTURE_STREAMS];
        struct capture *capture = start_two(child);
        assert_non_null(capture);
        capture_save(capture, &now);
        bool same = (now.pid[0] == before.pid[0] && now.pid[1] == before.pid[1]) ||
                    (now.pid[0] == before.pid[1] && now.pid[1] == before.pid[0]);
        assert_int_equal(same, i != 0 && i != 6);
        before = now;
        close(child[0]);
        close(child[1]);
        wait_ended(capture);
        capture_release(captures, capture);
        wait_asleep(now.pid[0]);
        wait_asleep(now.pid[1]);
        if (i == 5) { /* idle ones die: we hear of the first, and only find the second dead */
            kill_dead(now.pid[0], now.pidfd[0]);
            assert_true(reports_take(PATIENCE_MS));
            kill_dead(now.pid[1], now.pidfd[1]);
        }
    }
}

/* As a copier leaves it that is killed while it has claimed a part of the limit and not passed it on. */
static void test_what_a_killed_copier_had_claimed_is_free_again(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), child[CAPTURE_STREAMS];
    char block[1001] = "";
    struct capture_request request = {
        .file = {null, null}, .caller = {null, null}, .max_output = 1000};
    struct capture *capture = capture_start(captures, &request, child, &failure);
    assert_non_null(capture);
    struct capture_saved saved;
    capture_save(capture, &saved);
    struct copier_counters *counters =
        mmap(NULL, (saved.slot + 1) * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED,
             captures_memory(captures), 0);
    assert_ptr_not_equal(counters, MAP_FAILED);
    atomic_fetch_add(&counters[saved.slot].claimed, 400);
    kill(copier_pid(capture, CAPTURE_STDOUT), SIGKILL);
    write_all(child[CAPTURE_STDERR], block, sizeof block);
    wait_until(capture_state(capture).bytes[CAPTURE_STDERR] == 1000);
    wait_until(capture_state(capture).over_limit);
    munmap(counters, (saved.slot + 1) * sizeof *counters);
    close(null);
    close(child[0]);
    close(child[1]);
    capture_release(captures, capture);
}

/* From here on nothing can be added to an epoll. */
static int epoll_forbid_more(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, EPOLL_CTL_ADD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void few_watches(void)
{
    int child[CAPTURE_STREAMS];
    captures_begin(1);
    struct capture *capture = start_two(child);
    assert_non_null(capture);
    assert_int_equal(captures_make_ready(captures, 2), 0);
    assert_int_equal(epoll_forbid_more(), 0);
    capture_release(captures, capture); /* kills both, and the slot is free when they are dead */
    close(child[0]);
    close(child[1]);
    wait_until((capture = start_two(child)) != NULL);
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    capture_release(captures, capture);
    assert_int_equal(captures_make_ready(captures, 3), -ENOSPC);
    captures_close(captures);
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
}

static void test_a_shortage_of_watches_keeps_no_slot(void **state)
{
    (void)state;
    captures_close(captures);
    captures = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        few_watches();
        _exit(0);
    }
    check_exit(child);
}

/* A TCP socket whose last close waits for long: its peer does not read. */
static void lingering_open(int *ours, int *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct linger linger = {.l_onoff = 1, .l_linger = 600};
    static char block[65536];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ours, (struct sockaddr *)&address, sizeof address), 0);
    *peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*peer >= 0);
    close(listener);
    assert_int_equal(setsockopt(*ours, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    while (send(*ours, block, sizeof block, MSG_DONTWAIT) > 0)
        continue;
}

/* A capture from its beginning to its end. */
static void capture_something(void)
{
    int child[CAPTURE_STREAMS];
    struct capture *capture = start_two(child);
    assert_non_null(capture);
    write_all(child[0], "x", 1);
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    check_clean(capture, 1);
}

/* The copier has the socket's last descriptor, and closes it for ten minutes. */
static void test_closing_what_a_caller_brought_delays_no_end_and_no_other(void **state)
{
    (void)state;
    int ours, peer, child;
    lingering_open(&ours, &peer);
    struct capture *capture = start_one("out", ours, 0, &child);
    pid_t held = copier_pid(capture, CAPTURE_STDOUT);
    close(ours);
    close(child);
    wait_ended(capture);
    check_clean(capture, 0);
    /* Whoever comes next is served by others, and the one that is held is given up. */
    uint64_t begun = clock_monotonic_ms();
    do {
        capture_something();
        usleep(20000);
        assert_true(clock_monotonic_ms() - begun < PATIENCE_MS);
    } while (kill(held, 0) == 0);
    close(peer);
}

/* Idle copiers, as far as this test's children tell. */
static unsigned copiers_alive(void)
{
    char text[4096];
    unsigned count = 0;
    int children = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(children, text, sizeof text);
    close(children);
    for (ssize_t i = 0; i < length; i++)
        count += text[i] == ' ';
    return count;
}

/* Reports are taken too: that reaps those that were let go. */
static bool copiers_come_to(unsigned wanted)
{
    while (captures_next(captures) != NULL)
        continue;
    return copiers_alive() == wanted;
}

static void test_copiers_that_nobody_needed_for_long_end(void **state)
{
    (void)state;
    int child[CAPTURE_STREAMS];
    assert_int_equal(captures_make_ready(captures, COPIERS_KEPT), 0);
    assert_false(captures_have_surplus(captures));
    assert_int_equal(captures_make_ready(captures, 20), 0);
    assert_true(captures_have_surplus(captures));
    captures_trim(captures); /* they have only just come */
    assert_int_equal(copiers_alive(), 20);
    struct capture *capture = start_two(child); /* needs two */
    assert_non_null(capture);
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    capture_release(captures, capture);
    captures_trim(captures);
    wait_until(copiers_come_to(COPIERS_KEPT + 2)); /* of the 18 the kept ones stay */
    captures_trim(captures);
    wait_until(copiers_come_to(COPIERS_KEPT));
    captures_trim(captures);
    assert_false(captures_have_surplus(captures));
    assert_int_equal(copiers_alive(), COPIERS_KEPT);
    captures_relieve(captures);
    wait_until(copiers_come_to(0));
}

/* What a copier holds: nothing of the broker's but its socket. */
static void test_a_copier_holds_nothing_else(void **state)
{
    (void)state;
    char name[64];
    int child[CAPTURE_STREAMS], other[CAPTURE_STREAMS];
    struct capture *first = start_two(child), *second = start_two(other);
    assert_non_null(first);
    assert_non_null(second);
    /* Drained: it has begun, and so has closed what it inherited. */
    capture_drain(second);
    wait_until(capture_state(second).drained);
    snprintf(name, sizeof name, "/proc/%d/fd", copier_pid(second, CAPTURE_STDERR));
    int held = 0;
    DIR *directory = opendir(name);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        held += entry->d_name[0] != '.';
    closedir(directory);
    assert_int_equal(held, 4 + 3); /* standard ones, control; pipe, caller, file */
    for (int i = 0; i < 2; i++) {
        close(child[i]);
        close(other[i]);
    }
    wait_ended(first);
    wait_ended(second);
    capture_release(captures, first);
    capture_release(captures, second);
}

static void test_copiers_end_with_the_broker_but_finish_what_they_began(void **state)
{
    (void)state;
    int ends[2], ready[2];
    captures_close(captures);
    captures = NULL;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t broker = fork();
    assert_true(broker >= 0);
    if (broker == 0) {
        int child;
        captures_begin(1);
        struct capture *capture = start_one("out", ends[1], 0, &child);
        close(ends[1]);
        close(ends[0]);
        pid_t pids[2] = {copier_pid(capture, CAPTURE_STDOUT), writer_start(child, MUCH, 65536)};
        close(child);
        if (write(ready[1], pids, sizeof pids) != sizeof pids)
            _exit(1);
        pause();
    }
    close(ends[1]);
    pid_t pids[2];
    assert_int_equal(read_whole(ready[0], pids, sizeof pids), sizeof pids);
    kill(broker, SIGKILL);
    waitpid(broker, NULL, 0);
    pid_t reader = reader_start(ends[0], MUCH);
    close(ends[0]);
    check_exit(reader);
    check_file_pattern("out", MUCH);
    for (int i = 0; i < 2; i++) {
        uint64_t begun = clock_monotonic_ms();
        char status[64];
        snprintf(status, sizeof status, "/proc/%d/cmdline", pids[i]);
        /* Gone, or waiting for whoever adopted it: a zombie has no command line. */
        for (;;) {
            char byte;
            int file = open(status, O_RDONLY | O_CLOEXEC);
            ssize_t length = file < 0 ? 0 : read(file, &byte, 1);
            if (file >= 0)
                close(file);
            if (length <= 0)
                break;
            assert_true(clock_monotonic_ms() - begun < PATIENCE_MS);
            usleep(5000);
        }
    }
    close(ready[0]);
    close(ready[1]);
}

/* Captures that are drained, finished, aborted and forgotten at any moment and in any order, with
 * callers that read, close and stall: at the end nothing is left (teardown looks). */
static void test_any_order_of_events_leaves_nothing(void **state)
{
    (void)state;
    struct {
        struct capture *capture;
        int child, caller;
    } running[4] = {0};
    unsigned seed = 5;
    char sink[20000];
    static char block[30000];
    for (int step = 0; step < 6000; step++) {
        int i = rand_r(&seed) % 4, what = rand_r(&seed) % 9, ends[2];
        if (running[i].capture == NULL) {
            assert_int_equal(rand_r(&seed) % 2
                                 ? pipe2(ends, O_CLOEXEC)
                                 : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                             0);
            int file = open("/dev/null", O_WRONLY | O_CLOEXEC), child[CAPTURE_STREAMS];
            struct capture_request request = {.file = {file, -1},
                                              .caller = {ends[1], -1},
                                              .max_output = rand_r(&seed) % 3 ? 0 : 50000};
            /* A slot whose copier is still dying is not free yet. */
            wait_until((running[i].capture = capture_start(captures, &request, child, &failure)) !=
                       NULL);
            close(file);
            close(ends[1]);
            running[i].caller = ends[0];
            running[i].child = child[CAPTURE_STDOUT];
            assert_int_equal(fcntl(running[i].child, F_SETFL, O_NONBLOCK), 0);
            continue;
        }
        if (what <= 2 && running[i].child >= 0)
            (void)!write(running[i].child, block, (size_t)rand_r(&seed) % sizeof block);
        else if (what == 3 && running[i].caller >= 0)
            (void)!recv(running[i].caller, sink, sizeof sink, MSG_DONTWAIT);
        else if (what == 4 && running[i].child >= 0)
            close(running[i].child), running[i].child = -1;
        else if (what == 5 && running[i].caller >= 0)
            close(running[i].caller), running[i].caller = -1;
        else if (what == 6)
            capture_drain(running[i].capture);
        else if (what == 7)
            capture_finish(running[i].capture);
        else if (rand_r(&seed) % 4 == 0)
            capture_abort(running[i].capture);
        reports_take(0);
        if (rand_r(&seed) % 10 == 0 || (what == 8 && capture_state(running[i].capture).ended)) {
            capture_release(captures, running[i].capture);
            running[i].capture = NULL;
            if (running[i].child >= 0)
                close(running[i].child);
            if (running[i].caller >= 0)
                close(running[i].caller);
        }
    }
    for (int i = 0; i < 4; i++)
        if (running[i].capture != NULL) {
            capture_finish(running[i].capture);
            wait_ended(running[i].capture);
            capture_release(captures, running[i].capture);
            if (running[i].child >= 0)
                close(running[i].child);
            if (running[i].caller >= 0)
                close(running[i].caller);
        }
}

/* ---- re-exec --------------------------------------------------------------------------------- */

/* What the new image does: `memory`, the saved state on `saved_file`, the pipe's writing end, and a
 * copier that the old one let go. */
static int resume(int memory, int saved_file, int child, pid_t let_go)
{
    siginfo_t dead;
    struct capture_saved saved;
    int end[CAPTURE_STREAMS];
    if (read_whole_at(saved_file, &saved, sizeof saved, 0) != sizeof saved)
        return 10;
    close(saved_file);
    fcntl(child, F_SETFD, FD_CLOEXEC);
    captures = captures_open(1, memory, &failure); /* smaller: the old size holds */
    if (captures == NULL)
        return 11;
    int owner;
    struct capture *capture = capture_restore(captures, &saved, &owner, &failure);
    if (capture == NULL || capture_owner(capture) != &owner || capture_call(capture) != 7)
        return 12;
    if (capture_restore(captures, &saved, &owner, &failure) != NULL)
        return 13;
    if (!(fcntl(saved.control[0], F_GETFD) & FD_CLOEXEC) ||
        !(fcntl(saved.pidfd[0], F_GETFD) & FD_CLOEXEC) ||
        !(fcntl(captures_memory(captures), F_GETFD) & FD_CLOEXEC))
        return 14;
    if (capture_state(capture).bytes[0] != 4)
        return 15;
    if (write(child, "after", 5) != 5)
        return 16;
    capture_drain(capture);
    while (!capture_state(capture).drained)
        reports_take(1000);
    close(child);
    while (!capture_state(capture).ended)
        reports_take(1000);
    if (capture_state(capture).bytes[0] != 9 || capture_state(capture).file_error[0] != 0)
        return 17;
    capture_release(captures, capture);
    /* Collected when one is made in its turn. */
    kill(let_go, SIGCONT);
    if (waitid(P_PID, (id_t)let_go, &dead, WEXITED | WNOWAIT | __WALL) != 0)
        return 21;
    /* A new one, in a slot that the old image never had in use. */
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct capture_request request = {.call = 8, .file = {null, -1}, .caller = {null, -1}};
    for (int i = 0; i < 4; i++) {
        capture = capture_start(captures, &request, end, &failure);
        if (capture == NULL)
            return 18;
        close(end[0]);
        while (!capture_state(capture).ended)
            reports_take(1000);
        capture_release(captures, capture);
    }
    captures_close(captures);
    return waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD ? 0 : 19;
}

static void old_image(int caller)
{
    int child, spare;
    struct capture_saved saved;
    char numbers[4][16];
    captures_begin(4);
    struct capture *first = start_one("first", caller, 0, &spare);
    pid_t stopped = copier_pid(first, CAPTURE_STDOUT);
    struct capture *capture = start_one("out", caller, 0, &child);
    close(spare);
    wait_ended(first);
    capture_release(captures, first);
    write_all(child, "befo", 4);
    wait_until(capture_state(capture).bytes[CAPTURE_STDOUT] == 4);
    kill(stopped, SIGSTOP); /* it does not end before the exec */
    assert_int_equal(captures_keep(captures, true), 0);
    assert_int_equal(captures_keep(captures, false), 0);
    assert_int_equal(captures_keep(captures, true), 0);
    capture_save(capture, &saved);
    int file = memfd_create("saved", 0);
    write_all(file, &saved, sizeof saved);
    fcntl(child, F_SETFD, 0);
    snprintf(numbers[0], 16, "%d", captures_memory(captures));
    snprintf(numbers[1], 16, "%d", file);
    snprintf(numbers[2], 16, "%d", child);
    snprintf(numbers[3], 16, "%d", stopped);
    execl("/proc/self/exe", "test_capture", "resume", numbers[0], numbers[1], numbers[2],
          numbers[3], NULL);
    _exit(20);
}

static void test_a_capture_goes_on_through_a_re_exec(void **state)
{
    (void)state;
    int ends[2];
    captures_close(captures);
    captures = NULL;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t broker = fork();
    assert_true(broker >= 0);
    if (broker == 0) {
        old_image(ends[1]);
        _exit(21);
    }
    close(ends[1]);
    check_exit(broker);
    check_file("out", "befoafter");
    char got[16] = "";
    assert_int_equal(read_whole(ends[0], got, sizeof got), 9);
    assert_string_equal(got, "befoafter");
    close(ends[0]);
}

static void test_saved_state_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    int child[CAPTURE_STREAMS];
    struct capture *capture = start_two(child);
    struct capture_saved saved, changed;
    capture_save(capture, &saved);
    for (int i = 0; i < 6; i++) {
        changed = saved;
        if (i == 0)
            changed.protocol++;
        else if (i == 1)
            changed.slot = 99;
        else if (i == 2)
            changed.control[0] = -1;
        else if (i == 3)
            changed.pidfd[1] = -1;
        else if (i == 4)
            changed.pid[1] = -1;
        else
            changed.reports[0] = UINT32_MAX;
        assert_null(capture_restore(captures, &changed, NULL, &failure));
        assert_string_equal(failure.text, "capture: what the old broker left does not fit");
    }
    assert_null(capture_restore(captures, &saved, NULL, &failure)); /* the slot is in use */
    close(child[0]);
    close(child[1]);
    wait_ended(capture);
    capture_release(captures, capture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_pipe),
        TEST(test_a_small_pipe),
        TEST(test_a_fifo),
        TEST(test_a_stream_socket),
        TEST(test_sockets_that_keep_messages_apart),
        TEST(test_a_file),
        TEST(test_dev_null),
        TEST(test_a_terminal),
        TEST(test_two_streams_at_once),
        TEST(test_two_streams_into_one_small_pipe),
        TEST(test_a_nonblocking_caller_loses_nothing_and_keeps_its_flag),
        TEST(test_a_caller_that_closes_its_end_does_not_stop_the_capture),
        TEST(test_a_caller_that_closes_while_it_is_waited_for),
        TEST(test_what_a_caller_cannot_take_is_told_and_captured),
        TEST(test_a_caller_that_never_reads_stalls_its_own_child_alone),
        TEST(test_a_terminal_that_nobody_reads_keeps_nothing_from_the_file),
        TEST(test_a_terminal_that_is_read_late_gets_all),
        TEST(test_a_drained_capture_goes_on_for_who_still_holds_the_pipe),
        TEST(test_copiers_that_nobody_needed_for_long_end),
        TEST(test_draining_an_idle_or_ended_stream_is_immediate),
        TEST(test_draining_waits_for_a_slow_caller_only),
        TEST(test_draining_ends_while_a_background_process_goes_on_writing),
        TEST(test_finishing_keeps_what_the_pipe_holds_though_nobody_reads),
        TEST(test_aborting_is_immediate),
        TEST(test_aborting_what_has_ended_loses_nothing),
        TEST(test_the_limit_is_exact),
        TEST(test_the_limit_itself_is_allowed),
        TEST(test_both_streams_share_the_limit),
        TEST(test_a_file_that_cannot_grow_leaves_the_caller_whole),
        TEST(test_a_full_disk),
        TEST(test_captures_of_one_file_never_split_a_line),
        TEST(test_a_full_table_says_so),
        TEST(test_a_shortage_of_descriptors_leaves_nothing_behind),
        TEST(test_a_shortage_of_processes_is_an_error),
        TEST(test_a_shortage_of_watches_keeps_no_slot),
        TEST(test_a_copier_that_dies_is_a_failure_of_the_file),
        TEST(test_what_a_killed_copier_had_claimed_is_free_again),
        TEST(test_copiers_are_used_again_and_replaced_when_dead),
        TEST(test_closing_what_a_caller_brought_delays_no_end_and_no_other),
        TEST(test_a_copier_holds_nothing_else),
        TEST(test_copiers_end_with_the_broker_but_finish_what_they_began),
        TEST(test_any_order_of_events_leaves_nothing),
        TEST(test_a_capture_goes_on_through_a_re_exec),
        TEST(test_saved_state_that_does_not_fit_is_refused),
    };
    if (count == 6 && strcmp(arguments[1], "resume") == 0)
        return resume(atoi(arguments[2]), atoi(arguments[3]), atoi(arguments[4]),
                      atoi(arguments[5]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
