#define _GNU_SOURCE 1

#include "runtime/worker/release.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "runtime/worker/kernel_call.h"

void release_hold(uint32_t *word)
{
    __atomic_store_n(word, RELEASE_HELD, __ATOMIC_RELEASE);
}

void release_do(uint32_t *word)
{
    if (__atomic_exchange_n(word, RELEASE_DONE, __ATOMIC_ACQ_REL) == RELEASE_AWAITED)
        kernel_call(SYS_futex, KERNEL_POINTER(word), FUTEX_WAKE, INT32_MAX);
}

/* Looks before anybody is put to sleep: letting go takes microseconds, and so does being woken. */
#define LOOKS 500

static void processor_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void release_await(uint32_t *word)
{
    const struct timespec patience = {.tv_sec = RELEASE_PATIENCE_MS / 1000,
                                      .tv_nsec = RELEASE_PATIENCE_MS % 1000 * 1000000L};
    uint32_t held = RELEASE_HELD;

    for (int looks = 0; looks < LOOKS; looks++) {
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == RELEASE_DONE)
            return;
        processor_relax();
    }
    if (!__atomic_compare_exchange_n(word, &held, RELEASE_AWAITED, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE) &&
        held == RELEASE_DONE)
        return;
    long status = 0;
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != RELEASE_DONE &&
           (status == 0 || status == -EAGAIN || status == -EINTR))
        status = kernel_call(SYS_futex, KERNEL_POINTER(word), FUTEX_WAIT, RELEASE_AWAITED,
                             KERNEL_POINTER(&patience));
}
