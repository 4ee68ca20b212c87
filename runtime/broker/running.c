#include "runtime/broker/running.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/explain.h"
#include "runtime/broker/outcome.h"

/* ---- deadlines ------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    if (a == 0 || (b != 0 && b < a))
        return b;
    return a;
}

/* `when` + `delay`, never wrapping round: a deadline beyond all time is none. */
static uint64_t later_by(uint64_t when, uint64_t delay)
{
    return delay > UINT64_MAX - when ? 0 : when + delay;
}

static void call_schedule(struct broker *broker, struct call *call)
{
    uint64_t next = earlier(call->terminate_at, call->kill_at);

    next = earlier(next, call->give_up_at);
    next = earlier(next, call->answer_at);
    next = earlier(next, call->finish_at);
    next = earlier(next, call->abort_at);
    if (next == 0)
        timer_disarm(&broker->timers, &call->timer);
    else if (!timer_is_armed(&call->timer) || call->timer.deadline != next)
        timer_arm(&broker->timers, &call->timer, next);
}

static bool take_due(uint64_t *deadline, uint64_t now)
{
    if (*deadline == 0 || *deadline > now)
        return false;
    *deadline = 0;
    return true;
}

/* ---- the answer, and after it ---------------------------------------------------------------- */

/* What calls in the background say of the room that there could be. */
struct room {
    uint32_t coming;     /* so many have been told to end, and do so within CAPTURE_ABORT_MS */
    uint32_t later;      /* so many may be told so at another time */
    struct call *oldest; /* the next to be told; NULL */
};

/* Only a call that is waiting for a caller to take its output is told to end: not one of which a
 * process is left, and not one whose copier has not had its turn yet on a busy machine, since its
 * caller has done nothing to lose output by. */
static struct room room_look(struct broker *broker)
{
    struct room room = {0};

    for (uint32_t i = 0; i < broker->calls.used; i++) {
        struct call *call = &broker->calls.table[i];
        if (call->state != CALL_BACKGROUND || call->worker != NONE || !call->capture)
            continue;
        if (call->abort_at != 0 || (call->finish_at != 0 && call->finish_at <= broker->now))
            room.coming++;
        else if (!capture_state(call->capture).waits_for_caller)
            room.later++;
        else if (!room.oldest || call->ended < room.oldest->ended)
            room.oldest = call;
    }
    return room;
}

/* The oldest that can be told so ends, as often as need be: the rest of its output goes to the file
 * alone. That a copier waits is told by nothing but a look, hence the timer. */
void calls_make_room(struct broker *broker)
{
    struct calls *calls = &broker->calls;

    if (calls->lingering == 0 || timer_is_armed(&calls->room_timer))
        return;
    for (;;) {
        struct room room = room_look(broker);
        if (room.coming >= calls->lingering)
            return;
        if (!room.oldest) {
            if (room.later > 0)
                timer_arm(&broker->timers, &calls->room_timer, broker->now + ROOM_RETRY_MS);
            return;
        }
        room.oldest->finish_at = broker->now;
        call_schedule(broker, room.oldest);
    }
}

/* Writes the `exit` event of a call that has been answered, once nothing more is captured. */
static void call_conclude(struct broker *broker, struct call *call)
{
    if (call->capture && !capture_state(call->capture).ended)
        return;
    if (!call->recorded)
        call_record(broker, call);
    if (!call->capture)
        return;
    capture_release(broker->captures, call->capture);
    call->capture = NULL;
    call->finish_at = call->abort_at = 0;
}

/* Whatever is next for a call that has been answered: nothing, when all of it is over. */
static void call_advance(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    if (!call->answered)
        return;
    call_conclude(broker, call);
    if (call->worker == NONE && !call->capture) {
        call_free(broker, index);
        return;
    }
    if (call->state == CALL_RUNNING)
        call_go_to_background(broker, index);
    call_schedule(broker, call);
}

static void call_answer(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];
    char buffer[EXPLANATION_MAX];
    struct text text;

    assert(call->child_ended && !call->answered);
    call->status = call_status(call);
    call_linger(broker, index);
    call->answer_at = 0;
    call_conclude(broker, call);
    uint32_t connection = call_disconnect(broker, index);
    if (connection != NONE) {
        text_start(&text, buffer, sizeof(buffer));
        if (broker->policy->explain && broker->connections.table[connection].version == 2)
            call_explain(&text, call, call->status);
        connection_answer(broker, connection, call->status, buffer, (uint32_t)text.length);
    }
    call_advance(broker, index);
}

/* The direct child has ended, or never was: answers once its output has been passed on. */
static void call_settle(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    call->child_ended = true;
    call->give_up_at = 0;
    call->ended = broker->now;
    if (call->capture) {
        capture_drain(call->capture);
        struct capture_state state = capture_state(call->capture);
        if (!state.drained && !state.ended) {
            call->answer_at = later_by(broker->now, ANSWER_PATIENCE_MS);
            call_schedule(broker, call);
            return;
        }
    }
    call_answer(broker, index);
}

void call_run(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    if (call->answer_due) {
        call_settle(broker, index);
        return;
    }
    if (call->terms.timeout_ms != 0)
        call->terminate_at = later_by(call->started, call->terms.timeout_ms);
    call_schedule(broker, call);
}

void call_resume(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    call_schedule(broker, call);
    if (call->child_ended && !call->answered && !call->capture)
        call_answer(broker, index);
    else if (call->capture)
        call_capture_changed(broker, index);
    else
        call_advance(broker, index);
}

/* ---- endings --------------------------------------------------------------------------------- */

/* Gives an order about what the call left running. False if it has to be given again. */
static bool call_order(struct broker *broker, const struct call *call, enum worker_order order,
                       int signal)
{
    if (call->worker == NONE)
        return true;
    return worker_order(pool_worker(broker, call->worker), order, signal) != -EAGAIN;
}

/* SIGTERM now, SIGKILL later, whether or not the direct child is still there. */
static void call_terminate(struct broker *broker, struct call *call)
{
    uint64_t kill_at = later_by(broker->now, KILL_AFTER_MS);

    if (call->kill_at != 0)
        return;
    call->terminate_at = 0;
    call->kill_at = kill_at;
    if (call->capture && call->finish_at == 0)
        call->finish_at = kill_at;
    call_order(broker, call, ORDER_SIGNAL, SIGTERM);
    /* A stopped process gets a SIGTERM only once it goes on. */
    call_order(broker, call, ORDER_SIGNAL, SIGCONT);
}

void call_end(struct broker *broker, uint32_t index, enum call_ending why)
{
    struct call *call = &broker->calls.table[index];

    if (call->ending == ENDING_NONE && !call->child_ended)
        call->ending = (uint8_t)why;
    call_terminate(broker, call);
    call_schedule(broker, call);
}

static void call_kill(struct broker *broker, struct call *call)
{
    enum worker_order order =
        call->terms.kill == KILL_GROUP ? ORDER_KILL_GROUP : ORDER_KILL_TREE;

    if (!call_order(broker, call, order, SIGKILL))
        call->kill_at = later_by(broker->now, ORDER_RETRY_MS);
    if (!call->child_ended && call->give_up_at == 0)
        call->give_up_at = later_by(broker->now, GIVE_UP_MS);
}

/* What its capture file may lack, once for each call. */
static void call_note_loss(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];
    struct capture_state state = capture_state(call->capture);

    for (int stream = 0; stream < CAPTURE_STREAMS; stream++) {
        if (state.file_error[stream] == 0 || call->truncated)
            continue;
        call->truncated = true;
        audit_capture_failed(&broker->audit, call->number, broker->calls.paths[index].path[stream],
                             state.file_error[stream]);
    }
}

void call_expire(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    if (take_due(&call->terminate_at, broker->now)) {
        if (call->ending == ENDING_NONE && !call->child_ended)
            call->ending = ENDING_TIMEOUT;
        call_terminate(broker, call);
    }
    if (take_due(&call->kill_at, broker->now))
        call_kill(broker, call);
    if (take_due(&call->give_up_at, broker->now) && !call->child_ended) {
        call->stage = STAGE_INTERNAL;
        call->error = ETIME;
        call_settle(broker, index);
        return;
    }
    if (take_due(&call->finish_at, broker->now) && call->capture) {
        /* The direct child may be dying yet; its last words, and whatever else holds the pipe, have
         * had their time. */
        call->drain_timeout = true;
        capture_finish(call->capture);
        call->abort_at = later_by(broker->now, CAPTURE_ABORT_MS);
    }
    if (take_due(&call->abort_at, broker->now) && call->capture) {
        capture_abort(call->capture);
        call_note_loss(broker, index);
    }
    call_schedule(broker, call);
    if (take_due(&call->answer_at, broker->now))
        call_answer(broker, index);
    else
        call_capture_changed(broker, index);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Nothing of the call runs any more. What its pipes still hold, for a caller that does not take it,
 * has as long as processes would have had. */
static void call_let_worker_go(struct call *call)
{
    call->worker = NONE;
    if (call->capture && call->terminate_at != 0)
        call->finish_at = later_by(call->terminate_at, KILL_AFTER_MS);
    call->terminate_at = call->kill_at = call->give_up_at = 0;
}

static void call_child_ended(struct broker *broker, uint32_t index,
                             const struct worker_report *report)
{
    struct call *call = &broker->calls.table[index];

    if (WIFSIGNALED(report->status))
        call->signal = WTERMSIG(report->status);
    else
        call->status = WEXITSTATUS(report->status);
    call->user_ms = report->user_ms;
    call->system_ms = report->system_ms;
    call->max_rss_kb = report->max_rss_kb;
    if (report->left && call->terms.kill == KILL_TREE_ON_EXIT &&
        !call_order(broker, call, ORDER_KILL_TREE, SIGKILL))
        call->kill_at = later_by(broker->now, ORDER_RETRY_MS);
    call_settle(broker, index);
}

void call_report(struct broker *broker, uint32_t index, const struct worker_report *report)
{
    struct call *call = &broker->calls.table[index];

    assert(call->state == CALL_RUNNING || call->state == CALL_BACKGROUND);
    if (report->call != call->number)
        return;
    switch (report->kind) {
    case REPORT_STARTED:
        break;
    case REPORT_FAILED:
        call->stage = report->stage <= STAGE_INTERNAL ? report->stage : STAGE_INTERNAL;
        call->error = report->error != 0 ? report->error : EIO;
        if (!call->child_ended)
            call_settle(broker, index);
        break;
    case REPORT_ENDED:
        if (!call->child_ended)
            call_child_ended(broker, index, report);
        break;
    case REPORT_IDLE:
        call_let_worker_go(call);
        if (!call->child_ended) {
            call->stage = STAGE_INTERNAL;
            call->error = EIO;
            call_settle(broker, index);
        } else {
            call_advance(broker, index);
        }
        break;
    }
}

void call_lose_worker(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    orphans_sweep(broker, call->terms.kill != KILL_GROUP);
    call_let_worker_go(call);
    if (call->child_ended) {
        call_advance(broker, index);
        return;
    }
    call->stage = STAGE_INTERNAL;
    call->error = ESRCH;
    call_settle(broker, index);
}

void call_capture_changed(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    if (!call->capture)
        return;
    call_note_loss(broker, index);
    struct capture_state state = capture_state(call->capture);
    if (state.over_limit && !call->over_limit) {
        call->over_limit = true;
        call_end(broker, index, ENDING_OUTPUT);
    }
    if (call->child_ended && !call->answered && (state.drained || state.ended))
        call_answer(broker, index);
    else
        call_advance(broker, index);
}

void call_lose_caller(struct broker *broker, uint32_t index)
{
    struct call *call = &broker->calls.table[index];

    call->connection = NONE;
    call->caller_gone = true;
    if (call->terms.on_disconnect != DISCONNECT_KILL)
        return;
    if (call_is_pending(call))
        call_refuse_pending(broker, index, REASON_CALLER_GONE, NULL, NULL);
    else
        call_end(broker, index, ENDING_CALLER_GONE);
}

void call_forward_signal(struct broker *broker, uint32_t index, int signal)
{
    struct call *call = &broker->calls.table[index];

    if (signal < 1 || signal > 63 || !(call->terms.forward >> signal & 1))
        return;
    if (!call_is_pending(call)) {
        call_order(broker, call, ORDER_SIGNAL, signal);
    } else if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT) {
        uint32_t connection = call_disconnect(broker, index);
        call_refuse_pending(broker, index, REASON_CALLER_GONE, NULL, NULL);
        connection_answer(broker, connection, 128 + signal, "", 0);
    }
}

void calls_abandon(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->calls.used; i++) {
        struct call *call = &broker->calls.table[i];
        if ((call->state == CALL_RUNNING || call->state == CALL_BACKGROUND) && !call->recorded) {
            call->drain_timeout = call->capture != NULL;
            if (!call->child_ended)
                call->ended = broker->now;
            call_record(broker, call);
        }
    }
}
