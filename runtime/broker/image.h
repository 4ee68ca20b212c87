/* This executable's own image in memory, as the C library's start leaves it.
 *
 * Owns what is done about it once, before anything else. */
#ifndef SLUICE_IMAGE_H
#define SLUICE_IMAGE_H

/* Makes the tables that the start has relocated read-only (PT_GNU_RELRO; musl leaves that to its
 * dynamic loader, which a static executable has not), and gives back the pages of the relocations
 * themselves, which nobody reads again: with 10,000 rules they are the larger part of the broker's
 * memory. Returns 0, or a negative errno after saying so. */
int image_settle(void);

#endif
