/* SIGHUP: reopening the audit trail, and becoming a newer broker in place.
 *
 * Owns: the executable that this broker is, the check of the one that is to follow, and the exec.
 * Never: stops serving for it. The new broker is checked by a child while calls go on; only then the
 * state is written, everything is handed over, and this process becomes the new image: same pid,
 * same socket, the same calls. When it cannot, it says why and this broker goes on; when the new
 * image finds at the last moment that it cannot serve, it becomes the old one again.
 *
 * The new executable is opened once, after a walk past nothing that others could have changed
 * (paths.h), and what was opened is what is checked and run. */
#ifndef SLUICE_RELOAD_H
#define SLUICE_RELOAD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"
#include "runtime/broker/timers.h"

struct broker;
struct state;

/* How long a new broker's check of the host may take. */
#define RELOAD_CHECK_MS 30000u

struct reload {
    char path[PATH_MAX]; /* where this executable was; "": not known, so it stays what it is */
    int self;            /* this executable, to come back to; -1 */
    struct stat running; /* its identity */
    pid_t checker;       /* the process that checks the candidate; 0: none */
    int candidate;       /* the executable that is being checked; -1 */
    int output;          /* what the check says */
    bool again;          /* SIGHUP came while one was under way */
    bool late;           /* the check took too long and was killed */
    bool manifest_kept;  /* the audit trail could not be reopened: `note` says why */
    struct failure note;
    struct timer timer;
};

/* At start: finds out which executable this is. `path`: where an earlier image was told that it is
 * installed (what runs may have been replaced there since); NULL at a fresh start. */
void reload_prepare(struct broker *broker, const char *path);

/* SIGHUP came. */
void reload_begin(struct broker *broker);

/* A child has ended. Whether it was the check; a check that found nothing wrong does not return. */
bool reload_child_ended(struct broker *broker, pid_t child, int status);

/* The check takes too long. */
void reload_expire(struct broker *broker);

/* The broker begins to stop, and stays what it is until the end: gives up a check that is under way. No
 * reload may begin after this. */
void reload_stop(struct broker *broker);

/* In a successor that cannot serve after all: becomes the previous broker again, with the state as
 * it came. Returns only if that fails too. */
void reload_go_back(struct broker *broker, struct state *state, const char *why);

/* In a successor that serves: says so in the audit trail and to the service manager. `note` is why
 * it is the old broker again, or "". */
void reload_complete(struct broker *broker, const char *note);

#endif
