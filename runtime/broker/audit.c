#define _GNU_SOURCE
#include "runtime/broker/audit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/broker/json.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/paths.h"
#include "runtime/broker/probe.h"
#include "runtime/broker/recovery.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* The longest event: every byte of the arguments escaped, three paths, two messages, keys and
 * punctuation; or the numbers of all calls in flight, 20 digits and a comma each. */
#define EVENT_BYTES_MAX                                                                            \
    (JSON_STRING_MAX(AUDIT_ARGUMENT_BYTES_MAX) + AUDIT_ARGUMENTS_MAX * 3u +                        \
     3u * JSON_STRING_MAX(PATH_MAX) + 2u * JSON_STRING_MAX(FAILURE_TEXT_MAX) +                     \
     AUDIT_ACTIVE_MAX * 21u + 4096u)
/* What the buffer keeps of its memory between events. */
#define BUFFER_KEPT 65536u

/* ---- writing one event ----------------------------------------------------------------------- */

/* An event under construction, and what says where it goes. */
struct event {
    struct json json;
    struct template_call values;
};

static bool audit_is_kept(const struct audit *audit)
{
    return template_is_set(&audit->policy->logfile);
}

static void event_begin(struct audit *audit, struct event *event, const char *kind)
{
    json_init(&event->json, audit->buffer, audit->capacity);
    event->values.realtime_ms = clock_wall_ms();
    json_open_object(&event->json);
    if (event->values.call != 0)
        json_key_unsigned(&event->json, "call", event->values.call);
    json_key_unsigned(&event->json, "ts", event->values.realtime_ms);
    json_key_text(&event->json, "kind", kind);
}

/* An event of the broker itself. */
static struct event event_of_broker(void)
{
    return (struct event){.values = {.pid = getpid(), .uid = geteuid()}};
}

/* An event of the call `call`, 0 for a request without one. */
static struct event event_of_call(uint64_t call, const struct audit_peer *peer, uint32_t line)
{
    struct event event = {.values = {.call = call, .line = line}};
    if (peer->known) {
        event.values.pid = peer->pid;
        event.values.uid = peer->uid;
    }
    return event;
}

static void event_put_state(const struct audit *audit, struct event *event)
{
    json_key_unsigned(&event->json, "last_call", audit->last_call);
    json_key(&event->json, "active");
    json_open_array(&event->json);
    for (uint32_t i = 0; i < audit->active.count; i++)
        json_unsigned(&event->json, audit->active.values[i]);
    json_close_array(&event->json);
}

/* Closes the event and appends it. 0, or -1 with `failure`. Takes no notice of health. */
static int event_append(struct audit *audit, struct event *event, struct failure *failure)
{
    struct json *json = &event->json;
    json_close_object(json);
    json_newline(json);
    int result = -1;
    if (json->overflow)
        failure_set(failure, EMSGSIZE, "an event of more than %zu bytes", audit->capacity);
    else
        result = manifest_append(&audit->manifest, json->bytes, json->length, failure);
    if (json->length > BUFFER_KEPT)
        madvise(audit->buffer + BUFFER_KEPT, audit->capacity - BUFFER_KEPT, MADV_DONTNEED);
    return result;
}

/* ---- which file ------------------------------------------------------------------------------ */

static int path_expand(const struct audit *audit, const struct template_call *values,
                       char path[PATH_MAX], struct failure *failure)
{
    struct failure why;
    if (template_expand(&audit->policy->logfile, audit->environment, values, path, PATH_MAX, &why) <
        0)
        return failure_set(failure, why.error, "logfile: %s", why.text);
    return 0;
}

/* Makes sure that the open file is the one that events with these values go to: its name may have
 * changed (#$date), and it may have been removed. Uses the buffer. */
static int manifest_select(struct audit *audit, const struct template_call *values,
                           struct failure *failure)
{
    char path[PATH_MAX];
    bool varies = template_is_per_call(&audit->policy->logfile);
    if (varies && path_expand(audit, values, path, failure) < 0)
        return -1;
    if (varies && strcmp(path, audit->manifest.path) != 0) {
        if (manifest_open(&audit->manifest, path, failure) < 0)
            return -1;
    } else if (manifest_is_gone(&audit->manifest)) {
        notice("%s was removed: a new one is begun", audit->manifest.path);
        if (manifest_reopen(&audit->manifest, failure) < 0)
            return -1;
    } else {
        return 0;
    }
    if (lseek(audit->manifest.file, 0, SEEK_END) != 0)
        return 0;
    struct event event = {.values = *values};
    event.values.call = 0;
    event_begin(audit, &event, "continue");
    event_put_state(audit, &event);
    return event_append(audit, &event, failure);
}

/* ---- health ---------------------------------------------------------------------------------- */

static void audit_fall_ill(struct audit *audit, const char *reason)
{
    if (!audit->healthy)
        return;
    audit->healthy = false;
    audit->unhealthy_since_ms = audit->probed_ms = clock_monotonic_ms();
    notice("the audit trail cannot be kept: %s", reason);
    if (!audit_is_kept(audit))
        return;
    struct event event = event_of_broker();
    struct failure failure;
    if (manifest_select(audit, &event.values, &failure) < 0)
        return;
    event_begin(audit, &event, "unhealthy");
    json_key_text(&event.json, "reason", reason);
    if (event_append(audit, &event, &failure) < 0)
        audit->missed++;
}

static void audit_recover_health(struct audit *audit)
{
    audit->healthy = true;
    audit->missed = 0;
    audit->failed_capture[0] = '\0';
}

/* Whether the trail can be kept again. Says so in it. */
static bool audit_try(struct audit *audit, uint64_t now_ms)
{
    struct failure failure;
    if (audit->failed_capture[0] != '\0' && probe_write_beside(audit->failed_capture, &failure) < 0)
        return false;
    if (audit_is_kept(audit)) {
        struct event event = event_of_broker();
        if (manifest_select(audit, &event.values, &failure) < 0)
            return false;
        event_begin(audit, &event, "healthy");
        json_key_unsigned(&event.json, "unhealthy_ms", now_ms - audit->unhealthy_since_ms);
        json_key_unsigned(&event.json, "missed", audit->missed);
        if (event_append(audit, &event, &failure) < 0)
            return false;
    }
    audit_recover_health(audit);
    notice("the audit trail can be kept again");
    return true;
}

void audit_probe(struct audit *audit, uint64_t now_ms)
{
    if (audit->healthy || now_ms - audit->probed_ms < AUDIT_PROBE_INTERVAL_MS)
        return;
    audit->probed_ms = now_ms;
    audit_try(audit, now_ms);
}

enum audit_decision audit_admit(struct audit *audit, uint64_t now_ms)
{
    audit_probe(audit, now_ms);
    if (audit->healthy)
        return AUDIT_PROCEED;
    return audit->policy->audit_strict ? AUDIT_REFUSE : AUDIT_PROCEED_UNRECORDED;
}

int audit_open_capture(struct audit *audit, const char *path, struct failure *failure)
{
    int file = path_open_append(path, failure);
    if (file < 0 || !manifest_is(&audit->manifest, file))
        return file;
    descriptor_close(&file);
    manifest_lock(&audit->manifest);
    return failure_set(failure, EINVAL, "%s: is the manifest", path);
}

enum audit_decision audit_capture_unopened(struct audit *audit, uint64_t call,
                                           const struct failure *failure)
{
    if (audit->policy->audit_strict)
        return AUDIT_REFUSE;
    notice("call %llu runs without its capture file: %s", (unsigned long long)call, failure->text);
    return AUDIT_PROCEED_UNRECORDED;
}

void audit_capture_failed(struct audit *audit, uint64_t call, const char *path, int error)
{
    struct failure failure;
    failure_set(&failure, error, "call %llu: %s: %s", (unsigned long long)call, path,
                strerror(error));
    if (!audit->policy->audit_strict) {
        notice("a capture is cut short: %s", failure.text);
        return;
    }
    struct text copy;
    text_start(&copy, audit->failed_capture, sizeof audit->failed_capture);
    text_append(&copy, path);
    audit_fall_ill(audit, failure.text);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Appends a finished event; what cannot be written goes to standard error and makes the trail ill.
 */
static bool audit_write(struct audit *audit, struct event *event)
{
    struct failure failure;
    if (event_append(audit, event, &failure) == 0)
        return true;
    audit->missed++;
    if (!event->json.overflow)
        notice("not recorded: %.*s",
               (int)(event->json.length < NOTICE_MAX ? event->json.length - 1 : NOTICE_MAX),
               event->json.bytes);
    audit_fall_ill(audit, failure.text);
    return false;
}

/* Begins an event where it goes. False, with the trail ill, when its file cannot be had. */
static bool audit_begin(struct audit *audit, struct event *event, const char *kind)
{
    struct failure failure;
    event->values.realtime_ms = clock_wall_ms();
    if (manifest_select(audit, &event->values, &failure) < 0) {
        audit->missed++;
        notice("not recorded: %s of call %llu", kind, (unsigned long long)event->values.call);
        audit_fall_ill(audit, failure.text);
        return false;
    }
    event_begin(audit, event, kind);
    return true;
}

static void event_put_peer(struct event *event, const struct audit_peer *peer)
{
    json_key(&event->json, "pid");
    if (peer->known)
        json_signed(&event->json, peer->pid);
    else
        json_null(&event->json);
    json_key(&event->json, "uid");
    if (peer->known)
        json_unsigned(&event->json, peer->uid);
    else
        json_null(&event->json);
}

static void event_put_arguments(struct event *event, const struct audit_request *request)
{
    json_key(&event->json, "argv");
    json_open_array(&event->json);
    for (uint32_t i = 0; i < request->argument_count; i++)
        json_string(&event->json, request->arguments[i].bytes, request->arguments[i].length);
    json_close_array(&event->json);
}

static void event_put_optional(struct event *event, const char *key, const char *text)
{
    if (text != NULL)
        json_key_text(&event->json, key, text);
}

enum audit_decision audit_start(struct audit *audit, const struct audit_start *start)
{
    const struct policy *policy = audit->policy;
    if (!audit->healthy && policy->audit_strict)
        return AUDIT_REFUSE;
    if (policy->rules[start->rule].attributes->log == LOG_EXIT_ONLY || !audit_is_kept(audit))
        return AUDIT_PROCEED;

    struct event event = event_of_call(start->call, &start->peer, policy->lines[start->rule]);
    bool written = audit_begin(audit, &event, "start");
    if (written) {
        event_put_peer(&event, &start->peer);
        json_key_unsigned(&event.json, "line", event.values.line);
        event_put_arguments(&event, &start->request);
        json_key_text(&event.json, "resolved", start->resolved);
        event_put_optional(&event, "stdout", start->stdout_path);
        event_put_optional(&event, "stderr", start->stderr_path);
        event_put_optional(&event, "capture_error", start->capture_error);
        written = audit_write(audit, &event);
    }
    if (written) {
        numbers_add(&audit->active, start->call);
        return AUDIT_PROCEED;
    }
    return policy->audit_strict ? AUDIT_REFUSE : AUDIT_PROCEED_UNRECORDED;
}

/* The fields that are there only when set. */
static void event_put_extras(struct event *event, const struct audit_exit *exit)
{
    const struct {
        const char *key;
        bool set;
    } flags[] = {{"timed_out", exit->timed_out},
                 {"truncated", exit->truncated},
                 {"drain_timeout", exit->drain_timeout},
                 {"caller_gone", exit->caller_gone},
                 {"output_limit", exit->output_limit}};
    if (exit->signal != 0)
        json_key_signed(&event->json, "signal", exit->signal);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].set)
            json_key_bool(&event->json, flags[i].key, true);
    if (exit->has_usage) {
        json_key_unsigned(&event->json, "user_ms", exit->user_ms);
        json_key_unsigned(&event->json, "system_ms", exit->system_ms);
        json_key_unsigned(&event->json, "max_rss_kb", exit->max_rss_kb);
    }
    event_put_optional(event, "error", exit->error);
    event_put_optional(event, "caller_error", exit->caller_error);
    if (exit->protected_count == 0)
        return;
    json_key(&event->json, "protected_created");
    json_open_array(&event->json);
    for (uint32_t i = 0; i < exit->protected_count; i++)
        json_text(&event->json, exit->protected_created[i]);
    json_close_array(&event->json);
}

void audit_exit(struct audit *audit, const struct audit_exit *exit)
{
    numbers_remove(&audit->active, exit->call);
    struct event event = event_of_call(exit->call, &exit->peer, exit->line);
    if (!audit_is_kept(audit) || !audit_begin(audit, &event, "exit"))
        return;
    if (exit->log == LOG_EXIT_ONLY) {
        event_put_peer(&event, &exit->peer);
        json_key_unsigned(&event.json, "line", exit->line);
    }
    json_key_signed(&event.json, "status", exit->status);
    json_key_unsigned(&event.json, "duration_ms", exit->duration_ms);
    json_key_unsigned(&event.json, "stdout_bytes", exit->stdout_bytes);
    json_key_unsigned(&event.json, "stderr_bytes", exit->stderr_bytes);
    event_put_extras(&event, exit);
    audit_write(audit, &event);
}

/* Whether no rule of the policy lets argv into the log. */
static bool policy_hides_arguments(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count; i++)
        if (policy->rules[i].attributes->log != LOG_EXIT_ONLY)
            return false;
    return policy->rule_count > 0;
}

void audit_reject(struct audit *audit, uint64_t call, const struct audit_peer *peer, uint32_t rule,
                  const struct audit_request *request, const char *reason)
{
    const struct policy *policy = audit->policy;
    bool of_rule = rule != AUDIT_NO_RULE;
    struct event event = event_of_call(call, peer, of_rule ? policy->lines[rule] : 0);
    if (!audit_is_kept(audit) || !audit_begin(audit, &event, "reject"))
        return;
    json_key_text(&event.json, "reason", reason);
    event_put_peer(&event, peer);
    if (of_rule)
        json_key_unsigned(&event.json, "line", event.values.line);
    bool hidden = of_rule ? policy->rules[rule].attributes->log == LOG_EXIT_ONLY
                          : policy_hides_arguments(policy);
    if (request->arguments != NULL && !hidden)
        event_put_arguments(&event, request);
    audit_write(audit, &event);
}

/* What `serve` and `reload` say of the broker. */
static void event_put_broker(const struct audit *audit, struct event *event, const char *note)
{
    const struct policy *policy = audit->policy;
    char digest[7 + 64 + 1];
    struct text text;
    text_start(&text, digest, sizeof digest);
    text_append(&text, "sha256:");
    text_append(&text, policy->sha256);
    json_key_text(&event->json, "policy", digest);
    json_key_unsigned(&event->json, "rules", policy->rule_count);
    json_key_signed(&event->json, "pid", getpid());
    json_key_text(&event->json, "version", policy->compiler);
    event_put_optional(event, "note", note);
}

void audit_serve(struct audit *audit, const char *note)
{
    struct event event = event_of_broker();
    if (!audit_is_kept(audit) || !audit_begin(audit, &event, "serve"))
        return;
    json_key_unsigned(&event.json, "last_call", audit->last_call);
    event_put_broker(audit, &event, note);
    audit_write(audit, &event);
}

void audit_reload(struct audit *audit, const char *note)
{
    struct event event = event_of_broker();
    if (!audit_is_kept(audit) || !audit_begin(audit, &event, "reload"))
        return;
    event_put_state(audit, &event);
    event_put_broker(audit, &event, note);
    audit_write(audit, &event);
}

void audit_stop(struct audit *audit)
{
    struct event event = event_of_broker();
    if (!audit_is_kept(audit) || !audit_begin(audit, &event, "stop"))
        return;
    event_put_state(audit, &event); /* active: those whose `exit` could not be written */
    json_key_signed(&event.json, "pid", getpid());
    audit_write(audit, &event);
}

/* ---- life ------------------------------------------------------------------------------------ */

int audit_open(struct audit *audit, const struct policy *policy,
               const struct template_environment *environment, struct failure *failure)
{
    struct template_call values = event_of_broker().values;
    char path[PATH_MAX];
    *audit = (struct audit){.policy = policy, .environment = environment, .healthy = true};
    audit->manifest.file = -1;
    values.realtime_ms = clock_wall_ms();
    if (audit_is_kept(audit) && path_expand(audit, &values, path, failure) < 0)
        return -1;

    /* One mapping: the calls in flight, then the buffer. Memory that is never touched costs none.
     */
    size_t numbers_size = AUDIT_ACTIVE_MAX * sizeof *audit->active.values;
    void *memory = mmap(NULL, numbers_size + EVENT_BYTES_MAX, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return failure_set(failure, errno, "no memory for the audit trail: %s", strerror(errno));
    audit->active = (struct numbers){.values = memory, .capacity = AUDIT_ACTIVE_MAX};
    audit->buffer = (char *)memory + numbers_size;
    audit->capacity = EVENT_BYTES_MAX;
    if (!audit_is_kept(audit) || manifest_open(&audit->manifest, path, failure) == 0)
        return 0;
    audit_close(audit);
    return -1;
}

void audit_close(struct audit *audit)
{
    manifest_sync(&audit->manifest);
    manifest_close(&audit->manifest);
    if (audit->active.values != NULL)
        munmap(audit->active.values,
               AUDIT_ACTIVE_MAX * sizeof *audit->active.values + audit->capacity);
    audit->active = (struct numbers){0};
    audit->buffer = NULL;
    audit->capacity = 0;
}

/* Half a line at the end: ours is cut off, anything else closed before the next event. */
static void audit_mend_end(struct audit *audit, const struct recovery *found)
{
    struct manifest *manifest = &audit->manifest;
    if (found->whole == found->size)
        return;
    if (found->half_is_ours && manifest_cut(manifest, found->whole))
        notice("%s: half an event at its end, %lld bytes, was cut off", manifest->path,
               (long long)(found->size - found->whole));
    else
        manifest->torn = true;
}

int audit_recover(struct audit *audit, struct failure *failure)
{
    struct recovery found = {.open = audit->active};
    struct failure why;
    if (!audit_is_kept(audit))
        return 0;
    if (recovery_read(audit->manifest.file, &found, &why) < 0)
        return failure_set(failure, why.error, "%s: %s", audit->manifest.path, why.text);
    audit->last_call = found.last_call;
    if (!audit->manifest.sole_writer) {
        notice("%s: another broker writes it, so calls are not checked for lost ones",
               audit->manifest.path);
        return 0;
    }
    audit_mend_end(audit, &found);
    for (uint32_t i = 0; i < found.open.count; i++) {
        struct event event = event_of_broker();
        event.values.call = found.open.values[i];
        if (audit_begin(audit, &event, "lost"))
            audit_write(audit, &event);
    }
    return (int)found.open.count;
}

void audit_continue(struct audit *audit, uint64_t last_call, const uint64_t *active,
                    uint32_t active_count)
{
    audit->last_call = last_call;
    for (uint32_t i = 0; i < active_count; i++)
        numbers_add(&audit->active, active[i]);
}

int audit_reopen(struct audit *audit, struct failure *failure)
{
    if (audit_is_kept(audit) && manifest_reopen(&audit->manifest, failure) < 0)
        return -1;
    if (!audit->healthy)
        notice("the audit trail is taken for healthy again");
    audit_recover_health(audit);
    return 0;
}

uint64_t audit_next_call(struct audit *audit)
{
    return ++audit->last_call;
}
