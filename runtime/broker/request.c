#include "runtime/broker/request.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/explain.h"
#include "runtime/broker/listing.h"
#include "runtime/broker/paths.h"
#include "runtime/shared/utf8.h"

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    enum wire_status status;
} reasons[REASON_COUNT] = {
#define REASON(name, text, status) [REASON_##name] = {text, status},
#include "runtime/broker/reasons.def"
#undef REASON
};

const char *reason_text(enum reason reason)
{
    return reasons[reason].text;
}

/* Whether the requester gets a text with its answer. */
static bool requester_reads_text(const struct broker *broker, const struct requester *requester)
{
    return broker->policy->explain && requester->connection != NONE &&
           broker->connections.table[requester->connection].version == 2;
}

void request_refuse(struct broker *broker, const struct requester *requester, enum reason reason,
                    const char *detail, uint32_t rule, const struct wire_request *request,
                    const char *explanation)
{
    struct audit_request asked = {0};
    char buffer[REASON_TEXT_MAX];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    text_append(&text, reasons[reason].text);
    if (text.length > 0 && buffer[text.length - 1] == ' ')
        text_append(&text, detail ? detail : "unknown");
    if (request) {
        asked.arguments = request->arguments;
        asked.argument_count = request->argument_count;
    }
    broker->statistics.refused[reason]++;
    uint64_t call = requester->call ? requester->call : audit_next_call(&broker->audit);
    audit_reject(&broker->audit, call, &requester->peer, rule, &asked, buffer);
    if (requester->connection == NONE)
        return;
    if (!requester_reads_text(broker, requester))
        explanation = "";
    else if (!explanation)
        explanation = buffer;
    connection_answer(broker, requester->connection, reasons[reason].status, explanation,
                      (uint32_t)strlen(explanation));
}

/* ---- deciding -------------------------------------------------------------------------------- */

/* Whether an argument holds what `refuse` (a mask of REFUSE_*) names. The bytes are UTF-8. */
static bool argument_is_unsafe(const struct policy_bytes *argument, uint32_t refuse)
{
    for (size_t at = 0; at < argument->length;) {
        uint32_t scalar = 0;
        size_t size = utf8_read(argument->bytes + at, argument->length - at, &scalar);
        if (size == 0)
            return true;
        if ((refuse & REFUSE_CONTROL) && scalar != '\t' && utf8_is_control(scalar))
            return true;
        if ((refuse & REFUSE_SHELL) && scalar < 0x80 && strchr(";|&$`", (int)scalar))
            return true;
        at += size;
    }
    return false;
}

static bool request_is_unsafe(const struct wire_request *request, uint32_t refuse)
{
    for (uint32_t i = 0; refuse != 0 && i < request->argument_count; i++)
        if (argument_is_unsafe(&request->arguments[i], refuse))
            return true;
    return false;
}

/* A verdict that is not POLICY_YES, as a reason with its detail. */
static enum reason verdict_reason(const struct policy *policy,
                                  const struct policy_decision *decision, struct text *detail)
{
    switch (decision->verdict) {
    case POLICY_OPTION_LIKE:
        text_append(detail, "rule at line ");
        text_append_unsigned(detail, policy->lines[decision->rule]);
        text_append(detail, ", slot #");
        text_append(detail, policy->rules[decision->rule].slots[decision->slot].name);
        return REASON_OPTION_LIKE;
    case POLICY_TOO_LONG:
        return REASON_VALUE_TOO_LONG;
    case POLICY_PATTERN_LIMIT:
        return REASON_PATTERN_LIMIT;
    default:
        return REASON_NO_RULE;
    }
}

/* The rule that takes the request's argv, or a refusal. */
static bool request_match(struct broker *broker, const struct requester *requester,
                          const struct wire_request *request, uint32_t *rule)
{
    const struct policy *policy = broker->policy;
    struct policy_request asked = {.count = request->argument_count,
                                   .arguments = request->arguments,
                                   .expansions = broker->expansions};
    char detail_buffer[REASON_TEXT_MAX];
    char buffer[EXPLANATION_MAX];
    struct text detail, text;

    if (request_is_unsafe(request, broker->refuse_everywhere)) {
        request_refuse(broker, requester, REASON_UNSAFE_ARGV, NULL, AUDIT_NO_RULE, request,
                       "an argument holds a character that these rules refuse everywhere");
        return false;
    }
    struct policy_decision decision = policy->match(&asked);
    assert(decision.verdict == POLICY_NO || decision.rule < policy->rule_count);
    *rule = decision.verdict == POLICY_NO ? AUDIT_NO_RULE : decision.rule;
    if (decision.verdict == POLICY_YES) {
        if (!request_is_unsafe(request, policy->rules[*rule].attributes->refuse))
            return true;
        request_refuse(broker, requester, REASON_UNSAFE_ARGV, NULL, *rule, request,
                       "an argument holds a character that this rule refuses");
        return false;
    }
    text_start(&detail, detail_buffer, sizeof(detail_buffer));
    enum reason reason = verdict_reason(policy, &decision, &detail);
    text_start(&text, buffer, sizeof(buffer));
    if (requester_reads_text(broker, requester))
        explain_decision(&text, policy, &asked, &decision);
    request_refuse(broker, requester, reason, detail_buffer, *rule, request, buffer);
    return false;
}

static bool value_has_control(const struct policy_bytes *value)
{
    return argument_is_unsafe(value, REFUSE_CONTROL);
}

/* What a caller sent besides argv, as a rule's `env_from_caller` or `cwd_from_caller` sees it. */
static enum policy_verdict caller_value_take(const struct policy_caller_variable *variable,
                                             const struct policy_bytes *value)
{
    if (!variable->accept)
        return value_has_control(value) ? POLICY_NO : POLICY_YES;
    return variable->accept(value->bytes, value->length);
}

static bool request_check_cwd(struct broker *broker, const struct requester *requester,
                              const struct wire_request *request, uint32_t rule)
{
    const struct policy_caller_variable *allowed =
        broker->policy->rules[rule].attributes->caller_cwd;

    if (request->cwd.length == 0)
        return true;
    const char *problem = NULL;
    if (!allowed)
        problem = "this rule does not let the caller choose the working directory";
    else if (!path_is_plain(request->cwd.bytes))
        problem = "the working directory is not an absolute path without \"..\"";
    else if (caller_value_take(allowed, &request->cwd) != POLICY_YES)
        problem = "the rule's cwd_from_caller does not accept this working directory";
    if (!problem)
        return true;
    request_refuse(broker, requester, REASON_CWD_NOT_ALLOWED, NULL, rule, request, problem);
    return false;
}

static bool request_check_environment(struct broker *broker, const struct requester *requester,
                                      const struct wire_request *request, uint32_t rule)
{
    struct policy_bytes refused = {"", 0};
    char buffer[REASON_TEXT_MAX];
    struct text name;

    text_start(&name, buffer, sizeof(buffer));
    enum environment_result result = environment_build(
        &broker->environment, broker->policy->rules[rule].attributes, broker->variables,
        broker->path, request->variables, request->variable_count, &refused);
    switch (result) {
    case ENVIRONMENT_OK:
        return true;
    case ENVIRONMENT_TOO_MANY:
        request_refuse(broker, requester, REASON_SPAWN, "environment: too large", rule, request,
                       NULL);
        return false;
    case ENVIRONMENT_NOT_ALLOWED:
    case ENVIRONMENT_VALUE:
        break;
    }
    text_append_bytes(&name, refused.bytes, refused.length);
    request_refuse(broker, requester,
                   result == ENVIRONMENT_VALUE ? REASON_ENV_VALUE : REASON_ENV_NOT_ALLOWED, buffer,
                   rule, request, NULL);
    return false;
}

bool request_decide(struct broker *broker, const struct requester *requester,
                    const struct wire_request *request, uint32_t *rule)
{
    return request_match(broker, requester, request, rule) &&
           request_check_environment(broker, requester, request, *rule) &&
           request_check_cwd(broker, requester, request, *rule);
}

/* ---- handling -------------------------------------------------------------------------------- */

static bool peer_is_allowed(const struct broker *broker, const struct audit_peer *peer)
{
    if (broker->allowed_uid_count == 0)
        return true;
    for (uint32_t i = 0; i < broker->allowed_uid_count; i++)
        if (broker->allowed_uids[i] == peer->uid)
            return true;
    return false;
}

/* Refuses whoever may not ask for anything. True if the request may go on. */
static bool requester_check(struct broker *broker, const struct requester *requester,
                            const struct wire_request *request)
{
    const struct connection *connection = &broker->connections.table[requester->connection];
    const struct wire_request *decoded = request->type == WIRE_CALL ? request : NULL;

    if (!requester->peer.known)
        request_refuse(broker, requester, REASON_PEER_UNKNOWN, NULL, AUDIT_NO_RULE, decoded, NULL);
    else if (!peer_is_allowed(broker, &requester->peer))
        request_refuse(broker, requester, REASON_PEER_UID, NULL, AUDIT_NO_RULE, decoded, NULL);
    else if (connection->surplus || broker->stopping)
        request_refuse(broker, requester, REASON_BUSY, NULL, AUDIT_NO_RULE, decoded, NULL);
    else
        return true;
    return false;
}

/* The decoder's "proto: ..." without that, for the reason's detail. */
static const char *proto_detail(const char *reason)
{
    const char *prefix = reasons[REASON_PROTO].text;
    size_t length = strlen(prefix);

    return strncmp(reason, prefix, length) == 0 ? reason + length : reason;
}

static void request_list(struct broker *broker, const struct requester *requester)
{
    uint32_t version = broker->connections.table[requester->connection].version;
    struct text text;

    text_start(&text, broker->reply, (version == 1 ? WIRE_TEXT_MAX_1 : WIRE_TEXT_MAX_2) + 1);
    listing_write(&text, broker->policy);
    if (text.truncated)
        connection_answer(broker, requester->connection, WIRE_TOO_LARGE, "", 0);
    else
        connection_answer(broker, requester->connection, WIRE_OK, text.bytes,
                          (uint32_t)text.length);
}

/* A CALL whose answer goes to requester->connection. */
static void request_call(struct broker *broker, struct requester *requester,
                         struct wire_request *request, int *descriptors)
{
    uint32_t rule;

    if (request->body_at >= 0) {
        enum wire_status status = wire_body_read(request, descriptors[request->body_at],
                                                 broker->frame, WIRE_REQUEST_MAX + 1);
        if (status != WIRE_OK) {
            request_refuse(broker, requester, REASON_PROTO, proto_detail(request->reason),
                           AUDIT_NO_RULE, NULL, NULL);
            return;
        }
    }
    if (broker->connections.table[requester->connection].call != NONE) {
        request_refuse(broker, requester, REASON_PROTO, "a call is running on this connection",
                       AUDIT_NO_RULE, request, NULL);
        return;
    }
    if (request_decide(broker, requester, request, &rule))
        calls_admit(broker, requester, request, rule, descriptors);
}

/* Lets the answer go to the `reply` that came along. False if the request has been refused. */
static bool requester_redirect(struct broker *broker, struct requester *requester,
                               const struct wire_request *request, int *descriptors)
{
    bool full;

    if (request->reply_at < 0)
        return true;
    broker->connections.table[requester->connection].shared = true;
    uint32_t reply = connection_adopt_reply(
        broker, requester->connection, descriptor_steal(&descriptors[request->reply_at]), &full);
    if (reply == NONE) {
        request_refuse(broker, requester, full ? REASON_BUSY : REASON_PROTO,
                       "the reply is neither an AF_UNIX socket nor a pipe to write to",
                       AUDIT_NO_RULE, NULL, NULL);
        return false;
    }
    requester->connection = reply;
    return true;
}

/* A frame that is well-formed, as far as it has been read. */
static void request_dispatch(struct broker *broker, struct requester *requester,
                             struct wire_request *request, int *descriptors)
{
    uint32_t index = requester->connection;

    if (request->type == WIRE_SIGNAL) {
        /* It may come just after its call has ended: then it is nobody's. */
        uint32_t call = broker->connections.table[index].call;
        if (call != NONE)
            call_forward_signal(broker, call, request->signal);
        return;
    }
    if (broker->connections.table[index].reply_end) {
        requester->connection = NONE;
        request_refuse(broker, requester, REASON_PROTO, "only signals may come on a reply",
                       AUDIT_NO_RULE, NULL, NULL);
        return;
    }
    if (!requester_redirect(broker, requester, request, descriptors) ||
        !requester_check(broker, requester, request))
        return;
    if (request->type == WIRE_CALL)
        request_call(broker, requester, request, descriptors);
    else if (request->type == WIRE_LIST)
        request_list(broker, requester);
    else
        connection_answer(broker, requester->connection, WIRE_OK, "", 0);
}

void request_handle(struct broker *broker, uint32_t index, enum message_result result,
                    struct message *message)
{
    struct connection *connection = &broker->connections.table[index];
    struct wire_request *request = &broker->request;
    struct requester requester = {
        .peer = connection->peer, .connection = index, .account = connection->account};

    enum wire_status status =
        wire_request_decode(request, broker->frame, message->length, message->count);
    if (connection->version == 0)
        connection->version = (uint8_t)request->version;
    if (result == MESSAGE_DESCRIPTORS_LOST) {
        pool_relieve(broker);
        request_refuse(broker, &requester, REASON_BUSY, NULL, AUDIT_NO_RULE, NULL,
                       closers_are_exhausted(broker)
                           ? "files of earlier callers are still being closed; try again later"
                           : "the broker has no descriptors left");
    } else if (status != WIRE_OK || request->version != connection->version) {
        if (connection->reply_end)
            requester.connection = NONE; /* an answer would be taken for the call's */
        request_refuse(broker, &requester, status == WIRE_FDS ? REASON_WRONG_FD_COUNT : REASON_PROTO,
                       status == WIRE_OK ? "the version changed" : proto_detail(request->reason),
                       AUDIT_NO_RULE, NULL, NULL);
    } else {
        assert(result == MESSAGE_RECEIVED);
        request_dispatch(broker, &requester, request, message->descriptors);
    }
    closers_take(broker, message->descriptors, message->count);
}
