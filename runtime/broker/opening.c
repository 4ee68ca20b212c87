#define _GNU_SOURCE 1 /* O_PATH */

#include "runtime/broker/opening.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/match.h"
#include "runtime/broker/paths.h"
#include "runtime/shared/descriptors.h"

/* One under way. */
struct work {
    const struct opening_order *order;
    const struct policy_rule *rule;
    struct opening *opening;
    bool may_wait;
};

/* Returns false: what has been found out ends it. */
static bool work_refuse(struct work *work, enum reason reason, const char *text)
{
    work->opening->refused = true;
    work->opening->reason = reason;
    if (text != work->opening->failure.text)
        failure_set(&work->opening->failure, 0, "%s", text);
    return false;
}

static int directory_open(const struct work *work, const char *path)
{
    return work->may_wait ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : path_open_cached(path);
}

/* The working directory: the caller's choice, which the request's checks have allowed, the rule's,
 * or the broker's. A rule's directory that cannot be opened ends the call with exit code 126, as a
 * shell's cd would; a caller's is refused. */
static bool open_directory(struct work *work)
{
    struct opening *opening = work->opening;
    const struct policy_template *cwd = &work->rule->attributes->cwd;
    const struct policy_bytes *asked = &work->order->request->cwd;

    if (asked->length > 0) {
        opening->directory =
            work->may_wait ? path_open_caller_directory(asked->bytes, &opening->failure)
                           : path_open_caller_directory_cached(asked->bytes);
        if (opening->directory < 0)
            return work_refuse(work, REASON_CWD_NOT_ALLOWED, opening->failure.text);
        memcpy(opening->directory_path, asked->bytes, asked->length + 1);
        return true;
    }
    if (!template_is_set(cwd))
        return true;
    if (template_expand(cwd, &work->order->broker->templates, &work->order->values,
                        opening->directory_path, sizeof(opening->directory_path),
                        &opening->failure) < 0) {
        opening->directory_error = ENAMETOOLONG;
        return true;
    }
    opening->directory = directory_open(work, opening->directory_path);
    if (opening->directory < 0)
        opening->directory_error = errno;
    return work->may_wait || opening->directory >= 0;
}

/* The path of the directory that a grant's values lie beneath. */
static bool base_find(struct work *work, const struct policy_grant *grant, char base[PATH_MAX])
{
    struct opening *opening = work->opening;

    if (template_is_set(&grant->path)) {
        if (template_expand(&grant->path, &work->order->broker->templates, &work->order->values,
                            base, PATH_MAX, &opening->failure) < 0)
            return work_refuse(work, REASON_CONFINE, opening->failure.text);
    } else if (opening->directory >= 0) {
        memcpy(base, opening->directory_path, PATH_MAX);
    } else {
        memcpy(base, work->order->broker->directory, PATH_MAX);
    }
    return true;
}

/* Opens the files that one `fs_* = #slot` names, for this call alone. */
static bool open_grant(struct work *work, const struct policy_grant *grant)
{
    struct opening *opening = work->opening;
    struct policy_request asked = {.count = work->order->request->argument_count,
                                   .arguments = work->order->request->arguments,
                                   .expansions = work->order->broker->expansions};
    struct policy_bytes values[WORKER_GRANTS_MAX];
    char base_path[PATH_MAX];

    uint32_t room = WORKER_GRANTS_MAX - opening->grant_count;
    int64_t count = match_slot_values(work->rule, &asked, grant->slot, values, room);
    if (count < 0 || count > room)
        return work_refuse(work, REASON_CONFINE, "more files than one call can be given");
    if (!base_find(work, grant, base_path))
        return false;
    cleanup_fd int base = directory_open(work, base_path);
    if (base < 0)
        return work_refuse(work, REASON_CONFINE, "the directory that holds its files is gone");
    for (int64_t i = 0; i < count; i++) {
        const struct policy_bytes *value = &values[i];
        int file = work->may_wait
                       ? path_open_beneath(base, base_path, value->bytes, value->length,
                                           &opening->failure)
                       : path_open_beneath_cached(base, base_path, value->bytes, value->length);
        int error = work->may_wait ? opening->failure.error : errno;
        if (file < 0 && error == ENOENT && grant->optional)
            continue;
        if (file < 0)
            return work_refuse(work, REASON_CONFINE, opening->failure.text);
        opening->grants[opening->grant_count] = file;
        opening->grant_access[opening->grant_count++] = (uint8_t)grant->access;
    }
    return true;
}

static bool open_all(const struct opening_order *order, struct opening *opening, bool may_wait)
{
    const struct policy_rule *rule = &order->broker->policy->rules[order->rule];
    struct work work = {.order = order, .rule = rule, .opening = opening, .may_wait = may_wait};
    const struct policy_confinement *confinement = rule->confinement;

    opening->directory = -1;
    opening->directory_error = 0;
    opening->grant_count = 0;
    opening->refused = false;
    opening->failure.text[0] = '\0';
    bool opened = open_directory(&work);
    for (uint32_t i = 0; opened && i < confinement->grant_count; i++)
        if (confinement->grants[i].kind == GRANT_SLOT)
            opened = open_grant(&work, &confinement->grants[i]);
    if (!opened)
        opening_release(opening);
    return opened;
}

bool opening_try(const struct opening_order *order, struct opening *opening)
{
    return open_all(order, opening, false);
}

void opening_make(const struct opening_order *order, struct opening *opening)
{
    open_all(order, opening, true);
}

void opening_release(struct opening *opening)
{
    descriptor_close(&opening->directory);
    descriptors_close(opening->grants, opening->grant_count);
    opening->grant_count = 0;
}
