/* The calls of a broker's manifest (BROKER, "Audit"): who asked for what, and whether a rule took it.
 *
 * Reads JSON Lines that anybody may have written: a line that is no such event, is torn, or is over
 * a bound is counted and left out; nothing in one ends the reading. Owns nothing but what it puts
 * into the arena. */
#ifndef SLUICE_MANIFEST_H
#define SLUICE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "compiler/policy/model.h"

/* A request of 1 MiB, each byte of it escaped as \u00XX, and the rest of its event. */
#define MANIFEST_LINE_MAX ((size_t)7 * 1024 * 1024)
#define MANIFEST_READ_MAX (UINT64_C(2) << 30) /* bytes of a file */
#define MANIFEST_DEPTH_MAX 32u          /* of arrays and objects inside each other */
#define MANIFEST_CALLS_MAX 20000u       /* different command lines */
#define MANIFEST_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of these together */

/* One command line, and how often it was asked for. */
struct manifest_call {
    const struct policy_bytes *arguments; /* valid UTF-8 without NUL, NUL-terminated as well */
    uint32_t count;                       /* at least 1 */
    uint64_t rejected; /* because no rule took it */
    uint64_t accepted;
};

struct manifest {
    struct manifest_call *calls; /* in the order of their first event */
    size_t call_count;
    uint64_t lines, unreadable; /* of the file; those that are no event */
    const char *limit; /* NULL: everything was read; else which limit the rest was left out for */
};

/* Reads to the end of the file, a line at a time, or as far as MANIFEST_READ_MAX. */
struct manifest manifest_read(struct arena *arena, FILE *in);

#endif
