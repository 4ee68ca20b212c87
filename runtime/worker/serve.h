/* The worker process: what runs in it after the fork.
 *
 * Owns its whole life, from the fork to its exit. Entered by worker_start (worker.c) alone. */
#ifndef SLUICE_WORKER_SERVE_H
#define SLUICE_WORKER_SERVE_H

#include "runtime/include/policy.h"

struct confinement_setup;

/* Serves calls until the broker closes its end of `control`; then the process exits. `memory` is
 * shared with the broker, WORKER_BYTES_MAX bytes. Every descriptor but `control` and those of
 * `setup` is closed. */
_Noreturn void worker_serve(const struct policy *policy, const struct confinement_setup *setup,
                            int control, char *memory);

#endif
