#define _GNU_SOURCE 1 /* O_PATH */

#include "runtime/broker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/paths.h"
#include "runtime/broker/template.h"
#include "runtime/shared/descriptors.h"

/* ---- directories ----------------------------------------------------------------------------- */

#define DIRECTORIES_MAX 64u

struct directories {
    struct confinement_directory items[DIRECTORIES_MAX];
    uint32_t count;
    char last[PATH_MAX]; /* most rules share their templates */
};

static void directory_add(struct directories *directories, int descriptor,
                          enum policy_access access)
{
    if (descriptor < 0 || directories->count == DIRECTORIES_MAX) {
        descriptor_close(&descriptor);
        return;
    }
    directories->items[directories->count++] =
        (struct confinement_directory){.descriptor = descriptor, .access = access};
}

/* The directory that every path of `template` lies in: its pieces up to the first that differs from
 * call to call, and of those what comes before the last '/'. */
static void template_directory_add(const struct broker *broker, struct directories *directories,
                                   const struct policy_template *template)
{
    struct policy_template fixed = {.pieces = template->pieces};
    char path[PATH_MAX];
    struct failure failure;

    if (!template_is_set(template))
        return;
    while (fixed.count < template->count &&
           template->pieces[fixed.count].kind < TEMPLATE_CALL)
        fixed.count++;
    if (fixed.count == 0 || template_expand(&fixed, &broker->templates, NULL, path, sizeof(path),
                                            &failure) < 0)
        return;
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return;
    *slash = '\0';
    if (strcmp(path, directories->last) == 0)
        return;
    memcpy(directories->last, path, strlen(path) + 1);
    int directory = path_open_directory(path, PATH_CREATE, &failure);
    if (directory < 0)
        notice("audit files in %s will be refused: %s", path, failure.text);
    directory_add(directories, directory, ACCESS_WRITE);
}

static void directories_find(const struct broker *broker, struct directories *directories)
{
    const struct policy *policy = broker->policy;
    char path[PATH_MAX];

    template_directory_add(broker, directories, &policy->logfile);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        template_directory_add(broker, directories, &policy->rules[i].attributes->stdoutfile);
        template_directory_add(broker, directories, &policy->rules[i].attributes->stderrfile);
    }
    if (broker->listener_state.directory >= 0)
        directory_add(directories,
                      fcntl(broker->listener_state.directory, F_DUPFD_CLOEXEC, 0), ACCESS_WRITE);
    memcpy(path, broker->reload.path, sizeof(path));
    char *slash = strrchr(path, '/');
    if (slash && slash > path) {
        *slash = '\0';
        directory_add(directories, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), ACCESS_EXECUTE);
    }
}

int confine_self(struct broker *broker, confinement_tell *tell, void *context,
                 struct failure *failure)
{
    struct directories directories = {.count = 0};

    if (broker->policy->broker_confines_files)
        directories_find(broker, &directories);
    int result = confinement_broker(broker->policy, &broker->host, broker->setups,
                                    directories.items, directories.count, tell, context);
    for (uint32_t i = 0; i < directories.count; i++)
        descriptor_close(&directories.items[i].descriptor);
    if (result == 0)
        return 0;
    return failure_set(failure, -result, "the broker cannot confine itself: %s",
                       strerror(-result));
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct digest {
    uint64_t value;
};

static void digest_bytes(struct digest *digest, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        digest->value = (digest->value ^ at[i]) * UINT64_C(0x100000001b3);
}

static void digest_number(struct digest *digest, uint64_t number)
{
    digest_bytes(digest, &number, sizeof(number));
}

static void digest_template(struct digest *digest, const struct policy_template *template)
{
    digest_number(digest, template->count);
    for (uint32_t i = 0; i < template->count; i++) {
        const struct policy_template_piece *piece = &template->pieces[i];
        digest_number(digest, piece->kind);
        if (piece->kind == TEMPLATE_TEXT)
            digest_bytes(digest, piece->text, strlen(piece->text) + 1);
    }
}

static void digest_files(struct digest *digest, const struct policy *policy)
{
    digest_template(digest, &policy->logfile);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_attributes *attributes = policy->rules[i].attributes;
        if (i > 0 && attributes == policy->rules[i - 1].attributes)
            continue;
        digest_template(digest, &attributes->stdoutfile);
        digest_template(digest, &attributes->stderrfile);
    }
    for (uint32_t i = 0; i < policy->confinement_count; i++) {
        const struct policy_confinement *confinement = policy->confinements[i];
        for (uint32_t j = 0; j < confinement->grant_count; j++) {
            const struct policy_grant *grant = &confinement->grants[j];
            digest_number(digest, (uint64_t)grant->kind << 8 | (uint64_t)grant->access);
            if (grant->kind == GRANT_SET)
                digest_number(digest, grant->set);
            digest_template(digest, &grant->path);
        }
    }
}

uint64_t confine_digest(const struct policy *policy)
{
    struct digest digest = {.value = UINT64_C(0xcbf29ce484222325)};
    bool anything = false;

    uint64_t filter = confinement_broker_digest(policy);
    if (filter != 0) {
        digest_number(&digest, filter);
        anything = true;
    }
    if (policy->broker_confines_files) {
        digest_files(&digest, policy);
        anything = true;
    }
    if (!anything)
        return 0;
    return digest.value != 0 ? digest.value : 1;
}
