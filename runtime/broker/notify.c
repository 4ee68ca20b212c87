#define _GNU_SOURCE 1 /* SOCK_CLOEXEC */

#include "runtime/broker/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/broker/notice.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

int notify_open(const char *address)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = address ? strlen(address) : 0;

    if (length == 0)
        return -1;
    if (length >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@')) {
        notice("NOTIFY_SOCKET is neither a path nor an abstract name: %s", address);
        return -1;
    }
    memcpy(to.sun_path, address, length);
    if (address[0] == '@')
        to.sun_path[0] = '\0'; /* an abstract name: unix(7) */
    cleanup_fd int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (socket_fd < 0 || connect(socket_fd, (struct sockaddr *)&to, size) < 0) {
        notice("cannot reach the service manager at %s", address);
        return -1;
    }
    return descriptor_steal(&socket_fd);
}

static void notify_send(int socket_fd, const char *text, size_t length)
{
    if (socket_fd >= 0 && send(socket_fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        notice("the service manager does not take messages");
}

void notify_ready(int socket_fd)
{
    static const char text[] = "READY=1\nSTATUS=serving\n";

    notify_send(socket_fd, text, sizeof(text) - 1);
}

void notify_reloading(int socket_fd, uint64_t monotonic_us)
{
    char buffer[96];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    text_append(&text, "RELOADING=1\nMONOTONIC_USEC=");
    text_append_unsigned(&text, monotonic_us);
    text_append(&text, "\nSTATUS=reloading\n");
    notify_send(socket_fd, buffer, text.length);
}

void notify_stopping(int socket_fd)
{
    static const char text[] = "STOPPING=1\nSTATUS=finishing calls\n";

    notify_send(socket_fd, text, sizeof(text) - 1);
}
