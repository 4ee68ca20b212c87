/* The state that is handed over at a reload: a sound one is read as it was written; one that is cut off,
 * lengthened, of another format or altered is refused, or read within its bounds. */
#define _GNU_SOURCE 1 /* memfd_create, F_ADD_SEALS */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kept.h"
#include "runtime/broker/state.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define CONNECTIONS 3u
#define CALLS 4u

struct fixture {
    struct broker *broker;
    char *bytes; /* a sound state */
    size_t length;
};

static struct kept_request *make_kept(void)
{
    struct wire_request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    request->version = 2;
    request->argument_count = 2;
    request->arguments[0] = (struct policy_bytes){"git", 3};
    request->arguments[1] = (struct policy_bytes){"status", 6};
    request->cwd = (struct policy_bytes){"/srv", 4};
    struct kept_request *kept = kept_make(request);
    assert_non_null(kept);
    free(request);
    return kept;
}

/* Connections 0 and 2 are open; calls 3 (runs), 5 (its turn has come, but what it names is not open
 * yet), 6 (waits) and 4 (in the background). */
static struct broker *make_broker(void)
{
    struct broker *broker = calloc(1, sizeof *broker);
    struct connection *connections = calloc(CONNECTIONS, sizeof *connections);
    struct call *calls = calloc(CALLS, sizeof *calls);
    struct call_paths *paths = calloc(CALLS, sizeof *paths);
    static const uint8_t states[CALLS] = {CALL_RUNNING, CALL_OPENING, CALL_WAITING,
                                          CALL_BACKGROUND};
    static const uint64_t numbers[CALLS] = {3, 5, 6, 4};

    assert_non_null(broker);
    assert_non_null(connections);
    assert_non_null(calls);
    assert_non_null(paths);
    broker->connections = (struct connections){.table = connections, .used = CONNECTIONS};
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        connections[i] = (struct connection){.descriptor = i == 1 ? -1 : 900 + (int)i,
                                             .version = 2,
                                             .peer = {.known = true, .pid = 42, .uid = 7}};
    broker->calls = (struct calls){.table = calls, .paths = paths, .used = CALLS};
    for (uint32_t i = 0; i < CALLS; i++) {
        calls[i] = (struct call){.state = states[i],
                                 .number = numbers[i],
                                 .connection = i == 0 ? 2 : NONE,
                                 .worker = NONE,
                                 .descriptors = {-1, -1, -1},
                                 .parked = -1};
        if (call_is_pending(&calls[i]))
            calls[i].kept = make_kept();
    }
    broker->orphans.children = broker->notify = -1;
    broker->orphans.saved =
        (struct orphans_saved){.sweep = SWEEP_KILL, .spared_count = 2, .spared = {77, 78}};
    broker->listener_state = (struct listener){.socket = 3, .lock = 4, .directory = 5};
    broker->audit.last_call = 6;
    broker->statistics.calls = 17;
    strcpy(broker->reload.path, "/opt/agent-broker");
    return broker;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct failure failure;
    struct stat status;

    assert_non_null(fixture);
    fixture->broker = make_broker();
    int file = state_write(fixture->broker, -1, "", &failure);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    fixture->length = (size_t)status.st_size;
    fixture->bytes = malloc(fixture->length);
    assert_non_null(fixture->bytes);
    assert_int_equal(pread(file, fixture->bytes, fixture->length, 0), (ssize_t)fixture->length);
    close(file);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < CALLS; i++)
        kept_release(fixture->broker->calls.table[i].kept);
    free(fixture->broker->connections.table);
    free(fixture->broker->calls.table);
    free(fixture->broker->calls.paths);
    free(fixture->broker);
    free(fixture->bytes);
    free(fixture);
    return 0;
}

/* A file with these bytes; `seals` 0: not sealed. */
static int make_file(const char *bytes, size_t length, int seals)
{
    int file = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), (ssize_t)length);
    if (seals != 0)
        assert_int_equal(fcntl(file, F_ADD_SEALS, seals), 0);
    return file;
}

/* Everything that a successor looks at, in exact-size copies, so that a sanitizer sees the bounds. */
static void walk(const struct state *state)
{
    struct state_connection connection;
    struct state_call call;
    const char *paths[CAPTURE_STREAMS], *kept;
    size_t at = state->calls_at;
    struct wire_request *request = calloc(1, sizeof *request);
    uint32_t next = 0;

    assert_non_null(request);
    for (uint32_t i = 0; i < state->header.connection_count; i++) {
        state_connection_at(state, i, &connection);
        assert_true(connection.index >= next && connection.index < CONNECTION_ENTRIES);
        next = connection.index + 1;
    }
    for (uint32_t i = 0; i < state->header.call_count; i++) {
        state_call_at(state, &at, &call, paths, &kept);
        assert_true(at <= state->length);
        if (call.call.state != CALL_WAITING)
            continue;
        struct kept_request *copy = kept_copy(kept, (size_t)call.kept_length);
        assert_non_null(copy);
        kept_restore(copy, request);
        for (uint32_t k = 0; k < request->argument_count; k++)
            assert_int_equal(request->arguments[k].bytes[request->arguments[k].length], 0);
        kept_release(copy);
    }
    assert_int_equal(at, state->length);
    free(request);
}

/* Whether these bytes are taken for a state; if so, all of it is looked at. */
static bool is_read(const char *bytes, size_t length)
{
    struct failure failure = {0};
    struct state state;
    int file = make_file(bytes, length, SEALS);
    bool read = state_read(file, &state, &failure) == 0;
    if (read) {
        walk(&state);
        state_close(&state);
    } else {
        assert_true(failure.text[0] != '\0');
        assert_null(state.bytes);
    }
    close(file);
    return read;
}

static void assert_refused(struct fixture *fixture, const struct state_header *header,
                           const char *why)
{
    struct failure failure;
    struct state state;
    char *bytes = malloc(fixture->length);
    assert_non_null(bytes);
    memcpy(bytes, fixture->bytes, fixture->length);
    memcpy(bytes, header, sizeof *header);
    int file = make_file(bytes, fixture->length, SEALS);
    assert_int_equal(state_read(file, &state, &failure), -1);
    assert_non_null(strstr(failure.text, why));
    close(file);
    free(bytes);
}

static void a_sound_state_is_read_as_it_was_written(void **data)
{
    struct fixture *fixture = *data;
    struct failure failure;
    struct state state;
    struct state_connection connection;
    struct state_call call;
    const char *paths[CAPTURE_STREAMS], *kept;
    static const uint64_t numbers[CALLS] = {3, 4, 5, 6};
    static const uint8_t states[CALLS] = {CALL_RUNNING, CALL_BACKGROUND, CALL_WAITING,
                                          CALL_WAITING};

    int file = make_file(fixture->bytes, fixture->length, SEALS);
    assert_int_equal(state_read(file, &state, &failure), 0);
    walk(&state);
    assert_int_equal(state.header.connection_count, 2);
    state_connection_at(&state, 1, &connection);
    assert_int_equal(connection.index, 2);
    assert_int_equal(connection.descriptor, 902);
    assert_int_equal(connection.peer.uid, 7);
    assert_int_equal(state.header.call_count, CALLS);
    assert_int_equal(state.header.last_call, 6);
    assert_int_equal(state.header.calls, 17);
    assert_int_equal(state.header.orphans.sweep, SWEEP_KILL);
    assert_int_equal(state.header.orphans.spared_count, 2);
    assert_int_equal(state.header.orphans.spared[1], 78);
    assert_string_equal(state.header.path, "/opt/agent-broker");
    size_t at = state.calls_at;
    for (uint32_t i = 0; i < CALLS; i++) {
        state_call_at(&state, &at, &call, paths, &kept);
        assert_int_equal(call.call.number, numbers[i]);
        assert_int_equal(call.call.state, states[i]); /* what opens is asked for anew */
    }
    state_close(&state);
    close(file);
}

static void every_shorter_one_is_refused(void **data)
{
    struct fixture *fixture = *data;
    struct state_header header;
    char *bytes = malloc(fixture->length);

    assert_non_null(bytes);
    for (size_t length = 0; length < fixture->length; length++) {
        assert_false(is_read(fixture->bytes, length));
        if (length < sizeof header)
            continue;
        /* And with a header that says so. */
        memcpy(bytes, fixture->bytes, length);
        memcpy(&header, bytes, sizeof header);
        header.length = length;
        memcpy(bytes, &header, sizeof header);
        assert_false(is_read(bytes, length));
    }
    free(bytes);
}

static void a_longer_one_is_refused(void **data)
{
    struct fixture *fixture = *data;
    struct state_header header;
    size_t more[] = {1, 7, 8, sizeof(struct state_connection), sizeof(struct state_call), 4096};

    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        size_t length = fixture->length + more[i];
        char *bytes = calloc(1, length);
        assert_non_null(bytes);
        memcpy(bytes, fixture->bytes, fixture->length);
        assert_false(is_read(bytes, length));
        memcpy(&header, bytes, sizeof header);
        header.length = length;
        memcpy(bytes, &header, sizeof header);
        assert_false(is_read(bytes, length));
        free(bytes);
    }
}

static void one_that_says_it_is_another_is_refused(void **data)
{
    struct fixture *fixture = *data;
    struct state_header sound, header;

    memcpy(&sound, fixture->bytes, sizeof sound);
    header = sound;
    header.magic++;
    assert_refused(fixture, &header, "no broker's state");
    header = sound;
    header.format = STATE_FORMAT + 1;
    assert_refused(fixture, &header, "has format 4, this broker reads 3");
    header.format = STATE_FORMAT - 1;
    assert_refused(fixture, &header, "has format 2, this broker reads 3");
    header = sound;
    header.call_size += 8;
    assert_refused(fixture, &header, "other sizes");
    header = sound;
    header.worker_protocol++;
    assert_refused(fixture, &header, "another protocol");
    header = sound;
    header.capture_protocol++;
    assert_refused(fixture, &header, "another protocol");
    header = sound;
    header.connection_count = UINT32_MAX;
    assert_refused(fixture, &header, "cut off");
    header = sound;
    header.call_count = UINT32_MAX;
    assert_refused(fixture, &header, "inconsistent");
    header = sound;
    header.orphans.sweep = SWEEP_KILL + 1;
    assert_refused(fixture, &header, "inconsistent");
    header = sound;
    header.orphans.spared_count = ORPHANS_SPARED_MAX + 1;
    assert_refused(fixture, &header, "inconsistent");
    header = sound;
    header.orphans.spared[1] = 0; /* everyone in this group: kill(2) */
    assert_refused(fixture, &header, "inconsistent");
    header = sound;
    header.last_call = 5; /* less than a call's number */
    assert_refused(fixture, &header, "inconsistent");
    header = sound;
    memset(header.path, 'x', sizeof header.path);
    assert_refused(fixture, &header, "inconsistent");
}

/* Each byte changed in several ways: what is still taken stays within its bounds (walk). */
static void every_altered_byte_is_survived(void **data)
{
    struct fixture *fixture = *data;
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    size_t refused = 0;

    for (size_t at = 0; at < fixture->length; at++)
        for (size_t i = 0; i < sizeof masks; i++) {
            fixture->bytes[at] = (char)(fixture->bytes[at] ^ masks[i]);
            refused += !is_read(fixture->bytes, fixture->length);
            fixture->bytes[at] = (char)(fixture->bytes[at] ^ masks[i]);
        }
    assert_true(is_read(fixture->bytes, fixture->length));
    assert_true(refused > 300); /* magic, sizes, counts, lengths, numbers, strings' ends */
}

static void connections_out_of_order_are_refused(void **data)
{
    struct fixture *fixture = *data;
    struct state_connection first, second;
    char *place = fixture->bytes + sizeof(struct state_header);

    memcpy(&first, place, sizeof first);
    memcpy(&second, place + sizeof first, sizeof second);
    memcpy(place, &second, sizeof second);
    memcpy(place + sizeof first, &first, sizeof first);
    assert_false(is_read(fixture->bytes, fixture->length));
    memcpy(place + sizeof first, &second, sizeof second); /* twice the same */
    assert_false(is_read(fixture->bytes, fixture->length));
}

static void what_could_change_is_refused(void **data)
{
    struct fixture *fixture = *data;
    struct failure failure;
    struct state state;
    static const int seals[] = {0, F_SEAL_WRITE, SEALS & ~F_SEAL_WRITE, SEALS & ~F_SEAL_GROW,
                                SEALS & ~F_SEAL_SHRINK, SEALS & ~F_SEAL_SEAL};

    for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
        int file = make_file(fixture->bytes, fixture->length, seals[i]);
        assert_int_equal(state_read(file, &state, &failure), -1);
        close(file);
    }
    assert_int_equal(state_read(-1, &state, &failure), -1);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(state_read(pipes[0], &state, &failure), -1);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_rewritten_one_says_why(void **data)
{
    struct fixture *fixture = *data;
    struct failure failure;
    struct state state, again;

    int file = make_file(fixture->bytes, fixture->length, SEALS);
    assert_int_equal(state_read(file, &state, &failure), 0);
    int other = state_rewrite(&state, -1, "it gave up", &failure);
    assert_true(other >= 0);
    assert_int_equal(state_read(other, &again, &failure), 0);
    assert_string_equal(again.header.note, "it gave up");
    assert_int_equal(again.header.call_count, CALLS);
    walk(&again);
    state_close(&again);
    state_close(&state);
    close(other);
    close(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_state_is_read_as_it_was_written),
        TEST(every_shorter_one_is_refused),
        TEST(a_longer_one_is_refused),
        TEST(one_that_says_it_is_another_is_refused),
        TEST(every_altered_byte_is_survived),
        TEST(connections_out_of_order_are_refused),
        TEST(what_could_change_is_refused),
        TEST(a_rewritten_one_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
