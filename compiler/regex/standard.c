#include "compiler/regex/standard.h"

#include <stdbool.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/pattern.h"

#define DIGITS_MAX 20u /* of a number in a range: 64 bits */

enum form { PLAIN, RANGE, LENGTHS, UNDER, URL };

struct row {
    enum form form;
    const char *text;
};

#define STANDARD_PATTERN(name, form, text, arguments, accepts, example, counter_example)           \
    {name, arguments, accepts, example, counter_example},
static const struct standard_pattern patterns[] = {
#include "grammar/patterns.def"
};

#define STANDARD_PATTERN(name, form, text, arguments, accepts, example, counter_example)           \
    {form, text},
static const struct row rows[] = {
#include "grammar/patterns.def"
};

#define ROWS (sizeof rows / sizeof *rows)

const struct standard_pattern *standard_patterns(size_t *count)
{
    *count = ROWS;
    return patterns;
}

/* ---- arguments ------------------------------------------------------------------------------- */

struct request {
    struct arena *arena;
    const char *name;
    size_t name_length;
    const char *arguments; /* NULL: none */
    size_t length;
    struct pattern_error *error;
};

static void *request_fail(struct request *request, size_t begin, size_t end, const char *message,
                          const char *hint)
{
    *request->error = (struct pattern_error){
        .begin = (uint32_t)begin,
        .end = (uint32_t)end,
        .message = arena_format(request->arena, "@%.*s: %s", (int)request->name_length,
                                request->name, message),
        .hint = hint,
    };
    return NULL;
}

struct argument {
    size_t begin, end; /* of request.arguments, without the spaces around */
};

/* The two arguments on either side of the comma; false with the error. */
static bool arguments_split(struct request *request, const char *wanted, struct argument pair[2])
{
    const char *comma = memchr(request->arguments, ',', request->length);
    if (!comma ||
        memchr(comma + 1, ',', request->length - (size_t)(comma + 1 - request->arguments)))
        return request_fail(request, 0, request->length, "needs two arguments", wanted);
    pair[0] = (struct argument){0, (size_t)(comma - request->arguments)};
    pair[1] = (struct argument){pair[0].end + 1, request->length};
    for (int i = 0; i < 2; i++) {
        while (pair[i].begin < pair[i].end && request->arguments[pair[i].begin] == ' ')
            pair[i].begin++;
        while (pair[i].end > pair[i].begin && request->arguments[pair[i].end - 1] == ' ')
            pair[i].end--;
    }
    return true;
}

/* ---- integers -------------------------------------------------------------------------------- */

struct integer {
    bool negative;
    char digits[DIGITS_MAX + 1]; /* without leading zeros; "0" is never negative */
};

static bool integer_read(struct request *request, struct argument at, struct integer *integer)
{
    const char *text = request->arguments + at.begin;
    size_t length = at.end - at.begin;
    integer->negative = length > 0 && text[0] == '-';
    text += integer->negative;
    length -= integer->negative;
    bool fits = length > 0 && length <= DIGITS_MAX &&
                (text[0] != '0' || (length == 1 && !integer->negative));
    for (size_t i = 0; fits && i < length; i++)
        fits = text[i] >= '0' && text[i] <= '9';
    if (!fits)
        return request_fail(request, at.begin, at.end,
                            "not a decimal integer of at most 20 digits without leading zeros",
                            NULL);
    memcpy(integer->digits, text, length);
    integer->digits[length] = '\0';
    return true;
}

/* Compares digit strings without leading zeros. */
static int digits_compare(const char *a, const char *b)
{
    size_t x = strlen(a), y = strlen(b);
    return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

static int integer_compare(const struct integer *a, const struct integer *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int order = digits_compare(a->digits, b->digits);
    return a->negative ? -order : order;
}

static void write_digit(struct buffer *out, char low, char high)
{
    if (low == high)
        buffer_char(out, low);
    else
        buffer_format(out, "[%c-%c]", low, high);
}

/* That many digits more, whichever they are. */
static void write_any_digits(struct buffer *out, size_t least, size_t most)
{
    if (most == 0)
        return;
    buffer_puts(out, "[0-9]");
    if (least != most)
        buffer_format(out, "{%zu,%zu}", least, most);
    else if (most > 1)
        buffer_format(out, "{%zu}", most);
}

static bool are_all(const char *digits, char digit)
{
    return strspn(digits, (char[]){digit, '\0'}) == strlen(digits);
}

/* The numbers low..high, both of the same number of digits. Recursion: a level a digit. */
static void write_digits(struct buffer *out, const char *low, const char *high)
{
    if (*low == '\0')
        return;
    if (are_all(low + 1, '0') && are_all(high + 1, '9')) {
        write_digit(out, *low, *high);
        write_any_digits(out, strlen(low) - 1, strlen(low) - 1);
        return;
    }
    if (*low == *high) {
        buffer_char(out, *low);
        write_digits(out, low + 1, high + 1);
        return;
    }
    char end[DIGITS_MAX + 1];
    size_t rest = strlen(low + 1);
    buffer_puts(out, "(?:");
    buffer_char(out, *low);
    write_digits(out, low + 1, memset(memset(end, 0, sizeof end), '9', rest));
    buffer_char(out, '|');
    if (*high - *low > 1) {
        write_digit(out, (char)(*low + 1), (char)(*high - 1));
        write_any_digits(out, rest, rest);
        buffer_char(out, '|');
    }
    buffer_char(out, *high);
    write_digits(out, memset(memset(end, 0, sizeof end), '0', rest), high + 1);
    buffer_char(out, ')');
}

static void write_alternative(struct buffer *out, const char *sign)
{
    if (out->length)
        buffer_char(out, '|');
    buffer_puts(out, sign);
}

/* The natural numbers low..high: those with as many digits as either end, and all between. */
static void write_naturals(struct buffer *out, const char *sign, const char *low, const char *high)
{
    size_t fewest = strlen(low), most = strlen(high);
    char first[DIGITS_MAX + 1] = "1", last[DIGITS_MAX + 1] = "";
    write_alternative(out, sign);
    if (fewest == most) {
        write_digits(out, low, high);
        return;
    }
    write_digits(out, low, memset(last, '9', fewest));
    if (most - fewest > 1) {
        write_alternative(out, sign);
        buffer_puts(out, "[1-9]");
        write_any_digits(out, fewest, most - 2);
    }
    write_alternative(out, sign);
    memset(first + 1, '0', most - 1);
    write_digits(out, first, high);
}

static const char *buffer_taken(struct arena *arena, struct buffer *buffer)
{
    const char *text = arena_copy(arena, buffer_text(buffer), buffer->length);
    buffer_free(buffer);
    return text;
}

static const char *range_text(struct request *request)
{
    struct argument pair[2];
    struct integer low, high;
    if (!arguments_split(request, "the least and the greatest integer, as in @int(1,99)", pair) ||
        !integer_read(request, pair[0], &low) || !integer_read(request, pair[1], &high))
        return NULL;
    if (integer_compare(&low, &high) > 0)
        return request_fail(request, 0, request->length,
                            "the first integer is greater than the second", NULL);
    struct buffer out = {0};
    if (low.negative)
        write_naturals(&out, "-", high.negative ? high.digits : "1", low.digits);
    if (!high.negative)
        write_naturals(&out, "", low.negative ? "0" : low.digits, high.digits);
    return buffer_taken(request->arena, &out);
}

/* ---- the other forms ------------------------------------------------------------------------- */

static const char *lengths_text(struct request *request, const char *set)
{
    struct argument pair[2];
    struct integer low, high;
    if (!arguments_split(request, "the least and the greatest length, as in @text(1,200)", pair) ||
        !integer_read(request, pair[0], &low) || !integer_read(request, pair[1], &high))
        return NULL;
    struct integer most = {false, ""};
    memcpy(most.digits, arena_format(request->arena, "%u", PATTERN_REPEAT_MAX), 6);
    if (low.negative || integer_compare(&low, &high) > 0 || integer_compare(&high, &most) > 0)
        return request_fail(request, 0, request->length,
                            "the lengths are 0 to 65535, the least first", NULL);
    return arena_format(request->arena, "%s{%s,%s}", set, low.digits, high.digits);
}

/* Adds text that stands for itself. */
static void write_literal(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr("\\^$.[]|()?*+{}#-@ ", text[i]))
            buffer_char(out, '\\');
        buffer_char(out, text[i]);
    }
}

/* Whether a path is absolute, has no empty, `.` or `..` component and no slash at its end. */
static bool is_normalised(const char *path, size_t length)
{
    if (length == 0 || path[0] != '/')
        return false;
    for (size_t begin = 1; begin <= length && length > 1;) {
        const char *slash = memchr(path + begin, '/', length - begin);
        size_t end = slash ? (size_t)(slash - path) : length;
        size_t size = end - begin;
        if (size == 0 || (size <= 2 && memcmp(path + begin, "..", size) == 0))
            return false;
        begin = end + 1;
    }
    for (size_t i = 0; i < length;) {
        uint32_t scalar;
        i += utf8_decode(path + i, length - i, &scalar);
        if (scalar < ' ' || (scalar >= 0x7f && scalar < 0xa0) || scalar == UTF8_INVALID)
            return false;
    }
    return true;
}

static const char *under_text(struct request *request, const char *rest)
{
    const char *path = request->arguments;
    if (!is_normalised(path, request->length))
        return request_fail(request, 0, request->length,
                            "needs an absolute path without empty, `.` and `..` components",
                            "as in @under(/srv/work)");
    if (request->length == 1)
        return pattern_standard_text(request->arena, "abspath", 7, NULL, 0, request->error);
    struct buffer out = {0};
    write_literal(&out, path, request->length);
    buffer_puts(&out, rest);
    return buffer_taken(request->arena, &out);
}

static bool argument_matches(struct request *request, struct argument at, const char *first,
                             const char *others)
{
    const char *text = request->arguments + at.begin;
    size_t length = at.end - at.begin;
    if (length == 0 || text[0] == '\0' || !strchr(first, text[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (text[i] == '\0' || (!strchr(first, text[i]) && !strchr(others, text[i])))
            return false;
    return true;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char *url_text(struct request *request, const char *rest)
{
    struct argument pair[2];
    if (!arguments_split(request, "a scheme and a host, as in @url(https,api.example.com)", pair))
        return NULL;
    if (!argument_matches(request, pair[0], LOWER, "0123456789+.-"))
        return request_fail(request, pair[0].begin, pair[0].end,
                            "not the scheme of a URL (lower-case letters)", NULL);
    /* A name, an IPv4 address, or an IPv6 address in brackets. */
    if (!argument_matches(request, pair[1], LOWER UPPER "0123456789", ".-") &&
        !argument_matches(request, pair[1], "[", LOWER UPPER "0123456789:.]"))
        return request_fail(request, pair[1].begin, pair[1].end,
                            "not the host of a URL: a name, an IPv4 address or [IPv6 address]",
                            NULL);
    struct pattern_error error;
    const char *port = pattern_standard_text(request->arena, "int", 3, "1,65535", 7, &error);
    struct buffer out = {0};
    write_literal(&out, request->arguments + pair[0].begin, pair[0].end - pair[0].begin);
    buffer_puts(&out, "://");
    write_literal(&out, request->arguments + pair[1].begin, pair[1].end - pair[1].begin);
    buffer_format(&out, "(?::(?:%s))?%s", port, rest);
    return buffer_taken(request->arena, &out);
}

/* ---- the set --------------------------------------------------------------------------------- */

static const char *row_text(struct request *request, const struct row *row)
{
    if (row->form == RANGE && !request->arguments) {
        request->arguments = row->text;
        request->length = strlen(row->text);
    }
    switch (row->form) {
    case PLAIN:
        break;
    case RANGE:
        return range_text(request);
    case LENGTHS:
        return lengths_text(request, row->text);
    case UNDER:
        return under_text(request, row->text);
    case URL:
        return url_text(request, row->text);
    }
    return row->text;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that turn one name into another, counted up to the longest name of the set. */
static size_t name_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[16];
    if (b_length >= 16 || a_length >= 16)
        return 16;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = smaller(smaller(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

static const char *unknown_name(struct request *request)
{
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < ROWS; i++) {
        size_t distance = name_distance(request->name, request->name_length, patterns[i].name,
                                        strlen(patterns[i].name));
        if (distance < best) {
            best = distance;
            nearest = patterns[i].name;
        }
    }
    *request->error = (struct pattern_error){
        .message = arena_format(request->arena, "there is no pattern named @%.*s",
                                (int)request->name_length, request->name),
        .hint = nearest ? arena_format(request->arena, "did you mean @%s?", nearest)
                        : "define it in `patterns:`; for a literal `@`, write \\@",
    };
    return NULL;
}

bool pattern_is_standard(const char *name, size_t name_length)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strlen(patterns[i].name) == name_length && !memcmp(patterns[i].name, name, name_length))
            return true;
    return false;
}

const char *pattern_standard_text(struct arena *arena, const char *name, size_t name_length,
                                  const char *arguments, size_t arguments_length,
                                  struct pattern_error *error)
{
    struct request request = {arena, name, name_length, arguments, arguments_length, error};
    const struct standard_pattern *other = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(patterns[i].name) != name_length ||
            memcmp(patterns[i].name, name, name_length) != 0)
            continue;
        if ((arguments != NULL) == (patterns[i].arguments[0] != '\0'))
            return row_text(&request, &rows[i]);
        other = &patterns[i];
    }
    if (!other)
        return unknown_name(&request);
    if (arguments)
        return request_fail(&request, 0, 0, "takes no arguments", NULL);
    return request_fail(&request, 0, 0, "needs arguments",
                        arena_format(arena, "as in @%s(%s)", other->name, other->arguments));
}

/* ---- trees, each made once a compilation ----------------------------------------------------- */

#define KNOWN_MAX 200u /* more are made anew each time */

struct known {
    struct known *next;
    const char *text;
    const struct pattern *tree;
};

struct known_list {
    struct known *first;
    uint32_t count;
};

static struct known_list *known_of(struct arena *arena)
{
    static const char key;
    void **slot = arena_slot(arena, &key);
    if (!*slot)
        *slot = arena_alloc(arena, sizeof(struct known_list));
    return *slot;
}

const struct pattern *pattern_standard(struct arena *arena, const char *name, size_t name_length,
                                       const char *arguments, size_t arguments_length,
                                       struct pattern_error *error)
{
    const char *text =
        pattern_standard_text(arena, name, name_length, arguments, arguments_length, error);
    if (!text)
        return NULL;
    struct known_list *list = known_of(arena);
    for (const struct known *known = list->first; known; known = known->next)
        if (strcmp(known->text, text) == 0)
            return known->tree;
    const struct pattern *tree = pattern_parse(arena, text, strlen(text), NULL, error);
    if (tree && list->count < KNOWN_MAX) {
        struct known *known = arena_alloc(arena, sizeof *known);
        *known = (struct known){list->first, text, tree};
        list->first = known;
        list->count++;
    }
    return tree;
}
