/* The state that a broker hands to its successor: whatever is in the memfd, the successor reads it
 * whole and within its bounds, or refuses it.
 *
 * A state is long and must be nearly right to be looked at closely, so the input is not its bytes but
 * how to make it: a sound one of a few connections and calls, then changes at some offsets, then what
 * is cut off or added. */
#define _GNU_SOURCE 1 /* memfd_create, F_ADD_SEALS */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kept.h"
#include "runtime/broker/state.h"
#include "tests/fuzz/support.h"

#define STATE_ROOM (256u * 1024)

struct making {
    char *bytes;
    size_t length;
    uint64_t last_call;
};

static void put(struct making *making, const void *bytes, size_t length)
{
    FUZZ_CHECK(length <= STATE_ROOM - making->length);
    memcpy(making->bytes + making->length, bytes, length);
    making->length += length;
}

static void put_connection(struct making *making, struct input *input)
{
    struct state_connection connection;
    memset(&connection, 0, sizeof connection);
    connection.index = input_byte(input);
    connection.descriptor = 900 + input_byte(input);
    connection.version = input_byte(input) % 4;
    put(making, &connection, sizeof connection);
}

/* A request of one to four short arguments, as it is kept. */
static struct kept_request *make_kept(struct input *input)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct wire_request *request = calloc(1, sizeof *request);
    FUZZ_CHECK(request);
    request->version = 2;
    request->argument_count = 1 + input_byte(input) % 4;
    for (uint32_t i = 0; i < request->argument_count; i++)
        request->arguments[i] = (struct policy_bytes){letters, input_byte(input) % 26};
    request->variable_count = input_byte(input) % 3;
    for (uint32_t i = 0; i < request->variable_count; i++)
        request->variables[i] = (struct policy_bytes){"A=b", 3};
    struct kept_request *kept = kept_make(request);
    FUZZ_CHECK(kept);
    free(request);
    return kept;
}

static void put_call(struct making *making, struct input *input)
{
    static const char zeros[8];
    struct state_call record;
    struct kept_request *kept = NULL;
    memset(&record, 0, sizeof record);
    uint8_t how = input_byte(input);
    record.call.state = (uint8_t)(CALL_WAITING + how % 3);
    record.call.number = making->last_call += 1 + (how >> 6);
    record.call.connection = how & 8 ? NONE : input_byte(input);
    record.worker_pid = record.worker_pidfd = record.worker_control = -1;
    if (record.call.state == CALL_WAITING) {
        kept = make_kept(input);
        record.kept_length = kept_bytes(kept);
        for (int i = 0; i < 3; i++)
            record.call.descriptors[i] = -1;
    } else if (how & 16) {
        record.has_capture = 1;
        record.path_length[0] = input_byte(input);
        record.path_length[1] = input_byte(input);
    }
    put(making, &record, sizeof record);
    for (int stream = 0; stream < CAPTURE_STREAMS; stream++)
        for (uint32_t i = 0; i < record.path_length[stream]; i++)
            put(making, "p", 1);
    if (kept)
        put(making, kept, record.kept_length);
    kept_release(kept);
    put(making, zeros, (8 - making->length % 8) % 8);
}

static void make(struct making *making, struct input *input)
{
    struct state_header header;
    memset(&header, 0, sizeof header);
    header = (struct state_header){
        .magic = STATE_MAGIC,
        .format = STATE_FORMAT,
        .header_size = sizeof(struct state_header),
        .connection_size = sizeof(struct state_connection),
        .call_size = sizeof(struct state_call),
        .worker_protocol = WORKER_PROTOCOL,
        .capture_protocol = CAPTURE_PROTOCOL,
        .connection_count = input_byte(input) % 4,
        .call_count = input_byte(input) % 4,
        .previous = -1, .captures_memory = -1, .notify = -1, .children = -1,
        .listener = {.socket = -1, .lock = -1, .directory = -1},
    };
    put(making, &header, sizeof header);
    for (uint32_t i = 0; i < header.connection_count; i++)
        put_connection(making, input);
    for (uint32_t i = 0; i < header.call_count; i++)
        put_call(making, input);
    header.last_call = making->last_call;
    header.length = making->length;
    memcpy(making->bytes, &header, sizeof header);
}

/* Changes of one byte each, up to the end of the input; where the first says so, the length as well. */
static void change(struct making *making, struct input *input)
{
    uint8_t how = input_byte(input);
    if (how & 1)
        making->length = input_number(input) % (making->length + 1);
    else if (how & 2)
        put(making, "tail", 4);
    while (input->left && making->length) {
        size_t at = input_number(input) & 0xffffff;
        uint8_t byte = input_byte(input);
        making->bytes[at % making->length] = (char)byte;
    }
    /* A length that was changed on purpose stays; this one says how it became so. */
    if ((how & 4) && making->length >= sizeof(struct state_header)) {
        struct state_header header;
        memcpy(&header, making->bytes, sizeof header);
        header.length = making->length;
        memcpy(making->bytes, &header, sizeof header);
    }
}

static int seal(const struct making *making)
{
    int file = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FUZZ_CHECK(file >= 0 &&
               write(file, making->bytes, making->length) == (ssize_t)making->length);
    FUZZ_CHECK(fcntl(file, F_ADD_SEALS,
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    return file;
}

/* Everything that a successor reads. */
static void walk(const struct state *state)
{
    struct state_connection connection;
    struct state_call call;
    const char *paths[CAPTURE_STREAMS], *kept;
    size_t at = state->calls_at;
    uint64_t last = 0;
    struct wire_request *request = calloc(1, sizeof *request);

    FUZZ_CHECK(request);
    for (uint32_t i = 0; i < state->header.connection_count; i++) {
        state_connection_at(state, i, &connection);
        FUZZ_CHECK(connection.index < CONNECTION_ENTRIES && connection.version <= 2);
    }
    for (uint32_t i = 0; i < state->header.call_count; i++) {
        state_call_at(state, &at, &call, paths, &kept);
        FUZZ_CHECK(call.call.number > last && call.call.number <= state->header.last_call);
        last = call.call.number;
        for (int stream = 0; stream < CAPTURE_STREAMS; stream++)
            FUZZ_CHECK(paths[stream] + call.path_length[stream] <= state->bytes + state->length);
        if (call.call.state != CALL_WAITING)
            continue;
        struct kept_request *copy = kept_copy(kept, (size_t)call.kept_length);
        FUZZ_CHECK(copy);
        kept_restore(copy, request);
        for (uint32_t k = 0; k < request->argument_count; k++)
            FUZZ_CHECK(request->arguments[k].bytes[request->arguments[k].length] == '\0');
        kept_release(copy);
    }
    FUZZ_CHECK(at == state->length);
    free(request);
}

static void rewrite(const struct state *state)
{
    struct failure failure;
    struct state again;
    int file = state_rewrite(state, -1, "gave up", &failure);
    FUZZ_CHECK(file >= 0 && state_read(file, &again, &failure) == 0);
    FUZZ_CHECK(again.length == state->length && strcmp(again.header.note, "gave up") == 0);
    state_close(&again);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct making making = {.bytes = calloc(1, STATE_ROOM)};
    struct failure failure = {.text = ""};
    struct state state;

    FUZZ_CHECK(making.bytes);
    make(&making, &input);
    change(&making, &input);
    int file = seal(&making);
    if (state_read(file, &state, &failure) == 0) {
        walk(&state);
        rewrite(&state);
        state_close(&state);
    } else {
        FUZZ_CHECK(failure.text[0]);
    }
    close(file);
    free(making.bytes);
    return 0;
}
