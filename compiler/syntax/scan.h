/* Between the scanners (grammar/tokens.re) and the lexer around them (lexer.c); nobody else's.
 *
 * A scanner reads from lexer->cursor on and returns a token, NO_TOKEN, or what one of the functions
 * here returned. It sets the cursor behind what it read and, where the next bytes are of another
 * kind, lexer->mode; places and line ends are lexer_next's. `begin` is always where something began
 * to be written, the cursor where it ended. */
#ifndef SLUICE_SCAN_H
#define SLUICE_SCAN_H

#include "compiler/syntax/lexer.h"

#define NO_TOKEN (-1)

/* What a line begins with; lines that say nothing are skipped. NO_TOKEN: with a word. */
int scan_line(struct lexer *lexer);

/* A slot, at a `#`. A literal part of a word, at anything else. */
int scan_slot(struct lexer *lexer, union RULES_STYPE *token);
int scan_text(struct lexer *lexer, union RULES_STYPE *token);

/* The parts of an attribute's line. */
int scan_key(struct lexer *lexer, union RULES_STYPE *token);
int scan_operator(struct lexer *lexer, union RULES_STYPE *token);
int scan_value(struct lexer *lexer, union RULES_STYPE *token);

/* ---- places and bytes ------------------------------------------------------------------------ */

uint32_t lexer_offset(const struct lexer *lexer, const unsigned char *place);
struct span lexer_span(const struct lexer *lexer, const unsigned char *begin);
/* One byte. */
struct span lexer_byte(const struct lexer *lexer, const unsigned char *place);

/* Moves the cursor behind the line's LF or to the text's end; over blanks. */
void lexer_skip_to_next_line(struct lexer *lexer);
void lexer_skip_blanks(struct lexer *lexer);

/* Whether a word ends before this byte: a blank, `;`, or the line's end. */
bool lexer_ends_word(unsigned char byte);

/* ---- errors ---------------------------------------------------------------------------------- */

/* Reports an error, with a note unless it is NULL, and gives the line up. */
int lexer_report(struct lexer *lexer, struct span at, const char *note, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

int lexer_report_quote(struct lexer *lexer, const unsigned char *quote);
int lexer_report_backslash(struct lexer *lexer, const unsigned char *backslash, const char *note);
int lexer_report_hash(struct lexer *lexer, const unsigned char *begin, const char *what);
int lexer_report_operator(struct lexer *lexer, const unsigned char *begin);

/* ---- lines ----------------------------------------------------------------------------------- */

/* Collects the comment line from its `;` to the cursor; forgets what was collected; makes it the
 * comment of the line that begins. */
void comment_add(struct lexer *lexer, const unsigned char *begin);
void comment_forget(struct lexer *lexer);
void comment_settle(struct lexer *lexer);

/* A line that begins with a word; one that begins with `defaults:` or `patterns:`, if that is a
 * whole word. */
int line_words(struct lexer *lexer);
int line_head(struct lexer *lexer, const unsigned char *begin, int token);

/* Whether the line at the cursor was reported for its encoding; asked once for each line, in order.
 * Then lexer_skip_bad tells what stands for it: a token, or NO_TOKEN for a comment. */
bool lexer_is_bad_line(struct lexer *lexer);
int lexer_skip_bad(struct lexer *lexer);

/* ---- words ----------------------------------------------------------------------------------- */

/* Adds bytes to the literal or value being read; the inside of "...", each `\x` resolved to x. */
void text_add(struct lexer *lexer, const unsigned char *begin, const unsigned char *end);
void text_add_unescaped(struct lexer *lexer, const unsigned char *begin, const unsigned char *end);
/* Ends it: a copy in the arena, and its length. */
const char *text_take(struct lexer *lexer, uint32_t *length);

/* `#name`, `#{name}`, `#name...` whose dots begin at `dots`, with the `{m,n}` that ends at the
 * cursor. */
int slot_word(struct lexer *lexer, struct lexed_piece *slot, const unsigned char *begin);
int slot_braced(struct lexer *lexer, struct lexed_piece *slot, const unsigned char *begin);
int slot_rest(struct lexer *lexer, struct lexed_rest *rest, const unsigned char *begin,
              const unsigned char *dots);
int slot_rest_counted(struct lexer *lexer, struct lexed_rest *rest, const unsigned char *begin);

/* ---- attributes ------------------------------------------------------------------------------ */

int key_finish(struct lexer *lexer, struct lexed_key *key, const unsigned char *begin);
/* A value that was written up to `end`; its text is the text being read. */
int value_finish(struct lexer *lexer, struct tree_value *value, const unsigned char *begin,
                 const unsigned char *end);
/* A value in quotes. */
int value_quoted(struct lexer *lexer, struct tree_value *value, enum tree_value_form form,
                 const unsigned char *begin);

#endif
