#define _GNU_SOURCE 1 /* O_PATH */

#include "tests/fuzz/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/worker/landlock.h"

/* ---- confinement ------------------------------------------------------------------------------ */

#define FS_READS (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR | FS_IOCTL_DEV)

/* The layer, with one directory (or file) below which everything may be written. */
static int allow(int ruleset, const struct landlock_layer *layer, const char *path, bool directory)
{
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    int result = landlock_allow_path(ruleset, layer, descriptor, directory, layer->files);
    close(descriptor);
    return result;
}

bool fuzz_confine(const char *scratch)
{
    int abi = landlock_abi();
    if (abi < 1) {
        fputs("this kernel has no Landlock to confine a fuzz program with\n", stderr);
        return false;
    }
    struct landlock_layer layer = {.files = landlock_file_rights(abi) & ~FS_READS};
    if (abi >= 4)
        layer.network = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6)
        layer.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    int ruleset = landlock_ruleset(&layer);
    int result = ruleset < 0 ? ruleset : allow(ruleset, &layer, "/dev/null", false);
    if (result == 0 && scratch)
        result = allow(ruleset, &layer, scratch, true);
    if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        result = -errno;
    if (result == 0)
        result = landlock_restrict(ruleset);
    if (ruleset >= 0)
        close(ruleset);
    if (result != 0)
        fprintf(stderr, "cannot confine: %s\n", strerror(-result));
    return result == 0;
}

/* ---- inputs ----------------------------------------------------------------------------------- */

uint8_t input_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static uint64_t little_endian(struct input *input, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t)input_byte(input) << 8 * i;
    return number;
}

uint32_t input_number(struct input *input)
{
    return (uint32_t)little_endian(input, 4);
}

uint64_t input_long(struct input *input)
{
    return little_endian(input, 8);
}

static void *exactly(size_t size)
{
    void *memory = malloc(size ? size : 1);
    FUZZ_CHECK(memory);
    return memory;
}

char *input_bytes(struct input *input, size_t most, size_t *length)
{
    *length = input->left < most ? input->left : most;
    char *bytes = exactly(*length);
    if (*length)
        memcpy(bytes, input->at, *length);
    input->at += *length;
    input->left -= *length;
    return bytes;
}

char *input_rest(struct input *input, size_t *length)
{
    return input_bytes(input, SIZE_MAX, length);
}

char *input_text(struct input *input, size_t *length)
{
    const uint8_t *end = input->left ? memchr(input->at, 0, input->left) : NULL;
    *length = end ? (size_t)(end - input->at) : input->left;
    char *text = exactly(*length + 1);
    if (*length)
        memcpy(text, input->at, *length);
    text[*length] = '\0';
    input->at += *length + (end != NULL);
    input->left -= *length + (end != NULL);
    return text;
}

/* ---- checkers --------------------------------------------------------------------------------- */

/* The length of the UTF-8 sequence at the start (Unicode, table 3-7, row by row), 0 when there is
 * none; its scalar value. */
static size_t sequence(const unsigned char *bytes, size_t length, uint32_t *scalar)
{
    static const struct {
        unsigned char first, last, low, high;
        unsigned char size;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bytes[0] < rows[i].first || bytes[0] > rows[i].last || rows[i].size > length)
            continue;
        *scalar = rows[i].size == 1 ? bytes[0] : bytes[0] & (0x7fu >> rows[i].size);
        for (size_t k = 1; k < rows[i].size; k++) {
            if (bytes[k] < (k == 1 ? rows[i].low : 0x80) || bytes[k] > (k == 1 ? rows[i].high : 0xbf))
                return 0;
            *scalar = *scalar << 6 | (bytes[k] & 0x3fu);
        }
        return rows[i].size;
    }
    return 0;
}

bool is_text(const char *bytes, size_t length)
{
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t scalar;
        size = sequence((const unsigned char *)bytes + at, length - at, &scalar);
        if (size == 0 || scalar == 0)
            return false;
    }
    return true;
}

bool is_printable(const char *bytes, size_t length, bool tabs)
{
    if (!is_text(bytes, length))
        return false;
    for (size_t at = 0, size; at < length; at += size) {
        uint32_t scalar = 0;
        size = sequence((const unsigned char *)bytes + at, length - at, &scalar);
        bool allowed = scalar == '\n' || (tabs && scalar == '\t');
        if ((scalar < 0x20 && !allowed) || (scalar >= 0x7f && scalar < 0xa0) ||
            (scalar >= 0x202a && scalar <= 0x202e) || (scalar >= 0x2066 && scalar <= 0x2069))
            return false;
    }
    return true;
}

/* What is left of a JSON text. */
struct json_text {
    const char *at, *end;
};

#define JSON_DEPTH_MAX 200u

static bool take(struct json_text *text, char byte)
{
    if (text->at == text->end || *text->at != byte)
        return false;
    text->at++;
    return true;
}

static void blanks(struct json_text *text)
{
    while (text->at < text->end && strchr(" \t\r\n", *text->at) && *text->at)
        text->at++;
}

static bool word(struct json_text *text, const char *expected)
{
    for (; *expected; expected++)
        if (!take(text, *expected))
            return false;
    return true;
}

static size_t digits(struct json_text *text)
{
    const char *begin = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return (size_t)(text->at - begin);
}

static bool number(struct json_text *text)
{
    take(text, '-');
    if (!take(text, '0') && digits(text) == 0)
        return false;
    if (take(text, '.') && digits(text) == 0)
        return false;
    if (take(text, 'e') || take(text, 'E')) {
        if (!take(text, '+'))
            take(text, '-');
        return digits(text) > 0;
    }
    return true;
}

static bool string(struct json_text *text)
{
    if (!take(text, '"'))
        return false;
    while (text->at < text->end && *text->at != '"') {
        if ((unsigned char)*text->at < 0x20)
            return false;
        if (!take(text, '\\')) {
            text->at++;
            continue;
        }
        if (take(text, 'u')) {
            for (int i = 0; i < 4; i++, text->at++)
                if (text->at == text->end || !*text->at ||
                    !strchr("0123456789abcdefABCDEF", *text->at))
                    return false;
        } else {
            if (text->at == text->end || !*text->at || !strchr("\"\\/bfnrt", *text->at))
                return false;
            text->at++;
        }
    }
    return take(text, '"');
}

/* A value; recursion has JSON_DEPTH_MAX for a bound. */
static bool value(struct json_text *text, unsigned depth)
{
    if (depth > JSON_DEPTH_MAX)
        return false;
    blanks(text);
    if (text->at == text->end)
        return false;
    char first = *text->at;
    if (first == '"')
        return string(text);
    if (first != '{' && first != '[')
        return word(text, "true") || word(text, "false") || word(text, "null") || number(text);
    char last = first == '{' ? '}' : ']';
    text->at++;
    blanks(text);
    if (take(text, last))
        return true;
    for (;;) {
        blanks(text);
        if (first == '{' && (!string(text) || (blanks(text), !take(text, ':'))))
            return false;
        if (!value(text, depth + 1))
            return false;
        blanks(text);
        if (take(text, last))
            return true;
        if (!take(text, ','))
            return false;
    }
}

bool is_json(const char *bytes, size_t length)
{
    struct json_text text = {bytes, bytes + length};
    if (!is_text(bytes, length) || !value(&text, 0))
        return false;
    blanks(&text);
    return text.at == text.end;
}

bool are_json_lines(const char *bytes, size_t length)
{
    while (length) {
        const char *end = memchr(bytes, '\n', length);
        if (!end || !is_json(bytes, (size_t)(end - bytes)))
            return false;
        length -= (size_t)(end - bytes) + 1;
        bytes = end + 1;
    }
    return true;
}
