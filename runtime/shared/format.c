#include "runtime/shared/format.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What stands between '%' and its letter. */
struct conversion {
    size_t precision; /* of %s; SIZE_MAX: none */
    bool is_long;     /* l, ll, z: all 64 bits here */
    bool is_size;
    bool is_long_long;
};

/* A va_list that is passed by its address: what is read from it is read once (C11 7.16). */
struct source {
    va_list arguments;
};

static const char *conversion_read(struct conversion *conversion, const char *at,
                                   struct source *source)
{
    *conversion = (struct conversion){.precision = SIZE_MAX};
    if (at[0] == '.' && at[1] == '*') {
        int precision = va_arg(source->arguments, int);
        conversion->precision = precision < 0 ? SIZE_MAX : (size_t)precision;
        at += 2;
    } else if (at[0] == '.') {
        conversion->precision = 0;
        for (at++; *at >= '0' && *at <= '9'; at++)
            conversion->precision = conversion->precision * 10 + (size_t)(*at - '0');
    }
    for (; *at == 'l' || *at == 'z'; at++) {
        conversion->is_size = *at == 'z';
        conversion->is_long_long = conversion->is_long;
        conversion->is_long = true;
    }
    return at;
}

static uint64_t unsigned_take(const struct conversion *conversion, struct source *source)
{
    if (conversion->is_size)
        return va_arg(source->arguments, size_t);
    if (conversion->is_long_long)
        return va_arg(source->arguments, unsigned long long);
    if (conversion->is_long)
        return va_arg(source->arguments, unsigned long);
    return va_arg(source->arguments, unsigned int);
}

static int64_t signed_take(const struct conversion *conversion, struct source *source)
{
    if (conversion->is_size)
        return va_arg(source->arguments, ptrdiff_t);
    if (conversion->is_long_long)
        return va_arg(source->arguments, long long);
    if (conversion->is_long)
        return va_arg(source->arguments, long);
    return va_arg(source->arguments, int);
}

static void string_append(struct text *text, const char *string, size_t precision)
{
    if (!string)
        string = "(null)";
    text_append_bytes(text, string,
                      precision == SIZE_MAX ? strlen(string) : strnlen(string, precision));
}

void text_append_list(struct text *text, const char *format, va_list arguments)
{
    struct source source;
    struct conversion conversion;

    va_copy(source.arguments, arguments);
    for (const char *at = format; *at; at++) {
        size_t plain = strcspn(at, "%");
        text_append_bytes(text, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        at = conversion_read(&conversion, at + 1, &source);
        switch (*at) {
        case 's':
            string_append(text, va_arg(source.arguments, const char *), conversion.precision);
            break;
        case 'c':
            text_append_char(text, (char)va_arg(source.arguments, int));
            break;
        case 'd':
            text_append_signed(text, signed_take(&conversion, &source));
            break;
        case 'u':
            text_append_unsigned(text, unsigned_take(&conversion, &source));
            break;
        case 'x':
            text_append_hex(text, unsigned_take(&conversion, &source), 1);
            break;
        case '%':
            text_append_char(text, '%');
            break;
        default:
            assert(false && "a conversion that there is");
        }
    }
    va_end(source.arguments);
}

void text_append_format(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_append_list(text, format, arguments);
    va_end(arguments);
}
