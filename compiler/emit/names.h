/* The names and comments of generated code.
 *
 * A name depends on the content that it names and on nothing else: no counter runs through a file,
 * so that a change of one rule changes no other rule's names. Comments carry text that somebody else
 * wrote, and never end early, however it is written. */
#ifndef SLUICE_NAMES_H
#define SLUICE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "compiler/base/table.h"

struct arena;
struct buffer;

/* Bytes of a name made from words; what is over is left out. */
#define NAME_LENGTH_MAX 48u

/* Bytes of text that a comment carries; what is over becomes "...". */
#define COMMENT_TEXT_MAX 600u

/* Appends a word as part of an identifier: letters and digits stay, each run of anything else
 * becomes one '_'; words are separated by '_'. Stops at NAME_LENGTH_MAX. */
void name_add_word(struct buffer *name, const char *bytes, size_t length);

/* Eight hex digits that depend on the bytes: the start of their SHA-256. */
const char *name_hash(struct arena *arena, const void *bytes, size_t length);

/* Names by content: different contents never have one name, even where their hashes are the same. A
 * zeroed struct is empty. */
struct names {
    struct table by_content, by_name;
};

/* The name of a content: "PREFIX_WORDS_HASH" (without WORDS where they are empty). *is_new (unless
 * NULL) says whether it was met for the first time. */
const char *names_intern(struct arena *arena, struct names *names, const char *prefix,
                         const char *words, const void *content, size_t length, bool *is_new);

/* Appends text for the inside of a C comment, on one line. A '/' beside a '*', the second of two '?'
 * (trigraphs) and whatever cannot be seen for what it is (control characters, marks that change the
 * direction of text, malformed UTF-8) are written as \x{...}, which means the same in a pattern. */
void comment_text(struct buffer *out, const char *text, size_t length);

#endif
