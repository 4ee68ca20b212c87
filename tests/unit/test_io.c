/* Reads and writes that are interrupted, partial or full; numbers and text in fixed buffers. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/shared/io.h"

static void on_alarm(int number)
{
    (void)number;
}

/* Interrupts this process every millisecond, without SA_RESTART. */
static void interruptions_start(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 1000}, {0, 1000}};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void interruptions_stop(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &never, NULL);
}

#define MUCH (300u * 1024u)

/* A child that reads `descriptor` to its end slowly enough to fill the pipe, and exits with 0 if it
 * saw MUCH bytes in the right order. */
static pid_t reader_start(int descriptor, int other)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    close(other);
    size_t seen = 0;
    unsigned char part[3001];
    for (;;) {
        ssize_t got = read(descriptor, part, sizeof(part));
        if (got <= 0)
            _exit(got < 0 || seen != MUCH);
        for (ssize_t i = 0; i < got; i++, seen++)
            if (part[i] != (unsigned char)(seen % 251))
                _exit(1);
        usleep(200);
    }
}

static void write_to_slow_reader(int (*writer)(int, const void *, size_t), int flags)
{
    static unsigned char bytes[MUCH];
    int pipes[2];
    int status = -1;

    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i % 251);
    assert_int_equal(pipe2(pipes, flags), 0);
    pid_t child = reader_start(pipes[0], pipes[1]);
    assert_true(child > 0);
    close(pipes[0]);
    interruptions_start();
    int result = writer(pipes[1], bytes, MUCH);
    interruptions_stop();
    close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(status, 0);
}

static void writes_on_after_interruptions(void **state)
{
    (void)state;
    write_to_slow_reader(write_whole, 0);
}

static int wait_writable(int descriptor, const void *bytes, size_t length)
{
    /* Only the writing end must not block: the reading child expects to wait. */
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    return write_patiently(descriptor, bytes, length);
}

static void waits_for_a_full_pipe(void **state)
{
    (void)state;
    write_to_slow_reader(wait_writable, 0);
}

static void says_that_a_pipe_is_full(void **state)
{
    static const char bytes[128 * 1024];
    int pipes[2];
    (void)state;

    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    assert_int_equal(write_whole(pipes[1], bytes, sizeof(bytes)), -EAGAIN);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write_whole(pipes[1], bytes, 1), -EPIPE);
    assert_int_equal(write_patiently(pipes[1], bytes, 1), -EPIPE);
    close(pipes[1]);
    assert_int_equal(write_whole(-1, bytes, 1), -EBADF);
    assert_int_equal(write_whole(-1, bytes, 0), 0);
}

static void reads_to_length_or_end(void **state)
{
    char bytes[16];
    int pipes[2];
    (void)state;

    assert_int_equal(pipe2(pipes, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 10; i++) {
            if (write(pipes[1], &"0123456789"[i], 1) != 1)
                _exit(1);
            usleep(2000);
        }
        _exit(0);
    }
    close(pipes[1]);
    interruptions_start();
    ssize_t first = read_whole(pipes[0], bytes, 7);
    ssize_t second = read_whole(pipes[0], bytes + 7, 9);
    interruptions_stop();
    int status = -1;
    waitpid(child, &status, 0);
    close(pipes[0]);
    assert_int_equal(status, 0);
    assert_int_equal(first, 7);
    assert_int_equal(second, 3);
    assert_memory_equal(bytes, "0123456789", 10);
    assert_int_equal(read_whole(-1, bytes, 1), -EBADF);
}

static void reads_at_an_offset(void **state)
{
    char bytes[8] = "";
    int file = memfd_create("test", MFD_CLOEXEC);
    (void)state;

    assert_true(file >= 0);
    assert_int_equal(write_whole(file, "abcdef", 6), 0);
    assert_int_equal(read_whole_at(file, bytes, 8, 2), 4);
    assert_memory_equal(bytes, "cdef", 4);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 6);
    assert_int_equal(read_whole_at(file, bytes, 8, 9), 0);
    close(file);
    assert_int_equal(read_whole_at(-1, bytes, 1, 0), -EBADF);
}

static void appends_numbers(void **state)
{
    static const uint64_t numbers[] = {0,          1,          9,         10,
                                       15,         16,         255,       256,
                                       4294967295, 4294967296, INT64_MAX, (uint64_t)INT64_MAX + 1,
                                       UINT64_MAX};
    (void)state;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char expected[200], made[200];
        struct text text;
        int64_t negative = (int64_t)(0 - numbers[i]);
        snprintf(expected, sizeof(expected),
                 "%" PRIu64 " %" PRId64 " %" PRIx64 " %04" PRIx64 " %016" PRIx64, numbers[i],
                 negative, numbers[i], numbers[i], numbers[i]);
        text_start(&text, made, sizeof(made));
        text_append_unsigned(&text, numbers[i]);
        text_append_char(&text, ' ');
        text_append_signed(&text, negative);
        text_append_char(&text, ' ');
        text_append_hex(&text, numbers[i], 1);
        text_append_char(&text, ' ');
        text_append_hex(&text, numbers[i], 4);
        text_append_char(&text, ' ');
        text_append_hex(&text, numbers[i], 99); /* no more than there are */
        assert_string_equal(made, expected);
        assert_int_equal(text.length, strlen(expected));
        assert_false(text.truncated);
    }
}

static void stays_inside_the_buffer(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity <= 8; capacity++) {
        char *bytes = malloc(capacity + 1); /* ASan sees one byte too many only without the + 1 */
        assert_non_null(bytes);
        memset(bytes, '#', capacity + 1);
        struct text text;
        text_start(&text, bytes, capacity);
        text_append(&text, "ab");
        text_append_unsigned(&text, 123);
        text_append_bytes(&text, "c\0d", 1);
        assert_int_equal(text.truncated, capacity < 7);
        assert_int_equal(text.length, capacity == 0 ? 0 : capacity < 7 ? capacity - 1 : 6);
        if (capacity > 0) {
            assert_memory_equal(bytes, "ab123c", text.length);
            assert_int_equal(bytes[text.length], '\0');
        }
        assert_int_equal(bytes[capacity], '#');
        free(bytes);
    }
}

static void reads_numbers(void **state)
{
    static const struct {
        const char *string;
        uint64_t maximum;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"3", 2, false, 0},
        {"", 10, false, 0},
        {"01", 10, false, 0},
        {"00", 10, false, 0},
        {"-1", 10, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"1x", 10, false, 0},
        {"0x1", 10, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"2147483647", 2147483647, true, 2147483647},
        {"2147483648", 2147483647, false, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;
        if (text_to_unsigned(cases[i].string, cases[i].maximum, &value) != cases[i].good)
            fail_msg("\"%s\"", cases[i].string);
        assert_int_equal(value, cases[i].good ? cases[i].value : 77);
    }
}

static void clocks_run(void **state)
{
    struct timespec wall, steady;
    (void)state;

    uint64_t before = clock_monotonic_ns();
    usleep(3000);
    uint64_t after = clock_monotonic_ns();
    assert_true(after - before >= 3000000u);
    assert_true(clock_monotonic_ms() >= after / 1000000u);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    assert_true((uint64_t)steady.tv_sec * 1000u - clock_monotonic_ms() + 60000u < 120000u);
    clock_gettime(CLOCK_REALTIME, &wall);
    assert_true(clock_wall_ms() - (uint64_t)wall.tv_sec * 1000u < 60000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_on_after_interruptions),
        cmocka_unit_test(waits_for_a_full_pipe),
        cmocka_unit_test(says_that_a_pipe_is_full),
        cmocka_unit_test(reads_to_length_or_end),
        cmocka_unit_test(reads_at_an_offset),
        cmocka_unit_test(appends_numbers),
        cmocka_unit_test(stays_inside_the_buffer),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
