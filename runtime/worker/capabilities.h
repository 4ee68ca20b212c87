/* Capabilities of this process, as bit masks: bit N is capability N.
 *
 * Owns the two system calls. Decides nothing. capabilities(7). */
#ifndef SLUICE_CAPABILITIES_H
#define SLUICE_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

#define CAPABILITY_SYS_ADMIN (1ull << 21)
#define CAPABILITY_SETFCAP (1ull << 31)

/* Whether all of `mask` are permitted to this process. */
bool capabilities_permitted(uint64_t mask);

/* Whether all of `mask` are effective right now. */
bool capabilities_effective(uint64_t mask);

/* Gives up everything but `permitted` for good, and leaves `effective` (a part of it) in force; the
 * inheritable and ambient sets become empty. Asking for more than there is takes what there is.
 * Returns 0 or a negative errno. */
int capabilities_keep(uint64_t permitted, uint64_t effective);

/* Puts `mask`, as far as it is permitted, into force as well, or out of it. Returns 0 or a negative
 * errno. */
int capabilities_raise(uint64_t mask);
int capabilities_lower(uint64_t mask);

#endif
