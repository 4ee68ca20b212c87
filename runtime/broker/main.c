/* agent-broker: what a compiled rules file becomes.
 *
 * Runs as the user whose programs it starts; takes its command line and environment from whoever
 * starts it, who is trusted; see broker.h for the rest. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/confine.h"
#include "runtime/broker/explain.h"
#include "runtime/broker/host.h"
#include "runtime/broker/image.h"
#include "runtime/broker/json.h"
#include "runtime/broker/listing.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/server.h"
#include "runtime/broker/state.h"
#include "runtime/shared/utf8.h"

extern char **environ;

#define EXIT_UNFIT 1 /* check-host: cannot serve; match: no rule */
#define EXIT_USAGE 2

/* Room for output that is made in one piece, however large the policy. */
#define OUTPUT_MAX ((size_t)1 << 30)

static int output_write(const char *bytes, size_t length)
{
    int result = write_patiently(STDOUT_FILENO, bytes, length);

    if (result == 0)
        return 0;
    notice("standard output: %s", strerror(-result));
    return EXIT_USAGE;
}

/* Writes what one of the two makes of the policy: `as_text`, or with --json `as_json`. */
static int output_policy(const struct broker *broker,
                         void (*as_text)(struct text *, const struct policy *),
                         void (*as_json)(struct json *, const struct policy *))
{
    char *buffer = mmap(NULL, OUTPUT_MAX, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct text text;
    struct json json;

    if (buffer == MAP_FAILED) {
        notice("out of memory");
        return EXIT_USAGE;
    }
    if (broker->options.json) {
        json_init(&json, buffer, OUTPUT_MAX);
        as_json(&json, broker->policy);
        return output_write(buffer, json.length);
    }
    text_start(&text, buffer, OUTPUT_MAX);
    as_text(&text, broker->policy);
    return output_write(buffer, text.length);
}

static void tell_standard_output(void *context, uint32_t confinement,
                                 enum confinement_gravity gravity, const char *line)
{
    static const char *const words[] = {
        [CONFINEMENT_NOTE] = "note: ",
        [CONFINEMENT_MISSING] = "missing: ",
        [CONFINEMENT_ERROR] = "error: ",
    };
    const struct broker *broker = context;
    char buffer[2 * FAILURE_TEXT_MAX];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    text_append(&text, words[gravity]);
    if (confinement < broker->policy->confinement_count) {
        text_append(&text, broker->policy->confinements[confinement]->name);
        text_append(&text, ": ");
    }
    text_append(&text, line);
    text_append_char(&text, '\n');
    output_write(buffer, text.length);
}

static int command_check_host(struct broker *broker)
{
    struct host_report report = {.tell = tell_standard_output, .context = broker};

    host_prepare(broker, environ, &report);
    host_check_self(broker, &report);
    host_check_files(broker, &report);
    if (broker->options.takes_over != 0 && broker->options.takes_over != STATE_FORMAT)
        host_tell(&report, CONFINEMENT_ERROR,
                  "it reads the state of a running broker in format %u, not %u", STATE_FORMAT,
                  (unsigned)broker->options.takes_over);
    if (!confine_can_follow(broker->policy, broker->options.inherits))
        host_tell(&report, CONFINEMENT_ERROR,
                  "its rules ask for another confinement of the broker than the running one has, "
                  "and that cannot be taken back: restart it");
    return report.errors > 0 ? EXIT_UNFIT : 0;
}

static int command_match(struct broker *broker)
{
    struct host_report report = {.tell = tell_standard_output, .context = broker};
    char buffer[EXPLANATION_MAX];
    struct text text;

    if (broker->options.argument_count > WIRE_ARGUMENTS_MAX) {
        notice("more than %u arguments", WIRE_ARGUMENTS_MAX);
        return EXIT_USAGE;
    }
    for (uint32_t i = 0; i < broker->options.argument_count; i++) {
        const char *argument = broker->options.arguments[i];
        size_t length = strlen(argument);
        if (length > WIRE_REQUEST_MAX || !utf8_is_text(argument, length)) {
            notice("argument %u is too long, or not UTF-8", (unsigned)i);
            return EXIT_USAGE;
        }
        broker->arguments[i] = (struct policy_bytes){argument, (uint32_t)length};
    }
    host_prepare_matching(broker, environ, &report);
    if (report.errors > 0)
        return EXIT_USAGE;
    struct policy_request request = {.count = broker->options.argument_count,
                                     .arguments = broker->arguments,
                                     .expansions = broker->expansions};
    struct policy_decision decision = broker->policy->match(&request);
    text_start(&text, buffer, sizeof(buffer));
    if (decision.verdict == POLICY_YES) {
        explain_place(&text, broker->policy, decision.rule);
        text_append(&text, ": ");
        text_append(&text, broker->policy->rules[decision.rule].text);
    } else {
        explain_decision(&text, broker->policy, &request, &decision);
    }
    text_append_char(&text, '\n');
    int result = output_write(buffer, text.length);
    return result != 0 ? result : decision.verdict == POLICY_YES ? 0 : EXIT_UNFIT;
}

static int command_version(const struct broker *broker)
{
    char buffer[512];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    text_append(&text, broker->policy->name);
    text_append(&text, " (sluice " SLUICE_VERSION ", ");
    text_append(&text, broker->policy->file);
    text_append(&text, " sha256:");
    text_append(&text, broker->policy->sha256);
    text_append(&text, ")\n");
    return output_write(buffer, text.length);
}

static int command_run(struct broker *broker)
{
    switch (broker->options.command) {
    case COMMAND_SERVE:
        return server_run(broker, environ);
    case COMMAND_MATCH:
        return command_match(broker);
    case COMMAND_LIST:
        return output_policy(broker, listing_write, listing_write_json);
    case COMMAND_POLICY:
        return output_policy(broker, policy_write, policy_write_json);
    case COMMAND_CHECK_HOST:
        return command_check_host(broker);
    case COMMAND_VERSION:
        return command_version(broker);
    case COMMAND_HELP:
        break;
    }
    return output_write(options_help, strlen(options_help));
}

int main(int argc, char **argv)
{
    struct broker *broker = mmap(NULL, sizeof(*broker), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *word;
    int status = image_settle();

    if (broker == MAP_FAILED) {
        notice("out of memory");
        return EXIT_USAGE;
    }
    broker->policy = &sluice_policy;
    const char *problem = options_read(&broker->options, argc, argv, &word);
    if (problem) {
        notice("%s%s%s (--help says what there is)", problem, word ? ": " : "", word ? word : "");
        return EXIT_USAGE;
    }
    /* A successor has no way back here, and calls to go on with. */
    if (status < 0 && broker->options.resume < 0)
        return EXIT_USAGE;
    return command_run(broker);
}
