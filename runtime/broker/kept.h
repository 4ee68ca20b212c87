/* Requests that wait: what a caller sent, kept beyond the frame buffer until its call's turn.
 *
 * Owns: one mapping for each kept request, given back to the kernel with kept_release. Memory for
 * waiting calls therefore grows with what waits and shrinks with it; the sum is bounded by its
 * keeper (KEPT_BYTES_MAX). Never: looks at what the strings say. */
#ifndef SLUICE_KEPT_H
#define SLUICE_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/shared/wire.h"

struct kept_request;

/* Bytes of memory that keeping `request` takes: whole pages. */
size_t kept_size(const struct wire_request *request);

/* Copies a decoded CALL's strings. Owned by the caller until kept_release. NULL: no memory. */
struct kept_request *kept_make(const struct wire_request *request);

/* Puts a kept request back into `request`, whose strings then lie in `kept`. */
void kept_restore(const struct kept_request *kept, struct wire_request *request);

/* Bytes of memory that it takes: what kept_size said. */
size_t kept_bytes(const struct kept_request *kept);

/* Whether `length` bytes are what such a memory holds, from an earlier image of the broker. */
bool kept_is_sound(const char *bytes, size_t length);

/* A kept request of bytes that are sound, owned by the caller. NULL: no memory. */
struct kept_request *kept_copy(const char *bytes, size_t length);

/* Forgets it. NULL is allowed. */
void kept_release(struct kept_request *kept);

#endif
