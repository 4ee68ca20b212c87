#define _GNU_SOURCE 1 /* POLLRDHUP */

#include "runtime/shared/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/io.h"

#define CALL_CLOSE_RANGE 436 /* Linux 5.9; one number on every architecture */
#define AT_EXEC 4u           /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */

void descriptor_close(int *descriptor)
{
    int saved = errno;

    if (*descriptor >= 0) {
        close(*descriptor);
        *descriptor = -1;
    }
    errno = saved;
}

int descriptor_steal(int *descriptor)
{
    int stolen = *descriptor;

    *descriptor = -1;
    return stolen;
}

void descriptors_close(int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        descriptor_close(&descriptors[i]);
}

/* As close_range(2) with these flags, for those of first..last that are listed. */
static int range_close_listed(unsigned first, unsigned last, unsigned flags)
{
    char entries[2048] __attribute__((aligned(8)));
    cleanup_fd int list = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long length;

    if (list < 0)
        return -errno;
    /* The list goes on behind the number that it has come to, whatever has been closed (proc(5)). */
    while ((length = syscall(SYS_getdents64, list, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            uint64_t number;
            at += entry->d_reclen;
            if (!text_to_unsigned(entry->d_name, INT32_MAX, &number) || number < first ||
                number > last || number == (uint64_t)list)
                continue;
            if (flags == 0)
                close((int)number);
            else if (fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        }
    }
    return length < 0 ? -errno : 0;
}

static int range_close(unsigned first, unsigned last, unsigned flags)
{
    if (first > last || syscall(CALL_CLOSE_RANGE, first, last, flags) == 0)
        return 0;
    if (errno == ENOSYS || errno == EPERM || (flags != 0 && errno == EINVAL))
        return range_close_listed(first, last, flags);
    return -errno;
}

int descriptors_close_range(unsigned first, unsigned last)
{
    return range_close(first, last, 0);
}

int descriptors_close_range_at_exec(unsigned first, unsigned last)
{
    return range_close(first, last, AT_EXEC);
}

int descriptor_set_nonblocking(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);

    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int descriptors_fill_standard(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0)
            continue;
        if (errno != EBADF)
            return -errno;
        /* The lowest free number is taken, and all below are open: this is `descriptor`. */
        int opened = open("/dev/null", O_RDWR);
        if (opened < 0)
            return -errno;
    }
    return 0;
}

size_t descriptors_find(const char *control, size_t length, int *taken)
{
    size_t count = 0;
    struct cmsghdr part;

    for (size_t at = 0; length - at >= sizeof(part); at += CMSG_ALIGN((size_t)part.cmsg_len)) {
        memcpy(&part, control + at, sizeof(part));
        if (part.cmsg_len < CMSG_LEN(0) || part.cmsg_len > length - at)
            break;
        size_t here = ((size_t)part.cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (part.cmsg_level == SOL_SOCKET && part.cmsg_type == SCM_RIGHTS &&
            here <= DESCRIPTORS_MAX - count) {
            memcpy(taken + count, control + at + CMSG_LEN(0), here * sizeof(int));
            count += here;
        }
        if (CMSG_ALIGN((size_t)part.cmsg_len) > length - at)
            break;
    }
    return count;
}

/* Whether a read of no bytes means the end: an empty message reads the same. */
static bool socket_is_ended(int socket)
{
    struct pollfd state = {.fd = socket, .events = POLLRDHUP};

    return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

enum message_result message_receive(int socket, struct message *message)
{
    struct descriptors_room control;
    struct iovec part = {.iov_base = message->buffer, .iov_len = message->capacity};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = message->refuse ? 0 : sizeof(control.bytes),
    };
    int taken[DESCRIPTORS_MAX];
    ssize_t length;

    memset(&control, 0, sizeof(control));
    message->length = 0;
    message->count = 0;
    for (size_t i = 0; i < message->wanted && !message->keep; i++)
        message->descriptors[i] = -1;

    /* A peer that closed with something of ours unread is told of once, as ECONNRESET, before what
     * it sent last: that must not be lost. */
    unsigned resets = 0;
    do {
        length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC);
    } while (length < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    if (length < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return MESSAGE_NONE;
        return errno == ECONNRESET ? MESSAGE_END : MESSAGE_FAILED;
    }

    message->length = (size_t)length;
    message->count = descriptors_find(control.bytes, (size_t)header.msg_controllen, taken);
    enum message_result result = MESSAGE_RECEIVED;
    if (header.msg_flags & MSG_CTRUNC)
        result = MESSAGE_DESCRIPTORS_LOST;
    else if (header.msg_flags & MSG_TRUNC)
        result = MESSAGE_TOO_LONG;
    else if (message->count > message->wanted)
        result = MESSAGE_TOO_MANY;
    else if (length == 0 && message->count == 0 && socket_is_ended(socket))
        result = MESSAGE_END;

    size_t handed = 0;
    if (result == MESSAGE_RECEIVED || message->keep)
        handed = message->count < message->wanted ? message->count : message->wanted;
    if (handed > 0)
        memcpy(message->descriptors, taken, handed * sizeof(int));
    descriptors_close(taken + handed, message->count - handed);
    return result;
}

int message_send(int socket, const struct iovec *parts, size_t part_count, const int *descriptors,
                 size_t descriptor_count)
{
    struct descriptors_room control;
    struct msghdr header = {.msg_iov = (struct iovec *)(uintptr_t)parts};
    size_t whole = 0;
    ssize_t sent;

    header.msg_iovlen = (__typeof__(header.msg_iovlen))part_count;
    for (size_t i = 0; i < part_count; i++)
        whole += parts[i].iov_len;
    if (descriptor_count > DESCRIPTORS_MAX)
        return -EINVAL;
    if (descriptor_count > 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen =
            (__typeof__(header.msg_controllen))CMSG_SPACE(sizeof(int) * descriptor_count);
        struct cmsghdr *part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = (__typeof__(part->cmsg_len))CMSG_LEN(sizeof(int) * descriptor_count);
        memcpy(CMSG_DATA(part), descriptors, sizeof(int) * descriptor_count);
    }

    do {
        sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return (size_t)sent == whole ? 0 : -EIO;
}
