/* What all fuzz targets share.
 *
 * A target is one file fuzz_NAME.c with one LLVMFuzzerTestOneInput (LLVM's libFuzzer documentation
 * has the interface); its seeds are corpus/NAME/, its words dictionaries/NAME.dict. It is linked
 * with libFuzzer for `make fuzz`, and with replay.c for `make check`.
 *
 * Owns: the confinement of a fuzz program, reading of an input piece by piece, and checkers of JSON
 * and of terminal text that share no code with what they check. */
#ifndef SLUICE_FUZZ_SUPPORT_H
#define SLUICE_FUZZ_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program where something does not hold: a finding. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts this process, for good, where it can write nothing but below `scratch` (NULL: nowhere),
 * connect to nobody and signal nobody: what a target might be led to do stays here. Landlock does
 * it. Returns false, having said why, where the kernel cannot. */
bool fuzz_confine(const char *scratch);

/* ---- inputs ----------------------------------------------------------------------------------- */

/* What is left of an input. Reading beyond its end gives zeros and empty texts. */
struct input {
    const uint8_t *at;
    size_t left;
};

uint8_t input_byte(struct input *input);
uint32_t input_number(struct input *input); /* four bytes, little-endian */
uint64_t input_long(struct input *input);   /* eight */

/* The bytes up to the next NUL or the end, in memory that ends right behind them and their NUL.
 * free() gives it back. */
char *input_text(struct input *input, size_t *length);

/* Up to `most` bytes, in memory of exactly that size. free() gives it back. */
char *input_bytes(struct input *input, size_t most, size_t *length);

/* Everything that is left, likewise. */
char *input_rest(struct input *input, size_t *length);

/* ---- checkers --------------------------------------------------------------------------------- */

/* Whether the bytes are one JSON text of RFC 8259, and UTF-8. */
bool is_json(const char *bytes, size_t length);

/* Whether each line of the bytes is one, and the last one ends in a newline. */
bool are_json_lines(const char *bytes, size_t length);

/* Whether the bytes are UTF-8 without a control character but newlines and (`tabs`) tabs: what may
 * be shown on a terminal. */
bool is_printable(const char *bytes, size_t length, bool tabs);

/* Whether the bytes are UTF-8 without NUL. */
bool is_text(const char *bytes, size_t length);

#endif
