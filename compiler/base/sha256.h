/* SHA-256 (FIPS 180-4): the embedded rules' sum, and short content hashes for stable names.
 *
 * Owns nothing; no state outlives a call. */
#ifndef SLUICE_SHA256_H
#define SLUICE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* 64 lower-case hex digits and a NUL */

void sha256(const void *bytes, size_t length, uint8_t digest[SHA256_BYTES]);

/* The same as lower-case hex digits. */
void sha256_hex(const void *bytes, size_t length, char hex[SHA256_HEX]);

#endif
