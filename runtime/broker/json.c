#include "runtime/broker/json.h"

#include <string.h>

#include "runtime/shared/utf8.h"

void json_init(struct json *json, char *bytes, size_t capacity)
{
    *json = (struct json){.bytes = bytes, .capacity = capacity};
}

static void json_put(struct json *json, const char *bytes, size_t length)
{
    if (json->overflow || length > json->capacity - json->length) {
        json->overflow = true;
        return;
    }
    memcpy(json->bytes + json->length, bytes, length);
    json->length += length;
}

static void json_byte(struct json *json, char byte)
{
    json_put(json, &byte, 1);
}

/* What comes before a value or a key; a key itself leaves `comma` false for its value. */
static void json_separate(struct json *json)
{
    if (json->comma)
        json_byte(json, ',');
    json->comma = true;
}

static void json_open(struct json *json, char bracket)
{
    json_separate(json);
    json_byte(json, bracket);
    json->comma = false;
}

static void json_close(struct json *json, char bracket)
{
    json_byte(json, bracket);
    json->comma = true;
}

void json_open_object(struct json *json)
{
    json_open(json, '{');
}

void json_close_object(struct json *json)
{
    json_close(json, '}');
}

void json_open_array(struct json *json)
{
    json_open(json, '[');
}

void json_close_array(struct json *json)
{
    json_close(json, ']');
}

void json_key(struct json *json, const char *key)
{
    json_separate(json);
    json_byte(json, '"');
    json_put(json, key, strlen(key));
    json_put(json, "\":", 2);
    json->comma = false;
}

/* Bytes that stand for themselves inside a JSON string, whatever surrounds them. */
static bool json_is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void json_escape(struct json *json, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        json_put(json, "\\\"", 2);
        return;
    case '\\':
        json_put(json, "\\\\", 2);
        return;
    case '\n':
        json_put(json, "\\n", 2);
        return;
    case '\r':
        json_put(json, "\\r", 2);
        return;
    case '\t':
        json_put(json, "\\t", 2);
        return;
    default:
        json_put(json, (const char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]},
                 6);
        return;
    }
}

void json_string(struct json *json, const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    json_separate(json);
    json_byte(json, '"');
    for (size_t i = 0; i < length;) {
        size_t run = i;
        while (run < length && json_is_plain(text[run]))
            run++;
        if (run > i)
            json_put(json, bytes + i, run - i);
        i = run;
        if (i == length)
            break;
        if (text[i] < 0x80) {
            json_escape(json, text[i++]);
            continue;
        }
        uint32_t scalar;
        size_t count = utf8_read(bytes + i, length - i, &scalar);
        if (count > 0)
            json_put(json, bytes + i, count);
        else
            json_put(json, "\xef\xbf\xbd", 3); /* U+FFFD */
        i += count > 0 ? count : 1;
    }
    json_byte(json, '"');
}

void json_text(struct json *json, const char *text)
{
    json_string(json, text, strlen(text));
}

void json_unsigned(struct json *json, uint64_t value)
{
    char digits[20]; /* 2^64 has 20 */
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    json_separate(json);
    json_put(json, digits + start, sizeof digits - start);
}

void json_signed(struct json *json, int64_t value)
{
    if (value >= 0) {
        json_unsigned(json, (uint64_t)value);
        return;
    }
    json_separate(json);
    json_byte(json, '-');
    json->comma = false;
    json_unsigned(json, -(uint64_t)value);
}

void json_bool(struct json *json, bool value)
{
    json_separate(json);
    if (value)
        json_put(json, "true", 4);
    else
        json_put(json, "false", 5);
}

void json_null(struct json *json)
{
    json_separate(json);
    json_put(json, "null", 4);
}

void json_newline(struct json *json)
{
    json_byte(json, '\n');
    json->comma = false;
}

void json_key_text(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

void json_key_unsigned(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_unsigned(json, value);
}

void json_key_signed(struct json *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_signed(json, value);
}

void json_key_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}
