/* Loading a seccomp program that the compiler made.
 *
 * Owns the one system call that does it. Knows nothing of what a program decides. */
#ifndef SLUICE_SECCOMP_H
#define SLUICE_SECCOMP_H

#include <stdbool.h>

#include "runtime/include/policy.h"

/* Whether this kernel has seccomp filters. seccomp(2). */
bool seccomp_is_available(void);

/* Puts the calling process, and all that come of it, under the filter, for good. Needs no_new_privs
 * or CAP_SYS_ADMIN. Returns 0 or a negative errno; leaves errno alone. */
int seccomp_load(const struct policy_filter *filter);

#endif
