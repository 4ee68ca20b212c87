/* net, unix: sockets of every family, and the ways around socket(2) and connect(2).
 *
 *   escape_network TCP-PORT UDP-PORT UNIX-PATH ABSTRACT-NAME */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static long tcp_connect(const char *port, int protocol)
{
    const struct sockaddr_in address = loopback(port);
    int made = socket(AF_INET, SOCK_STREAM, protocol);
    return made < 0 ? -1 : connect(made, (const struct sockaddr *)&address, sizeof address);
}

/* Connects with the first bytes (TCP Fast Open), without connect(2). */
static long tcp_fast_open(const char *port)
{
    const struct sockaddr_in address = loopback(port);
    int made = socket(AF_INET, SOCK_STREAM, 0);
    return made < 0 ? -1
                    : sendto(made, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&address,
                             sizeof address);
}

static long tcp_fast_open_message(const char *port)
{
    struct sockaddr_in address = loopback(port);
    struct iovec part = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen = sizeof address,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    int made = socket(AF_INET, SOCK_STREAM, 0);
    return made < 0 ? -1 : sendmsg(made, &message, MSG_FASTOPEN);
}

static long udp_send(const char *port)
{
    const struct sockaddr_in address = loopback(port);
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    return made < 0 ? -1
                    : sendto(made, "x", 1, 0, (const struct sockaddr *)&address, sizeof address);
}

static long tcp_bind(int family)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr_in four = loopback("0");
    int made = socket(family, SOCK_STREAM, 0);
    if (made < 0)
        return -1;
    return family == AF_INET ? bind(made, (const struct sockaddr *)&four, sizeof four)
                             : bind(made, (const struct sockaddr *)&six, sizeof six);
}

static struct sockaddr_un unix_address(const char *name, bool abstract, socklen_t *size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + abstract, name, length);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return address;
}

static long unix_connect(const char *name, bool abstract, int type)
{
    socklen_t size;
    const struct sockaddr_un address = unix_address(name, abstract, &size);
    int made = socket(AF_UNIX, type, 0);
    return made < 0 ? -1 : connect(made, (const struct sockaddr *)&address, size);
}

/* The socket comes from a pair; a datagram socket may then be connected elsewhere. */
static long unix_pair_connect(const char *name, int type)
{
    socklen_t size;
    const struct sockaddr_un address = unix_address(name, false, &size);
    int pair[2];
    return socketpair(AF_UNIX, type, 0, pair) < 0
               ? -1
               : connect(pair[0], (const struct sockaddr *)&address, size);
}

/* IORING_OP_SOCKET, by number: newer than some headers. */
static long ring_socket(int family)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(NR_IO_URING_SETUP, 4, &params);
    if (ring < 0)
        return -1;
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    char *queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, params.sq_entries * sizeof *entries,
                                        PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *done = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    if (queue == MAP_FAILED || entries == MAP_FAILED || done == MAP_FAILED)
        return -1;
    memset(&entries[0], 0, sizeof entries[0]);
    entries[0].opcode = 45;
    entries[0].fd = family;
    entries[0].off = SOCK_STREAM;
    ((unsigned *)(queue + params.sq_off.array))[0] = 0;
    __atomic_add_fetch((unsigned *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(NR_IO_URING_ENTER, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -1;
    int result = ((struct io_uring_cqe *)(done + params.cq_off.cqes))[0].res;
    errno = result < 0 ? -result : 0;
    return result;
}

#if defined(__x86_64__)
/* socket(AF_INET, SOCK_STREAM, 0) as a 32-bit program makes it. */
static long old_socket(void)
{
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(359), "b"(AF_INET), "c"(SOCK_STREAM), "d"(0)
                     : "memory");
    errno = result < 0 ? (int)-result : 0;
    return result;
}
#endif

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    TRY("tcp connect", tcp_connect(argv[1], 0));
    TRY("tcp connect by protocol", tcp_connect(argv[1], IPPROTO_TCP));
    TRY("mptcp connect", tcp_connect(argv[1], 262));
    TRY("tcp fast open", tcp_fast_open(argv[1]));
    TRY("tcp fast open message", tcp_fast_open_message(argv[1]));
    TRY("udp send", udp_send(argv[2]));
    TRY("bind", tcp_bind(AF_INET));
    TRY("bind six", tcp_bind(AF_INET6));
    TRY("socket inet", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    TRY("socket inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    TRY("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    TRY("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
    TRY("socket vsock", socket(40, SOCK_STREAM, 0));
    TRY("socket alg", socket(38, SOCK_SEQPACKET, 0));
    TRY("socket high bits", syscall(SYS_socket, 0x700000000 + AF_INET, SOCK_STREAM, 0));
    TRY("ring socket", ring_socket(AF_INET));
#if defined(__x86_64__)
    TRY("socket by int 0x80", old_socket());
    TRY("socket by x32", syscall(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0));
#endif
    TRY("unix stream", unix_connect(argv[3], false, SOCK_STREAM));
    TRY("unix abstract", unix_connect(argv[4], true, SOCK_STREAM));
    char datagram[200];
    snprintf(datagram, sizeof datagram, "%s.d", argv[3]);
    TRY("unix datagram", unix_connect(datagram, false, SOCK_DGRAM));
    TRY("unix pair datagram", unix_pair_connect(datagram, SOCK_DGRAM));
    TRY("unix pair raw", unix_pair_connect(datagram, SOCK_RAW));
    TRY("unix ring", ring_socket(AF_UNIX));
    return 0;
}
