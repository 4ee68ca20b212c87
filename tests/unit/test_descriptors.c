/* Ownership of descriptors, and messages that carry them: nothing may leak on any path. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/shared/descriptors.h"


static size_t descriptors_open(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

struct fixture {
    int ends[2]; /* [0] sends, [1] receives */
    size_t open_before;
};

static int fixture_make(void **state)
{
    static struct fixture fixture;

    fixture.open_before = descriptors_open();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture.ends) != 0)
        return -1;
    *state = &fixture;
    return 0;
}

/* Each test's leak check: what was open before is what is open after. */
static int fixture_end(void **state)
{
    struct fixture *fixture = *state;

    descriptors_close(fixture->ends, 2);
    return descriptors_open() == fixture->open_before ? 0 : -1;
}

static int send_text(int socket, const char *text, size_t length, const int *descriptors,
                     size_t count)
{
    struct iovec part = {(void *)(uintptr_t)text, length};

    return message_send(socket, &part, 1, descriptors, count);
}

/* `count` copies of one descriptor, in a message of 1 byte. */
static void send_copies(int socket, size_t count)
{
    int copies[DESCRIPTORS_MAX];

    for (size_t i = 0; i < count; i++)
        copies[i] = socket;
    assert_int_equal(send_text(socket, "x", 1, copies, count), 0);
}

static void closes_by_scope(void **state)
{
    struct fixture *fixture = *state;
    int kept;
    size_t open_now = descriptors_open();

    {
        cleanup_fd int lost = dup(fixture->ends[0]);
        cleanup_fd int stolen = dup(fixture->ends[0]);
        cleanup_fd int none = -1;
        assert_true(lost >= 0 && stolen >= 0);
        kept = descriptor_steal(&stolen);
        assert_int_equal(stolen, -1);
        assert_int_equal(none, -1);
        errno = ENOTTY;
    }
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(descriptors_open(), open_now + 1);
    descriptor_close(&kept);
    assert_int_equal(kept, -1);
    descriptor_close(&kept);
    assert_int_equal(descriptors_open(), open_now);
}

static void receives_bytes_and_descriptors(void **state)
{
    struct fixture *fixture = *state;
    char bytes[16];
    int got[5];
    struct message message = {bytes, sizeof(bytes), got, 5, false, false, 99, 99};
    int sent[3] = {fixture->ends[1], fixture->ends[0], fixture->ends[1]};
    struct stat there, here;

    struct iovec parts[] = {
        {(void *)(uintptr_t) "he", 2}, {NULL, 0}, {(void *)(uintptr_t) "llo", 3}};
    assert_int_equal(message_send(fixture->ends[0], parts, 3, sent, 3), 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.length, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(message.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fstat(got[i], &here), 0);
        assert_int_equal(fstat(sent[i], &there), 0);
        assert_int_equal(here.st_ino, there.st_ino);
    }
    assert_int_equal(got[3], -1);
    assert_int_equal(got[4], -1);
    descriptors_close(got, 5);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_NONE);
    assert_int_equal(message.length, 0);
    assert_int_equal(message.count, 0);
}

/* A listening socket of somebody else's (LISTEN_FDS) may have SO_PASSCRED set: credentials then
 * come before the descriptors. */
static void finds_descriptors_behind_credentials(void **state)
{
    struct fixture *fixture = *state;
    char byte;
    int got[3], on = 1;
    struct message message = {&byte, 1, got, 3, false, false, 0, 0};

    assert_int_equal(setsockopt(fixture->ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    send_copies(fixture->ends[0], 2);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.count, 2);
    assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(got[1], F_GETFD), FD_CLOEXEC);
    assert_int_equal(got[2], -1);
    descriptors_close(got, 3);
    send_copies(fixture->ends[0], 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.count, 0);
    send_copies(fixture->ends[0], 4);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_TOO_MANY);
    assert_int_equal(message.count, 4);
}

static void takes_none_when_none_is_wanted(void **state)
{
    struct fixture *fixture = *state;
    char bytes[4];
    struct message message = {.buffer = bytes, .capacity = sizeof(bytes)};

    assert_int_equal(send_text(fixture->ends[0], "abcd", 4, NULL, 0), 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.length, 4);
    send_copies(fixture->ends[0], 1);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_TOO_MANY);
    assert_int_equal(message.count, 1);
}

static void closes_what_is_too_many(void **state)
{
    struct fixture *fixture = *state;
    static const size_t counts[] = {6, 7, 100, DESCRIPTORS_MAX};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char bytes[16];
        int got[5];
        struct message message = {bytes, sizeof(bytes), got, 5, false, false, 0, 0};
        size_t open_now = descriptors_open();
        send_copies(fixture->ends[0], counts[i]);
        assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_TOO_MANY);
        assert_int_equal(message.count, counts[i]);
        for (int j = 0; j < 5; j++)
            assert_int_equal(got[j], -1);
        assert_int_equal(descriptors_open(), open_now);
    }
}

static void takes_as_many_as_there_can_be(void **state)
{
    struct fixture *fixture = *state;
    char byte;
    int got[DESCRIPTORS_MAX];
    struct message message = {&byte, 1, got, DESCRIPTORS_MAX, false, false, 0, 0};
    int copies[DESCRIPTORS_MAX + 1] = {0};

    send_copies(fixture->ends[0], DESCRIPTORS_MAX);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.count, DESCRIPTORS_MAX);
    descriptors_close(got, DESCRIPTORS_MAX);
    assert_int_equal(send_text(fixture->ends[0], "x", 1, copies, DESCRIPTORS_MAX + 1), -EINVAL);
}

static void closes_what_came_with_too_long_a_message(void **state)
{
    struct fixture *fixture = *state;
    char bytes[4];
    int got[3];
    struct message message = {bytes, sizeof(bytes), got, 3, false, false, 0, 0};
    int sent[3] = {0, 1, 2};
    size_t open_now = descriptors_open();

    assert_int_equal(send_text(fixture->ends[0], "123456789", 9, sent, 3), 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_TOO_LONG);
    assert_int_equal(message.length, 9);
    assert_int_equal(got[0], -1);
    assert_int_equal(descriptors_open(), open_now);
}

/* At the limit the kernel installs what still fits, sets MSG_CTRUNC and drops the rest: those that
 * were installed must not stay. */
static void leaks_nothing_at_the_descriptor_limit(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, low;

    for (size_t room = 0; room <= 4; room++) {
        char bytes[4];
        int got[3], filler[64];
        struct message message = {bytes, sizeof(bytes), got, 3, false, false, 0, 0};
        size_t open_now = descriptors_open(), filled = 0;

        send_copies(fixture->ends[0], 3);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        low = before;
        low.rlim_cur = 48;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        while (filled < 64 && (filler[filled] = dup(0)) >= 0)
            filled++;
        assert_true(filled > 4 && filled < 64);
        for (size_t i = 0; i < room; i++)
            descriptor_close(&filler[--filled]);
        enum message_result result = message_receive(fixture->ends[1], &message);
        descriptors_close(filler, filled);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

        assert_int_equal(result, room < 3 ? MESSAGE_DESCRIPTORS_LOST : MESSAGE_RECEIVED);
        if (result == MESSAGE_RECEIVED)
            descriptors_close(got, 3);
        assert_int_equal(descriptors_open(), open_now);
    }
}

static void tells_the_end_from_an_empty_message(void **state)
{
    struct fixture *fixture = *state;
    char bytes[4];
    int got[3];
    struct message message = {bytes, sizeof(bytes), got, 3, false, false, 0, 0};
    int sent = 0;

    assert_int_equal(send_text(fixture->ends[0], "", 0, NULL, 0), 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.length, 0);
    assert_int_equal(send_text(fixture->ends[0], "", 0, &sent, 1), 0);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_int_equal(message.count, 1);
    descriptors_close(got, 3);
    descriptor_close(&fixture->ends[0]);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_END);
}

static void tells_of_a_peer_that_left_in_anger(void **state)
{
    struct fixture *fixture = *state;
    char byte;
    struct message message = {.buffer = &byte, .capacity = 1};

    /* The peer closes with our message unread: ECONNRESET first. */
    assert_int_equal(send_text(fixture->ends[1], "x", 1, NULL, 0), 0);
    descriptor_close(&fixture->ends[0]);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_END);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_END);
}

/* A broker that answers and closes while a SIGNAL frame is on its way. */
static void keeps_the_last_words_of_a_peer(void **state)
{
    struct fixture *fixture = *state;
    char bytes[8];
    struct message message = {.buffer = bytes, .capacity = sizeof(bytes)};

    assert_int_equal(send_text(fixture->ends[1], "signal", 6, NULL, 0), 0);
    assert_int_equal(send_text(fixture->ends[0], "answer", 6, NULL, 0), 0);
    descriptor_close(&fixture->ends[0]);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_RECEIVED);
    assert_memory_equal(bytes, "answer", 6);
    assert_int_equal(message_receive(fixture->ends[1], &message), MESSAGE_END);
}

static void fails_where_there_is_no_socket(void **state)
{
    char byte;
    struct message message = {.buffer = &byte, .capacity = 1};
    (void)state;

    assert_int_equal(message_receive(-1, &message), MESSAGE_FAILED);
    assert_int_equal(errno, EBADF);
    assert_int_equal(send_text(-1, "x", 1, NULL, 0), -EBADF);
}

static void says_why_a_message_does_not_go(void **state)
{
    struct fixture *fixture = *state;
    static const char large[4 * 1024 * 1024];
    size_t sent = 0;
    int result;

    assert_int_equal(send_text(fixture->ends[0], large, sizeof(large), NULL, 0), -EMSGSIZE);
    while ((result = send_text(fixture->ends[0], large, 10000, NULL, 0)) == 0)
        assert_true(++sent < 10000);
    assert_int_equal(result, -EAGAIN);
    assert_true(sent > 0);
    descriptor_close(&fixture->ends[1]);
    /* The peer left messages unread: told once. No SIGPIPE either way, which would end this test.
     */
    assert_int_equal(send_text(fixture->ends[0], "x", 1, NULL, 0), -ECONNRESET);
    assert_int_equal(send_text(fixture->ends[0], "x", 1, NULL, 0), -EPIPE);
}

/* A call's `reply` may be a stream, where Linux raises SIGPIPE, and where a message may go in part. */
static void sends_on_a_stream_too(void **state)
{
    static const char large[4 * 1024 * 1024];
    int ends[2];
    char bytes[8];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(send_text(ends[0], "answer", 6, NULL, 0), 0);
    assert_int_equal(read(ends[1], bytes, sizeof(bytes)), 6);
    assert_memory_equal(bytes, "answer", 6);
    assert_int_equal(send_text(ends[0], large, sizeof(large), NULL, 0), -EIO);
    descriptor_close(&ends[1]);
    int result = send_text(ends[0], "x", 1, NULL, 0);
    if (result == -ECONNRESET) /* told once, as there was something unread */
        result = send_text(ends[0], "x", 1, NULL, 0);
    assert_int_equal(result, -EPIPE);
    descriptor_close(&ends[0]);
}

static void sets_its_own_descriptor_nonblocking(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fcntl(fixture->ends[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(descriptor_set_nonblocking(fixture->ends[0]), 0);
    assert_int_equal(fcntl(fixture->ends[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(fixture->ends[0], F_GETFL) & O_ACCMODE, O_RDWR);
    assert_int_equal(descriptor_set_nonblocking(-1), -EBADF);
    int pipes[2]; /* the reading end has no flags at all */
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fcntl(pipes[0], F_GETFL), 0);
    assert_int_equal(descriptor_set_nonblocking(pipes[0]), 0);
    assert_int_equal(fcntl(pipes[0], F_GETFL), O_NONBLOCK);
    assert_int_equal(fcntl(pipes[1], F_GETFL), O_WRONLY);
    descriptors_close(pipes, 2);
}

/* Whether a descriptor is /dev/null, in a child that has no way to report but its exit code. */
static bool descriptor_is_null(int descriptor)
{
    struct stat here, there;

    return fstat(descriptor, &here) == 0 && stat("/dev/null", &there) == 0 &&
           S_ISCHR(here.st_mode) && here.st_rdev == there.st_rdev;
}

/* Closes the descriptors in the mask `closed` of 0, 1 and 2, with none other open but those three.
 * Returns how many things are wrong after the others have been filled. */
static int fill_standard_with(unsigned closed)
{
    int failures = 0;
    int other = memfd_create("other", 0);

    for (int i = 0; i <= 2; i++)
        if (dup2(other, i) != i)
            failures++;
    for (int i = 3; i < 1024; i++)
        close(i);
    for (int i = 0; i <= 2; i++) {
        int descriptor = i;
        if (closed & 1u << i)
            descriptor_close(&descriptor); /* 0 is a descriptor as any */
    }
    for (int i = 0; i <= 2; i++)
        if (fcntl(i, F_GETFD) != (closed & 1u << i ? -1 : 0))
            failures++;
    if (descriptors_fill_standard() != 0)
        failures++;
    for (int i = 0; i <= 2; i++)
        if (descriptor_is_null(i) != ((closed & 1u << i) != 0) || fcntl(i, F_GETFD) != 0)
            failures++;
    for (int i = 3; i < 1024; i++)
        if (fcntl(i, F_GETFD) >= 0)
            failures++;
    return failures;
}

static void fills_the_standard_descriptors(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(fill_standard_with(closed));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

#define CLOSE_RANGE 436

/* From now on close_range(2) fails with `error` in this process. */
static bool close_range_refuse(unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOSE_RANGE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

/* The exit status of a child that closes ranges: 0 if exactly what is in one was closed. */
static int range_child(unsigned error)
{
    enum { FIRST = 40, LAST = 700 }; /* more than one reading of the list */
    int null = open("/dev/null", O_RDONLY);
    struct rlimit room;
    if (error != 0 && !close_range_refuse(error))
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &room) < 0 || room.rlim_cur <= LAST)
        return 2;
    for (int i = FIRST - 1; i <= LAST; i++)
        if (dup2(null, i) != i)
            return 3;
    if (descriptors_close_range_at_exec(FIRST, FIRST + 9) != 0)
        return 4;
    for (int i = FIRST - 1; i <= LAST; i++)
        if (fcntl(i, F_GETFD) != (i >= FIRST && i <= FIRST + 9 ? FD_CLOEXEC : 0))
            return 5;
    if (descriptors_close_range(FIRST, LAST - 1) != 0)
        return 6;
    for (int i = FIRST; i < LAST; i++)
        if (is_open(i))
            return 7;
    if (!is_open(FIRST - 1) || !is_open(LAST) || descriptors_close_range(LAST + 1, LAST) != 0)
        return 8;
    return descriptors_close_range(LAST, ~0u) == 0 && !is_open(LAST) ? 0 : 9;
}

static void closes_a_range_whatever_the_host_refuses(void **state)
{
    static const unsigned errors[] = {0, ENOSYS, EPERM};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(range_child(errors[i]));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closes_by_scope),
        TEST(receives_bytes_and_descriptors),
        TEST(finds_descriptors_behind_credentials),
        TEST(takes_none_when_none_is_wanted),
        TEST(closes_what_is_too_many),
        TEST(takes_as_many_as_there_can_be),
        TEST(closes_what_came_with_too_long_a_message),
        TEST(leaks_nothing_at_the_descriptor_limit),
        TEST(tells_the_end_from_an_empty_message),
        TEST(tells_of_a_peer_that_left_in_anger),
        TEST(keeps_the_last_words_of_a_peer),
        TEST(fails_where_there_is_no_socket),
        TEST(says_why_a_message_does_not_go),
        TEST(sends_on_a_stream_too),
        TEST(sets_its_own_descriptor_nonblocking),
        TEST(fills_the_standard_descriptors),
        TEST(closes_a_range_whatever_the_host_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
