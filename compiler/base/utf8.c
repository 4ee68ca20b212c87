#include "compiler/base/utf8.h"

static bool is_continuation(const char *bytes, size_t length, size_t index)
{
    return index < length && ((unsigned char)bytes[index] & 0xc0) == 0x80;
}

size_t utf8_decode(const char *bytes, size_t length, uint32_t *scalar)
{
    unsigned char first = (unsigned char)bytes[0];
    *scalar = UTF8_INVALID;
    if (first < 0x80) {
        *scalar = first;
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4)
        return 1;
    uint32_t value = first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(bytes, length, i))
            return 1;
        value = value << 6 | ((unsigned char)bytes[i] & 0x3fu);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *scalar = value;
    return size;
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t scalar)
{
    for (size_t i = 0; i < count; i++)
        if (scalar >= ranges[i].first && scalar <= ranges[i].last)
            return true;
    return false;
}

bool utf8_is_visible(uint32_t scalar)
{
    static const struct range hidden[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},         /* Cc */
        {0xad, 0xad},                           /* soft hyphen */
        {0x61c, 0x61c},                         /* Arabic letter mark */
        {0x180e, 0x180e},                       /* Mongolian vowel separator */
        {0x200b, 0x200f}, {0x2028, 0x202e},     /* zero width, marks, separators, embeddings */
        {0x2060, 0x206f},                       /* word joiner, isolates, deprecated formats */
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb},     /* byte order mark, annotations */
        {0xe0000, 0xe0fff},                     /* tags and what else is ignorable by default */
    };
    return scalar <= 0x10ffff && !is_in(hidden, sizeof hidden / sizeof *hidden, scalar);
}

unsigned utf8_width(uint32_t scalar)
{
    static const struct range combining[] = {
        {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x64b, 0x65f}, {0x1ab0, 0x1aff},
        {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
    };
    static const struct range wide[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
        {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
    };
    if (scalar < 0x300)
        return 1;
    if (is_in(combining, sizeof combining / sizeof *combining, scalar))
        return 0;
    return is_in(wide, sizeof wide / sizeof *wide, scalar) ? 2 : 1;
}

size_t utf8_encode(uint32_t scalar, char bytes[4])
{
    if (scalar < 0x80) {
        bytes[0] = (char)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        bytes[0] = (char)(0xC0 | scalar >> 6);
        bytes[1] = (char)(0x80 | (scalar & 0x3F));
        return 2;
    }
    if (scalar < 0x10000) {
        bytes[0] = (char)(0xE0 | scalar >> 12);
        bytes[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (scalar & 0x3F));
        return 3;
    }
    bytes[0] = (char)(0xF0 | scalar >> 18);
    bytes[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
    bytes[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
    bytes[3] = (char)(0x80 | (scalar & 0x3F));
    return 4;
}
