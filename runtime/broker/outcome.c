#include "runtime/broker/outcome.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"

#define CREATED_MAX 32u    /* protected files named in one exit event */
#define EXIT_DIRECTORY 126 /* the rule's cwd cannot be entered: BROKER.md, "A call" */

static bool call_is_given_up(const struct call *call)
{
    return call->stage == STAGE_INTERNAL && call->error == ETIME;
}

int32_t call_status(const struct call *call)
{
    if (call->ending == ENDING_TIMEOUT)
        return WIRE_TIMEOUT;
    if (call->ending == ENDING_OUTPUT)
        return WIRE_OUTPUT;
    if (call_is_given_up(call))
        return 128 + SIGKILL; /* which it was sent, and will die of once the kernel lets go */
    if (call->error == 0)
        return call->signal != 0 ? 128 + call->signal : call->status;
    if (call->stage == STAGE_DIRECTORY)
        return EXIT_DIRECTORY;
    return call->stage == STAGE_CONFINE ? WIRE_CONFINE : WIRE_SPAWN;
}

/* ---- words ----------------------------------------------------------------------------------- */

static const char *const stage_names[] = {
    [STAGE_NONE] = "worker", [STAGE_CLONE] = "fork",     [STAGE_DIRECTORY] = "cwd",
    [STAGE_CONFINE] = "confine", [STAGE_EXEC] = "exec",  [STAGE_INTERNAL] = "worker",
};

/* "exec: Permission denied": why nothing ran, or what was lost. */
static void error_write(struct text *text, const struct call *call)
{
    text_append(text, stage_names[call->stage]);
    text_append(text, ": ");
    if (call->error == ESRCH)
        text_append(text, "the process that looked after the call was killed");
    else if (call->error == ETOOMANYREFS)
        text_append(text, "more descriptors of this user are in flight than may be open");
    else if (call_is_given_up(call))
        text_append(text, "the kernel holds the program, which does not end even when killed");
    else
        text_append(text, strerror(call->error));
}

void call_explain(struct text *text, const struct call *call, int32_t status)
{
    if (status == WIRE_TIMEOUT) {
        text_append(text, "the rule's timeout of ");
        text_append_unsigned(text, call->terms.timeout_ms);
        text_append(text, " ms ended the call");
    } else if (status == WIRE_OUTPUT) {
        text_append(text, "the rule's max_output of ");
        text_append_unsigned(text, call->terms.max_output);
        text_append(text, " bytes ended the call");
    } else if (call->error != 0) {
        error_write(text, call);
    }
}

/* ---- the exit event -------------------------------------------------------------------------- */

/* Paths of protected files that have come into being, as text. */
struct created {
    struct text text; /* each with its NUL */
    const char *paths[CREATED_MAX];
    uint32_t count;
};

static void created_add(void *context, const char *path)
{
    struct created *created = context;
    char *start = created->text.bytes + created->text.length;

    if (created->count == CREATED_MAX ||
        created->text.length + strlen(path) + 1 >= created->text.capacity)
        return;
    text_append(&created->text, path);
    text_append_char(&created->text, '\0');
    created->paths[created->count++] = start;
}

/* Looks for them, where the call's rule protects any. */
static void created_find(struct broker *broker, const struct call *call, struct created *created)
{
    const struct policy *policy = broker->policy;

    created->count = 0;
    if (call->rule >= policy->rule_count || policy->rules[call->rule].confinement->protect == 0)
        return;
    text_start(&created->text, broker->reply, WIRE_REPLY_MAX);
    confinement_protected_created(
        broker->setups[policy_confinement_index(policy, call->rule)], created_add, created);
}

void call_record(struct broker *broker, struct call *call)
{
    struct capture_state capture = {0};
    char error_buffer[REASON_TEXT_MAX], caller_buffer[REASON_TEXT_MAX];
    struct text error, caller;
    struct created created;

    assert(!call->recorded);
    if (call->capture)
        capture = capture_state(call->capture);
    struct audit_exit event = {
        .call = call->number,
        .peer = call->peer,
        .line = call->terms.line,
        .log = call->terms.log,
        .status = call->status,
        .duration_ms = call->ended - call->started,
        .stdout_bytes = capture.bytes[CAPTURE_STDOUT],
        .stderr_bytes = capture.bytes[CAPTURE_STDERR],
        .signal = call->signal,
        .timed_out = call->ending == ENDING_TIMEOUT,
        .truncated = call->truncated,
        .drain_timeout = call->drain_timeout,
        .caller_gone = call->caller_gone,
        .output_limit = call->ending == ENDING_OUTPUT,
        .has_usage = call->error == 0,
        .user_ms = call->user_ms,
        .system_ms = call->system_ms,
        .max_rss_kb = call->max_rss_kb,
    };
    if (call->error != 0) {
        text_start(&error, error_buffer, sizeof(error_buffer));
        error_write(&error, call);
        event.error = error_buffer;
    }
    for (int stream = 0; stream < CAPTURE_STREAMS; stream++) {
        if (capture.caller_error[stream] == 0 || event.caller_error)
            continue;
        text_start(&caller, caller_buffer, sizeof(caller_buffer));
        text_append(&caller, stream == CAPTURE_STDOUT ? "stdout: " : "stderr: ");
        text_append(&caller, strerror(capture.caller_error[stream]));
        event.caller_error = caller_buffer;
    }
    created_find(broker, call, &created);
    event.protected_created = created.paths;
    event.protected_count = created.count;
    call->recorded = true;
    audit_exit(&broker->audit, &event);
}
