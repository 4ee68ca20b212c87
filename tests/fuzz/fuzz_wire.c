/* A request as a broker receives it: a message, or a body in a sealed memfd. The first byte says
 * which and how many descriptors came; the rest is the message. What is accepted encodes to the
 * same bytes again and keeps through a wait. */
#define _GNU_SOURCE 1 /* memfd_create, F_ADD_SEALS */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/broker/kept.h"
#include "runtime/shared/wire.h"
#include "tests/fuzz/support.h"

static void check_string(const struct policy_bytes *string, const char *buffer, size_t length)
{
    FUZZ_CHECK(string->bytes >= buffer && string->bytes + string->length <= buffer + length);
    FUZZ_CHECK(string->bytes[string->length] == '\0');
    FUZZ_CHECK(is_text(string->bytes, string->length));
}

static void check_equal(struct policy_bytes a, struct policy_bytes b)
{
    FUZZ_CHECK(a.length == b.length);
    FUZZ_CHECK(a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static void check_call(const struct wire_request *request, const char *buffer, size_t length)
{
    FUZZ_CHECK(request->argument_count >= 1 && request->argument_count <= WIRE_ARGUMENTS_MAX);
    FUZZ_CHECK(request->variable_count <= WIRE_VARIABLES_MAX);
    for (uint32_t i = 0; i < request->argument_count; i++)
        check_string(&request->arguments[i], buffer, length);
    for (uint32_t i = 0; i < request->variable_count; i++) {
        check_string(&request->variables[i], buffer, length);
        FUZZ_CHECK(memchr(request->variables[i].bytes, '=', request->variables[i].length));
    }
    if (request->cwd.length)
        check_string(&request->cwd, buffer, length);
}

/* `original`: the body as it came. */
static void check_encoding(const struct wire_request *request, const char *original, size_t length)
{
    struct wire_call call = {.argument_count = request->argument_count,
                             .arguments = request->arguments,
                             .variable_count = request->variable_count,
                             .variables = request->variables,
                             .cwd = request->cwd};
    FUZZ_CHECK(!wire_call_problem(request->version, &call));
    FUZZ_CHECK(wire_body_size(request->version, &call) == length);
    char *again = malloc(length);
    FUZZ_CHECK(again);
    wire_body_encode(request->version, &call, again);
    FUZZ_CHECK(memcmp(again, original, length) == 0);
    free(again);
}

static void check_kept(const struct wire_request *request)
{
    struct kept_request *kept = kept_make(request);
    FUZZ_CHECK(kept && kept_bytes(kept) == kept_size(request));
    FUZZ_CHECK(kept_is_sound((const char *)kept, kept_bytes(kept)));
    struct kept_request *copy = kept_copy((const char *)kept, kept_bytes(kept));
    kept_release(kept);
    FUZZ_CHECK(copy);
    struct wire_request *again = malloc(sizeof *again);
    FUZZ_CHECK(again);
    kept_restore(copy, again);
    FUZZ_CHECK(again->version == request->version);
    FUZZ_CHECK(again->argument_count == request->argument_count);
    FUZZ_CHECK(again->variable_count == request->variable_count);
    for (uint32_t i = 0; i < request->argument_count; i++)
        check_equal(again->arguments[i], request->arguments[i]);
    for (uint32_t i = 0; i < request->variable_count; i++)
        check_equal(again->variables[i], request->variables[i]);
    check_equal(again->cwd, request->cwd);
    free(again);
    kept_release(copy);
}

static void check_refusal(const struct wire_request *request, enum wire_status status)
{
    FUZZ_CHECK(status == WIRE_PROTO || status == WIRE_FDS);
    FUZZ_CHECK(request->version == 1 || request->version == 2);
    FUZZ_CHECK(request->reason && request->reason[0]);
}

static void decode_body(struct wire_request *request, const char *body, size_t length, bool sealed)
{
    int file = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FUZZ_CHECK(file >= 0 && write(file, body, length) == (ssize_t)length);
    if (sealed)
        FUZZ_CHECK(fcntl(file, F_ADD_SEALS,
                         F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    size_t capacity = WIRE_REQUEST_MAX + 1;
    char *buffer = malloc(capacity);
    FUZZ_CHECK(buffer);
    enum wire_status status = wire_body_read(request, file, buffer, capacity);
    close(file);
    if (status == WIRE_OK) {
        FUZZ_CHECK(sealed);
        check_call(request, buffer, length);
        check_encoding(request, body, length);
    } else {
        check_refusal(request, status);
    }
    free(buffer);
}

static void decode(struct wire_request *request, const char *message, size_t length,
                   size_t descriptors, const char *body, size_t body_length, bool sealed)
{
    char *buffer = malloc(length + 1);
    FUZZ_CHECK(buffer);
    memcpy(buffer, message, length);
    enum wire_status status = wire_request_decode(request, buffer, length, descriptors);
    if (status != WIRE_OK) {
        check_refusal(request, status);
        FUZZ_CHECK(memcmp(buffer, message, length) == 0);
    } else if (request->type == WIRE_CALL && request->body_at >= 0) {
        FUZZ_CHECK((size_t)request->body_at < descriptors);
        decode_body(request, body, body_length, sealed);
    } else if (request->type == WIRE_CALL) {
        size_t header = request->version == 1 ? 8 : WIRE_CALL_HEADER_2;
        check_call(request, buffer, length);
        check_encoding(request, message + header, length - header);
        check_kept(request);
    } else if (request->type == WIRE_SIGNAL) {
        FUZZ_CHECK(request->signal >= 1 && request->signal <= 64);
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = input_byte(&input);
    size_t length, body_length = 0;
    char *body = NULL;
    struct wire_request *request = malloc(sizeof *request);

    FUZZ_CHECK(request);
    memset(request, 0x5a, sizeof *request);
    /* With the top bit, a header and then a body apart from it. */
    char *message = how & 0x80 ? input_bytes(&input, WIRE_CALL_HEADER_2, &length)
                               : input_rest(&input, &length);
    body = input_rest(&input, &body_length);
    decode(request, message, length, how & 7, body, body_length, (how & 0x40) == 0);
    if (length)
        kept_is_sound(message, length);
    free(body);
    free(message);
    free(request);
    return 0;
}
