#define _GNU_SOURCE 1 /* AT_EMPTY_PATH */

#include "runtime/broker/kind.h"

#include <fcntl.h>
#include <linux/stat.h> /* struct statx: this musl has none; not together with <sys/stat.h> */
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_STATX_DONT_SYNC
#define AT_STATX_DONT_SYNC 0x4000
#endif

#define MODE_TYPE 0170000 /* inode(7) */
#define MODE_PIPE 0010000
#define MODE_SOCKET 0140000
#define MODE_FILE 0100000
#define MODE_CHARACTERS 0020000
#define MEMORY_DEVICES 1 /* the major number of /dev/null, /dev/zero and such: devices.txt */

enum descriptor_kind descriptor_kind(int descriptor)
{
    struct statx status;

    if (syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
                STATX_TYPE | STATX_NLINK, &status) < 0)
        return KIND_UNKNOWN;
    switch (status.stx_mode & MODE_TYPE) {
    case MODE_PIPE:
        return KIND_PIPE;
    case MODE_SOCKET:
        return KIND_SOCKET;
    case MODE_FILE:
        if (status.stx_dev_major == 0)
            return KIND_OTHER_FILE;
        return status.stx_nlink > 0 ? KIND_LOCAL_FILE : KIND_NAMELESS_FILE;
    case MODE_CHARACTERS:
        return status.stx_rdev_major == MEMORY_DEVICES ? KIND_MEMORY_DEVICE : KIND_ELSE;
    default:
        return KIND_ELSE;
    }
}

bool kind_waits(enum descriptor_kind kind)
{
    return kind == KIND_OTHER_FILE || kind == KIND_UNKNOWN;
}

bool kind_waits_at_last(enum descriptor_kind kind)
{
    return kind != KIND_LOCAL_FILE && kind != KIND_MEMORY_DEVICE;
}

bool descriptor_may_wait(int descriptor)
{
    return kind_waits(descriptor_kind(descriptor));
}

bool descriptors_may_wait(const int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (descriptor_may_wait(descriptors[i]))
            return true;
    return false;
}
