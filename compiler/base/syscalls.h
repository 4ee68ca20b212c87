/* System calls by name: numbers on each architecture, and the documented sets that confinement uses.
 *
 * Owns the table made from grammar/syscalls.def, which is the one place where these lists live.
 * Immutable. Reads nothing of the host: a compile gives the same filter everywhere. */
#ifndef SLUICE_SYSCALLS_H
#define SLUICE_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum syscall_architecture { SYSCALL_X86_64, SYSCALL_AARCH64 };
#define SYSCALL_ARCHITECTURES 2

/* Sets, as bits of syscall_entry.sets. */
#define SYSCALL_DEFAULT_REFUSED 1u /* `syscalls = default` refuses it */
#define SYSCALL_STRICT_ALLOWED 2u  /* `syscalls = strict` allows it */
#define SYSCALL_METADATA 4u        /* `metadata = deny` refuses it: mode, owner, times, attributes */
#define SYSCALL_WORKER 8u          /* the worker itself makes it while it serves calls */

struct syscall_entry {
    const char *name;
    int32_t numbers[SYSCALL_ARCHITECTURES]; /* -1: that architecture has no such call */
    uint32_t sets;
    int refusal;        /* errno when refused: EPERM, or ENOSYS where programs probe for the call */
    const char *reason; /* of SYSCALL_DEFAULT_REFUSED and SYSCALL_METADATA; else "" */
};

/* All of them, sorted by name. */
const struct syscall_entry *syscalls_all(size_t *count);

/* NULL: no such call on any architecture. */
const struct syscall_entry *syscall_find(const char *name, size_t length);

/* The known name most like this one, for "did you mean"; NULL when none is near. */
const char *syscall_nearest(const char *name, size_t length);

#endif
