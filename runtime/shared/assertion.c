/* What a failed assert(3) does: one line on standard error, then abort(3).
 *
 * The C library's own brings stdio with it, a tenth of a broker. This takes its place by its name,
 * which is the one that <assert.h> of musl and glibc call. */
#include <stdlib.h>
#include <unistd.h>

#include "runtime/shared/format.h"

_Noreturn void __assert_fail(const char *condition, const char *file, unsigned line,
                             const char *function);

_Noreturn void __assert_fail(const char *condition, const char *file, unsigned line,
                             const char *function)
{
    char buffer[512];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    text_append_format(&text, "sluice: %s:%u: %s: not true: %s\n", file, line, function, condition);
    (void)!write(STDERR_FILENO, buffer, text.length);
    abort();
}
