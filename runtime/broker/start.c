#include "runtime/broker/start.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/kind.h"
#include "runtime/broker/parked.h"
#include "runtime/broker/resolve.h"
#include "runtime/broker/template.h"

/* One start under way: what it was given, and what it has opened so far. */
struct start {
    struct broker *broker;
    struct call *call;
    struct call_paths *paths;
    const struct requester *requester;
    const struct wire_request *request;
    const struct policy_rule *rule;
    uint32_t rule_index, call_index;
    int *caller; /* in, out, err */
    struct opening_order order;

    struct resolved resolved;
    bool opened; /* `opening` was given */
    bool waits;  /* it cannot be had at once */
    struct opening opening;
    bool captured[CAPTURE_STREAMS];
    int file[CAPTURE_STREAMS]; /* capture files; -1: not captured */
    int pipe[CAPTURE_STREAMS]; /* what the child gets instead of the caller's */
    struct failure capture_failure; /* best-effort: why one is not captured */
    bool capture_missing;
};

static bool start_refuse(struct start *start, enum reason reason, const char *detail)
{
    request_refuse(start->broker, start->requester, reason, detail, start->rule_index,
                   start->request, detail);
    return false;
}

/* ---- the steps ------------------------------------------------------------------------------- */

static bool start_check_audit(struct start *start)
{
    if (audit_admit(&start->broker->audit, start->broker->now) != AUDIT_REFUSE)
        return true;
    return start_refuse(start, REASON_AUDIT, NULL);
}

/* The name that the rule's first token says. Literals are terminated: policy.h. */
static const char *rule_program(const struct broker *broker, const struct policy_rule *rule)
{
    const struct policy_token *token = &rule->tokens[0];

    return token->kind == TOKEN_EXPANSION ? broker->expansions[token->expansion].bytes
                                          : token->pieces[0].literal.bytes;
}

static bool start_resolve(struct start *start)
{
    struct broker *broker = start->broker;
    struct failure failure;

    if (resolve_executable(rule_program(broker, start->rule),
                           environment_exec_path(start->rule->attributes, broker->path),
                           &start->resolved, &failure) == 0)
        return true;
    start->resolved.descriptor = -1;
    bool shortage =
        failure.error == EMFILE || failure.error == ENFILE || failure.error == ENOMEM;
    return start_refuse(start, shortage ? REASON_SPAWN : REASON_EXE_UNRESOLVED, failure.text);
}

/* What the call names: as it has been opened, or what can be opened at once. */
static bool start_open(struct start *start)
{
    if (!start->opened && !opening_try(&start->order, &start->opening)) {
        start->waits = true;
        return false;
    }
    if (start->opening.refused)
        return start_refuse(start, start->opening.reason, start->opening.failure.text);
    return true;
}

static bool start_open_file(struct start *start, enum capture_stream stream,
                            const struct policy_template *template)
{
    char *path = start->paths->path[stream];
    struct failure failure;

    if (!template_is_set(template))
        return true;
    if (template_expand(template, &start->broker->templates, &start->order.values, path, PATH_MAX,
                        &failure) >= 0) {
        start->file[stream] = audit_open_capture(&start->broker->audit, path, &failure);
        if (start->file[stream] >= 0) {
            start->captured[stream] = true;
            return true;
        }
    }
    if (audit_capture_unopened(&start->broker->audit, start->call->number, &failure) ==
        AUDIT_REFUSE)
        return start_refuse(start, REASON_AUDIT, failure.text);
    start->capture_missing = true;
    start->capture_failure = failure;
    return true;
}

/* The files that output is captured in. */
static bool start_open_files(struct start *start)
{
    const struct policy_attributes *attributes = start->rule->attributes;

    return attributes->log != LOG_FULL ||
           (start_open_file(start, CAPTURE_STDOUT, &attributes->stdoutfile) &&
            start_open_file(start, CAPTURE_STDERR, &attributes->stderrfile));
}

static unsigned captured_streams(const struct start *start)
{
    return (unsigned)start->captured[CAPTURE_STDOUT] + (unsigned)start->captured[CAPTURE_STDERR];
}

/* The processes that serve the call, forked if need be. */
static int processes_take(struct start *start, uint32_t confinement)
{
    struct broker *broker = start->broker;
    unsigned streams = captured_streams(start);
    int status = 0;

    if (streams > 0 && !captures_are_ready(broker->captures, streams)) {
        closers_await(broker);
        status = captures_make_ready(broker->captures, streams);
    }
    if (status == 0) {
        start->call->worker = pool_take(broker, confinement, start->call_index);
        status = start->call->worker == NONE ? -errno : 0;
    }
    if (status < 0)
        pool_relieve(broker);
    return status;
}

/* Takes the processes. What is forked for that closes all that it inherits, and would wait where the
 * caller's files do: so they are put into flight meanwhile. */
static bool start_take_processes(struct start *start)
{
    struct broker *broker = start->broker;
    uint32_t confinement = policy_confinement_index(broker->policy, start->rule_index);
    unsigned streams = captured_streams(start);
    bool forks = !pool_has_idle(&broker->pool, confinement) ||
                 (streams > 0 && !captures_are_ready(broker->captures, streams));
    int status = 0, parked = -1;

    if (forks && descriptors_may_wait(start->caller, WIRE_STANDARD_DESCRIPTORS))
        parked = parked_make(start->caller, WIRE_STANDARD_DESCRIPTORS);
    if (parked >= 0)
        closers_take_given(broker, start->caller, WIRE_STANDARD_DESCRIPTORS);
    status = processes_take(start, confinement);
    if (parked >= 0) {
        int taken = parked_take(&parked, start->caller, WIRE_STANDARD_DESCRIPTORS);
        status = status < 0 ? status : taken;
    }
    return status == 0 ? true : start_refuse(start, REASON_SPAWN, strerror(-status));
}

static bool start_capture(struct start *start)
{
    struct failure failure;

    if (captured_streams(start) == 0)
        return true;
    struct capture_request request = {
        .call = start->call->number,
        .owner = start->call,
        .file = {start->file[CAPTURE_STDOUT], start->file[CAPTURE_STDERR]},
        .caller = {start->caller[1], start->caller[2]},
        .max_output = start->rule->attributes->max_output,
    };
    start->call->capture =
        capture_start(start->broker->captures, &request, start->pipe, &failure);
    return start->call->capture ? true : start_refuse(start, REASON_SPAWN, failure.text);
}

static bool start_record(struct start *start)
{
    const struct call_paths *paths = start->paths;
    struct audit_start event = {
        .call = start->call->number,
        .peer = start->call->peer,
        .rule = start->rule_index,
        .request = {start->request->arguments, start->request->argument_count},
        .resolved = start->resolved.path,
        .stdout_path = start->captured[CAPTURE_STDOUT] ? paths->path[CAPTURE_STDOUT] : NULL,
        .stderr_path = start->captured[CAPTURE_STDERR] ? paths->path[CAPTURE_STDERR] : NULL,
        .capture_error = start->capture_missing ? start->capture_failure.text : NULL,
    };

    if (audit_start(&start->broker->audit, &event) != AUDIT_REFUSE)
        return true;
    return start_refuse(start, REASON_AUDIT, NULL);
}

/* After the `start` event: nothing is refused any more, what fails is told by `exit`. */
static void start_run(struct start *start)
{
    struct broker *broker = start->broker;
    struct call *call = start->call;
    const char *program = rule_program(broker, start->rule);
    struct policy_bytes *arguments = broker->arguments;

    call->stage = STAGE_NONE;
    if (start->opening.directory_error != 0) {
        call->stage = STAGE_DIRECTORY;
        call->error = start->opening.directory_error;
        call->answer_due = true;
        return;
    }
    memcpy(arguments, start->request->arguments,
           start->request->argument_count * sizeof(*arguments));
    arguments[0] = (struct policy_bytes){program, (uint32_t)strlen(program)};
    struct worker_call order = {
        .call = call->number,
        .rule = start->rule_index,
        .input = start->caller[0],
        .output = start->captured[CAPTURE_STDOUT] ? start->pipe[CAPTURE_STDOUT] : start->caller[1],
        .error = start->captured[CAPTURE_STDERR] ? start->pipe[CAPTURE_STDERR] : start->caller[2],
        .executable = start->resolved.descriptor,
        .identity = start->resolved.identity,
        .path = start->resolved.path,
        .directory = start->opening.directory,
        .directory_path = start->opening.directory >= 0 ? start->opening.directory_path : NULL,
        .arguments = arguments,
        .argument_count = start->request->argument_count,
        .environment = broker->environment.entries,
        .environment_count = broker->environment.count,
        .grants = start->opening.grants,
        .grant_access = start->opening.grant_access,
        .grant_count = start->opening.grant_count,
        .held = true,
    };
    struct worker *worker = pool_worker(broker, call->worker);
    int result = worker_run(worker, broker->policy, &order);
    if (result == 0) {
        closers_take_given(broker, start->caller, WIRE_STANDARD_DESCRIPTORS);
        worker_release(worker);
        return;
    }
    call->stage = result == -E2BIG ? STAGE_EXEC : STAGE_INTERNAL;
    call->error = -result;
    call->answer_due = true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void start_release(struct start *start)
{
    descriptor_close(&start->resolved.descriptor);
    opening_release(&start->opening);
    descriptors_close(start->file, CAPTURE_STREAMS);
    descriptors_close(start->pipe, CAPTURE_STREAMS);
}

enum start_result call_start(struct broker *broker, uint32_t index,
                             const struct requester *requester,
                             const struct opening_order *order, const struct opening *opened,
                             int *descriptors)
{
    struct call *call = &broker->calls.table[index];
    struct start start = {
        .broker = broker,
        .call = call,
        .paths = &broker->calls.paths[index],
        .requester = requester,
        .request = order->request,
        .rule = &broker->policy->rules[order->rule],
        .rule_index = order->rule,
        .call_index = index,
        .caller = descriptors,
        .order = *order,
        .opened = opened != NULL,
        .opening = {.directory = -1},
        .file = {-1, -1},
        .pipe = {-1, -1},
    };

    if (opened)
        start.opening = *opened;
    start.resolved.descriptor = -1;
    call->worker = NONE;
    call->capture = NULL;
    bool started = start_check_audit(&start) && start_resolve(&start) && start_open(&start) &&
                   start_open_files(&start) && start_take_processes(&start) &&
                   start_capture(&start) && start_record(&start);
    if (started)
        start_run(&start);
    if ((!started || call->answer_due) && call->worker != NONE) {
        pool_give_back(broker, call->worker);
        call->worker = NONE;
    }
    if ((!started || call->answer_due) && call->capture) {
        capture_release(broker->captures, call->capture);
        call->capture = NULL;
    }
    start_release(&start);
    return started ? START_DONE : start.waits ? START_WAITS : START_REFUSED;
}
