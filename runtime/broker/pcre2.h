/* The patterns of `engine = pcre2`, matched by PCRE2 at call time.
 *
 * Owns: the compiled patterns, and one piece of file-scope state that holds them: the generated
 * matcher calls sluice_pcre2_match (policy.h) with a pattern's index and nothing else. Set up once,
 * before the first match; never changed after that.
 *
 * A value comes from a peer that is not trusted, and a backtracking match can take exponential time
 * in its length. Match and depth limits make such a value a refusal (POLICY_PATTERN_LIMIT) within a
 * few tens of milliseconds; the heap limit does the same for memory.
 *
 * This file is linked only into brokers whose rules ask for it. */
#ifndef SLUICE_PCRE2_H
#define SLUICE_PCRE2_H

#include "runtime/broker/failure.h"
#include "runtime/include/policy.h"

#define PCRE2_MATCH_STEPS_MAX 500000u /* pcre2_set_match_limit(3) */
#define PCRE2_DEPTH_MAX 20000u        /* pcre2_set_depth_limit(3) */
#define PCRE2_HEAP_KIB_MAX 8192u      /* pcre2_set_heap_limit(3) */

/* Compiles the policy's patterns. Allocates, here and never again but within PCRE2's own heap limit.
 * 0, or -1 with `failure`. Weak: absent from brokers without such patterns. */
int pcre2_prepare(const struct policy *policy, struct failure *failure) __attribute__((weak));

#endif
