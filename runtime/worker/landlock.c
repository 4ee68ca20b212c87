#define _GNU_SOURCE 1

#include "runtime/worker/landlock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/worker/kernel_call.h"

/* One number on every architecture. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2

/* struct landlock_ruleset_attr as of ABI 6; an older kernel takes the shorter form, or this one
 * whose end is zero. */
struct ruleset_attributes {
    uint64_t files, network, scoped;
};

struct path_rule {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

struct port_rule {
    uint64_t allowed, port;
};

#define FILE_ONLY_RIGHTS (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define READ_RIGHTS (FS_READ_FILE | FS_READ_DIR)
/* Not FS_MAKE_CHAR and FS_MAKE_BLOCK: device nodes are nobody's output. */
#define WRITE_RIGHTS                                                                              \
    (FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK |  \
     FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE | FS_IOCTL_DEV)

int landlock_abi(void)
{
    long abi = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

uint64_t landlock_file_rights(int abi)
{
    if (abi < 1)
        return 0;
    if (abi < 2)
        return FS_REFER - 1;
    if (abi < 3)
        return FS_TRUNCATE - 1;
    if (abi < 5)
        return FS_IOCTL_DEV - 1;
    return (FS_IOCTL_DEV << 1) - 1;
}

uint64_t landlock_access_rights(enum policy_access access, bool is_directory)
{
    uint64_t rights = READ_RIGHTS;
    if (access == ACCESS_EXECUTE)
        rights |= FS_EXECUTE;
    else if (access == ACCESS_WRITE)
        rights |= WRITE_RIGHTS;
    return is_directory ? rights : rights & FILE_ONLY_RIGHTS;
}

int landlock_ruleset(const struct landlock_layer *layer)
{
    struct ruleset_attributes attributes = {
        .files = layer->files, .network = layer->network, .scoped = layer->scoped};
    long ruleset = syscall(CALL_CREATE_RULESET, &attributes, sizeof attributes, 0);
    return ruleset < 0 ? -errno : (int)ruleset;
}

int landlock_allow_path(int ruleset, const struct landlock_layer *layer, int descriptor,
                        bool is_directory, uint64_t rights)
{
    struct path_rule rule = {
        .allowed = rights & layer->files & (is_directory ? UINT64_MAX : FILE_ONLY_RIGHTS),
        .parent = descriptor,
    };
    if (rule.allowed == 0)
        return 0;
    return syscall(CALL_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int landlock_allow_port(int ruleset, uint16_t port, uint64_t rights)
{
    struct port_rule rule = {.allowed = rights, .port = port};
    return syscall(CALL_ADD_RULE, ruleset, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

int landlock_restrict(int ruleset)
{
    return (int)kernel_call(CALL_RESTRICT_SELF, ruleset, 0);
}
