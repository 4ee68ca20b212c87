#define _GNU_SOURCE 1 /* O_PATH */

#include "runtime/broker/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/match.h"
#include "runtime/broker/paths.h"
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
    const int *caller; /* in, out, err */
    struct template_call values;

    struct resolved resolved;
    int directory;       /* -1: the broker's own */
    int directory_error; /* errno of a working directory that cannot be entered */
    char directory_path[PATH_MAX];
    int grants[WORKER_GRANTS_MAX];
    uint8_t grant_access[WORKER_GRANTS_MAX];
    uint32_t grant_count;
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

/* The working directory: the caller's choice, which the request's checks have allowed, the rule's,
 * or the broker's. A rule's directory that cannot be opened ends the call with exit code 126, as a
 * shell's cd would; a caller's is refused. */
static bool start_open_directory(struct start *start)
{
    const struct policy_template *cwd = &start->rule->attributes->cwd;
    struct failure failure;

    if (start->request->cwd.length > 0) {
        start->directory = path_open_caller_directory(start->request->cwd.bytes, &failure);
        if (start->directory < 0)
            return start_refuse(start, REASON_CWD_NOT_ALLOWED, failure.text);
        memcpy(start->directory_path, start->request->cwd.bytes, start->request->cwd.length + 1);
        return true;
    }
    if (!template_is_set(cwd))
        return true;
    if (template_expand(cwd, &start->broker->templates, &start->values, start->directory_path,
                        sizeof(start->directory_path), &failure) < 0) {
        start->directory_error = ENAMETOOLONG;
        return true;
    }
    start->directory = open(start->directory_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (start->directory < 0)
        start->directory_error = errno;
    return true;
}

/* Opens the files that one `fs_* = #slot` names, for this call alone. */
static bool start_open_grant(struct start *start, const struct policy_grant *grant)
{
    struct policy_request asked = {.count = start->request->argument_count,
                                   .arguments = start->request->arguments,
                                   .expansions = start->broker->expansions};
    struct policy_bytes values[WORKER_GRANTS_MAX];
    char base_path[PATH_MAX];
    struct failure failure;
    cleanup_fd int base = -1;

    uint32_t room = WORKER_GRANTS_MAX - start->grant_count;
    int64_t count = match_slot_values(start->rule, &asked, grant->slot, values, room);
    if (count < 0 || count > room)
        return start_refuse(start, REASON_CONFINE, "more files than one call can be given");
    if (template_is_set(&grant->path)) {
        if (template_expand(&grant->path, &start->broker->templates, &start->values, base_path,
                            sizeof(base_path), &failure) < 0)
            return start_refuse(start, REASON_CONFINE, failure.text);
    } else if (start->directory >= 0) {
        memcpy(base_path, start->directory_path, sizeof(base_path));
    } else {
        memcpy(base_path, start->broker->directory, sizeof(base_path));
    }
    base = open(base_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return start_refuse(start, REASON_CONFINE, "the directory that holds its files is gone");
    for (int64_t i = 0; i < count; i++) {
        int file = path_open_beneath(base, base_path, values[i].bytes, values[i].length, &failure);
        if (file < 0 && failure.error == ENOENT && grant->optional)
            continue;
        if (file < 0)
            return start_refuse(start, REASON_CONFINE, failure.text);
        start->grants[start->grant_count] = file;
        start->grant_access[start->grant_count++] = (uint8_t)grant->access;
    }
    return true;
}

static bool start_open_grants(struct start *start)
{
    const struct policy_confinement *confinement = start->rule->confinement;

    for (uint32_t i = 0; i < confinement->grant_count; i++)
        if (confinement->grants[i].kind == GRANT_SLOT &&
            !start_open_grant(start, &confinement->grants[i]))
            return false;
    return true;
}

static bool start_open_file(struct start *start, enum capture_stream stream,
                            const struct policy_template *template)
{
    char *path = start->paths->path[stream];
    struct failure failure;

    if (!template_is_set(template))
        return true;
    if (template_expand(template, &start->broker->templates, &start->values, path, PATH_MAX,
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

static bool start_capture(struct start *start)
{
    const struct policy_attributes *attributes = start->rule->attributes;
    struct failure failure;

    if (attributes->log != LOG_FULL)
        return true;
    if (!start_open_file(start, CAPTURE_STDOUT, &attributes->stdoutfile) ||
        !start_open_file(start, CAPTURE_STDERR, &attributes->stderrfile))
        return false;
    if (!start->captured[CAPTURE_STDOUT] && !start->captured[CAPTURE_STDERR])
        return true;
    struct capture_request request = {
        .call = start->call->number,
        .owner = start->call,
        .file = {start->file[CAPTURE_STDOUT], start->file[CAPTURE_STDERR]},
        .caller = {start->caller[1], start->caller[2]},
        .max_output = attributes->max_output,
    };
    start->call->capture =
        capture_start(start->broker->captures, &request, start->pipe, &failure);
    return start->call->capture ? true : start_refuse(start, REASON_SPAWN, failure.text);
}

static bool start_take_worker(struct start *start)
{
    uint32_t confinement = policy_confinement_index(start->broker->policy, start->rule_index);

    start->call->worker = pool_take(start->broker, confinement, start->call_index);
    if (start->call->worker != NONE)
        return true;
    int saved = errno;
    pool_relieve(start->broker);
    errno = saved;
    return start_refuse(start, REASON_SPAWN, strerror(errno));
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
    if (start->directory_error != 0) {
        call->stage = STAGE_DIRECTORY;
        call->error = start->directory_error;
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
        .path = start->resolved.path,
        .directory = start->directory,
        .directory_path = start->directory >= 0 ? start->directory_path : NULL,
        .arguments = arguments,
        .argument_count = start->request->argument_count,
        .environment = broker->environment.entries,
        .environment_count = broker->environment.count,
        .grants = start->grants,
        .grant_access = start->grant_access,
        .grant_count = start->grant_count,
    };
    int result = worker_run(pool_worker(broker, call->worker), broker->policy, &order);
    if (result == 0)
        return;
    call->stage = result == -E2BIG ? STAGE_EXEC : STAGE_INTERNAL;
    call->error = -result;
    call->answer_due = true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void start_release(struct start *start)
{
    descriptor_close(&start->resolved.descriptor);
    descriptor_close(&start->directory);
    descriptors_close(start->grants, start->grant_count);
    descriptors_close(start->file, CAPTURE_STREAMS);
    descriptors_close(start->pipe, CAPTURE_STREAMS);
}

bool call_start(struct broker *broker, uint32_t index, const struct requester *requester,
                const struct wire_request *request, uint32_t rule, const int *descriptors)
{
    struct call *call = &broker->calls.table[index];
    struct start start = {
        .broker = broker,
        .call = call,
        .paths = &broker->calls.paths[index],
        .requester = requester,
        .request = request,
        .rule = &broker->policy->rules[rule],
        .rule_index = rule,
        .call_index = index,
        .caller = descriptors,
        .values = {.call = call->number,
                   .pid = call->peer.pid,
                   .uid = call->peer.uid,
                   .line = broker->policy->lines[rule],
                   .realtime_ms = clock_wall_ms()},
        .directory = -1,
        .file = {-1, -1},
        .pipe = {-1, -1},
    };

    start.resolved.descriptor = -1;
    call->worker = NONE;
    call->capture = NULL;
    bool started = start_check_audit(&start) && start_resolve(&start) &&
                   start_open_directory(&start) && start_open_grants(&start) &&
                   start_capture(&start) && start_take_worker(&start) && start_record(&start);
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
    return started;
}
