#define _GNU_SOURCE 1

#include "runtime/worker/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
    uint64_t effective, permitted, inheritable;
};

static int sets_read(struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int sets_write(const struct sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)sets->effective,
         .permitted = (uint32_t)sets->permitted,
         .inheritable = (uint32_t)sets->inheritable},
        {.effective = (uint32_t)(sets->effective >> 32),
         .permitted = (uint32_t)(sets->permitted >> 32),
         .inheritable = (uint32_t)(sets->inheritable >> 32)},
    };
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

bool capabilities_permitted(uint64_t mask)
{
    struct sets sets;
    return sets_read(&sets) == 0 && (sets.permitted & mask) == mask;
}

bool capabilities_effective(uint64_t mask)
{
    struct sets sets;
    return sets_read(&sets) == 0 && (sets.effective & mask) == mask;
}

int capabilities_keep(uint64_t permitted, uint64_t effective)
{
    struct sets sets;
    int status = sets_read(&sets);
    if (status < 0)
        return status;
    /* EINVAL: a kernel before 4.3, which has no ambient set to clear. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    sets.permitted &= permitted;
    sets.effective = effective & sets.permitted;
    sets.inheritable = 0;
    return sets_write(&sets);
}

int capabilities_raise(uint64_t mask)
{
    struct sets sets;
    int status = sets_read(&sets);
    if (status < 0)
        return status;
    sets.effective |= mask & sets.permitted;
    return sets_write(&sets);
}

int capabilities_lower(uint64_t mask)
{
    struct sets sets;
    int status = sets_read(&sets);
    if (status < 0)
        return status;
    sets.effective &= ~mask;
    return sets_write(&sets);
}
