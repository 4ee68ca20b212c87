/* What this host has and lacks for the policy.
 *
 * Owns: everything that is found out once at start, from the environment, the file system and the
 * kernel, and what is said about it: to the operator when the broker starts, and by check-host.
 * Never: opens what only a serving broker needs (socket, audit trail), or goes on in silence about
 * anything that is missing. */
#ifndef SLUICE_HOST_H
#define SLUICE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/shared/io.h"
#include "runtime/worker/confinement.h"

struct broker;

#define HOST_NOTE_MAX 2048u

/* What was said, and how bad it was. */
struct host_report {
    confinement_tell *tell; /* called for each line */
    void *context;
    uint32_t errors;  /* the broker cannot serve */
    uint32_t missing; /* it can, under confine = best-effort, without something */
};

/* Reads the environment, expands what is expanded at start, finds the users of allow_uid, prepares
 * every confinement. Fills the parts of `broker` that are "as it was at start"; allocates. Whether
 * the broker can serve is report->errors == 0. */
void host_prepare(struct broker *broker, char *const *variables, struct host_report *report);

/* The part of it that matching alone needs. */
void host_prepare_matching(struct broker *broker, char *const *variables,
                           struct host_report *report);

/* Whether anybody but root and the broker's uid could change the executable that this is. Under
 * audit = strict that is an error. */
void host_check_self(const struct broker *broker, struct host_report *report);

/* Says which rules' programs would gain privileges that no_new_privs takes away, of the first 1,024. */
void host_check_privileges(struct broker *broker, struct host_report *report);

/* What only check-host looks at: whether each rule's program is there, whether the directories of
 * the socket and the audit trail are fit. Makes nothing. */
void host_check_files(struct broker *broker, struct host_report *report);

/* Where the socket is to be: --socket, the rules' `socket`, or the default. `*create`: its directory
 * may be made. The path's length, or -1 after telling. */
int host_socket_path(const struct broker *broker, char *path, size_t size, bool *create,
                     struct host_report *report);

/* Says one line of `gravity` about the whole broker. */
void host_tell(struct host_report *report, enum confinement_gravity gravity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
