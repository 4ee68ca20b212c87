#define _GNU_SOURCE 1 /* close_range, signalfd */

#include "runtime/broker/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/close_range.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/host.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/notify.h"
#include "runtime/broker/restore.h"
#include "runtime/broker/running.h"
#include "runtime/broker/state.h"
#include "runtime/broker/status.h"
#include "runtime/broker/tables.h"
#include "runtime/shared/descriptors.h"

#define EXIT_CONFIGURATION 2
#define EVENTS_PER_TURN 64
/* Of the frame buffer, what stays resident between messages. */
#define FRAME_KEPT ((size_t)64 * 1024)
/* After the calls were told to end: SIGKILL, and a moment for the last reports. */
#define STOP_PATIENCE_MS (KILL_AFTER_MS + 1000u)

void broker_frame_release(struct broker *broker, size_t length)
{
    if (length > FRAME_KEPT)
        madvise(broker->frame + FRAME_KEPT, WIRE_REQUEST_MAX + 1 - FRAME_KEPT, MADV_DONTNEED);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void listener_forget(struct broker *broker)
{
    if (broker->listener < 0)
        return;
    timer_disarm(&broker->timers, &broker->connections.accept_timer);
    broker->listener = -1;
    listener_close(&broker->listener_state);
}

static void calls_end_all(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->calls.used; i++) {
        switch (broker->calls.table[i].state) {
        case CALL_WAITING:
            call_refuse_waiting(broker, i, REASON_BUSY, "the broker is stopping");
            break;
        case CALL_RUNNING:
        case CALL_BACKGROUND:
            call_end(broker, i, ENDING_STOP);
            break;
        default:
            break;
        }
    }
}

static void stop_begin(struct broker *broker)
{
    if (broker->stopping)
        return;
    broker->stopping = true;
    notify_stopping(broker->notify);
    listener_forget(broker);
    timer_arm(&broker->timers, &broker->stop_timer, broker->now + broker->policy->stop_timeout_ms);
}

static void stop_expire(struct broker *broker)
{
    if (broker->ending) {
        broker->stopped = true;
        return;
    }
    broker->ending = true;
    calls_end_all(broker);
    timer_arm(&broker->timers, &broker->stop_timer, broker->now + STOP_PATIENCE_MS);
}

static bool all_is_over(const struct broker *broker)
{
    return broker->calls.active == 0 && broker->calls.background == 0 &&
           broker->accounts.waiting == 0;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Workers that have ended, the check of a new broker, and whatever a killed worker left to us, the
 * subreaper. */
static void children_reap(struct broker *broker)
{
    pid_t child;
    int status;

    while ((child = waitpid(-1, &status, WNOHANG)) > 0)
        reload_child_ended(broker, child, status);
}

static void signals_handle(struct broker *broker)
{
    struct signalfd_siginfo info;

    while (read(broker->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop_begin(broker);
            break;
        case SIGHUP:
            if (!broker->stopping)
                reload_begin(broker);
            break;
        case SIGUSR1:
            status_print(broker);
            break;
        case SIGCHLD:
            children_reap(broker);
            break;
        default:
            break;
        }
    }
}

static void captures_handle(struct broker *broker)
{
    struct capture *capture;

    while ((capture = captures_next(broker->captures)) != NULL) {
        const struct call *call = capture_owner(capture);
        call_capture_changed(broker, (uint32_t)(call - broker->calls.table));
    }
}

static void event_handle(struct broker *broker, const struct epoll_event *event)
{
    enum event_kind kind = (enum event_kind)(event->data.u64 >> 56);
    uint32_t index = (uint32_t)event->data.u64;
    uint32_t generation = (uint32_t)(event->data.u64 >> 32) & EVENT_GENERATION_MASK;

    switch (kind) {
    case EVENT_LISTENER:
        connections_accept(broker);
        break;
    case EVENT_SIGNALS:
        signals_handle(broker);
        break;
    case EVENT_CONNECTION:
        connection_handle(broker, index, generation, event->events);
        break;
    case EVENT_WORKER:
        pool_handle(broker, index, generation);
        break;
    case EVENT_CAPTURES:
        captures_handle(broker);
        break;
    }
}

static void timer_handle(struct broker *broker, const struct timer *timer)
{
    switch ((enum timer_kind)timer->kind) {
    case TIMER_CONNECTION:
        connection_expire(broker, timer->owner);
        break;
    case TIMER_CALL:
        call_expire(broker, timer->owner);
        break;
    case TIMER_WORKER:
        pool_expire(broker);
        break;
    case TIMER_STOP:
        stop_expire(broker);
        break;
    case TIMER_ACCEPT:
        connections_accept_again(broker);
        break;
    case TIMER_AUDIT:
        audit_probe(&broker->audit, broker->now);
        break;
    case TIMER_RELOAD:
        reload_expire(broker);
        break;
    }
}

/* An unhealthy trail is looked after even when nobody calls. */
static void audit_watch(struct broker *broker)
{
    if (!broker->audit.healthy && !timer_is_armed(&broker->audit_timer))
        timer_arm(&broker->timers, &broker->audit_timer, broker->now + AUDIT_PROBE_INTERVAL_MS);
}

static void loop_run(struct broker *broker)
{
    struct epoll_event events[EVENTS_PER_TURN];
    bool unread = false;

    while (!broker->stopped && !(broker->stopping && all_is_over(broker))) {
        int wait = unread ? 0 : timers_wait(&broker->timers, broker->now);
        int count = epoll_wait(broker->epoll, events, EVENTS_PER_TURN, wait);
        broker->now = clock_monotonic_ms();
        for (int i = 0; i < count; i++)
            event_handle(broker, &events[i]);
        struct timer *timer;
        while ((timer = timers_take_due(&broker->timers, broker->now)) != NULL)
            timer_handle(broker, timer);
        unread = connections_continue(broker);
        calls_start_waiting(broker);
        audit_watch(broker);
    }
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

    if (confinement < broker->policy->confinement_count)
        notice("%s: %s: %s", words[gravity], broker->policy->confinements[confinement]->name, text);
    else
        notice("%s: %s", words[gravity], text);
}

/* Descriptors that whoever started the broker left open are nobody's business here. */
static void inherited_close(const struct broker *broker, unsigned activated)
{
    unsigned from = LISTENER_FIRST + activated;
    int keep = broker->options.ready_descriptor;

    if (keep >= 0 && (unsigned)keep >= from) {
        if ((unsigned)keep > from)
            syscall(SYS_close_range, from, (unsigned)keep - 1, 0);
        from = (unsigned)keep + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0);
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

static int watch(struct broker *broker, int descriptor, enum event_kind kind)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_pack(kind, 0, 0)};

    return epoll_ctl(broker->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/* The signals that the loop reads, and SIGPIPE, for whoever writes to a standard error that is
 * gone. */
static int signals_open(void)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t signals;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        sigaddset(&signals, handled[i]);
    int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&signals, SIGPIPE);
    if (descriptor >= 0 && sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        descriptor_close(&descriptor);
    return descriptor;
}

static int loop_make(struct broker *broker, struct failure *failure)
{
    broker->listener = broker->listener_state.socket;
    broker->signals = signals_open();
    broker->epoll = epoll_create1(EPOLL_CLOEXEC);
    broker->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (broker->signals < 0 || broker->epoll < 0 || broker->reserve < 0 ||
        watch(broker, broker->signals, EVENT_SIGNALS) < 0 ||
        watch(broker, broker->listener, EVENT_LISTENER) < 0)
        return failure_set(failure, errno, "cannot make the event loop: %s", strerror(errno));
    return 0;
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
    if (watch(broker, captures_descriptor(broker->captures), EVENT_CAPTURES) < 0)
        return failure_set(failure, errno, "cannot watch captures: %s", strerror(errno));
    return 0;
}

static void timers_describe(struct broker *broker)
{
    timer_describe(&broker->stop_timer, TIMER_STOP, 0);
    timer_describe(&broker->audit_timer, TIMER_AUDIT, 0);
}

/* What a fresh start and a reload have in common. `state`: of the earlier image, or NULL. */
static int parts_make(struct broker *broker, char *const *variables, const struct state *state,
                      struct failure *failure)
{
    struct host_report report = {.tell = tell_operator, .context = broker};
    uint32_t inherited = state ? state->header.call_count : 0;
    unsigned activated = state ? 0 : listener_activated();

    if (!state)
        inherited_close(broker, activated);
    host_prepare(broker, variables, &report);
    if (report.errors > 0)
        return failure_set(failure, 0, "this host is not fit for it");
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
    timers_describe(broker);
    reload_prepare(broker, state ? state->header.path : NULL);
    if ((!state && listener_make(broker, activated, &report, failure) < 0) ||
        trail_open(broker, !state, failure) < 0 || loop_make(broker, failure) < 0 ||
        captures_make(broker, inherited, state ? state->header.captures_memory : -1, failure) < 0)
        return -1;
    /* Whatever a worker that was killed leaves behind becomes ours, not init's: prctl(2). */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (confinement_broker(broker->policy, &broker->host, broker->setups, NULL, 0, tell_operator,
                           broker) < 0)
        return failure_set(failure, 0, "the broker cannot confine itself");
    broker->now = clock_monotonic_ms();
    return 0;
}

/* Everything up to the moment at which callers can be served. */
static int server_start(struct broker *broker, char *const *variables, struct failure *failure)
{
    if (parts_make(broker, variables, NULL, failure) < 0)
        return -1;
    broker->statistics.started_ms = broker->now;
    pool_warm(broker);
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
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    restore_all(broker, &state);
    children_reap(broker);
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
    listener_forget(broker);
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
    if (descriptors_fill_standard() < 0)
        return EXIT_CONFIGURATION;
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
        audit_serve(&broker->audit, NULL);
        ready_tell(broker);
    }
    loop_run(broker);
    server_end(broker);
    return 0;
}
