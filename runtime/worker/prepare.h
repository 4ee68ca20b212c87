/* One confinement in the making: what confinement.c and its helpers share.
 *
 * Private to runtime/worker; start-up only. Owns nothing: the setup is confinement.c's. */
#ifndef SLUICE_PREPARE_H
#define SLUICE_PREPARE_H

#include "runtime/worker/setup.h"

struct preparing {
    const struct policy *policy;
    const struct confinement_host *host;
    const struct confinement_values *values;
    struct confinement_setup *setup;
    confinement_tell *tell;
    void *context;
    bool refused; /* an error was told, or something missing under confine = strict */
};

/* Tells one thing, joined of the parts up to a NULL. */
void preparing_tell(struct preparing *preparing, enum confinement_gravity gravity, ...)
    __attribute__((sentinel));

/* Expands the start-time pieces of a template into `path`. Returns whether that was possible; if not
 * it has been told, as an error about `key`. */
bool preparing_expand(struct preparing *preparing, const char *key,
                      const struct policy_template *template, char *path, size_t size);

/* Opens every granted path into setup->grants and setup->libraries, and tells what does not exist. */
void grants_prepare(struct preparing *preparing);

/* Takes setup's denied paths out of its grants, or notes them to be covered in the worker's mounts. */
void denies_prepare(struct preparing *preparing);

/* Finds the protected files beneath every fs_write path, and the names to look for later. */
void protect_prepare(struct preparing *preparing);

#endif
