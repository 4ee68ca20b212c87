#include "runtime/broker/parked.h"

#include <errno.h>
#include <sys/socket.h>

#include "runtime/shared/descriptors.h"

int parked_make(const int *descriptors, size_t count)
{
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    cleanup_fd int from = ends[0];
    cleanup_fd int holder = ends[1];
    int status = message_send(from, &part, 1, descriptors, count);
    return status < 0 ? status : descriptor_steal(&holder);
}

int parked_take(int *parked, int *descriptors, size_t count)
{
    char byte;
    struct message message = {
        .buffer = &byte, .capacity = 1, .descriptors = descriptors, .wanted = count, .keep = true};
    enum message_result result = message_receive(*parked, &message);

    descriptor_close(parked);
    if (result == MESSAGE_RECEIVED && message.count == count)
        return 0;
    /* Those that came before the limit was met are the caller's to close. */
    for (size_t i = message.count; i < count; i++)
        descriptors[i] = -1;
    return result == MESSAGE_DESCRIPTORS_LOST ? -EMFILE : -EIO;
}
