#include "runtime/broker/template.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "runtime/broker/paths.h"
#include "runtime/shared/io.h"

/* ---- the broker's environment ---------------------------------------------------------------- */

static const char *variable_find(char *const *variables, const char *name)
{
    size_t length = strlen(name);
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
            return *variables + length + 1;
    return "";
}

/* `value`, or `home` and `below` when it is empty; "" when it does not fit a path. */
static void variable_copy(char *place, const char *value, const char *home, const char *below)
{
    struct text text;
    text_start(&text, place, TEMPLATE_PATH_MAX);
    if (*value != '\0') {
        text_append(&text, value);
    } else if (*home != '\0') {
        text_append(&text, home);
        text_append(&text, below);
    }
    if (text.truncated)
        place[0] = '\0';
}

void template_environment_read(struct template_environment *environment, char *const *variables)
{
    variable_copy(environment->home, variable_find(variables, "HOME"), "", "");
    variable_copy(environment->runtime, variable_find(variables, "XDG_RUNTIME_DIR"), "", "");
    variable_copy(environment->state, variable_find(variables, "XDG_STATE_HOME"), environment->home,
                  "/.local/state");
    variable_copy(environment->config, variable_find(variables, "XDG_CONFIG_HOME"),
                  environment->home, "/.config");
}

/* ---- pieces ---------------------------------------------------------------------------------- */

bool template_is_per_call(const struct policy_template *template)
{
    for (uint32_t i = 0; i < template->count; i++)
        if (template->pieces[i].kind >= TEMPLATE_CALL)
            return true;
    return false;
}

/* The variable that a piece stands for: its value, and its name for messages; NULL for other kinds.
 */
static const char *piece_variable(const struct template_environment *environment,
                                  enum policy_template_kind kind, const char **name)
{
    switch (kind) {
    case TEMPLATE_HOME:
        *name = "HOME";
        return environment->home;
    case TEMPLATE_XDG_RUNTIME_DIR:
        *name = "XDG_RUNTIME_DIR";
        return environment->runtime;
    case TEMPLATE_XDG_STATE_HOME:
        *name = "XDG_STATE_HOME (or HOME)";
        return environment->state;
    case TEMPLATE_XDG_CONFIG_HOME:
        *name = "XDG_CONFIG_HOME (or HOME)";
        return environment->config;
    default:
        return NULL;
    }
}

/* YYYY-MM-DD, UTC. A clock beyond the year 9999 is held there, so that the length is always 10. */
static void date_append(struct text *text, uint64_t realtime_ms)
{
    time_t seconds = (time_t)(realtime_ms / 1000);
    struct tm date;
    if (gmtime_r(&seconds, &date) == NULL || date.tm_year > 9999 - 1900)
        date = (struct tm){.tm_year = 9999 - 1900, .tm_mon = 11, .tm_mday = 31};
    const int parts[] = {date.tm_year + 1900, date.tm_mon + 1, date.tm_mday};
    for (unsigned i = 0; i < 3; i++) {
        if (i > 0)
            text_append_char(text, '-');
        for (int digits = i == 0 ? 1000 : 10; digits > 0; digits /= 10)
            text_append_char(text, (char)('0' + parts[i] / digits % 10));
    }
}

/* A piece of the call as text. */
static void piece_append(struct text *text, enum policy_template_kind kind,
                         const struct template_call *call)
{
    switch (kind) {
    case TEMPLATE_CALL:
        text_append_unsigned(text, call->call);
        return;
    case TEMPLATE_PID:
        text_append_signed(text, call->pid);
        return;
    case TEMPLATE_UID:
        text_append_unsigned(text, call->uid);
        return;
    case TEMPLATE_RULE:
        text_append_unsigned(text, call->line);
        return;
    case TEMPLATE_TS:
        text_append_unsigned(text, call->realtime_ms / 1000);
        return;
    case TEMPLATE_TS_MS:
        text_append_unsigned(text, call->realtime_ms);
        return;
    default: /* TEMPLATE_DATE */
        date_append(text, call->realtime_ms);
        return;
    }
}

/* ---- expanding ------------------------------------------------------------------------------- */

ssize_t template_expand(const struct policy_template *template,
                        const struct template_environment *environment,
                        const struct template_call *call, char *path, size_t size,
                        struct failure *failure)
{
    struct text text;
    text_start(&text, path, size);
    for (uint32_t i = 0; i < template->count; i++) {
        const struct policy_template_piece *piece = &template->pieces[i];
        const char *name = NULL;
        const char *value = piece_variable(environment, piece->kind, &name);
        if (value != NULL && *value == '\0')
            return failure_set(failure, 0, "%s is not set in the broker's environment", name);
        if (value != NULL && *value != '/')
            return failure_set(failure, 0, "%s is not an absolute path: %s", name, value);
        if (value == NULL && piece->kind != TEMPLATE_TEXT && call == NULL)
            return failure_set(failure, 0, "a value of the call (#$...) has no meaning here");
        if (value != NULL)
            text_append(&text, value);
        else if (piece->kind == TEMPLATE_TEXT)
            text_append(&text, piece->text);
        else
            piece_append(&text, piece->kind, call);
    }
    if (text.truncated)
        return failure_set(failure, ENAMETOOLONG, "longer than %zu bytes", size - 1);
    if (!path_is_plain(path))
        return failure_set(failure, 0, "not an absolute path without \"..\": %s", path);
    return (ssize_t)text.length;
}

int template_check(const struct policy_template *template,
                   const struct template_environment *environment, const char *what,
                   struct failure *failure)
{
    /* Digits only, each as long as it can be. */
    static const struct template_call longest = {.call = UINT64_MAX,
                                                 .pid = INT32_MAX,
                                                 .uid = UINT32_MAX,
                                                 .line = UINT32_MAX,
                                                 .realtime_ms = UINT64_MAX};
    char path[TEMPLATE_PATH_MAX];
    struct failure why;
    if (template_expand(template, environment, &longest, path, sizeof path, &why) < 0)
        return failure_set(failure, why.error, "%s: %s", what, why.text);
    return 0;
}
