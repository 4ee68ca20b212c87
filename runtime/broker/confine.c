#define _GNU_SOURCE 1 /* O_PATH */

#include "runtime/broker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/paths.h"
#include "runtime/broker/template.h"
#include "runtime/shared/descriptors.h"

/* ---- directories ----------------------------------------------------------------------------- */

#define DIRECTORIES_MAX 64u

struct directories {
    struct confinement_directory items[DIRECTORIES_MAX];
    struct stat identities[DIRECTORIES_MAX]; /* of the items: each directory is there once */
    uint32_t count;
    bool too_many;
    char last[PATH_MAX]; /* most rules share their templates */
};

static bool directory_is_there(const struct directories *directories, const struct stat *identity,
                               enum policy_access access)
{
    for (uint32_t i = 0; i < directories->count; i++)
        if (directories->items[i].access == access &&
            directories->identities[i].st_dev == identity->st_dev &&
            directories->identities[i].st_ino == identity->st_ino)
            return true;
    return false;
}

/* Takes the descriptor. */
static void directory_add(struct directories *directories, int descriptor,
                          enum policy_access access)
{
    struct stat identity;

    if (descriptor < 0)
        return;
    bool known = fstat(descriptor, &identity) == 0;
    bool there = known && directory_is_there(directories, &identity, access);
    if (!known || there || directories->count == DIRECTORIES_MAX) {
        directories->too_many |= !there;
        descriptor_close(&descriptor);
        return;
    }
    directories->identities[directories->count] = identity;
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

/* Where a rule's `$HOME/...` program is; of other names the confinement itself sees. */
static void program_directory_add(const struct broker *broker, struct directories *directories,
                                  const struct policy_rule *rule)
{
    char path[PATH_MAX];

    if (rule->tokens[0].kind != TOKEN_EXPANSION)
        return;
    const struct policy_bytes program = broker->expansions[rule->tokens[0].expansion];
    const char *slash = program.bytes ? memrchr(program.bytes, '/', program.length) : NULL;
    size_t length = slash ? (size_t)(slash - program.bytes) : 0;
    if (length == 0 || length >= sizeof(path))
        return;
    memcpy(path, program.bytes, length);
    path[length] = '\0';
    if (strcmp(path, directories->last) == 0)
        return;
    memcpy(directories->last, path, length + 1);
    directory_add(directories, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), ACCESS_EXECUTE);
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
    for (uint32_t i = 0; i < policy->rule_count; i++)
        program_directory_add(broker, directories, &policy->rules[i]);
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
    /* With one left out it could not do its work: rather none. */
    int result = confinement_broker(broker->policy, &broker->host, broker->setups,
                                    directories.items, directories.too_many ? 0 : directories.count,
                                    tell, context);
    for (uint32_t i = 0; i < directories.count; i++)
        descriptor_close(&directories.items[i].descriptor);
    if (result == 0)
        return 0;
    return failure_set(failure, -result, "the broker cannot confine itself: %s",
                       strerror(-result));
}

/* ---- comparing ------------------------------------------------------------------------------- */

#define ITEMS_MAX 2048u

/* The set of things that a confinement lets through, each by its hash: the order of the rules does
 * not matter, nor how many of them ask for the same. */
struct item_set {
    uint64_t hashes[ITEMS_MAX];
    uint32_t count;
    uint64_t sum;
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    return hash_bytes(hash, &number, sizeof(number));
}

static uint64_t hash_start(uint64_t what)
{
    return hash_number(UINT64_C(0xcbf29ce484222325), what);
}

static uint64_t hash_template(uint64_t hash, const struct policy_template *template)
{
    for (uint32_t i = 0; i < template->count; i++) {
        const struct policy_template_piece *piece = &template->pieces[i];
        hash = hash_number(hash, piece->kind);
        if (piece->kind == TEMPLATE_TEXT)
            hash = hash_bytes(hash, piece->text, strlen(piece->text) + 1);
    }
    return hash;
}

static void item_add(struct item_set *set, uint64_t hash)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->hashes[i] == hash)
            return;
    if (set->count < ITEMS_MAX)
        set->hashes[set->count++] = hash;
    set->sum += hash;
}

enum { ITEM_FILTER, ITEM_FILE, ITEM_GRANT, ITEM_PROGRAM };

static void template_add(struct item_set *set, const struct policy_template *template)
{
    if (template_is_set(template))
        item_add(set, hash_template(hash_start(ITEM_FILE), template));
}

static void grants_add(struct item_set *set, const struct policy_confinement *confinement)
{
    for (uint32_t i = 0; i < confinement->grant_count; i++) {
        const struct policy_grant *grant = &confinement->grants[i];
        uint64_t hash = hash_number(hash_start(ITEM_GRANT), (uint64_t)grant->kind);
        hash = hash_number(hash, (uint64_t)grant->access);
        if (grant->kind == GRANT_SET)
            hash = hash_number(hash, (uint64_t)grant->set);
        item_add(set, hash_template(hash, &grant->path));
    }
}

/* Where a rule's program is looked for. */
static void program_add(struct item_set *set, const struct policy *policy,
                        const struct policy_rule *rule)
{
    const struct policy_token *token = &rule->tokens[0];
    uint64_t hash = hash_number(hash_start(ITEM_PROGRAM), token->kind == TOKEN_EXPANSION);

    if (token->kind == TOKEN_EXPANSION)
        hash = hash_template(hash, &policy->expansions[token->expansion]);
    else if (memchr(token->pieces[0].literal.bytes, '/', token->pieces[0].literal.length))
        hash = hash_bytes(hash, token->pieces[0].literal.bytes, token->pieces[0].literal.length);
    else if (rule->attributes->exec_path)
        hash = hash_bytes(hash, rule->attributes->exec_path,
                          strlen(rule->attributes->exec_path) + 1);
    item_add(set, hash);
}

static uint64_t digest(const struct policy *policy, bool files)
{
    struct item_set set = {.count = 0};
    uint64_t filter = confinement_broker_digest(policy);

    if (filter != 0)
        item_add(&set, hash_number(hash_start(ITEM_FILTER), filter));
    if (files) {
        template_add(&set, &policy->logfile);
        for (uint32_t i = 0; i < policy->rule_count; i++) {
            template_add(&set, &policy->rules[i].attributes->stdoutfile);
            template_add(&set, &policy->rules[i].attributes->stderrfile);
            program_add(&set, policy, &policy->rules[i]);
        }
        for (uint32_t i = 0; i < policy->confinement_count; i++)
            grants_add(&set, policy->confinements[i]);
    }
    if (set.count == 0)
        return 0;
    return set.sum != 0 ? set.sum : 1;
}

uint64_t confine_given_up(const struct broker *broker)
{
    return digest(broker->policy, confinement_broker_restricts_files(
                                      broker->policy, &broker->host, broker->setups));
}

bool confine_can_follow(const struct policy *policy, uint64_t given_up)
{
    return given_up == 0 || given_up == digest(policy, false) ||
           (policy->broker_confines_files && given_up == digest(policy, true));
}
