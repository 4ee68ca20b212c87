/* Writing JSON (RFC 8259) into a bounded buffer.
 *
 * Owns nothing: the buffer is the caller's. Never reads JSON, never allocates. What does not fit
 * sets `overflow` and writes nothing more, so that one test at the end is enough. Commas are placed
 * by the module: between any two values or keys of an object or array. */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *bytes;
    size_t capacity, length;
    bool overflow;
    bool comma; /* the next key or element needs one before it */
};

/* The most bytes that a string of `n` bytes can become: each a \u00XX, and two quotes. */
#define JSON_STRING_MAX(n) ((size_t)(n)*6 + 2)

void json_init(struct json *json, char *bytes, size_t capacity);

void json_open_object(struct json *json);
void json_close_object(struct json *json);
void json_open_array(struct json *json);
void json_close_array(struct json *json);

/* A key of the open object; `key` needs no escaping (our own names). */
void json_key(struct json *json, const char *key);

/* Values. A string is valid JSON whatever its bytes are: control characters, '"' and '\' are
 * escaped, and each byte that belongs to no well-formed UTF-8 sequence becomes U+FFFD. */
void json_string(struct json *json, const char *bytes, size_t length);
void json_text(struct json *json, const char *text); /* NUL-terminated */
void json_unsigned(struct json *json, uint64_t value);
void json_signed(struct json *json, int64_t value);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);

/* A newline outside every object: the end of a JSON Lines record. */
void json_newline(struct json *json);

/* key and value at once */
void json_key_text(struct json *json, const char *key, const char *text);
void json_key_unsigned(struct json *json, const char *key, uint64_t value);
void json_key_signed(struct json *json, const char *key, int64_t value);
void json_key_bool(struct json *json, const char *key, bool value);

#endif
