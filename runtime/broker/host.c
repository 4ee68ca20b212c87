#define _GNU_SOURCE 1 /* O_PATH */

#include "runtime/broker/host.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/paths.h"
#include "runtime/broker/pcre2.h"
#include "runtime/broker/resolve.h"
#include "runtime/broker/users.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/format.h"

#define NO_CONFINEMENT UINT32_MAX
#define PASSWD "/etc/passwd"

void host_tell(struct host_report *report, enum confinement_gravity gravity, const char *format, ...)
{
    char line[FAILURE_TEXT_MAX];
    struct text text;
    va_list arguments;

    text_start(&text, line, sizeof(line));
    va_start(arguments, format);
    text_append_list(&text, format, arguments);
    va_end(arguments);
    report->errors += gravity == CONFINEMENT_ERROR;
    report->missing += gravity == CONFINEMENT_MISSING;
    report->tell(report->context, NO_CONFINEMENT, gravity, line);
}

/* What confinement_prepare says goes through here, to be counted. */
static void confinement_told(void *context, uint32_t confinement, enum confinement_gravity gravity,
                             const char *text)
{
    struct host_report *report = context;

    report->errors += gravity == CONFINEMENT_ERROR;
    report->missing += gravity == CONFINEMENT_MISSING;
    report->tell(report->context, confinement, gravity, text);
}

/* Memory for what lives as long as the broker. Start-up only. */
static void *start_allocate(size_t count, size_t size, struct host_report *report)
{
    void *memory = calloc(count > 0 ? count : 1, size);

    if (!memory)
        host_tell(report, CONFINEMENT_ERROR, "out of memory");
    return memory;
}

/* ---- templates ------------------------------------------------------------------------------- */

static void template_require(const struct broker *broker, const struct policy_template *template,
                             const char *what, struct host_report *report)
{
    struct failure failure;

    if (template_is_set(template) &&
        template_check(template, &broker->templates, what, &failure) < 0)
        host_tell(report, CONFINEMENT_ERROR, "%s", failure.text);
}

static void rule_templates_require(const struct broker *broker, uint32_t rule,
                                   struct host_report *report)
{
    const struct policy_attributes *attributes = broker->policy->rules[rule].attributes;
    const struct {
        const struct policy_template *template;
        const char *key;
    } all[] = {
        {&attributes->cwd, "cwd"},
        {&attributes->stdoutfile, "stdoutfile"},
        {&attributes->stderrfile, "stderrfile"},
    };
    char buffer[FAILURE_TEXT_MAX];
    struct text what;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!template_is_set(all[i].template))
            continue;
        text_start(&what, buffer, sizeof(buffer));
        text_append_format(&what, "%s:%u: %s", broker->policy->file,
                           (unsigned)broker->policy->lines[rule], all[i].key);
        template_require(broker, all[i].template, buffer, report);
    }
}

static void templates_require(const struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;

    template_require(broker, &policy->logfile, "logfile", report);
    if (!broker->options.socket)
        template_require(broker, &policy->socket, "socket", report);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        /* Rules that share their attributes would say the same thing again. */
        if (i == 0 || policy->rules[i].attributes != policy->rules[i - 1].attributes)
            rule_templates_require(broker, i, report);
    }
}

/* The values of `$HOME/...` literals. */
static void expansions_make(struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    char path[TEMPLATE_PATH_MAX];
    struct failure failure;

    broker->expansions = start_allocate(policy->expansion_count, sizeof(*broker->expansions), report);
    for (uint32_t i = 0; broker->expansions && i < policy->expansion_count; i++) {
        ssize_t length = template_expand(&policy->expansions[i], &broker->templates, NULL, path,
                                         sizeof(path), &failure);
        if (length < 0) {
            host_tell(report, CONFINEMENT_ERROR, "a rule's $HOME/...: %s", failure.text);
            continue;
        }
        char *copy = start_allocate((size_t)length + 1, 1, report);
        if (copy)
            memcpy(copy, path, (size_t)length + 1);
        broker->expansions[i] = (struct policy_bytes){copy, copy ? (uint32_t)length : 0};
    }
}

/* ---- users, confinement ---------------------------------------------------------------------- */

static void users_find(struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    struct failure failure;

    broker->allowed_uids =
        start_allocate(policy->allow_uid_count, sizeof(*broker->allowed_uids), report);
    for (uint32_t i = 0; broker->allowed_uids && i < policy->allow_uid_count; i++) {
        const struct policy_user *user = &policy->allow_uid[i];
        uint32_t uid = user->uid;
        if (user->name && user_find(PASSWD, user->name, &uid, &failure) < 0) {
            host_tell(report, CONFINEMENT_ERROR, "allow_uid: %s", failure.text);
            continue;
        }
        broker->allowed_uids[broker->allowed_uid_count++] = uid;
    }
}

static const char *value_or_null(const char *value)
{
    return value[0] != '\0' ? value : NULL;
}

static void confinements_prepare(struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    const struct confinement_values values = {
        .home = value_or_null(broker->templates.home),
        .runtime_directory = value_or_null(broker->templates.runtime),
        .state_home = value_or_null(broker->templates.state),
        .config_home = value_or_null(broker->templates.config),
    };

    broker->setups = start_allocate(policy->confinement_count, sizeof(*broker->setups), report);
    for (uint32_t i = 0; broker->setups && i < policy->confinement_count; i++) {
        uint32_t missing = report->missing, errors = report->errors;
        broker->setups[i] = confinement_prepare(policy, i, &broker->host, &values, confinement_told,
                                                report);
        if (!broker->setups[i] && report->missing == missing && report->errors == errors)
            host_tell(report, CONFINEMENT_ERROR, "confinement %s cannot be made ready",
                      policy->confinements[i]->name);
    }
    if (policy->confine_strict)
        report->errors += report->missing;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static uint32_t refuse_everywhere(const struct policy *policy)
{
    uint32_t refuse = policy->rule_count > 0 ? UINT32_MAX : 0;

    for (uint32_t i = 0; i < policy->rule_count; i++)
        refuse &= policy->rules[i].attributes->refuse;
    return refuse;
}

static const char *variable_value(char *const *variables, const char *name)
{
    size_t length = strlen(name);

    for (; *variables; variables++)
        if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
            return *variables + length + 1;
    return NULL;
}

void host_prepare_matching(struct broker *broker, char *const *variables,
                           struct host_report *report)
{
    const struct policy *policy = broker->policy;
    struct failure failure;

    if (policy->contract != POLICY_CONTRACT) {
        host_tell(report, CONFINEMENT_ERROR,
                  "compiled for contract %u, linked with a runtime for contract %u",
                  (unsigned)policy->contract, POLICY_CONTRACT);
        return;
    }
    broker->variables = variables;
    broker->path = variable_value(variables, "PATH");
    if (!getcwd(broker->directory, sizeof(broker->directory)))
        broker->directory[0] = '\0';
    broker->refuse_everywhere = refuse_everywhere(policy);
    if (policy->pcre2_count > 0 &&
        (!pcre2_prepare || pcre2_prepare(policy, &failure) < 0)) {
        host_tell(report, CONFINEMENT_ERROR, "engine = pcre2: %s",
                  pcre2_prepare ? failure.text : "this broker was linked without it");
        return;
    }
    template_environment_read(&broker->templates, variables);
    expansions_make(broker, report);
}

void host_prepare(struct broker *broker, char *const *variables, struct host_report *report)
{
    host_prepare_matching(broker, variables, report);
    if (report->errors > 0)
        return;
    confinement_host_begin(&broker->host, broker->policy); /* its prober takes longer than the rest */
    templates_require(broker, report);
    users_find(broker, report);
    confinements_prepare(broker, report);
}

int host_socket_path(const struct broker *broker, char *path, size_t size, bool *create,
                     struct host_report *report)
{
    struct failure failure;
    struct text text;

    text_start(&text, path, size);
    *create = false;
    if (broker->options.socket && broker->options.socket[0] == '/') {
        text_append(&text, broker->options.socket);
    } else if (broker->options.socket) {
        text_append_format(&text, "%s/%s", broker->directory, broker->options.socket);
    } else if (template_is_set(&broker->policy->socket)) {
        *create = true;
        ssize_t length = template_expand(&broker->policy->socket, &broker->templates, NULL, path,
                                         size, &failure);
        if (length < 0) {
            host_tell(report, CONFINEMENT_ERROR, "socket: %s", failure.text);
            return -1;
        }
        return (int)length;
    } else {
        *create = true;
        if (broker->templates.runtime[0] == '\0') {
            host_tell(report, CONFINEMENT_ERROR,
                      "XDG_RUNTIME_DIR is not set: say where the socket is to be with --socket");
            return -1;
        }
        text_append_format(&text, "%s/sluice/%s.sock", broker->templates.runtime,
                           broker->policy->name);
    }
    if (text.truncated) {
        host_tell(report, CONFINEMENT_ERROR, "socket: the path is too long");
        return -1;
    }
    return (int)text.length;
}

void host_check_self(const struct broker *broker, struct host_report *report)
{
    enum confinement_gravity gravity =
        broker->policy->audit_strict ? CONFINEMENT_ERROR : CONFINEMENT_NOTE;
    struct stat status;

    if (stat("/proc/self/exe", &status) < 0) {
        host_tell(report, CONFINEMENT_NOTE, "cannot look at this executable: %s", strerror(errno));
        return;
    }
    if (status.st_uid != 0 && status.st_uid != geteuid())
        host_tell(report, gravity, "this executable belongs to uid %u, who can change it",
                  (unsigned)status.st_uid);
    if ((status.st_mode & S_IWOTH) != 0)
        host_tell(report, gravity, "this executable can be written by everybody: chmod o-w it");
    else if ((status.st_mode & S_IWGRP) != 0)
        host_tell(report, CONFINEMENT_NOTE,
                  "this executable can be written by its group: chmod g-w it, unless that group is "
                  "yours alone");
}

/* ---- check-host ------------------------------------------------------------------------------ */

/* Whether running the file would give it rights that no_new_privs takes away. */
static bool file_raises_privileges(int file)
{
    char link[64], value[64];
    struct text text;
    struct stat status;

    if (fstat(file, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0)
        return true;
    text_start(&text, link, sizeof(link));
    text_append_format(&text, "/proc/self/fd/%d", file);
    return getxattr(link, "security.capability", value, sizeof(value)) > 0; /* capabilities(7) */
}

/* The name or path that a rule runs; NULL when its variable is not set. */
static const char *rule_program(const struct broker *broker, const struct policy_rule *rule)
{
    const struct policy_token *token = &rule->tokens[0];
    return token->kind == TOKEN_EXPANSION ? broker->expansions[token->expansion].bytes
                                          : token->pieces[0].literal.bytes;
}

/* `*failure` says why it was not found. */
static bool program_check_privileges(struct broker *broker, uint32_t index,
                                     struct host_report *report, struct failure *failure)
{
    const struct policy *policy = broker->policy;
    const struct policy_rule *rule = &policy->rules[index];
    struct resolved resolved = {.descriptor = -1};

    if (resolve_executable(rule_program(broker, rule),
                           environment_exec_path(rule->attributes, broker->path), &resolved,
                           failure) < 0)
        return false;
    if (!rule->confinement->new_privs && file_raises_privileges(resolved.descriptor))
        host_tell(report, CONFINEMENT_NOTE,
                  "%s:%u: %s raises its privileges when run, which no_new_privs prevents; "
                  "the rule needs new_privs = allow",
                  policy->file, (unsigned)policy->lines[index], resolved.path);
    descriptor_close(&resolved.descriptor);
    return true;
}

/* Programs that a start looks at; check-host looks at all. A start must not take long. */
#define PROGRAMS_AT_START_MAX 1024u

void host_check_privileges(struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    const char *last_program = NULL, *last_path = NULL;
    uint32_t looked_at = 0;
    struct failure failure;

    for (uint32_t i = 0; i < policy->rule_count && looked_at < PROGRAMS_AT_START_MAX; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        const char *program = rule_program(broker, rule);
        const char *path = environment_exec_path(rule->attributes, broker->path);
        /* Rules for one program mostly stand together. */
        if (!program || rule->confinement->new_privs ||
            (last_program && strcmp(program, last_program) == 0 && path == last_path))
            continue;
        last_program = program;
        last_path = path;
        looked_at++;
        program_check_privileges(broker, i, report, &failure);
    }
}

static void program_check(struct broker *broker, uint32_t index, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    struct failure failure;

    if (rule_program(broker, &policy->rules[index]) &&
        !program_check_privileges(broker, index, report, &failure))
        host_tell(report, CONFINEMENT_NOTE, "%s:%u: %s", policy->file,
                  (unsigned)policy->lines[index], failure.text);
}

/* Whether the directory of a file is fit, as far as it exists. */
static void parent_check(const char *path, unsigned flags, const char *what,
                         enum confinement_gravity gravity, struct host_report *report)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct failure failure;

    if (!slash || (size_t)(slash - path) >= sizeof(parent))
        return;
    size_t length = slash > path ? (size_t)(slash - path) : 1;
    memcpy(parent, path, length);
    parent[length] = '\0';
    int directory = path_open_directory(parent, flags, &failure);
    if (directory < 0)
        host_tell(report, failure.error == ENOENT ? CONFINEMENT_NOTE : gravity, "%s: %s", what,
                  failure.text);
    descriptor_close(&directory);
}

void host_check_files(struct broker *broker, struct host_report *report)
{
    const struct policy *policy = broker->policy;
    char path[PATH_MAX];
    struct failure failure;
    bool create;

    for (uint32_t i = 0; i < policy->rule_count; i++)
        program_check(broker, i, report);
    if (host_socket_path(broker, path, sizeof(path), &create, report) >= 0)
        parent_check(path, PATH_PRIVATE, "socket",
                     policy->audit_strict ? CONFINEMENT_ERROR : CONFINEMENT_NOTE, report);
    /* As the trail itself names it at a start: values of the call are the broker's own. */
    struct template_call now = {
        .pid = getpid(), .uid = geteuid(), .realtime_ms = clock_wall_ms()};
    if (template_is_set(&policy->logfile) &&
        template_expand(&policy->logfile, &broker->templates, &now, path, sizeof(path), &failure) >=
            0)
        parent_check(path, 0, "logfile", CONFINEMENT_ERROR, report);
}
