/* Opening what a call names: its working directory and the files that its slots grant.
 *
 * Owns: what of that is to be opened, and how; the descriptors until they are taken. Such a path can
 * lie on a mount whose server does not answer, and an open then waits for ever. So the event loop
 * opens only what the kernel has in its memory (opening_try), and lets a process of its own
 * (opener.h) do the rest (opening_make). */
#ifndef SLUICE_OPENING_H
#define SLUICE_OPENING_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/failure.h"
#include "runtime/broker/request.h"
#include "runtime/broker/template.h"
#include "runtime/worker/worker.h"

/* For which call. */
struct opening_order {
    const struct broker *broker;
    const struct wire_request *request;
    uint32_t rule; /* index into policy.rules */
    struct template_call values;
};

/* What was opened, all O_PATH and close-on-exec. Plain data but for the descriptors. */
struct opening {
    int directory;       /* -1: none, the broker's own */
    int directory_error; /* errno of a rule's working directory that cannot be entered; 0 */
    char directory_path[PATH_MAX];
    int grants[WORKER_GRANTS_MAX];
    uint8_t grant_access[WORKER_GRANTS_MAX];
    uint32_t grant_count;
    bool refused; /* nothing is open; `reason` and `failure` say why */
    enum reason reason;
    struct failure failure;
};

/* Opens it without waiting for any file system. False, and nothing is open, if that cannot be. */
bool opening_try(const struct opening_order *order, struct opening *opening);

/* Opens it, however long it takes; or `opening->refused`. */
void opening_make(const struct opening_order *order, struct opening *opening);

/* Closes what is open. */
void opening_release(struct opening *opening);

#endif
