/* What a worker tells the broker.
 *
 * Owns nothing. */
#ifndef SLUICE_TELL_H
#define SLUICE_TELL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "runtime/worker/worker.h"

/* The end of a direct child, of which waitid(2) has told `ended` and `usage`; `left` descendants were
 * still there. */
struct worker_report tell_of_end(pid_t leader, const siginfo_t *ended, const struct rusage *usage,
                                 size_t left);

/* Sends a report; `idle_follows`: with it, that nothing of the call is left. Waits for room if it must:
 * the broker reads, or is gone, which the next poll tells. A report that cannot be sent ends the
 * conversation: the broker would wait for it for good. Both sides then see the other's end. */
void tell_broker(int control, const struct worker_report *report, bool idle_follows);

#endif
