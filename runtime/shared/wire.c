#define _GNU_SOURCE 1 /* F_GET_SEALS */

#include "runtime/shared/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/shared/io.h"
#include "runtime/shared/utf8.h"

/* ---- statuses -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int32_t status;
    int exit_code;
    const char *text;
} statuses[] = {
#define STATUS(name, value, exit_code, text) {#name, value, exit_code, text},
#include "runtime/shared/status.def"
#undef STATUS
};

#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

const char *wire_status_name(int32_t status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i].status == status)
            return statuses[i].name;
    return NULL;
}

const char *wire_status_text(int32_t status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return NULL;
}

int wire_status_exit_code(int32_t status)
{
    if (status >= 0 && status <= 255)
        return status;
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i].status == status)
            return statuses[i].exit_code;
    return -1;
}

/* ---- little-endian words --------------------------------------------------------------------- */

static uint32_t word_load(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;

    return (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 |
           (uint32_t)byte[3] << 24;
}

static char *word_store(char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (char)(unsigned char)(value >> (8 * i));
    return at + 4;
}

/* ---- decoding -------------------------------------------------------------------------------- */

/* What is left of a message. Nothing is read but through the functions below, which check. */
struct cursor {
    char *at;
    size_t left;
};

static bool cursor_word(struct cursor *cursor, uint32_t *word)
{
    if (cursor->left < 4)
        return false;
    *word = word_load(cursor->at);
    cursor->at += 4;
    cursor->left -= 4;
    return true;
}

static bool cursor_bytes(struct cursor *cursor, uint32_t length, struct policy_bytes *bytes)
{
    if (cursor->left < length)
        return false;
    *bytes = (struct policy_bytes){cursor->at, length};
    cursor->at += length;
    cursor->left -= length;
    return true;
}

/* The texts of one string's refusals. */
struct string_reasons {
    const char *cut_off, *too_long, *not_text;
};

static const struct string_reasons argument_reasons = {
    "proto: argument cut off",
    "proto: argument too long",
    "proto: argument is not UTF-8 text",
};
static const struct string_reasons variable_reasons = {
    "proto: variable cut off",
    "proto: variable too long",
    "proto: variable is not UTF-8 text",
};
static const struct string_reasons cwd_reasons = {
    "proto: working directory cut off",
    "proto: working directory too long",
    "proto: working directory is not UTF-8 text",
};

/* Reads `u32 length · bytes`. Returns the reason of a refusal, or NULL. */
static const char *string_decode(struct cursor *cursor, uint32_t maximum,
                                 const struct string_reasons *reasons, struct policy_bytes *string)
{
    uint32_t length;

    if (!cursor_word(cursor, &length))
        return reasons->cut_off;
    if (length > maximum)
        return reasons->too_long;
    if (!cursor_bytes(cursor, length, string))
        return reasons->cut_off;
    return utf8_is_text(string->bytes, length) ? NULL : reasons->not_text;
}

static const char *arguments_decode(struct wire_request *request, struct cursor *cursor,
                                    uint32_t maximum)
{
    uint32_t count;

    if (!cursor_word(cursor, &count))
        return "proto: header cut off";
    if (count > WIRE_ARGUMENTS_MAX)
        return "proto: too many arguments";
    for (uint32_t i = 0; i < count; i++) {
        const char *reason =
            string_decode(cursor, maximum, &argument_reasons, &request->arguments[i]);
        if (reason)
            return reason;
    }
    request->argument_count = count;
    return NULL;
}

/* The length of NAME in "NAME=value" if it is what env(1) and the shells call a name: a letter or
 * '_', then those and digits. Else 0. */
static uint32_t variable_name_length(const struct policy_bytes *variable)
{
    uint32_t length = 0;

    while (length < variable->length) {
        char c = variable->bytes[length];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (c == '=')
            return length;
        if (!letter && !(digit && length > 0))
            return 0;
        length++;
    }
    return 0;
}

/* A name that comes twice is refused: programs differ in which of the two they take. The '=' counts
 * with the name, so that one is no prefix of another. */
static const char *variable_check(const struct policy_bytes *variables, uint32_t count)
{
    const struct policy_bytes *last = &variables[count];
    uint32_t length = variable_name_length(last);

    if (length == 0)
        return "proto: variable without a name";
    for (uint32_t i = 0; i < count; i++)
        if (variables[i].length > length &&
            memcmp(variables[i].bytes, last->bytes, length + 1) == 0)
            return "proto: variable sent twice";
    return NULL;
}

static const char *variables_decode(struct wire_request *request, struct cursor *cursor)
{
    uint32_t count;

    if (!cursor_word(cursor, &count))
        return "proto: variables cut off";
    if (count > WIRE_VARIABLES_MAX)
        return "proto: too many variables";
    for (uint32_t i = 0; i < count; i++) {
        const char *reason =
            string_decode(cursor, WIRE_ARGUMENT_MAX_2, &variable_reasons, &request->variables[i]);
        if (!reason)
            reason = variable_check(request->variables, i);
        if (reason)
            return reason;
    }
    request->variable_count = count;
    return NULL;
}

/* A string's NUL takes the place of the first byte of what follows it: a length that has been read,
 * or the spare byte after the message. */
static void string_terminate(const struct policy_bytes *string)
{
    ((char *)(uintptr_t)string->bytes)[string->length] = '\0';
}

static void strings_terminate(const struct wire_request *request)
{
    for (uint32_t i = 0; i < request->argument_count; i++)
        string_terminate(&request->arguments[i]);
    for (uint32_t i = 0; i < request->variable_count; i++)
        string_terminate(&request->variables[i]);
    if (request->cwd.length > 0)
        string_terminate(&request->cwd);
}

/* The body of a version 2 CALL, from argc to the end of the message. */
static const char *body_decode(struct wire_request *request, struct cursor *cursor)
{
    const char *reason = arguments_decode(request, cursor, WIRE_ARGUMENT_MAX_2);

    if (!reason && request->argument_count == 0)
        reason = "proto: no command";
    if (!reason)
        reason = variables_decode(request, cursor);
    if (!reason)
        reason = string_decode(cursor, WIRE_CWD_MAX, &cwd_reasons, &request->cwd);
    if (!reason && cursor->left > 0)
        reason = "proto: trailing bytes";
    if (!reason)
        strings_terminate(request);
    return reason;
}

static enum wire_status request_refuse(struct wire_request *request, const char *reason)
{
    request->reason = reason;
    return WIRE_PROTO;
}

static enum wire_status descriptors_refuse(struct wire_request *request)
{
    request->reason = "wrong_fd_count";
    return WIRE_FDS;
}

static enum wire_status version_1_decode(struct wire_request *request, struct cursor *cursor,
                                         size_t descriptor_count)
{
    const char *reason = arguments_decode(request, cursor, WIRE_ARGUMENT_MAX_1);

    if (!reason && cursor->left > 0)
        reason = "proto: trailing bytes";
    if (reason)
        return request_refuse(request, reason);
    request->type = request->argument_count > 0 ? WIRE_CALL : WIRE_LIST;
    if (descriptor_count != WIRE_STANDARD_DESCRIPTORS &&
        !(request->type == WIRE_LIST && descriptor_count == 0))
        return descriptors_refuse(request);
    strings_terminate(request);
    return WIRE_OK;
}

static enum wire_status call_decode(struct wire_request *request, struct cursor *cursor,
                                    size_t descriptor_count)
{
    uint32_t flags;

    if (!cursor_word(cursor, &flags))
        return request_refuse(request, "proto: header cut off");
    if (flags & ~WIRE_FLAG_BODY)
        return request_refuse(request, "proto: unknown flags");
    size_t bodies = flags & WIRE_FLAG_BODY ? 1 : 0;
    if (descriptor_count < WIRE_STANDARD_DESCRIPTORS + bodies ||
        descriptor_count > WIRE_STANDARD_DESCRIPTORS + bodies + 1)
        return descriptors_refuse(request);
    if (descriptor_count == WIRE_STANDARD_DESCRIPTORS + bodies + 1)
        request->reply_at = (int)WIRE_STANDARD_DESCRIPTORS;
    if (bodies) {
        if (cursor->left > 0)
            return request_refuse(request, "proto: trailing bytes");
        request->body_at = (int)descriptor_count - 1;
        return WIRE_OK;
    }
    const char *reason = body_decode(request, cursor);
    return reason ? request_refuse(request, reason) : WIRE_OK;
}

static enum wire_status signal_decode(struct wire_request *request, struct cursor *cursor,
                                      size_t descriptor_count)
{
    uint32_t number;

    if (!cursor_word(cursor, &number))
        return request_refuse(request, "proto: signal cut off");
    if (cursor->left > 0)
        return request_refuse(request, "proto: trailing bytes");
    if (number < 1 || number > 64)
        return request_refuse(request, "proto: no such signal");
    if (descriptor_count > 0)
        return descriptors_refuse(request);
    request->signal = (int32_t)number;
    return WIRE_OK;
}

static enum wire_status version_2_decode(struct wire_request *request, struct cursor *cursor,
                                         size_t descriptor_count)
{
    uint32_t type;

    if (!cursor_word(cursor, &type))
        return request_refuse(request, "proto: header cut off");
    if (type == WIRE_CALL) {
        request->type = WIRE_CALL;
        return call_decode(request, cursor, descriptor_count);
    }
    if (type == WIRE_SIGNAL) {
        request->type = WIRE_SIGNAL;
        return signal_decode(request, cursor, descriptor_count);
    }
    if (type != WIRE_LIST && type != WIRE_HELLO)
        return request_refuse(request, "proto: unknown type");
    request->type = type == WIRE_LIST ? WIRE_LIST : WIRE_HELLO;
    if (cursor->left > 0)
        return request_refuse(request, "proto: trailing bytes");
    if (descriptor_count > (type == WIRE_LIST ? 1u : 0u))
        return descriptors_refuse(request);
    if (descriptor_count == 1)
        request->reply_at = 0;
    return WIRE_OK;
}

/* All but the two arrays, which are large and read only as far as they were filled. */
static void request_start(struct wire_request *request)
{
    request->version = 1;
    request->type = WIRE_CALL;
    request->reason = NULL;
    request->reply_at = -1;
    request->body_at = -1;
    request->signal = 0;
    request->argument_count = 0;
    request->variable_count = 0;
    request->cwd = (struct policy_bytes){"", 0};
}

enum wire_status wire_request_decode(struct wire_request *request, char *buffer, size_t length,
                                     size_t descriptor_count)
{
    struct cursor cursor = {buffer, length};
    uint32_t magic, version;

    request_start(request);
    if (!cursor_word(&cursor, &magic) || !cursor_word(&cursor, &version))
        return request_refuse(request, "proto: header cut off");
    if (magic != WIRE_MAGIC)
        return request_refuse(request, "proto: wrong magic number");
    if (version != 1 && version != 2)
        return request_refuse(request, "proto: unknown version");
    request->version = version;
    if (length > WIRE_REQUEST_MAX)
        return request_refuse(request, "proto: request too long");
    return version == 1 ? version_1_decode(request, &cursor, descriptor_count)
                        : version_2_decode(request, &cursor, descriptor_count);
}

enum wire_status wire_body_read(struct wire_request *request, int memfd, char *buffer,
                                size_t capacity)
{
    const int needed = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;
    int seals = fcntl(memfd, F_GET_SEALS);

    if (seals < 0 || (seals & needed) != needed)
        return request_refuse(request, "proto: body is not in a sealed memfd");
    if (fstat(memfd, &status) < 0 || status.st_size < 0)
        return request_refuse(request, "proto: body cannot be read");
    size_t size = (size_t)status.st_size;
    if (size > WIRE_REQUEST_MAX || size >= capacity)
        return request_refuse(request, "proto: request too long");
    if (read_whole_at(memfd, buffer, size, 0) != (ssize_t)size)
        return request_refuse(request, "proto: body cannot be read");
    struct cursor cursor = {buffer, size};
    const char *reason = body_decode(request, &cursor);
    return reason ? request_refuse(request, reason) : WIRE_OK;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static const char *variables_problem(const struct wire_call *call)
{
    if (call->variable_count > WIRE_VARIABLES_MAX)
        return "more than 256 variables";
    for (uint32_t i = 0; i < call->variable_count; i++) {
        const struct policy_bytes *variable = &call->variables[i];
        if (variable->length > WIRE_ARGUMENT_MAX_2)
            return "a variable of more than 131071 bytes";
        if (!utf8_is_text(variable->bytes, variable->length))
            return "a variable that is not UTF-8";
        if (variable_check(call->variables, i))
            return variable_name_length(variable) == 0 ? "a variable without a proper name"
                                                       : "the same variable twice";
    }
    return NULL;
}

const char *wire_call_problem(uint32_t version, const struct wire_call *call)
{
    uint32_t maximum = version == 1 ? WIRE_ARGUMENT_MAX_1 : WIRE_ARGUMENT_MAX_2;

    if (call->argument_count == 0)
        return "no command";
    if (call->argument_count > WIRE_ARGUMENTS_MAX)
        return "more than 256 arguments";
    for (uint32_t i = 0; i < call->argument_count; i++) {
        if (call->arguments[i].length > maximum)
            return version == 1 ? "an argument of more than 16384 bytes"
                                : "an argument of more than 131071 bytes";
        if (!utf8_is_text(call->arguments[i].bytes, call->arguments[i].length))
            return "an argument that is not UTF-8";
    }
    if (version == 1 && (call->variable_count > 0 || call->cwd.length > 0))
        return "a variable or working directory, and the broker speaks version 1 only";
    if (call->cwd.length > WIRE_CWD_MAX)
        return "a working directory of more than 4096 bytes";
    if (!utf8_is_text(call->cwd.bytes, call->cwd.length))
        return "a working directory that is not UTF-8";
    const char *problem = variables_problem(call);
    if (problem)
        return problem;
    char header[WIRE_CALL_HEADER_2];
    if (wire_call_header_encode(version, 0, header) + wire_body_size(version, call) >
        WIRE_REQUEST_MAX)
        return "more than 1 MiB in all";
    return NULL;
}

static size_t strings_size(const struct policy_bytes *strings, uint32_t count)
{
    size_t size = 4; /* the count */

    for (uint32_t i = 0; i < count; i++)
        size += 4 + (size_t)strings[i].length;
    return size;
}

size_t wire_body_size(uint32_t version, const struct wire_call *call)
{
    size_t size = strings_size(call->arguments, call->argument_count);

    if (version == 2)
        size += strings_size(call->variables, call->variable_count) + 4 + call->cwd.length;
    return size;
}

static char *string_encode(char *out, const struct policy_bytes *string)
{
    out = word_store(out, string->length);
    if (string->length > 0)
        memcpy(out, string->bytes, string->length);
    return out + string->length;
}

static char *strings_encode(char *out, const struct policy_bytes *strings, uint32_t count)
{
    out = word_store(out, count);
    for (uint32_t i = 0; i < count; i++)
        out = string_encode(out, &strings[i]);
    return out;
}

void wire_body_encode(uint32_t version, const struct wire_call *call, char *out)
{
    out = strings_encode(out, call->arguments, call->argument_count);
    if (version == 2) {
        out = strings_encode(out, call->variables, call->variable_count);
        string_encode(out, &call->cwd);
    }
}

size_t wire_call_header_encode(uint32_t version, uint32_t flags, char *out)
{
    char *at = word_store(word_store(out, WIRE_MAGIC), version);

    if (version == 2)
        at = word_store(word_store(at, WIRE_CALL), flags);
    return (size_t)(at - out);
}

size_t wire_frame_encode(uint32_t version, enum wire_type type, int32_t signal, char *out)
{
    char *at = word_store(word_store(out, WIRE_MAGIC), version);

    at = word_store(at, version == 1 ? 0 : (uint32_t)type);
    if (version == 2 && type == WIRE_SIGNAL)
        at = word_store(at, (uint32_t)signal);
    return (size_t)(at - out);
}

/* ---- replies --------------------------------------------------------------------------------- */

size_t wire_reply_header_encode(uint32_t version, int32_t status, uint32_t text_length,
                                char *header)
{
    char *at = word_store(word_store(header, WIRE_MAGIC), version);

    at = word_store(at, (uint32_t)status);
    if (version == 2)
        at = word_store(at, text_length);
    return (size_t)(at - header);
}

uint32_t wire_reply_text_length(const char *header)
{
    return word_load(header + 12);
}

const char *wire_reply_decode(struct wire_reply *reply, const char *bytes, size_t length)
{
    if (length < WIRE_HEADER_1)
        return "the reply is too short";
    if (length > WIRE_REPLY_MAX)
        return "the reply is too long";
    if (word_load(bytes) != WIRE_MAGIC)
        return "the reply has the wrong magic number";
    reply->version = word_load(bytes + 4);
    uint32_t status = word_load(bytes + 8);
    memcpy(&reply->status, &status, sizeof(status));
    if (reply->version != 1 && reply->version != 2)
        return "the reply has an unknown version";
    if (wire_status_exit_code(reply->status) < 0)
        return "the reply has an unknown status";
    size_t header = WIRE_HEADER_1;
    if (reply->version == 2) {
        header = WIRE_REPLY_HEADER_MAX;
        if (length < header)
            return "the reply is too short";
        if (word_load(bytes + 12) != length - header)
            return "the reply has the wrong length";
    }
    reply->text = (struct policy_bytes){bytes + header, (uint32_t)(length - header)};
    return NULL;
}
