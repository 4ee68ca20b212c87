#define _GNU_SOURCE 1 /* O_CLOEXEC */

#include "runtime/broker/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"

#define LINE_MAX_BYTES 4096u

/* The uid of a passwd line "name:password:uid:...", if it is `name`'s. */
static bool line_read(const char *line, size_t length, const char *name, uint32_t *uid)
{
    size_t name_length = strlen(name);
    uint64_t value = 0;
    size_t at = name_length;

    if (length <= name_length || memcmp(line, name, name_length) != 0 || line[at] != ':')
        return false;
    for (at++; at < length && line[at] != ':'; at++)
        continue;
    size_t first = ++at;
    for (; at < length && line[at] >= '0' && line[at] <= '9' && value <= UINT32_MAX; at++)
        value = value * 10 + (uint64_t)(line[at] - '0');
    if (at >= length || at == first || line[at] != ':' || value >= UINT32_MAX)
        return false;
    *uid = (uint32_t)value;
    return true;
}

int user_find(const char *path, const char *name, uint32_t *uid, struct failure *failure)
{
    char buffer[LINE_MAX_BYTES];
    size_t used = 0;
    bool skipping = false; /* the rest of a line that is longer than the buffer */
    cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (file < 0)
        return failure_set(failure, errno, "%s: %s", path, strerror(errno));
    for (;;) {
        ssize_t got = read(file, buffer + used, sizeof(buffer) - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failure_set(failure, errno, "%s: %s", path, strerror(errno));
        used += (size_t)got;
        size_t start = 0;
        for (size_t i = 0; i < used; i++) {
            if (buffer[i] != '\n')
                continue;
            if (!skipping && line_read(buffer + start, i - start, name, uid))
                return 0;
            skipping = false;
            start = i + 1;
        }
        if (got == 0) {
            if (!skipping && line_read(buffer + start, used - start, name, uid))
                return 0;
            return failure_set(failure, ENOENT, "%s has no user %s", path, name);
        }
        memmove(buffer, buffer + start, used - start);
        used -= start;
        if (used == sizeof(buffer)) {
            skipping = true;
            used = 0;
        }
    }
}
