/* The worker process: what runs in it after the fork.
 *
 * Owns its whole life, from the fork to its exit. Entered by worker_start (worker.c) alone. */
#ifndef SLUICE_WORKER_SERVE_H
#define SLUICE_WORKER_SERVE_H

#include "runtime/include/policy.h"

struct confinement_setup;
struct worker_memory;

/* Serves calls that come over `asks` until the broker closes its end of `control`; then the process
 * exits. `network`: a network namespace to enter, or -1 (namespaces_make). `memory` is shared with the broker, WORKER_MEMORY_BYTES. Every descriptor but those two and
 * those of `setup` is closed. */
_Noreturn void worker_serve(const struct policy *policy, const struct confinement_setup *setup,
                            int network, int control, int asks, struct worker_memory *memory);

#endif
