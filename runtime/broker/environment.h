/* The environment of a child: from its rule, and from the caller as far as the rule allows.
 *
 * Owns nothing: entries point into the policy, the broker's own environment, the caller's request
 * or the `storage` that is given, and live as long as the shortest of them. Never allocates.
 *
 * Names are unique. The rule's `env` comes first (a later entry of a name replaces an earlier one),
 * the caller's value replaces the rule's, and PATH is always the effective exec_path, whatever
 * either of them says. */
#ifndef SLUICE_ENVIRONMENT_H
#define SLUICE_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/include/policy.h"

#define ENVIRONMENT_ENTRIES_MAX 1024u /* of one child, PATH included */

struct environment {
    struct policy_bytes entries[ENVIRONMENT_ENTRIES_MAX]; /* "NAME=value", for worker_call */
    uint32_t count;
    char *storage; /* the caller's room for entries that have to be put together */
    size_t capacity, used;
};

/* The room that any of a policy's rules needs at most: for allocating `storage` once at start.
 * `path` is the broker's own PATH. */
size_t environment_storage_needed(const struct policy *policy, const char *path);

enum environment_result {
    ENVIRONMENT_OK,
    ENVIRONMENT_NOT_ALLOWED, /* env_not_allowed: NAME; the rule does not list it, it came twice, it
                              * is PATH, or it has no '=' or an empty name */
    ENVIRONMENT_VALUE,       /* env_value: NAME; the pattern does not accept the value */
    ENVIRONMENT_TOO_MANY,    /* more than ENVIRONMENT_ENTRIES_MAX entries, or storage too small */
};

/* Builds `environment` for a rule. `broker` is the broker's own ("NAME=value" strings, NULL at the
 * end); `path` its PATH, used where exec_path = inherit (NULL: none). `caller` are `caller_count`
 * entries as the wire brought them. On a refusal, `*refused` is the offending name (not
 * NUL-terminated, part of the caller's entry). */
enum environment_result environment_build(struct environment *environment,
                                          const struct policy_attributes *attributes,
                                          char *const *broker, const char *path,
                                          const struct policy_bytes *caller, uint32_t caller_count,
                                          struct policy_bytes *refused);

/* The PATH and the directories to search for a rule: exec_path, or `path` with `inherit` (the empty
 * string when that is NULL). */
const char *environment_exec_path(const struct policy_attributes *attributes, const char *path);

#endif
