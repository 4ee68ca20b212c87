#include "runtime/broker/failure.h"

#include <errno.h>
#include <stdarg.h>

#include "runtime/shared/format.h"

int failure_set(struct failure *failure, int error, const char *format, ...)
{
    if (failure == NULL)
        return -1;
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    struct text text;
    failure->error = error;
    text_start(&text, failure->text, sizeof failure->text);
    text_append_list(&text, format, arguments);
    va_end(arguments);
    errno = saved;
    return -1;
}
