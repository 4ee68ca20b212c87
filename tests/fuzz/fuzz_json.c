/* What the broker and the compiler write as JSON is JSON, whatever they are given: a small program
 * of calls, read from the input, drives the broker's writer into a buffer that may be too small. */
#include <string.h>

#include "compiler/base/buffer.h"
#include "runtime/broker/json.h"
#include "tests/fuzz/support.h"

#define DEPTH_MAX 16u

/* Where the writer stands. */
struct place {
    bool objects[DEPTH_MAX]; /* what is open, outermost first */
    unsigned depth;
};

static void write_string(struct json *json, struct input *input)
{
    size_t length;
    char *bytes = input_bytes(input, input_byte(input), &length);
    size_t before = json->length;
    json_string(json, bytes, length);
    FUZZ_CHECK(json->length - before <= JSON_STRING_MAX(length) + 1); /* and a comma */
    free(bytes);
}

static void write_value(struct json *json, struct place *place, struct input *input)
{
    switch (input_byte(input) % 9) {
    case 0:
    case 1:
        write_string(json, input);
        break;
    case 2:
        json_unsigned(json, input_long(input));
        break;
    case 3:
        json_signed(json, (int64_t)input_long(input));
        break;
    case 4:
        json_bool(json, input_byte(input) & 1);
        break;
    case 5:
        json_null(json);
        break;
    case 6: {
        size_t length;
        char *text = input_text(input, &length);
        json_text(json, text);
        free(text);
        break;
    }
    default:
        if (place->depth == DEPTH_MAX) {
            json_null(json);
            break;
        }
        place->objects[place->depth] = input_byte(input) & 1;
        if (place->objects[place->depth++])
            json_open_object(json);
        else
            json_open_array(json);
    }
}

static void write_member(struct json *json, struct place *place, struct input *input)
{
    size_t length;
    char *text;
    switch (input_byte(input) % 6) {
    case 0:
        json_key_unsigned(json, "unsigned", input_long(input));
        break;
    case 1:
        json_key_signed(json, "signed", (int64_t)input_long(input));
        break;
    case 2:
        json_key_bool(json, "bool", input_byte(input) & 1);
        break;
    case 3:
        text = input_text(input, &length);
        json_key_text(json, "text", text);
        free(text);
        break;
    default:
        json_key(json, "key");
        write_value(json, place, input);
    }
}

static void close_one(struct json *json, struct place *place)
{
    if (place->objects[--place->depth])
        json_close_object(json);
    else
        json_close_array(json);
}

static void write_all(struct json *json, struct input *input)
{
    struct place place = {.objects = {true}, .depth = 1};
    json_open_object(json);
    while (input->left && !json->overflow) {
        if (place.depth > 1 && input_byte(input) % 4 == 0)
            close_one(json, &place);
        else if (place.objects[place.depth - 1])
            write_member(json, &place, input);
        else
            write_value(json, &place, input);
    }
    while (place.depth)
        close_one(json, &place);
    json_newline(json);
}

static void write_compiler_string(const uint8_t *data, size_t size)
{
    struct buffer text = {0};
    buffer_json_string(&text, (const char *)data, size);
    FUZZ_CHECK(is_json(text.text, text.length));
    FUZZ_CHECK(is_printable(text.text, text.length, false));
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t capacity = (size_t)input_byte(&input) * 256;
    char *bytes = malloc(capacity ? capacity : 1);
    struct json json;

    FUZZ_CHECK(bytes);
    json_init(&json, bytes, capacity);
    write_all(&json, &input);
    FUZZ_CHECK(json.length <= capacity);
    if (!json.overflow)
        FUZZ_CHECK(are_json_lines(bytes, json.length));
    free(bytes);
    write_compiler_string(data, size);
    return 0;
}
