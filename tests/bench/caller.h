/* A caller of a broker, for the programs that measure: makes a request once, sends it any number of
 * times. Owns the connection until it is closed by whoever asked for it; a failure ends the program,
 * because there is nothing left to measure. */
#ifndef SLUICE_BENCH_CALLER_H
#define SLUICE_BENCH_CALLER_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/wire.h"

#define CALLER_ARGUMENTS_MAX 64u
#define CALLER_REQUEST_BYTES 8192u
/* A call that takes longer than this is taken for lost. */
#define CALLER_PATIENCE_S 60

struct caller_request {
    char bytes[CALLER_REQUEST_BYTES];
    size_t length;
};

static inline _Noreturn void caller_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void caller_request_make(struct caller_request *request, uint32_t version,
                                       char *const *argv, uint32_t count)
{
    struct policy_bytes arguments[CALLER_ARGUMENTS_MAX];
    for (uint32_t i = 0; i < count && i < CALLER_ARGUMENTS_MAX; i++)
        arguments[i] = (struct policy_bytes){argv[i], (uint32_t)strlen(argv[i])};
    const struct wire_call call = {.argument_count = count, .arguments = arguments};
    const char *problem = count > CALLER_ARGUMENTS_MAX ? "too many arguments"
                                                       : wire_call_problem(version, &call);
    if (problem || wire_body_size(version, &call) > CALLER_REQUEST_BYTES - WIRE_CALL_HEADER_2) {
        fprintf(stderr, "%s: %s\n", argv[0], problem ? problem : "too long");
        exit(1);
    }
    size_t header = wire_call_header_encode(version, 0, request->bytes);
    wire_body_encode(version, &call, request->bytes + header);
    request->length = header + wire_body_size(version, &call);
}

static inline int caller_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = CALLER_PATIENCE_S};
    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof address.sun_path)
        caller_fail(path);
    memcpy(address.sun_path, path, strlen(path));
    int broker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (broker < 0 || connect(broker, (const struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(broker, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        caller_fail(path);
    return broker;
}

/* One call, its standard input, output and error all `null`. Anything but status 0 ends the program:
 * a figure for calls that fail would be no figure. */
static inline void caller_call(int broker, const struct caller_request *request, int null)
{
    const int descriptors[] = {null, null, null};
    struct iovec part = {.iov_base = (void *)(uintptr_t)request->bytes, .iov_len = request->length};
    char bytes[WIRE_REPLY_MAX];
    struct wire_reply reply;
    errno = -message_send(broker, &part, 1, descriptors, 3);
    if (errno != 0)
        caller_fail("send");
    ssize_t length = recv(broker, bytes, sizeof bytes, 0);
    if (length < 0)
        caller_fail("receive");
    const char *problem = wire_reply_decode(&reply, bytes, (size_t)length);
    if (!problem && reply.status == 0)
        return;
    fprintf(stderr, "a call ended with %s %d: %.*s\n", problem ? problem : "status",
            problem ? 0 : reply.status, problem ? 0 : (int)reply.text.length,
            problem ? "" : reply.text.bytes);
    exit(1);
}

#endif
