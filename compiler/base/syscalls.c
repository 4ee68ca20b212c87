#include "compiler/base/syscalls.h"

#include <errno.h>
#include <string.h>

#include "compiler/base/suggest.h"

#define D SYSCALL_DEFAULT_REFUSED
#define M SYSCALL_METADATA
#define S SYSCALL_STRICT_ALLOWED
#define W SYSCALL_WORKER
#define SYSCALL(name, x86_64, aarch64, sets, refusal, reason)                                      \
    {#name, {x86_64, aarch64}, sets, refusal, reason},

static const struct syscall_entry entries[] = {
#include "grammar/syscalls.def"
};

#define ENTRIES (sizeof entries / sizeof *entries)

const struct syscall_entry *syscalls_all(size_t *count)
{
    *count = ENTRIES;
    return entries;
}

/* As strcmp, for a name that is not terminated. */
static int name_compare(const char *name, size_t length, const char *entry)
{
    size_t shared = strlen(entry) < length ? strlen(entry) : length;
    int order = memcmp(name, entry, shared);
    if (order != 0)
        return order;
    return (length > shared) - (entry[shared] != '\0');
}

const struct syscall_entry *syscall_find(const char *name, size_t length)
{
    size_t low = 0, high = ENTRIES;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = name_compare(name, length, entries[middle].name);
        if (order == 0)
            return &entries[middle];
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *syscall_nearest(const char *name, size_t length)
{
    struct suggestion search = {.word = name, .length = length};
    for (size_t i = 0; i < ENTRIES; i++)
        suggest_offer(&search, entries[i].name);
    return search.nearest;
}
