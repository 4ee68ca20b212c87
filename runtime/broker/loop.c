#define _GNU_SOURCE 1 /* signalfd */

#include "runtime/broker/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/notify.h"
#include "runtime/broker/status.h"
#include "runtime/shared/descriptors.h"

#define EVENTS_PER_TURN 64
/* Thousands of silent peers may be due at once; who has something to say comes in between. */
#define TIMERS_PER_TURN 64
/* After the calls were told to end: SIGKILL, and a moment for the last reports. */
#define STOP_PATIENCE_MS (KILL_AFTER_MS + 1000u)

/* ---- making it ------------------------------------------------------------------------------- */

int loop_watch(struct broker *broker, int descriptor, int kind)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_pack((enum event_kind)kind, 0, 0)};

    return epoll_ctl(broker->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/* The signals that the loop reads. Two more are blocked, so that a write fails instead of killing:
 * SIGPIPE (a standard error that is gone) and SIGXFSZ (a file at the limit of its size). */
static int signals_open(void)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t signals;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        sigaddset(&signals, handled[i]);
    int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    if (descriptor >= 0 && sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        descriptor_close(&descriptor);
    return descriptor;
}

int loop_make(struct broker *broker, struct failure *failure)
{
    timer_describe(&broker->stop_timer, TIMER_STOP, 0);
    timer_describe(&broker->audit_timer, TIMER_AUDIT, 0);
    timer_describe(&broker->captures_timer, TIMER_CAPTURES, 0);
    broker->listener = broker->listener_state.socket;
    broker->signals = signals_open();
    broker->epoll = epoll_create1(EPOLL_CLOEXEC);
    broker->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (broker->signals < 0 || broker->epoll < 0 || broker->reserve < 0 ||
        loop_watch(broker, broker->signals, EVENT_SIGNALS) < 0 ||
        loop_watch(broker, broker->listener, EVENT_LISTENER) < 0)
        return failure_set(failure, errno, "cannot make the event loop: %s", strerror(errno));
    return 0;
}

/* ---- stopping --------------------------------------------------------------------------------- */

void loop_forget_listener(struct broker *broker)
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
        case CALL_OPENING:
            call_refuse_pending(broker, i, REASON_BUSY, NULL, "the broker is stopping");
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
    reload_stop(broker); /* what would follow could not serve without the listener */
    notify_stopping(broker->notify);
    loop_forget_listener(broker);
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

/* ---- running -------------------------------------------------------------------------------- */

/* Workers that have ended, the check of a new broker, and whatever a killed worker left to us, the
 * subreaper. */
void loop_reap(struct broker *broker)
{
    pid_t child;
    int status;

    while ((child = waitpid(-1, &status, WNOHANG)) > 0 || (child < 0 && errno == EINTR)) {
        if (child < 0)
            continue;
        pool_forget_process(&broker->pool, child);
        closers_forget_process(broker, child);
        openers_forget_process(&broker->openers, child);
        orphans_forget(broker, child);
        reload_child_ended(broker, child, status);
    }
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
            loop_reap(broker);
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
    if (captures_have_surplus(broker->captures) && !timer_is_armed(&broker->captures_timer))
        timer_arm(&broker->timers, &broker->captures_timer, broker->now + CAPTURES_TRIM_MS);
}

static void captures_expire(struct broker *broker)
{
    captures_trim(broker->captures);
    if (captures_have_surplus(broker->captures))
        timer_arm(&broker->timers, &broker->captures_timer, broker->now + CAPTURES_TRIM_MS);
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
    case EVENT_OPENER:
        opener_handle(broker, index, generation);
        break;
    case EVENT_CLOSER:
        closers_handle(broker, index, generation);
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
        if (broker->calls.table[timer->owner].state == CALL_OPENING)
            call_give_up_opening(broker, timer->owner);
        else
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
    case TIMER_CLOSERS:
        closers_expire(broker);
        break;
    case TIMER_ORPHANS:
        orphans_expire(broker);
        break;
    case TIMER_CAPTURES:
        captures_expire(broker);
        break;
    case TIMER_AUDIT:
        audit_probe(&broker->audit, broker->now);
        break;
    case TIMER_RELOAD:
        reload_expire(broker);
        break;
    case TIMER_ROOM: /* looked after at the end of each turn */
        break;
    }
}

/* An unhealthy trail is looked after even when nobody calls. */
static void audit_watch(struct broker *broker)
{
    if (!broker->audit.healthy && !timer_is_armed(&broker->audit_timer))
        timer_arm(&broker->timers, &broker->audit_timer, broker->now + AUDIT_PROBE_INTERVAL_MS);
}

void loop_run(struct broker *broker)
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
        for (int i = 0; i < TIMERS_PER_TURN &&
                        (timer = timers_take_due(&broker->timers, broker->now)) != NULL;
             i++)
            timer_handle(broker, timer);
        unread = connections_continue(broker);
        calls_make_room(broker);
        calls_start_waiting(broker);
        audit_watch(broker);
    }
}

