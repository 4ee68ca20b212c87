#include "runtime/broker/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *failure, int error, const char *format, ...)
{
    if (failure == NULL)
        return -1;
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    failure->error = error;
    if (vsnprintf(failure->text, sizeof failure->text, format, arguments) < 0)
        failure->text[0] = '\0';
    va_end(arguments);
    errno = saved;
    return -1;
}
