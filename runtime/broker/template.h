/* Path templates: the contract's `struct policy_template` made into a path.
 *
 * Two steps. At start, template_environment_read takes HOME and the XDG directories from the
 * broker's environment, and template_check says whether a template can be expanded at all. Per
 * call, template_expand writes the path into the caller's buffer.
 *
 * A path that template_expand returns is absolute, has no ".." component and fits the buffer.
 * Nothing here allocates, and nothing touches the file system. */
#ifndef SLUICE_TEMPLATE_H
#define SLUICE_TEMPLATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/failure.h"
#include "runtime/include/policy.h"

#define TEMPLATE_PATH_MAX PATH_MAX /* the longest result, its NUL included */

/* What the broker's environment says, as it was at start. An empty string is an unset variable. */
struct template_environment {
    char home[TEMPLATE_PATH_MAX];
    char runtime[TEMPLATE_PATH_MAX]; /* XDG_RUNTIME_DIR */
    char state[TEMPLATE_PATH_MAX];   /* XDG_STATE_HOME, else HOME/.local/state */
    char config[TEMPLATE_PATH_MAX];  /* XDG_CONFIG_HOME, else HOME/.config */
};

/* What the call gives. */
struct template_call {
    uint64_t call;
    pid_t pid;            /* the peer's */
    uid_t uid;            /* the peer's */
    uint32_t line;        /* the rule's */
    uint64_t realtime_ms; /* Unix milliseconds: #$ts, #$ts_ms and #$date */
};

/* Copies the variables that templates can name out of `variables` ("NAME=value" strings, NULL at
 * the end: `environ`). A variable that is too long for a path counts as unset. */
void template_environment_read(struct template_environment *environment, char *const *variables);

static inline bool template_is_set(const struct policy_template *template)
{
    return template->pieces != NULL;
}

/* Whether `template` has a piece that differs from call to call (#$...). */
bool template_is_per_call(const struct policy_template *template);

/* Whether `template`, which must be set, can be expanded on this host: every variable that it names
 * is set and absolute, and the result with the longest values of a call fits. 0, or -1 with
 * `failure` naming the variable. `what` names the template for the message ("logfile", "rules:12:
 * cwd"). */
int template_check(const struct policy_template *template,
                   const struct template_environment *environment, const char *what,
                   struct failure *failure);

/* Expands `template`, which must be set, into `path` (`size` bytes, the NUL included). `call` may
 * be NULL where the language allows no #$ piece. Returns the length, or -1 with `failure` when a
 * variable is unset, the result is not absolute, has a ".." component or does not fit. */
ssize_t template_expand(const struct policy_template *template,
                        const struct template_environment *environment,
                        const struct template_call *call, char *path, size_t size,
                        struct failure *failure);

#endif
