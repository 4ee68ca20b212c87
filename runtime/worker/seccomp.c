#define _GNU_SOURCE 1

#include "runtime/worker/seccomp.h"

#include <errno.h>
#include <stdint.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/worker/kernel_call.h"

bool seccomp_is_available(void)
{
    /* With a program that cannot be read the kernel says EFAULT if it would have read one. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) < 0 && errno == EFAULT;
}

int seccomp_load(const struct policy_filter *filter)
{
    struct sock_fprog program = {
        .len = filter->count,
        .filter = (struct sock_filter *)(uintptr_t)filter->program,
    };
    return (int)kernel_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, KERNEL_POINTER(&program));
}
