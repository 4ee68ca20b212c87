/* Requests: from a frame to a decision.
 *
 * Owns: the order of checks between decoding and starting. Never: starts, waits, or trusts: the
 * frame comes from a peer that may send anything; it has passed the decoder (shared/wire.h) when it
 * gets past the first check here.
 *
 * Every refusal is counted, audited with its reason and answered, in one place (request_refuse). */
#ifndef SLUICE_REQUEST_H
#define SLUICE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/broker/audit.h"
#include "runtime/broker/environment.h"
#include "runtime/include/policy.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/wire.h"

struct broker;

enum reason {
#define REASON(name, text, status) REASON_##name,
#include "runtime/broker/reasons.def"
#undef REASON
    REASON_COUNT
};

#define REASON_TEXT_MAX 512u /* bytes of a reason with its detail */

/* The text of a reason, without its detail. */
const char *reason_text(enum reason reason);

/* Who asked, and where the answer goes. */
struct requester {
    uint64_t call;       /* the number that its events bear; 0: none given out yet */
    struct audit_peer peer;
    uint32_t connection; /* NONE: nowhere, the caller has gone */
    uint32_t account;
};

/* Counts, audits and answers a refusal. `detail` follows the reason's text where that asks for one;
 * `explanation` is for the caller (NULL: the reason itself), and is not sent with `explain = off`.
 * `request` NULL: it could not be decoded. */
void request_refuse(struct broker *broker, const struct requester *requester, enum reason reason,
                    const char *detail, uint32_t rule, const struct wire_request *request,
                    const char *explanation);

/* Decides a decoded CALL: the rule, `refuse`, and what the caller sent besides argv. True with
 * `*rule` and broker->environment filled; else it has been refused. */
bool request_decide(struct broker *broker, const struct requester *requester,
                    const struct wire_request *request, uint32_t *rule);

/* Handles one message that came over connection `index`: decodes broker->frame and does what it
 * asks. The message's descriptors are taken, whatever happens. */
void request_handle(struct broker *broker, uint32_t index, enum message_result result,
                    struct message *message);

#endif
