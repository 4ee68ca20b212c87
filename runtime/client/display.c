#include "runtime/client/display.h"

#include <string.h>
#include <unistd.h>

#include "runtime/shared/utf8.h"

#define PIECE_MAX 16u /* bytes that one character can become */

void display_start(struct display *display, int descriptor)
{
    display->descriptor = descriptor;
    display->failure = 0;
    text_start(&display->text, display->buffer, sizeof(display->buffer));
}

static void display_write(struct display *display)
{
    if (display->failure == 0)
        display->failure =
            write_patiently(display->descriptor, display->buffer, display->text.length);
    text_start(&display->text, display->buffer, sizeof(display->buffer));
}

static void display_put(struct display *display, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t room = display->text.capacity - 1 - display->text.length;
        size_t part = length < room ? length : room;
        text_append_bytes(&display->text, bytes, part);
        bytes += part;
        length -= part;
        if (length > 0)
            display_write(display);
    }
}

void display_append(struct display *display, const char *text)
{
    display_put(display, text, strlen(text));
}

void display_append_number(struct display *display, int64_t number)
{
    char digits[24];
    struct text text;

    text_start(&text, digits, sizeof(digits));
    text_append_signed(&text, number);
    display_put(display, text.bytes, text.length);
}

/* Whether a character can be shown as it is: no control, and none of those that change the order of
 * what stands around them, break lines, or cannot be seen and carry hidden text (Unicode Standard
 * Annex #9, and the block of tags). */
static bool scalar_is_plain(uint32_t scalar)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x061c, 0x061c}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x2069},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
    };

    if (utf8_is_control(scalar))
        return false;
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (scalar >= hidden[i].first && scalar <= hidden[i].last)
            return false;
    return true;
}

/* Writes the escape of what stands at `bytes` (a scalar value of `taken` bytes, or with `taken` 0
 * one byte that is part of none) to `text`. What bash understands in $'...'. */
static void escape_append(struct text *text, const char *bytes, size_t taken, uint32_t scalar)
{
    if (taken > 0 && scalar == '\n') {
        text_append(text, "\\n");
    } else if (taken > 0 && scalar == '\t') {
        text_append(text, "\\t");
    } else if (taken > 0 && scalar == '\r') {
        text_append(text, "\\r");
    } else if (taken < 2) {
        text_append(text, "\\x");
        text_append_hex(text, (unsigned char)bytes[0], 2);
    } else if (scalar <= 0xffff) {
        text_append(text, "\\u");
        text_append_hex(text, scalar, 4);
    } else {
        text_append(text, "\\U");
        text_append_hex(text, scalar, 8);
    }
}

/* Shows what stands at the start of `bytes` and returns its length, at least 1. */
static size_t display_character(struct display *display, const char *bytes, size_t length)
{
    char piece[PIECE_MAX];
    struct text text;
    uint32_t scalar = 0;
    size_t taken = utf8_read(bytes, length, &scalar);

    if (taken > 0 && scalar_is_plain(scalar)) {
        display_put(display, bytes, taken);
        return taken;
    }
    text_start(&text, piece, sizeof(piece));
    escape_append(&text, bytes, taken, scalar);
    display_put(display, text.bytes, text.length);
    return taken > 0 ? taken : 1;
}

void display_append_escaped(struct display *display, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;)
        at += display_character(display, bytes + at, length - at);
}

void display_append_lines(struct display *display, const char *bytes, size_t length,
                          const char *indent)
{
    bool line_begins = true;

    for (size_t at = 0; at < length;) {
        if (line_begins && bytes[at] != '\n')
            display_append(display, indent);
        line_begins = bytes[at] == '\n';
        if (bytes[at] == '\n' || bytes[at] == '\t')
            display_put(display, bytes + at++, 1);
        else
            at += display_character(display, bytes + at, length - at);
    }
    if (!line_begins)
        display_append(display, "\n");
}

enum word_form { WORD_BARE, WORD_QUOTED, WORD_ESCAPED };

/* How a word must be written so that a shell reads it as it is. */
static enum word_form word_form(const char *word, size_t length)
{
    enum word_form form = length == 0 ? WORD_QUOTED : WORD_BARE;

    for (size_t at = 0; at < length;) {
        uint32_t scalar = 0;
        size_t taken = utf8_read(word + at, length - at, &scalar);
        if (taken == 0 || !scalar_is_plain(scalar))
            return WORD_ESCAPED;
        bool letter = (scalar >= 'a' && scalar <= 'z') || (scalar >= 'A' && scalar <= 'Z') ||
                      (scalar >= '0' && scalar <= '9') || scalar >= 0x80;
        if (!letter && !strchr("_@%+=:,./-", (int)scalar))
            form = WORD_QUOTED;
        at += taken;
    }
    return form;
}

/* The first bytes of a word, at most DISPLAY_WORD_MAX and no part of a character at the end. */
static size_t word_cut(const char *word, size_t length)
{
    if (length <= DISPLAY_WORD_MAX)
        return length;
    size_t cut = DISPLAY_WORD_MAX;
    while (cut > DISPLAY_WORD_MAX - 4 && ((unsigned char)word[cut] & 0xc0u) == 0x80u)
        cut--;
    return cut;
}

static void display_word(struct display *display, const char *word)
{
    size_t length = strlen(word);
    size_t shown = word_cut(word, length);
    enum word_form form = word_form(word, shown);

    if (form == WORD_BARE) {
        display_put(display, word, shown);
    } else {
        display_append(display, form == WORD_ESCAPED ? "$'" : "'");
        for (size_t at = 0; at < shown;) {
            if (form == WORD_ESCAPED && (word[at] == '\'' || word[at] == '\\'))
                display_append(display, "\\");
            if (form == WORD_QUOTED && word[at] == '\'') {
                display_append(display, "'\\''");
                at++;
            } else {
                at += display_character(display, word + at, shown - at);
            }
        }
        display_append(display, "'");
    }
    if (shown < length)
        display_append(display, "...");
}

void display_append_command(struct display *display, const char *const *words, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            display_append(display, " ");
        if (bytes > DISPLAY_COMMAND_MAX) {
            display_append(display, "...");
            return;
        }
        display_word(display, words[i]);
        bytes += strlen(words[i]) + 1;
    }
}

void display_complain(const char *before, const char *foreign, const char *after,
                      const char *detail)
{
    struct display display;

    display_start(&display, STDERR_FILENO);
    display_append(&display, "sluicify: ");
    if (before)
        display_append(&display, before);
    if (foreign)
        display_append_escaped(&display, foreign, strlen(foreign));
    if (after)
        display_append(&display, after);
    if (detail)
        display_append(&display, detail);
    display_append(&display, "\n");
    display_finish(&display);
}

int display_finish(struct display *display)
{
    if (display->text.length > 0)
        display_write(display);
    return display->failure;
}
