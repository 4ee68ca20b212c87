#define _GNU_SOURCE 1 /* F_DUPFD_CLOEXEC, MADV_DONTNEED */

#include "runtime/broker/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/confine.h"
#include "runtime/broker/host.h"
#include "runtime/broker/loop.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/notify.h"
#include "runtime/broker/restore.h"
#include "runtime/broker/running.h"
#include "runtime/broker/state.h"
#include "runtime/broker/tables.h"
#include "runtime/shared/descriptors.h"

#define EXIT_CONFIGURATION 2
/* Of the frame buffer, what stays resident between messages. */
#define FRAME_KEPT ((size_t)64 * 1024)

void broker_frame_release(struct broker *broker, size_t length)
{
    if (length > FRAME_KEPT)
        madvise(broker->frame + FRAME_KEPT, WIRE_REQUEST_MAX + 1 - FRAME_KEPT, MADV_DONTNEED);
}

/* ---- start-up -------------------------------------------------------------------------------- */

static void tell_operator(void *context, uint32_t confinement, enum confinement_gravity gravity,
                          const char *text)
{
    static const char *const words[] = {
        [CONFINEMENT_NOTE] = "note",
        [CONFINEMENT_MISSING] = "missing",
        [CONFINEMENT_ERROR] = "error",
    };
    struct broker *broker = context;

    if (gravity == CONFINEMENT_MISSING) {
        text_append(&broker->missing, broker->missing.length > 0 ? "; " : "");
        text_append(&broker->missing, text);
    }
    if (confinement < broker->policy->confinement_count)
        notice("%s: %s: %s", words[gravity], broker->policy->confinements[confinement]->name, text);
    else
        notice("%s: %s", words[gravity], text);
}

/* Descriptors that whoever started the broker left open are nobody's business here. */
static int inherited_close(const struct broker *broker, unsigned activated, struct failure *failure)
{
    unsigned from = LISTENER_FIRST + activated;
    int keep = broker->options.ready_descriptor;
    int status = 0;

    if (keep >= 0 && (unsigned)keep >= from) {
        status = descriptors_close_range(from, (unsigned)keep - 1);
        from = (unsigned)keep + 1;
    }
    if (status == 0)
        status = descriptors_close_range(from, ~0u);
    if (status < 0)
        return failure_set(failure, -status, "what was left open for it cannot be closed: %s",
                           strerror(-status));
    return 0;
}

static int listener_make(struct broker *broker, unsigned activated, struct host_report *report,
                         struct failure *failure)
{
    char path[PATH_MAX];
    bool create;

    if (activated > 1)
        return failure_set(failure, 0, "%u sockets were passed (LISTEN_FDS); a broker serves one",
                           activated);
    if (activated == 1)
        return listener_adopt(&broker->listener_state, LISTENER_FIRST, failure);
    if (host_socket_path(broker, path, sizeof(path), &create, report) < 0)
        return failure_set(failure, 0, "there is no path for the socket");
    return listener_open(&broker->listener_state, path,
                         (create ? (unsigned)LISTENER_CREATE : 0) |
                             (broker->policy->audit_strict ? 0 : (unsigned)LISTENER_LENIENT),
                         failure);
}

static int trail_open(struct broker *broker, bool fresh, struct failure *failure)
{
    if (audit_open(&broker->audit, broker->policy, &broker->templates, failure) < 0)
        return -1;
    return fresh && audit_recover(&broker->audit, failure) < 0 ? -1 : 0;
}

static bool policy_captures(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_attributes *attributes = policy->rules[i].attributes;
        if (attributes->log == LOG_FULL && (template_is_set(&attributes->stdoutfile) ||
                                            template_is_set(&attributes->stderrfile)))
            return true;
    }
    return false;
}

/* `memory`: the counters that an earlier image left; -1. A duplicate is used, so that the earlier
 * image can have it back. */
static int captures_make(struct broker *broker, uint32_t inherited, int memory,
                         struct failure *failure)
{
    if (memory < 0 && !policy_captures(broker->policy))
        return 0;
    if (memory >= 0)
        memory = fcntl(memory, F_DUPFD_CLOEXEC, 0);
    broker->captures =
        captures_open(2 * broker->policy->max_active + inherited, memory, failure);
    if (!broker->captures)
        return -1;
    if (loop_watch(broker, captures_descriptor(broker->captures), EVENT_CAPTURES) < 0)
        return failure_set(failure, errno, "cannot watch captures: %s", strerror(errno));
    return 0;
}

/* What a fresh start and a reload have in common. `state`: of the earlier image, or NULL. */
static int parts_make(struct broker *broker, char *const *variables, const struct state *state,
                      struct failure *failure)
{
    struct host_report report = {.tell = tell_operator, .context = broker};
    uint32_t inherited = state ? state->header.call_count : 0;
    unsigned activated = state ? 0 : listener_activated();

    if (!state && inherited_close(broker, activated, failure) < 0)
        return -1;
    text_start(&broker->missing, broker->missing_text, sizeof(broker->missing_text));
    host_prepare(broker, variables, &report);
    host_check_self(broker, &report);
    if (report.errors > 0)
        return failure_set(failure, 0, "this host is not fit for it");
    host_check_privileges(broker, &report);
    if (state) {
        broker->host.open_files.rlim_cur = state->header.open_files_soft;
        broker->host.open_files.rlim_max = state->header.open_files_hard;
        broker->listener_state = state->header.listener;
        broker->notify = state->header.notify;
    } else {
        broker->notify = notify_open(getenv("NOTIFY_SOCKET"));
    }
    tables_raise_limits(broker);
    if (tables_make(broker, inherited, failure) < 0)
        return -1;
    closers_begin(&broker->closers);
    openers_begin(&broker->openers);
    orphans_begin(broker, state ? state->header.children : -1);
    reload_prepare(broker, state ? state->header.path : NULL);
    if ((!state && listener_make(broker, activated, &report, failure) < 0) ||
        trail_open(broker, !state, failure) < 0 || loop_make(broker, failure) < 0 ||
        captures_make(broker, inherited, state ? state->header.captures_memory : -1, failure) < 0)
        return -1;
    /* Whatever a worker that was killed leaves behind becomes ours, not init's: prctl(2). */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (confine_self(broker, tell_operator, broker, failure) < 0)
        return -1;
    broker->now = clock_monotonic_ms();
    return 0;
}

/* Everything up to the moment at which callers can be served. */
static int server_start(struct broker *broker, char *const *variables, struct failure *failure)
{
    if (parts_make(broker, variables, NULL, failure) < 0)
        return -1;
    broker->statistics.started_ms = broker->now;
    loop_reap(broker); /* the prober of namespaces, if its end came before signals were read */
    return listener_start(&broker->listener_state, failure);
}

/* The same for a successor. Before anything of the earlier image's is touched, that can still be
 * gone back to. */
static int server_resume(struct broker *broker, char *const *variables, struct failure *failure)
{
    struct state state;

    if (state_read(broker->options.resume, &state, failure) < 0)
        return -1;
    if (parts_make(broker, variables, &state, failure) < 0) {
        reload_go_back(broker, &state, failure->text);
        return -1;
    }
    int status = descriptors_close_range_at_exec(3, ~0u);
    if (status < 0)
        notice("descriptors of the old broker stay open at the next reload: %s", strerror(-status));
    restore_all(broker, &state);
    loop_reap(broker);
    pool_warm(broker);
    reload_complete(broker, state.header.note);
    /* What was duplicated or is of no more use: */
    close(broker->options.resume);
    if (state.header.captures_memory >= 0)
        close(state.header.captures_memory);
    if (state.header.previous >= 0)
        close(state.header.previous);
    state_close(&state);
    return 0;
}

static void ready_tell(const struct broker *broker)
{
    int ready = broker->options.ready_descriptor;

    notify_ready(broker->notify);
    if (ready < 0)
        return;
    if (write(ready, "\n", 1) != 1)
        notice("--ready-fd %d: %s", ready, strerror(errno));
    close(ready);
}

static void server_end(struct broker *broker)
{
    calls_abandon(broker);
    loop_forget_listener(broker);
    audit_stop(&broker->audit);
    audit_close(&broker->audit);
    /* Idle workers end by themselves; a busy one ends what it runs, now that we go. */
    pool_retire(broker);
    if (broker->captures)
        captures_close(broker->captures);
}

int server_run(struct broker *broker, char *const *variables)
{
    struct failure failure;

    broker->listener = broker->notify = -1;
    broker->epoll = broker->signals = broker->reserve = -1;
    broker->listener_state = (struct listener){.socket = -1, .lock = -1, .directory = -1};
    /* A successor has them from its predecessor. */
    int status = broker->options.resume >= 0 ? 0 : descriptors_fill_standard();
    if (status < 0) {
        notice("standard input, output and error: %s", strerror(-status));
        return EXIT_CONFIGURATION;
    }
    if (broker->options.resume >= 0) {
        if (server_resume(broker, variables, &failure) < 0) {
            notice("%s", failure.text);
            return EXIT_CONFIGURATION;
        }
    } else {
        if (server_start(broker, variables, &failure) < 0) {
            notice("%s", failure.text);
            listener_close(&broker->listener_state);
            return EXIT_CONFIGURATION;
        }
        /* These make themselves ready while callers come. */
        pool_warm(broker);
        audit_serve(&broker->audit, broker->missing.length > 0 ? broker->missing_text : NULL);
        ready_tell(broker);
    }
    loop_run(broker);
    server_end(broker);
    return 0;
}
