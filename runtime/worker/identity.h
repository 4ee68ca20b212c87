/* Whether two descriptors, or a descriptor and a path, stand for one file.
 *
 * Owns nothing. Leaves errno alone, as what a child asks before exec must (kernel_call.h). */
#ifndef SLUICE_IDENTITY_H
#define SLUICE_IDENTITY_H

#include <stdbool.h>

/* The file behind `descriptor`, and what `path` names from `base`: openat(2)'s terms, and "" is `base`
 * itself. False also when either cannot be asked. statx(2). */
bool file_is_same(int descriptor, int base, const char *path);

#endif
