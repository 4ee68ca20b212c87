/* The wire in both versions: what is accepted, and the one stable reason of each refusal. Messages
 * are decoded from heap blocks of exactly the promised size, so that AddressSanitizer sees a byte
 * too many. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/shared/wire.h"

/* ---- messages by hand ------------------------------------------------------------------------ */

struct made {
    char bytes[WIRE_REQUEST_MAX + 4096];
    size_t length;
};

static void put(struct made *made, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        made->bytes[made->length++] = (char)(unsigned char)(word >> (8 * i));
}

static void put_bytes(struct made *made, const char *bytes, size_t length)
{
    memcpy(made->bytes + made->length, bytes, length);
    made->length += length;
}

static void put_string(struct made *made, const char *string)
{
    put(made, (uint32_t)strlen(string));
    put_bytes(made, string, strlen(string));
}

static struct made *made_start(uint32_t version)
{
    static struct made made;

    made.length = 0;
    put(&made, 0x534c4358);
    put(&made, version);
    return &made;
}

/* "git" "commit" "" "-m": version 1 to the end, or to the end of the arguments in version 2. */
static struct made *made_call(uint32_t version)
{
    struct made *made = made_start(version);

    if (version == 2) {
        put(made, 1);
        put(made, 0);
    }
    put(made, 4);
    put_string(made, "git");
    put_string(made, "commit");
    put_string(made, "");
    put_string(made, "-m");
    return made;
}

static struct made *made_whole_call_2(void)
{
    struct made *made = made_call(2);

    put(made, 2);
    put_string(made, "LANG=C");
    put_string(made, "EMPTY=");
    put_string(made, "/home/u");
    return made;
}

/* Decodes from a block with exactly one byte to spare. The caller frees *block. */
static enum wire_status decode(struct wire_request *request, const char *bytes, size_t length,
                               size_t descriptors, char **block)
{
    *block = malloc(length + 1);
    assert_non_null(*block);
    memcpy(*block, bytes, length);
    (*block)[length] = '#';
    memset(request, 0x55, sizeof(*request));
    return wire_request_decode(request, *block, length, descriptors);
}

static void assert_refused(const struct made *made, size_t descriptors, enum wire_status expected,
                           const char *reason, uint32_t version)
{
    static struct wire_request request;
    char *block;
    enum wire_status status = decode(&request, made->bytes, made->length, descriptors, &block);

    assert_int_equal(status, expected);
    assert_string_equal(request.reason, reason);
    assert_int_equal(request.version, version);
    /* A refused message is left as it came. */
    assert_memory_equal(block, made->bytes, made->length);
    free(block);
}

static void assert_string_is(const struct policy_bytes *string, const char *expected)
{
    assert_int_equal(string->length, strlen(expected));
    assert_string_equal(string->bytes, expected); /* terminated, too */
}

/* ---- version 1 ------------------------------------------------------------------------------- */

static void reads_a_version_1_call(void **state)
{
    static struct wire_request request;
    const struct made *made = made_call(1);
    char *block;
    (void)state;

    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_int_equal(request.version, 1);
    assert_int_equal(request.type, WIRE_CALL);
    assert_int_equal(request.argument_count, 4);
    assert_string_is(&request.arguments[0], "git");
    assert_string_is(&request.arguments[1], "commit");
    assert_string_is(&request.arguments[2], "");
    assert_string_is(&request.arguments[3], "-m");
    assert_int_equal(request.variable_count, 0);
    assert_int_equal(request.cwd.length, 0);
    assert_int_equal(request.reply_at, -1);
    assert_int_equal(request.body_at, -1);
    free(block);
}

static void reads_a_version_1_listing(void **state)
{
    static struct wire_request request;
    struct made *made = made_start(1);
    char *block;
    (void)state;

    put(made, 0);
    for (size_t descriptors = 0; descriptors <= 3; descriptors += 3) {
        assert_int_equal(decode(&request, made->bytes, made->length, descriptors, &block), WIRE_OK);
        assert_int_equal(request.type, WIRE_LIST);
        assert_int_equal(request.version, 1);
        free(block);
    }
    assert_refused(made, 1, WIRE_FDS, "wrong_fd_count", 1);
    assert_refused(made, 4, WIRE_FDS, "wrong_fd_count", 1);
}

static void wants_three_descriptors(void **state)
{
    static const size_t wrong[] = {0, 1, 2, 4, 5, 253};
    (void)state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(made_call(1), wrong[i], WIRE_FDS, "wrong_fd_count", 1);
}

static void refuses_a_wrong_header(void **state)
{
    struct made *made = made_call(1);
    (void)state;

    made->bytes[0] ^= 1;
    assert_refused(made, 3, WIRE_PROTO, "proto: wrong magic number", 1);
    made = made_start(0);
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: unknown version", 1);
    made = made_start(3);
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: unknown version", 1);
    made->length = 0;
    assert_refused(made, 0, WIRE_PROTO, "proto: header cut off", 1);
}

static void refuses_every_cut_and_every_addition(void **state)
{
    static struct wire_request request;
    (void)state;

    for (uint32_t version = 1; version <= 2; version++) {
        struct made *made = version == 1 ? made_call(1) : made_whole_call_2();
        char *block;
        for (size_t length = 0; length < made->length; length++) {
            assert_int_equal(decode(&request, made->bytes, length, 3, &block), WIRE_PROTO);
            assert_memory_equal(request.reason, "proto: ", 7);
            assert_non_null(strstr(request.reason, "cut off"));
            assert_memory_equal(block, made->bytes, length);
            free(block);
        }
        made->bytes[made->length++] = 0;
        assert_refused(made, 3, WIRE_PROTO, "proto: trailing bytes", version);
    }
}

static void bounds_the_arguments(void **state)
{
    static struct wire_request request;
    struct made *made;
    char *block;
    (void)state;

    for (uint32_t count = 255; count <= 257; count++) {
        made = made_start(1);
        put(made, count);
        for (uint32_t i = 0; i < count; i++)
            put_string(made, "x");
        if (count > 256) {
            assert_refused(made, 3, WIRE_PROTO, "proto: too many arguments", 1);
            continue;
        }
        assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
        assert_int_equal(request.argument_count, count);
        free(block);
    }
    made = made_start(1);
    put(made, UINT32_MAX);
    assert_refused(made, 3, WIRE_PROTO, "proto: too many arguments", 1);
}

static void put_long(struct made *made, size_t length)
{
    put(made, (uint32_t)length);
    memset(made->bytes + made->length, 'x', length);
    made->length += length;
}

static void bounds_each_argument(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    struct made *made = made_start(1);
    put(made, 1);
    put_long(made, 16384);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_int_equal(request.arguments[0].length, 16384);
    assert_int_equal(request.arguments[0].bytes[16384], '\0');
    free(block);

    made = made_start(1);
    put(made, 1);
    put_long(made, 16385);
    assert_refused(made, 3, WIRE_PROTO, "proto: argument too long", 1);

    made = made_start(2);
    put(made, 1);
    put(made, 0);
    put(made, 1);
    put_long(made, 131071);
    put(made, 0);
    put(made, 0);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_int_equal(request.arguments[0].length, 131071);
    free(block);

    made = made_start(2);
    put(made, 1);
    put(made, 0);
    put(made, 1);
    put_long(made, 131072);
    put(made, 0);
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: argument too long", 2);

    /* A length that would overflow a careless sum. */
    made = made_start(1);
    put(made, 2);
    put_string(made, "x");
    put(made, UINT32_MAX);
    assert_refused(made, 3, WIRE_PROTO, "proto: argument too long", 1);
}

static void bounds_the_whole(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    /* 64 arguments of 16380 bytes and their lengths: 64 * 16384 = 1 MiB, less the header's 12. */
    struct made *made = made_start(1);
    put(made, 64);
    for (int i = 0; i < 63; i++)
        put_long(made, 16380);
    put_long(made, 16380 - 12);
    assert_int_equal(made->length, WIRE_REQUEST_MAX);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    free(block);

    made = made_start(1);
    put(made, 64);
    for (int i = 0; i < 63; i++)
        put_long(made, 16380);
    put_long(made, 16380 - 11);
    assert_refused(made, 3, WIRE_PROTO, "proto: request too long", 1);

    /* A receiver without room passes the true length and has the header alone. */
    made = made_call(2);
    memset(&request, 0, sizeof(request));
    assert_int_equal(wire_request_decode(&request, made->bytes, WIRE_REQUEST_MAX + 1, 3),
                     WIRE_PROTO);
    assert_string_equal(request.reason, "proto: request too long");
    assert_int_equal(request.version, 2);
}

static void wants_text(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t length;
    } bad[] = {
        {"a\0b", 3},
        {"\0", 1},
        {"\xff", 1},
        {"\xc3", 1},
        {"\xc0\x80", 2},
        {"\xed\xa0\x80", 3},
        {"\xf4\x90\x80\x80", 4},
        {"12345678\x80", 9},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct made *made = made_start(1);
        put(made, 2);
        put_string(made, "git");
        put(made, bad[i].length);
        put_bytes(made, bad[i].bytes, bad[i].length);
        assert_refused(made, 3, WIRE_PROTO, "proto: argument is not UTF-8 text", 1);
    }
    struct made *made = made_call(2);
    put(made, 1);
    put_string(made, "A=\xff");
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: variable is not UTF-8 text", 2);
    made = made_call(2);
    put(made, 0);
    put_string(made, "/\xff");
    assert_refused(made, 3, WIRE_PROTO, "proto: working directory is not UTF-8 text", 2);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static void reads_a_version_2_call(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    for (size_t descriptors = 3; descriptors <= 4; descriptors++) {
        struct made *made = made_whole_call_2();
        assert_int_equal(decode(&request, made->bytes, made->length, descriptors, &block), WIRE_OK);
        assert_int_equal(request.version, 2);
        assert_int_equal(request.type, WIRE_CALL);
        assert_int_equal(request.argument_count, 4);
        assert_string_is(&request.arguments[1], "commit");
        assert_string_is(&request.arguments[2], "");
        assert_string_is(&request.arguments[3], "-m");
        assert_int_equal(request.variable_count, 2);
        assert_string_is(&request.variables[0], "LANG=C");
        assert_string_is(&request.variables[1], "EMPTY=");
        assert_string_is(&request.cwd, "/home/u");
        assert_int_equal(request.reply_at, descriptors == 4 ? 3 : -1);
        assert_int_equal(request.body_at, -1);
        free(block);
    }
    static const size_t wrong[] = {0, 1, 2, 5, 6};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(made_whole_call_2(), wrong[i], WIRE_FDS, "wrong_fd_count", 2);
}

static void reads_a_call_without_extras(void **state)
{
    static struct wire_request request;
    struct made *made = made_call(2);
    char *block;
    (void)state;

    put(made, 0);
    put(made, 0);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_string_is(&request.arguments[3], "-m");
    assert_int_equal(request.variable_count, 0);
    assert_int_equal(request.cwd.length, 0);
    free(block);
}

static void refuses_a_call_without_a_command(void **state)
{
    struct made *made = made_start(2);
    (void)state;

    put(made, 1);
    put(made, 0);
    put(made, 0);
    put(made, 0);
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: no command", 2);
}

static void refuses_unknown_types_and_flags(void **state)
{
    struct made *made;
    (void)state;

    for (uint32_t type = 5; type != 0; type = type == 5 ? UINT32_MAX : 0) {
        made = made_start(2);
        put(made, type);
        assert_refused(made, 0, WIRE_PROTO, "proto: unknown type", 2);
    }
    made = made_start(2);
    put(made, 0);
    assert_refused(made, 0, WIRE_PROTO, "proto: unknown type", 2);
    for (unsigned bit = 1; bit < 32; bit++) {
        made = made_whole_call_2();
        made->bytes[12 + bit / 8] = (char)(unsigned char)(1u << bit % 8);
        assert_refused(made, 3, WIRE_PROTO, "proto: unknown flags", 2);
    }
}

static void bounds_the_variables(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    for (uint32_t count = 256; count <= 257; count++) {
        struct made *made = made_call(2);
        put(made, count);
        for (uint32_t i = 0; i < count; i++) {
            char name[] = "V000=";
            name[1] = (char)('0' + i / 100);
            name[2] = (char)('0' + i / 10 % 10);
            name[3] = (char)('0' + i % 10);
            put_string(made, name);
        }
        put(made, 0);
        if (count == 257) {
            assert_refused(made, 3, WIRE_PROTO, "proto: too many variables", 2);
            continue;
        }
        assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
        assert_int_equal(request.variable_count, 256);
        assert_string_is(&request.variables[255], "V255=");
        free(block);
    }
    struct made *made = made_call(2);
    put(made, 1);
    put_long(made, 131072);
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: variable too long", 2);
}

static void wants_proper_names(void **state)
{
    static const char *const bad[] = {"", "=", "=x", "A", "A B=x", "1A=x", "A-B=x", "Ä=x", " A=x"};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct made *made = made_call(2);
        put(made, 1);
        put_string(made, bad[i]);
        put(made, 0);
        assert_refused(made, 3, WIRE_PROTO, "proto: variable without a name", 2);
    }
    /* A '=' that is the next field's, the low byte of a length of 61, is none of the variable's. */
    struct made *made = made_call(2);
    put(made, 1);
    put_string(made, "A");
    put_long(made, '=');
    assert_refused(made, 3, WIRE_PROTO, "proto: variable without a name", 2);
}

static void takes_every_letter_of_a_name(void **state)
{
    static struct wire_request request;
    static const char all[] = "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=";
    struct made *made = made_call(2);
    char *block;
    (void)state;

    put(made, 3);
    put_string(made, all);
    put_string(made, "Az=");
    put_string(made, "zA=");
    put(made, 0);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_string_is(&request.variables[0], all);
    free(block);
}

static void refuses_a_variable_that_comes_twice(void **state)
{
    static struct wire_request request;
    struct made *made = made_call(2);
    char *block;
    (void)state;

    put(made, 3);
    put_string(made, "PATH=/a");
    put_string(made, "LANG=C");
    put_string(made, "PATH=");
    put(made, 0);
    assert_refused(made, 3, WIRE_PROTO, "proto: variable sent twice", 2);

    made = made_call(2);
    put(made, 4);
    put_string(made, "_a9=1");
    put_string(made, "_a=1");
    put_string(made, "_=_a=1");
    put_string(made, "_A=1");
    put(made, 0);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    free(block);
}

static void bounds_the_working_directory(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    struct made *made = made_call(2);
    put(made, 0);
    put_long(made, 4096);
    assert_int_equal(decode(&request, made->bytes, made->length, 3, &block), WIRE_OK);
    assert_int_equal(request.cwd.length, 4096);
    assert_int_equal(block[made->length], '\0'); /* the spare byte */
    free(block);
    made = made_call(2);
    put(made, 0);
    put_long(made, 4097);
    assert_refused(made, 3, WIRE_PROTO, "proto: working directory too long", 2);
}

static void reads_signals(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    for (int64_t signal = -1; signal <= 66; signal++) {
        struct made *made = made_start(2);
        put(made, 2);
        put(made, (uint32_t)signal);
        if (signal < 1 || signal > 64) {
            assert_refused(made, 0, WIRE_PROTO, "proto: no such signal", 2);
            continue;
        }
        assert_int_equal(decode(&request, made->bytes, made->length, 0, &block), WIRE_OK);
        assert_int_equal(request.type, WIRE_SIGNAL);
        assert_int_equal(request.signal, signal);
        free(block);
        assert_refused(made, 1, WIRE_FDS, "wrong_fd_count", 2);
        put(made, 0);
        assert_refused(made, 0, WIRE_PROTO, "proto: trailing bytes", 2);
    }
}

static void reads_list_and_hello(void **state)
{
    static struct wire_request request;
    char *block;
    (void)state;

    struct made *made = made_start(2);
    put(made, 3);
    for (size_t descriptors = 0; descriptors <= 1; descriptors++) {
        assert_int_equal(decode(&request, made->bytes, made->length, descriptors, &block), WIRE_OK);
        assert_int_equal(request.type, WIRE_LIST);
        assert_int_equal(request.reply_at, descriptors == 1 ? 0 : -1);
        free(block);
    }
    assert_refused(made, 2, WIRE_FDS, "wrong_fd_count", 2);
    made->bytes[made->length++] = 0;
    assert_refused(made, 0, WIRE_PROTO, "proto: trailing bytes", 2);

    made = made_start(2);
    put(made, 4);
    assert_int_equal(decode(&request, made->bytes, made->length, 0, &block), WIRE_OK);
    assert_int_equal(request.type, WIRE_HELLO);
    free(block);
    assert_refused(made, 1, WIRE_FDS, "wrong_fd_count", 2);
}

/* ---- bodies in a memfd ----------------------------------------------------------------------- */

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int memfd_make(const char *bytes, size_t length, int seals)
{
    int memfd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(memfd >= 0);
    assert_int_equal(write(memfd, bytes, length), (ssize_t)length);
    assert_int_equal(fcntl(memfd, F_ADD_SEALS, seals), 0);
    return memfd;
}

/* The header of a CALL whose body is elsewhere, decoded. */
static void decode_header(struct wire_request *request, size_t descriptors)
{
    struct made *made = made_start(2);
    char *block;

    put(made, 1);
    put(made, 1);
    assert_int_equal(decode(request, made->bytes, made->length, descriptors, &block), WIRE_OK);
    assert_int_equal(request->body_at, (int)descriptors - 1);
    assert_int_equal(request->reply_at, descriptors == 5 ? 3 : -1);
    assert_int_equal(request->argument_count, 0);
    free(block);
}

static void reads_a_body_from_a_memfd(void **state)
{
    static struct wire_request request;
    (void)state;

    for (size_t descriptors = 4; descriptors <= 5; descriptors++) {
        struct made *made = made_whole_call_2();
        int memfd = memfd_make(made->bytes + 16, made->length - 16, ALL_SEALS);
        char *buffer = malloc(made->length - 16 + 1);
        decode_header(&request, descriptors);
        made = made_whole_call_2();
        assert_int_equal(wire_body_read(&request, memfd, buffer, made->length - 16 + 1), WIRE_OK);
        assert_int_equal(request.argument_count, 4);
        assert_string_is(&request.arguments[3], "-m");
        assert_string_is(&request.variables[1], "EMPTY=");
        assert_string_is(&request.cwd, "/home/u");
        free(buffer);
        close(memfd);
    }
    struct made *made = made_start(2);
    put(made, 1);
    put(made, 1);
    assert_refused(made, 3, WIRE_FDS, "wrong_fd_count", 2);
    assert_refused(made, 6, WIRE_FDS, "wrong_fd_count", 2);
    put(made, 0);
    assert_refused(made, 4, WIRE_PROTO, "proto: trailing bytes", 2);
}

static void assert_body_refused(int memfd, const char *reason)
{
    static struct wire_request request;
    static char buffer[WIRE_REQUEST_MAX + 1];

    decode_header(&request, 4);
    assert_int_equal(wire_body_read(&request, memfd, buffer, sizeof(buffer)), WIRE_PROTO);
    assert_string_equal(request.reason, reason);
    assert_int_equal(request.version, 2);
}

static void wants_every_seal(void **state)
{
    static const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
    int pipes[2];
    (void)state;

    for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
        struct made *made = made_whole_call_2();
        int memfd = memfd_make(made->bytes + 16, made->length - 16, ALL_SEALS & ~seals[i]);
        assert_body_refused(memfd, "proto: body is not in a sealed memfd");
        close(memfd);
    }
    assert_int_equal(pipe(pipes), 0);
    assert_body_refused(pipes[0], "proto: body is not in a sealed memfd");
    close(pipes[0]);
    close(pipes[1]);
    assert_body_refused(-1, "proto: body is not in a sealed memfd");
}

static void bounds_and_checks_a_body(void **state)
{
    static char large[WIRE_REQUEST_MAX + 1];
    static struct wire_request request;
    char small[8];
    (void)state;

    int memfd = memfd_make(large, sizeof(large), ALL_SEALS);
    assert_body_refused(memfd, "proto: request too long");
    close(memfd);
    memfd = memfd_make("", 0, ALL_SEALS);
    assert_body_refused(memfd, "proto: header cut off");
    close(memfd);

    struct made *made = made_whole_call_2();
    made->bytes[made->length++] = 'x';
    memfd = memfd_make(made->bytes + 16, made->length - 16, ALL_SEALS);
    assert_body_refused(memfd, "proto: trailing bytes");
    decode_header(&request, 4);
    assert_int_equal(wire_body_read(&request, memfd, small, sizeof(small)), WIRE_PROTO);
    assert_string_equal(request.reason, "proto: request too long");
    close(memfd);

    /* Exactly as large as can be; and one byte less room than the last NUL needs. */
    made = made_call(2);
    put(made, 0);
    put(made, 0);
    made->length = 16;
    put(made, 9);
    for (int i = 0; i < 8; i++)
        put_long(made, 131000);
    put_long(made, WIRE_REQUEST_MAX - (4 + 8 * 131004 + 4 + 8));
    put(made, 0);
    put(made, 0);
    assert_int_equal(made->length - 16, WIRE_REQUEST_MAX);
    memfd = memfd_make(made->bytes + 16, WIRE_REQUEST_MAX, ALL_SEALS);
    decode_header(&request, 4);
    assert_int_equal(wire_body_read(&request, memfd, large, WIRE_REQUEST_MAX), WIRE_PROTO);
    assert_string_equal(request.reason, "proto: request too long");
    decode_header(&request, 4);
    assert_int_equal(wire_body_read(&request, memfd, large, WIRE_REQUEST_MAX + 1), WIRE_OK);
    assert_int_equal(request.argument_count, 9);
    close(memfd);

    /* Sealed, but opened so that nothing can be read through it. */
    memfd = memfd_make("x", 1, ALL_SEALS);
    char path[32] = "/proc/self/fd/";
    size_t end = strlen(path);
    if (memfd >= 10)
        path[end++] = (char)('0' + memfd / 10);
    path[end] = (char)('0' + memfd % 10);
    int blind = open(path, O_PATH);
    assert_true(blind >= 0);
    assert_body_refused(blind, "proto: body is not in a sealed memfd");
    close(blind);
    blind = open(path, O_WRONLY);
    assert_true(blind >= 0);
    assert_body_refused(blind, "proto: body cannot be read");
    close(blind);
    close(memfd);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static struct policy_bytes bytes_of(const char *string)
{
    return (struct policy_bytes){string, (uint32_t)strlen(string)};
}

static void writes_what_was_specified(void **state)
{
    const struct policy_bytes arguments[] = {bytes_of("git"), bytes_of("commit"), bytes_of(""),
                                             bytes_of("-m")};
    const struct policy_bytes variables[] = {bytes_of("LANG=C"), bytes_of("EMPTY=")};
    struct wire_call call = {.argument_count = 4, .arguments = arguments};
    char out[256];
    (void)state;

    assert_null(wire_call_problem(1, &call));
    struct made *made = made_call(1);
    size_t header = wire_call_header_encode(1, 0, out);
    assert_int_equal(header, 8);
    assert_int_equal(header + wire_body_size(1, &call), made->length);
    wire_body_encode(1, &call, out + header);
    assert_memory_equal(out, made->bytes, made->length);

    call.variable_count = 2;
    call.variables = variables;
    call.cwd = bytes_of("/home/u");
    assert_null(wire_call_problem(2, &call));
    made = made_whole_call_2();
    header = wire_call_header_encode(2, 0, out);
    assert_int_equal(header, 16);
    assert_int_equal(header + wire_body_size(2, &call), made->length);
    wire_body_encode(2, &call, out + header);
    assert_memory_equal(out, made->bytes, made->length);

    made = made_start(2);
    put(made, 1);
    put(made, 1);
    assert_int_equal(wire_call_header_encode(2, WIRE_FLAG_BODY, out), 16);
    assert_memory_equal(out, made->bytes, 16);
}

static void writes_frames(void **state)
{
    static const struct {
        uint32_t version;
        enum wire_type type;
        int32_t signal;
        uint32_t words[3];
        size_t length;
    } frames[] = {
        {1, WIRE_LIST, 0, {1, 0}, 12},
        {2, WIRE_LIST, 0, {2, 3}, 12},
        {2, WIRE_HELLO, 0, {2, 4}, 12},
        {2, WIRE_SIGNAL, 15, {2, 2, 15}, 16},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        char out[16];
        struct made *made = made_start(frames[i].words[0]);
        put(made, frames[i].words[1]);
        if (frames[i].length == 16)
            put(made, frames[i].words[2]);
        assert_int_equal(
            wire_frame_encode(frames[i].version, frames[i].type, frames[i].signal, out),
            frames[i].length);
        assert_memory_equal(out, made->bytes, frames[i].length);
    }
}

static void assert_problem(uint32_t version, const struct wire_call *call, const char *problem)
{
    const char *found = wire_call_problem(version, call);

    if (!problem)
        assert_null(found);
    else
        assert_string_equal(found, problem);
}

static void tells_what_cannot_be_sent(void **state)
{
    static char large[131073];
    static char names[256][8];
    static struct policy_bytes many[257], many_names[256];
    struct policy_bytes argument = bytes_of("x");
    struct wire_call call = {.argument_count = 0, .arguments = many};
    (void)state;

    memset(large, 'x', sizeof(large));
    for (size_t i = 0; i < 257; i++)
        many[i] = argument;
    assert_problem(1, &call, "no command");
    call.argument_count = 256;
    assert_problem(1, &call, NULL);
    call.argument_count = 257;
    assert_problem(2, &call, "more than 256 arguments");
    call.arguments = &argument;
    call.argument_count = 1;
    argument = (struct policy_bytes){large, 16384};
    assert_problem(1, &call, NULL);
    argument.length = 16385;
    assert_problem(1, &call, "an argument of more than 16384 bytes");
    argument.length = 131071;
    assert_problem(2, &call, NULL);
    argument.length = 131072;
    assert_problem(2, &call, "an argument of more than 131071 bytes");
    argument = bytes_of("\xff");
    assert_problem(2, &call, "an argument that is not UTF-8");
    argument = bytes_of("x");

    struct policy_bytes variables[2] = {bytes_of("A=1"), bytes_of("B=1")};
    call.variables = variables;
    call.variable_count = 2;
    assert_problem(1, &call,
                   "a variable or working directory, and the broker speaks version 1 only");
    assert_problem(2, &call, NULL);
    variables[1] = bytes_of("A=2");
    assert_problem(2, &call, "the same variable twice");
    variables[1] = bytes_of("A");
    assert_problem(2, &call, "a variable without a proper name");
    variables[1] = bytes_of("B=\xff");
    assert_problem(2, &call, "a variable that is not UTF-8");
    large[0] = 'N';
    large[1] = '=';
    variables[1] = (struct policy_bytes){large, 131071};
    assert_problem(2, &call, NULL);
    variables[1].length = 131072;
    assert_problem(2, &call, "a variable of more than 131071 bytes");
    for (size_t i = 0; i < 256; i++) {
        snprintf(names[i], sizeof(names[i]), "V%zu=", i);
        many_names[i] = bytes_of(names[i]);
    }
    call.variables = many_names;
    call.variable_count = 256;
    assert_problem(2, &call, NULL);
    call.variables = many;
    call.variable_count = 257;
    assert_problem(2, &call, "more than 256 variables");
    call.variable_count = 0;

    call.cwd = (struct policy_bytes){large, 4096};
    assert_problem(2, &call, NULL);
    call.cwd.length = 4097;
    assert_problem(2, &call, "a working directory of more than 4096 bytes");
    call.cwd = bytes_of("/\xff");
    assert_problem(2, &call, "a working directory that is not UTF-8");
    call.cwd.length = 0;

    for (size_t i = 0; i < 9; i++)
        many[i] = (struct policy_bytes){large, 116500};
    call.arguments = many;
    call.argument_count = 9;
    many[8].length = WIRE_REQUEST_MAX - (16 + 4 + 9 * 4 + 8 * 116500 + 8);
    assert_problem(2, &call, NULL);
    many[8].length++;
    assert_problem(2, &call, "more than 1 MiB in all");
}

/* What the encoder makes is what the decoder reads, and the two agree on every limit: random calls
 * around the limits, and each single-byte change of an encoded one decoded without harm. */
static void agrees_with_itself(void **state)
{
    static struct wire_request request;
    struct policy_bytes arguments[8], variables[4];
    char names[4][8] = {"A=", "B=x", "C_D=y", "E=zzz"};
    uint32_t seed = 12345;
    (void)state;

    for (unsigned round = 0; round < 300; round++) {
        struct wire_call call = {.arguments = arguments, .variables = variables};
        seed = seed * 1664525 + 1013904223;
        call.argument_count = 1 + (seed >> 28) % 8;
        call.variable_count = round % 2 ? (seed >> 24) % 5 : 0;
        for (uint32_t i = 0; i < call.argument_count; i++)
            arguments[i] = (struct policy_bytes){"abcdefghijklmnop", (seed >> (2 * i + 4)) % 17};
        for (uint32_t i = 0; i < call.variable_count; i++)
            variables[i] = bytes_of(names[i]);
        if (round % 3 == 0)
            call.cwd = bytes_of("/tmp");
        uint32_t version =
            call.variable_count == 0 && call.cwd.length == 0 && round % 4 < 2 ? 1 : 2;
        assert_null(wire_call_problem(version, &call));
        char out[16 + 8 * 20 + 4 * 16 + 32];
        char *block;
        size_t length = wire_call_header_encode(version, 0, out);
        wire_body_encode(version, &call, out + length);
        length += wire_body_size(version, &call);
        assert_int_equal(decode(&request, out, length, 3, &block), WIRE_OK);
        assert_int_equal(request.argument_count, call.argument_count);
        for (uint32_t i = 0; i < call.argument_count; i++) {
            assert_int_equal(request.arguments[i].length, arguments[i].length);
            assert_memory_equal(request.arguments[i].bytes, arguments[i].bytes,
                                arguments[i].length);
            assert_int_equal(request.arguments[i].bytes[arguments[i].length], '\0');
        }
        assert_int_equal(request.variable_count, call.variable_count);
        assert_int_equal(request.cwd.length, call.cwd.length);
        free(block);
        for (size_t at = 0; at < length; at++) {
            char kept = out[at];
            out[at] = (char)(unsigned char)(seed >> at % 24);
            enum wire_status status = decode(&request, out, length, 3, &block);
            assert_true(status == WIRE_OK || status == WIRE_PROTO || status == WIRE_FDS);
            free(block);
            out[at] = kept;
        }
    }
}

/* ---- replies --------------------------------------------------------------------------------- */

static void writes_and_reads_replies(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= 2; version++)
        for (int32_t status = -14; status <= 258; status++) {
            char bytes[WIRE_REPLY_HEADER_MAX + 5];
            struct wire_reply reply;
            size_t header = wire_reply_header_encode(version, status, 5, bytes);
            assert_int_equal(header, version == 1 ? 12 : 16);
            memcpy(bytes + header, "hello", 5);
            const char *problem = wire_reply_decode(&reply, bytes, header + 5);
            if (status < -12 || status == -5 || status > 255) {
                assert_string_equal(problem, "the reply has an unknown status");
                continue;
            }
            assert_null(problem);
            assert_int_equal(reply.version, version);
            assert_int_equal(reply.status, status);
            assert_int_equal(reply.text.length, 5);
            assert_memory_equal(reply.text.bytes, "hello", 5);
        }
}

static void refuses_broken_replies(void **state)
{
    static char large[WIRE_REPLY_MAX + 1];
    char bytes[32];
    struct wire_reply reply;
    (void)state;

    size_t header = wire_reply_header_encode(2, 0, 4, bytes);
    memcpy(bytes + header, "text", 4);
    assert_null(wire_reply_decode(&reply, bytes, header + 4));
    for (size_t length = 0; length < header + 4; length++)
        assert_string_equal(wire_reply_decode(&reply, bytes, length),
                            length < 16 ? "the reply is too short"
                                        : "the reply has the wrong length");
    assert_string_equal(wire_reply_decode(&reply, bytes, header + 5),
                        "the reply has the wrong length");
    assert_int_equal(wire_reply_text_length(bytes), 4);
    header = wire_reply_header_encode(2, -1, 0x01020304, bytes);
    assert_int_equal(wire_reply_text_length(bytes), 0x01020304);
    header = wire_reply_header_encode(1, 7, 0, bytes);
    assert_null(wire_reply_decode(&reply, bytes, header));
    assert_int_equal(reply.text.length, 0);
    header = wire_reply_header_encode(2, 0, 4, bytes);
    bytes[4] = 3;
    assert_string_equal(wire_reply_decode(&reply, bytes, header + 4),
                        "the reply has an unknown version");
    bytes[0] ^= 1;
    assert_string_equal(wire_reply_decode(&reply, bytes, header + 4),
                        "the reply has the wrong magic number");
    wire_reply_header_encode(2, 0, WIRE_TEXT_MAX_2, large);
    assert_null(wire_reply_decode(&reply, large, WIRE_REPLY_MAX));
    assert_string_equal(wire_reply_decode(&reply, large, WIRE_REPLY_MAX + 1),
                        "the reply is too long");
    wire_reply_header_encode(1, 0, 0, large);
    assert_null(wire_reply_decode(&reply, large, WIRE_REPLY_MAX));
    assert_int_equal(reply.text.length, WIRE_TEXT_MAX_1);
}

static void has_the_table_of_statuses(void **state)
{
    static const struct {
        int32_t status;
        const char *name;
        int exit_code;
    } table[] = {
        {-1, "NO_RULE", 129}, {-2, "PROTO", 130},    {-3, "FDS", 131},     {-4, "SPAWN", 132},
        {-6, "AUDIT", 134},   {-7, "TIMEOUT", 124},  {-8, "PEER", 136},    {-9, "TOO_LARGE", 137},
        {-10, "BUSY", 138},   {-11, "CONFINE", 139}, {-12, "OUTPUT", 140},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_string_equal(wire_status_name(table[i].status), table[i].name);
        assert_int_equal(wire_status_exit_code(table[i].status), table[i].exit_code);
        assert_non_null(wire_status_text(table[i].status));
    }
    static const int32_t none[] = {-5, -13, INT32_MIN};
    for (size_t i = 0; i < 3; i++) {
        assert_null(wire_status_name(none[i]));
        assert_null(wire_status_text(none[i]));
        assert_int_equal(wire_status_exit_code(none[i]), -1);
    }
    assert_int_equal(wire_status_exit_code(0), 0);
    assert_int_equal(wire_status_exit_code(255), 255);
    assert_int_equal(wire_status_exit_code(256), -1);
    assert_null(wire_status_name(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_version_1_call),
        cmocka_unit_test(reads_a_version_1_listing),
        cmocka_unit_test(wants_three_descriptors),
        cmocka_unit_test(refuses_a_wrong_header),
        cmocka_unit_test(refuses_every_cut_and_every_addition),
        cmocka_unit_test(bounds_the_arguments),
        cmocka_unit_test(bounds_each_argument),
        cmocka_unit_test(bounds_the_whole),
        cmocka_unit_test(wants_text),
        cmocka_unit_test(reads_a_version_2_call),
        cmocka_unit_test(reads_a_call_without_extras),
        cmocka_unit_test(refuses_a_call_without_a_command),
        cmocka_unit_test(refuses_unknown_types_and_flags),
        cmocka_unit_test(bounds_the_variables),
        cmocka_unit_test(wants_proper_names),
        cmocka_unit_test(takes_every_letter_of_a_name),
        cmocka_unit_test(refuses_a_variable_that_comes_twice),
        cmocka_unit_test(bounds_the_working_directory),
        cmocka_unit_test(reads_signals),
        cmocka_unit_test(reads_list_and_hello),
        cmocka_unit_test(reads_a_body_from_a_memfd),
        cmocka_unit_test(wants_every_seal),
        cmocka_unit_test(bounds_and_checks_a_body),
        cmocka_unit_test(writes_what_was_specified),
        cmocka_unit_test(writes_frames),
        cmocka_unit_test(tells_what_cannot_be_sent),
        cmocka_unit_test(agrees_with_itself),
        cmocka_unit_test(writes_and_reads_replies),
        cmocka_unit_test(refuses_broken_replies),
        cmocka_unit_test(has_the_table_of_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
