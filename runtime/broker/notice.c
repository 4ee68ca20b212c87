#define _GNU_SOURCE
#include "runtime/broker/notice.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "runtime/shared/format.h"

void notice(const char *format, ...)
{
    int saved = errno;
    char line[NOTICE_MAX];
    struct text text;
    va_list arguments;

    text_start(&text, line, sizeof line - 1); /* the newline's place is kept */
    text_append(&text, "sluice: ");
    va_start(arguments, format);
    text_append_list(&text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[text.length++] = '\n';
    /* A pipe that polls writable takes PIPE_BUF bytes at once (pipe(7)); so does a socket. */
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&standard_error, 1, 0) == 1 && (standard_error.revents & POLLOUT) &&
        write(STDERR_FILENO, line, text.length) < 0) {
        /* There is nowhere left to say so. */
    }
    errno = saved;
}
