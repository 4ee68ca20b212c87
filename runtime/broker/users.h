/* Users by name, without name services.
 *
 * Owns nothing. Reads /etc/passwd itself: a static binary's getpwnam would load shared modules
 * (nsswitch.conf(5)), and who may call must not depend on what those answer. Used at start only. */
#ifndef SLUICE_USERS_H
#define SLUICE_USERS_H

#include <stdint.h>

#include "runtime/broker/failure.h"

/* Finds the uid of `name` in the file at `path` (passwd(5)). 0 with `*uid`, or -1 with `failure`. */
int user_find(const char *path, const char *name, uint32_t *uid, struct failure *failure);

#endif
