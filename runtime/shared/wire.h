/* The wire: what one message between a client and a broker is, in both versions.
 *
 * Owns: the numbers, the limits, the layout of requests and replies, and every check of a message
 * that does not depend on the policy. docs/wire.md describes the same for people. Never: allocates
 * (the caller provides buffers), opens, sends or receives (descriptors.h does), or decides whether
 * a request is allowed.
 *
 * A decoder reads bytes from a peer that is not trusted. Every length is checked against what is
 * left before it is used, all of a message must be accounted for, and each refusal has one stable
 * text, which the audit trail shows. */
#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/include/policy.h"

/* ---- numbers --------------------------------------------------------------------------------- */

#define WIRE_MAGIC 0x534c4358u

#define WIRE_ARGUMENTS_MAX 256u /* arguments of a request, argv[0] included */
#define WIRE_ARGUMENT_MAX_1 16384u
/* Version 2 takes what the kernel can hand to a program at all: MAX_ARG_STRLEN, execve(2), less the
 * NUL. The same for one "NAME=value". */
#define WIRE_ARGUMENT_MAX_2 131071u
#define WIRE_VARIABLES_MAX 256u
#define WIRE_CWD_MAX 4096u
#define WIRE_REQUEST_MAX 1048576u /* bytes of a request message, or of a body in a memfd */
#define WIRE_REPLY_MAX 65536u     /* bytes of a reply message, its header included */

#define WIRE_HEADER_1 12u      /* bytes before the first argument; also of a version 1 reply */
#define WIRE_HEADER_2 12u      /* magic, version, type */
#define WIRE_CALL_HEADER_2 16u /* the same and flags: what comes before a CALL's body */
#define WIRE_REPLY_HEADER_MAX 16u
#define WIRE_TEXT_MAX_1 (WIRE_REPLY_MAX - WIRE_HEADER_1)         /* bytes of a listing */
#define WIRE_TEXT_MAX_2 (WIRE_REPLY_MAX - WIRE_REPLY_HEADER_MAX) /* bytes of a reply's text */

#define WIRE_STANDARD_DESCRIPTORS 3u /* in, out, err */
#define WIRE_DESCRIPTORS_MAX 5u      /* in, out, err, reply, body */

#define WIRE_FIRST_FRAME_MS 5000u /* how long a broker waits for a connection's first message */

enum wire_type {
    WIRE_CALL = 1,
    WIRE_SIGNAL = 2,
    WIRE_LIST = 3, /* also a version 1 request without arguments */
    WIRE_HELLO = 4,
};

#define WIRE_FLAG_BODY 1u /* the body is in a sealed memfd, the last descriptor */

enum wire_status {
    WIRE_OK = 0, /* or up to 255: the child's exit code */
#define STATUS(name, value, exit_code, text) WIRE_##name = (value),
#include "runtime/shared/status.def"
#undef STATUS
};

/* The name of a negative status as docs/wire.md has it ("NO_RULE"); NULL for a number that is none.
 */
const char *wire_status_name(int32_t status);
/* What sluicify says of a negative status; NULL for a number that is none. */
const char *wire_status_text(int32_t status);
/* The exit code of sluicify: `status` itself from 0 to 255, the table's for a negative one, and -1
 * for a number that is no status. */
int wire_status_exit_code(int32_t status);

/* ---- requests, received ---------------------------------------------------------------------- */

/* One decoded request. The strings lie in the buffer that was decoded, each of them followed by a
 * NUL, and live as long as it does. */
struct wire_request {
    uint32_t version; /* that to answer in: 1 or 2, also after a refusal */
    enum wire_type type;
    const char *reason; /* of a refusal: "proto: ..." or "wrong_fd_count"; static, never freed */

    /* Which of the message's descriptors is what; -1: not sent. in, out, err of a CALL are 0, 1, 2.
     */
    int reply_at;
    int body_at;

    int32_t signal; /* WIRE_SIGNAL: 1 to 64 */

    /* WIRE_CALL */
    uint32_t argument_count; /* at least 1 */
    uint32_t variable_count;
    struct policy_bytes cwd; /* length 0: not sent */
    struct policy_bytes arguments[WIRE_ARGUMENTS_MAX];
    struct policy_bytes variables[WIRE_VARIABLES_MAX]; /* "NAME=value", names distinct */
};

/* Decodes one message of `length` bytes that came with `descriptor_count` descriptors. `buffer`
 * must have room for one byte more than the message, and is written to (the NULs) only on success.
 *
 * Returns WIRE_OK, WIRE_PROTO or WIRE_FDS; with the last two `request->reason` and
 * `request->version` are set and nothing else counts. With WIRE_OK and `request->body_at` >= 0 the
 * arguments are still to come: wire_body_read. A length over WIRE_REQUEST_MAX is refused here, so
 * that one for which the receiver had no room can be passed in with its true length (nothing but
 * the header is read then). */
enum wire_status wire_request_decode(struct wire_request *request, char *buffer, size_t length,
                                     size_t descriptor_count);

/* Reads the body of a CALL from `memfd` into `buffer` and decodes it. `capacity` must be at least
 * WIRE_REQUEST_MAX + 1 (or the body's size + 1). A memfd that is not sealed against writing,
 * growing, shrinking and further sealing is refused before it is read: its sender could change it
 * between check and use, or shorten it under a reader (fcntl(2), F_ADD_SEALS). Returns WIRE_OK, or
 * WIRE_PROTO with `request->reason`. Does not close `memfd`. */
enum wire_status wire_body_read(struct wire_request *request, int memfd, char *buffer,
                                size_t capacity);

/* ---- requests, sent -------------------------------------------------------------------------- */

/* A call to be encoded. */
struct wire_call {
    uint32_t argument_count;
    const struct policy_bytes *arguments;
    uint32_t variable_count;              /* version 2 */
    const struct policy_bytes *variables; /* "NAME=value" */
    struct policy_bytes cwd;              /* version 2; length 0: none */
};

/* Why `call` cannot be sent in `version`, as a person would say it ("more than 256 arguments");
 * NULL if it can. Everything that a decoder refuses is found here first. */
const char *wire_call_problem(uint32_t version, const struct wire_call *call);

/* The bytes of a body: all of a request after the 8 (version 1) or 16 (version 2) bytes of header.
 */
size_t wire_body_size(uint32_t version, const struct wire_call *call);

/* Writes the body to `out`, which has room for wire_body_size. */
void wire_body_encode(uint32_t version, const struct wire_call *call, char *out);

/* Writes the header that goes before a body (`flags` counts in version 2 only) to `out`, at most 16
 * bytes. Returns its length: 8 or 16. */
size_t wire_call_header_encode(uint32_t version, uint32_t flags, char *out);

/* Writes a frame without a body: SIGNAL (with `signal`), LIST, HELLO; and version 1's listing
 * request (version 1, WIRE_LIST). At most 16 bytes. Returns its length. */
size_t wire_frame_encode(uint32_t version, enum wire_type type, int32_t signal, char *out);

/* ---- replies --------------------------------------------------------------------------------- */

/* Writes a reply's header to `header`, at most WIRE_REPLY_HEADER_MAX bytes, and returns its length;
 * `text_length` bytes of text follow it in the same message. Version 1 has text in listings only.
 */
size_t wire_reply_header_encode(uint32_t version, int32_t status, uint32_t text_length,
                                char *header);

struct wire_reply {
    uint32_t version;
    int32_t status; /* -12 to 255, and one of those there are */
    struct policy_bytes text;
};

/* The length of the text that follows a version 2 reply's header (WIRE_REPLY_HEADER_MAX bytes): for
 * a reader to which the reply comes in parts. */
uint32_t wire_reply_text_length(const char *header);

/* Decodes a reply, whose text stays in `bytes`. Returns NULL, or what is wrong with it. The text is
 * whatever the broker sent: a person's terminal must not see it unescaped. */
const char *wire_reply_decode(struct wire_reply *reply, const char *bytes, size_t length);

#endif
