#define _GNU_SOURCE
#include "runtime/broker/notice.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void notice(const char *format, ...)
{
    int saved = errno;
    char line[NOTICE_MAX] = "sluice: ";
    size_t prefix = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
    va_end(arguments);

    if (written >= 0) {
        size_t length = strlen(line);
        for (size_t i = prefix; i < length; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                line[i] = '?';
        line[length++] = '\n';
        /* A pipe that polls writable takes PIPE_BUF bytes at once (pipe(7)); so does a socket. */
        struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (poll(&standard_error, 1, 0) == 1 && (standard_error.revents & POLLOUT) &&
            write(STDERR_FILENO, line, length) < 0) {
            /* There is nowhere left to say so. */
        }
    }
    errno = saved;
}
