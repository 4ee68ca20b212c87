#define _GNU_SOURCE 1 /* memfd_create, pipe2 */

#include "runtime/client/sluicify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/shared/wire.h"

_Static_assert(SLUICIFY_REPLY_MAX == WIRE_REPLY_MAX, "the two headers disagree");

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* ---- addresses ------------------------------------------------------------------------------- */

bool sluicify_address_read(struct sluicify_address *address, const char *text)
{
    uint64_t number;

    if (strncmp(text, "fd:", 3) == 0) {
        if (!text_to_unsigned(text + 3, INT32_MAX, &number))
            return false;
        *address = (struct sluicify_address){.path = NULL, .descriptor = (int)number};
        return true;
    }
    *address = (struct sluicify_address){.path = text, .descriptor = -1};
    return text[0] != '\0';
}

static int socket_option(int socket, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);

    return getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

int sluicify_address_check(const struct sluicify_address *address)
{
    if (address->path)
        return 0;
    if (fcntl(address->descriptor, F_GETFD) < 0)
        return -EBADF;
    if (socket_option(address->descriptor, SO_DOMAIN) != AF_UNIX ||
        socket_option(address->descriptor, SO_TYPE) != SOCK_SEQPACKET)
        return -ENOTSOCK;
    return 0;
}

/* Connects to the socket at `path`. One that is too long for a sockaddr_un is reached through
 * /proc: proc(5), /proc/pid/fd. Returns a descriptor or a negative errno. */
static int path_connect(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct text text;
    cleanup_fd int place = -1;

    text_start(&text, name.sun_path, sizeof(name.sun_path));
    text_append(&text, path);
    if (text.truncated) {
        place = open(path, O_PATH | O_CLOEXEC);
        if (place < 0)
            return -errno;
        text_start(&text, name.sun_path, sizeof(name.sun_path));
        text_append(&text, "/proc/self/fd/");
        text_append_signed(&text, place);
    }
    cleanup_fd int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -errno;
    while (connect(connection, (const struct sockaddr *)&name, sizeof(name)) < 0)
        if (errno != EINTR)
            return -errno;
    return descriptor_steal(&connection);
}

/* ---- making ready ---------------------------------------------------------------------------- */

/* A way for the answer to an exchange on a connection that others share: a pair of sockets, or
 * where those are forbidden a pipe, on which no signals can go back. Returns 0 or a negative errno.
 */
static int reply_make(struct sluicify_exchange *exchange)
{
    int ends[2];

    exchange->takes_signals = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
    if (!exchange->takes_signals && pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    exchange->reply = ends[0];
    exchange->reply_remote = ends[1];
    return exchange->takes_signals ? 0 : descriptor_set_nonblocking(ends[0]);
}

static int exchange_connect(struct sluicify_exchange *exchange)
{
    if (!exchange->address.path) {
        if (exchange->version == 1 || exchange->kind == SLUICIFY_HELLO)
            return -EPROTONOSUPPORT;
        int checked = sluicify_address_check(&exchange->address);
        return checked < 0 ? checked : reply_make(exchange);
    }
    exchange->connection = path_connect(exchange->address.path);
    if (exchange->connection < 0)
        return exchange->connection;
    exchange->takes_signals = exchange->version == 2;
    exchange->reply = exchange->connection;
    return 0;
}

static struct policy_bytes bytes_of(const char *string)
{
    size_t length = strlen(string);

    /* No limit is near what this cuts off: what is longer stays too long. */
    return (struct policy_bytes){string, length > INT32_MAX ? INT32_MAX : (uint32_t)length};
}

/* Fills `call`, whose arrays have room for the most that can be sent. Returns what is wrong, or
 * NULL. */
static const char *call_make(const struct sluicify_request *request, unsigned version,
                             struct wire_call *call, struct policy_bytes *arguments,
                             struct policy_bytes *variables)
{
    if (request->argument_count > WIRE_ARGUMENTS_MAX)
        return "more than 256 arguments";
    if (request->variable_count > WIRE_VARIABLES_MAX)
        return "more than 256 variables";
    for (size_t i = 0; i < request->argument_count; i++)
        arguments[i] = bytes_of(request->arguments[i]);
    for (size_t i = 0; i < request->variable_count; i++)
        variables[i] = bytes_of(request->variables[i]);
    *call = (struct wire_call){
        .argument_count = (uint32_t)request->argument_count,
        .arguments = arguments,
        .variable_count = (uint32_t)request->variable_count,
        .variables = variables,
        .cwd = bytes_of(request->working_directory ? request->working_directory : ""),
    };
    return wire_call_problem(version, call);
}

/* A sealed memfd with `length` bytes, or -1 where there can be none. memfd_create(2). */
static int body_make(const char *bytes, size_t length)
{
    cleanup_fd int memfd =
        memfd_create("sluicify", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (memfd < 0 && errno == EINVAL)
        memfd = memfd_create("sluicify", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || write_whole(memfd, bytes, length) < 0 ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -1;
    return descriptor_steal(&memfd);
}

/* A call's message: in the exchange's own buffer where it fits (the answer comes later), in a memfd
 * where it is larger, and where that cannot be, in one message of any size that the socket takes.
 */
static int call_prepare(struct sluicify_exchange *exchange, const struct wire_call *call)
{
    char header[WIRE_CALL_HEADER_2];
    size_t header_length = wire_call_header_encode(exchange->version, 0, header);
    size_t body_length = wire_body_size(exchange->version, call);
    size_t length = header_length + body_length;
    char *place = exchange->buffer;

    if (length > sizeof(exchange->buffer)) {
        place = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED)
            return -errno;
        exchange->mapping = place;
        exchange->mapping_length = length;
    }
    memcpy(place, header, header_length);
    wire_body_encode(exchange->version, call, place + header_length);
    exchange->message = place;
    exchange->message_length = length;
    if (place == exchange->buffer)
        return 0;

    if (exchange->version == 2)
        exchange->body = body_make(place + header_length, body_length);
    if (exchange->body >= 0) {
        exchange->message = exchange->buffer;
        exchange->message_length = wire_call_header_encode(2, WIRE_FLAG_BODY, exchange->buffer);
        munmap(exchange->mapping, exchange->mapping_length);
        exchange->mapping = NULL;
    }
    return 0;
}

static int message_prepare(struct sluicify_exchange *exchange)
{
    struct policy_bytes arguments[WIRE_ARGUMENTS_MAX], variables[WIRE_VARIABLES_MAX];
    struct wire_call call;

    if (exchange->kind == SLUICIFY_CALL) {
        exchange->problem =
            call_make(exchange->request, exchange->version, &call, arguments, variables);
        return exchange->problem ? -EINVAL : call_prepare(exchange, &call);
    }
    exchange->message = exchange->buffer;
    exchange->message_length = wire_frame_encode(
        exchange->version, exchange->kind == SLUICIFY_LIST ? WIRE_LIST : WIRE_HELLO, 0,
        exchange->buffer);
    return 0;
}

int sluicify_exchange_open(struct sluicify_exchange *exchange,
                           const struct sluicify_address *address, enum sluicify_kind kind,
                           const struct sluicify_request *request, unsigned version)
{
    exchange->address = *address;
    exchange->kind = kind;
    exchange->request = request;
    exchange->version = version;
    exchange->connection = -1;
    exchange->reply = -1;
    exchange->reply_remote = -1;
    exchange->body = -1;
    exchange->takes_signals = false;
    exchange->sent = false;
    exchange->mapping = NULL;
    exchange->have = 0;
    exchange->problem = NULL;

    int result = message_prepare(exchange);
    if (result == 0)
        result = exchange_connect(exchange);
    if (result == 0 && exchange->mapping && exchange->connection >= 0) {
        /* As far as the system lets an ordinary user go: socket(7), SO_SNDBUF. */
        int size = (int)WIRE_REQUEST_MAX;
        setsockopt(exchange->connection, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    if (result < 0)
        sluicify_exchange_close(exchange);
    return result;
}

/* ---- the exchange ---------------------------------------------------------------------------- */

int sluicify_exchange_connection(const struct sluicify_exchange *exchange)
{
    return exchange->connection >= 0 ? exchange->connection : exchange->address.descriptor;
}

/* Gives up what only the broker needs from now on. Holding the remote end of the answer's socket
 * would hide that the broker has closed it. */
static void exchange_let_go(struct sluicify_exchange *exchange)
{
    descriptor_close(&exchange->reply_remote);
    descriptor_close(&exchange->body);
    if (exchange->mapping)
        munmap(exchange->mapping, exchange->mapping_length);
    exchange->mapping = NULL;
}

int sluicify_exchange_send(struct sluicify_exchange *exchange)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)exchange->message,
                         .iov_len = exchange->message_length};
    int descriptors[WIRE_DESCRIPTORS_MAX];
    size_t count = 0;

    if (exchange->kind == SLUICIFY_CALL)
        for (; count < WIRE_STANDARD_DESCRIPTORS; count++)
            descriptors[count] = exchange->request->descriptors[count];
    if (exchange->reply_remote >= 0)
        descriptors[count++] = exchange->reply_remote;
    if (exchange->body >= 0)
        descriptors[count++] = exchange->body;

    int result = message_send(sluicify_exchange_connection(exchange), &part, 1, descriptors, count);
    /* On a connection of its own the broker may have said why before it closed. */
    if ((result == -EPIPE || result == -ECONNRESET) && exchange->connection >= 0)
        result = 0;
    if (result == 0) {
        exchange->sent = true;
        exchange_let_go(exchange);
    }
    return result;
}

static enum sluicify_state answer_decode(struct sluicify_exchange *exchange, size_t length,
                                         struct sluicify_answer *answer)
{
    struct wire_reply reply;

    exchange->problem = wire_reply_decode(&reply, exchange->buffer, length);
    if (exchange->problem)
        return SLUICIFY_BROKEN;
    if (exchange->version == 2 && reply.version == 1 && reply.status == WIRE_PROTO)
        return SLUICIFY_OLD_BROKER;
    *answer = (struct sluicify_answer){reply.status, reply.text.bytes, reply.text.length};
    return SLUICIFY_ANSWERED;
}

/* An answer that comes through a pipe comes in parts. Its length is in its header. */
static enum sluicify_state pipe_receive(struct sluicify_exchange *exchange,
                                        struct sluicify_answer *answer)
{
    for (;;) {
        size_t whole = WIRE_REPLY_HEADER_MAX;
        if (exchange->have >= whole) {
            whole += wire_reply_text_length(exchange->buffer);
            if (whole > sizeof(exchange->buffer) || exchange->have >= whole)
                return answer_decode(exchange, exchange->have, answer);
        }
        ssize_t got =
            read(exchange->reply, exchange->buffer + exchange->have, whole - exchange->have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN ? SLUICIFY_WAITING : SLUICIFY_LOST;
        if (got == 0)
            return SLUICIFY_LOST;
        exchange->have += (size_t)got;
    }
}

enum sluicify_state sluicify_exchange_receive(struct sluicify_exchange *exchange,
                                              struct sluicify_answer *answer)
{
    struct message message = {.buffer = exchange->buffer, .capacity = sizeof(exchange->buffer)};

    if (!exchange->address.path && !exchange->takes_signals)
        return pipe_receive(exchange, answer);
    switch (message_receive(exchange->reply, &message)) {
    case MESSAGE_RECEIVED:
        return answer_decode(exchange, message.length, answer);
    case MESSAGE_NONE:
        return SLUICIFY_WAITING;
    case MESSAGE_TOO_LONG:
        exchange->problem = "the reply is too long";
        return SLUICIFY_BROKEN;
    case MESSAGE_TOO_MANY:
    case MESSAGE_DESCRIPTORS_LOST:
        exchange->problem = "the reply came with descriptors";
        return SLUICIFY_BROKEN;
    case MESSAGE_END:
    case MESSAGE_FAILED:
        break;
    }
    return SLUICIFY_LOST;
}

int sluicify_exchange_signal(struct sluicify_exchange *exchange, int signal)
{
    char frame[WIRE_CALL_HEADER_2];
    struct iovec part = {.iov_base = frame};

    if (!exchange->takes_signals)
        return -EOPNOTSUPP;
    part.iov_len = wire_frame_encode(2, WIRE_SIGNAL, signal, frame);
    return message_send(exchange->reply, &part, 1, NULL, 0);
}

/* Waits for `events` on `descriptor`. Returns 0 or a negative errno. */
static int descriptor_wait(int descriptor, short events, int timeout_ms)
{
    struct pollfd wait = {.fd = descriptor, .events = events};
    int ready;

    do {
        ready = poll(&wait, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -errno;
    return ready == 0 ? -ETIMEDOUT : 0;
}

/* Sends and waits. Returns a sluicify_state or a negative errno. */
static int exchange_wait(struct sluicify_exchange *exchange, int timeout_ms,
                         struct sluicify_answer *answer)
{
    int result = sluicify_exchange_send(exchange);

    while (result == -EAGAIN) {
        result = descriptor_wait(sluicify_exchange_connection(exchange), POLLOUT, timeout_ms);
        if (result == 0)
            result = sluicify_exchange_send(exchange);
    }
    if (result < 0)
        return result;
    for (;;) {
        enum sluicify_state state = sluicify_exchange_receive(exchange, answer);
        if (state != SLUICIFY_WAITING)
            return (int)state;
        result = descriptor_wait(exchange->reply, POLLIN, timeout_ms);
        if (result < 0)
            return result;
    }
}

int sluicify_exchange_finish(struct sluicify_exchange *exchange,
                             const struct sluicify_address *address, enum sluicify_kind kind,
                             const struct sluicify_request *request, int timeout_ms,
                             struct sluicify_answer *answer)
{
    int result = sluicify_exchange_open(exchange, address, kind, request, 2);

    if (result == 0)
        result = exchange_wait(exchange, timeout_ms, answer);
    if (result != SLUICIFY_OLD_BROKER || kind == SLUICIFY_HELLO || !address->path)
        return result;
    sluicify_exchange_close(exchange);
    result = sluicify_exchange_open(exchange, address, kind, request, 1);
    return result < 0 ? result : exchange_wait(exchange, timeout_ms, answer);
}

int sluicify_exchange_take_connection(struct sluicify_exchange *exchange)
{
    exchange->reply = -1;
    return descriptor_steal(&exchange->connection);
}

void sluicify_exchange_close(struct sluicify_exchange *exchange)
{
    exchange_let_go(exchange);
    if (exchange->reply != exchange->connection)
        descriptor_close(&exchange->reply);
    exchange->reply = -1;
    descriptor_close(&exchange->connection);
}
