#include "runtime/shared/utf8.h"

#include <string.h>

static bool byte_continues(const char *byte)
{
    return ((unsigned char)*byte & 0xc0u) == 0x80u;
}

static uint32_t byte_bits(const char *byte, unsigned mask)
{
    return (unsigned char)*byte & mask;
}

size_t utf8_read(const char *bytes, size_t length, uint32_t *scalar)
{
    if (length == 0)
        return 0;
    unsigned char first = (unsigned char)bytes[0];
    uint32_t value;

    if (first < 0x80) {
        *scalar = first;
        return 1;
    }
    if (first < 0xc2) /* a continuation, or a longer form of ASCII */
        return 0;
    if (length < 2 || !byte_continues(bytes + 1))
        return 0;
    if (first < 0xe0) {
        *scalar = byte_bits(bytes, 0x1f) << 6 | byte_bits(bytes + 1, 0x3f);
        return 2;
    }
    if (length < 3 || !byte_continues(bytes + 2))
        return 0;
    if (first < 0xf0) {
        value = byte_bits(bytes, 0x0f) << 12 | byte_bits(bytes + 1, 0x3f) << 6 |
                byte_bits(bytes + 2, 0x3f);
        if (value < 0x800 || (value >= 0xd800 && value <= 0xdfff))
            return 0;
        *scalar = value;
        return 3;
    }
    if (first > 0xf4 || length < 4 || !byte_continues(bytes + 3))
        return 0;
    value = byte_bits(bytes, 0x07) << 18 | byte_bits(bytes + 1, 0x3f) << 12 |
            byte_bits(bytes + 2, 0x3f) << 6 | byte_bits(bytes + 3, 0x3f);
    if (value < 0x10000 || value > 0x10ffff)
        return 0;
    *scalar = value;
    return 4;
}

/* Whether none of eight bytes is NUL or above 0x7f. The borrow of the subtraction reaches the top
 * bit of a byte only if that byte, or one below it, was 0; with no top bit set before, one that is
 * set after tells of a 0. */
static bool word_is_plain(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return ((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) == 0;
}

bool utf8_is_text(const char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        if (length - at >= sizeof(uint64_t) && word_is_plain(bytes + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        uint32_t scalar;
        size_t taken = utf8_read(bytes + at, length - at, &scalar);
        if (taken == 0 || scalar == 0)
            return false;
        at += taken;
    }
    return true;
}

bool utf8_is_control(uint32_t scalar)
{
    return scalar <= 0x1f || (scalar >= 0x7f && scalar <= 0x9f);
}
