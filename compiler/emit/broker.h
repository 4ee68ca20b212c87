/* The second half of a compile: from generated sources to an executable. For build.c, and for tests
 * that change the sources in between to see that a wrong matcher does not get through.
 *
 * Owns nothing beyond what build.h says. */
#ifndef SLUICE_BROKER_BUILD_H
#define SLUICE_BROKER_BUILD_H

#include "compiler/emit/build.h"

struct emitted;

enum build_result build_emitted(struct arena *arena, const struct model *model,
                                const struct emitted *emitted,
                                const struct build_options *options);

#endif
