#include "runtime/shared/io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int write_all(int descriptor, const char *bytes, size_t length, bool patient)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written >= 0) {
            bytes += written;
            length -= (size_t)written;
        } else if (patient && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
            if (poll(&wait, 1, -1) < 0 && errno != EINTR)
                return -errno;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int write_whole(int descriptor, const void *bytes, size_t length)
{
    return write_all(descriptor, bytes, length, false);
}

int write_patiently(int descriptor, const void *bytes, size_t length)
{
    return write_all(descriptor, bytes, length, true);
}

ssize_t read_whole(int descriptor, void *bytes, size_t length)
{
    size_t have = 0;

    while (have < length) {
        ssize_t got = read(descriptor, (char *)bytes + have, length - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

ssize_t read_whole_at(int descriptor, void *bytes, size_t length, off_t offset)
{
    size_t have = 0;

    while (have < length) {
        ssize_t got = pread(descriptor, (char *)bytes + have, length - have, offset + (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

void text_start(struct text *text, char *bytes, size_t capacity)
{
    *text = (struct text){.bytes = bytes, .capacity = capacity};
    if (capacity > 0)
        bytes[0] = '\0';
}

void text_append_bytes(struct text *text, const char *bytes, size_t length)
{
    size_t room = text->capacity > text->length ? text->capacity - text->length - 1 : 0;

    if (length > room) {
        length = room;
        text->truncated = true;
    }
    if (length == 0)
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_append(struct text *text, const char *string)
{
    text_append_bytes(text, string, strlen(string));
}

void text_append_char(struct text *text, char character)
{
    text_append_bytes(text, &character, 1);
}

void text_append_unsigned(struct text *text, uint64_t value)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t start = sizeof(digits);

    do {
        digits[--start] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_append_bytes(text, digits + start, sizeof(digits) - start);
}

void text_append_signed(struct text *text, int64_t value)
{
    if (value < 0)
        text_append_char(text, '-');
    text_append_unsigned(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_append_hex(struct text *text, uint64_t value, unsigned digits)
{
    char buffer[16];
    size_t start = sizeof(buffer);
    size_t least = digits < sizeof(buffer) ? digits : sizeof(buffer);

    while (start > 0 && (value > 0 || sizeof(buffer) - start < least || start == sizeof(buffer))) {
        buffer[--start] = "0123456789abcdef"[value % 16];
        value /= 16;
    }
    text_append_bytes(text, buffer + start, sizeof(buffer) - start);
}

bool text_to_unsigned(const char *string, uint64_t maximum, uint64_t *value)
{
    uint64_t number = 0;

    if (string[0] == '\0' || (string[0] == '0' && string[1] != '\0'))
        return false;
    for (; *string; string++) {
        if (*string < '0' || *string > '9')
            return false;
        uint64_t digit = (uint64_t)(*string - '0');
        if (digit > maximum || number > (maximum - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

static struct timespec clock_read(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now); /* can only fail for a clock that does not exist */
    return now;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC);

    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now = clock_read(CLOCK_REALTIME);

    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
