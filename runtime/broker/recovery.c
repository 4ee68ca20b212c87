#define _GNU_SOURCE
#include "runtime/broker/recovery.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/shared/io.h"

/* What is left of a line. */
struct cursor {
    const char *at, *end;
};

/* Passes over `text` if it comes next. */
static bool cursor_take(struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* Passes over a number of one to nineteen digits. */
static bool cursor_take_number(struct cursor *cursor, uint64_t *value)
{
    const char *start = cursor->at;
    *value = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' &&
           cursor->at - start < 19)
        *value = *value * 10 + (uint64_t)(*cursor->at++ - '0');
    return cursor->at > start;
}

/* "last_call":N and, from a broker that goes on, "active":[N,...]: what is known of the time
 * before. */
static void line_read_state(struct cursor *cursor, struct recovery *recovery)
{
    uint64_t last, call;
    if (!cursor_take(cursor, ",\"last_call\":") || !cursor_take_number(cursor, &last) ||
        last > RECOVERY_CALL_MAX)
        return;
    if (last > recovery->last_call)
        recovery->last_call = last;
    recovery->told = true;
    recovery->open.count = 0;
    if (!cursor_take(cursor, ",\"active\":["))
        return;
    while (cursor_take_number(cursor, &call)) {
        numbers_add(&recovery->open, call);
        if (!cursor_take(cursor, ","))
            break;
    }
}

static void line_read(const char *line, const char *end, struct recovery *recovery)
{
    struct cursor cursor = {line, end};
    uint64_t call = 0, timestamp;
    bool of_call = cursor_take(&cursor, "{\"call\":");
    if (of_call && (!cursor_take_number(&cursor, &call) || call == 0 || call > RECOVERY_CALL_MAX))
        return;
    if (!cursor_take(&cursor, of_call ? ",\"ts\":" : "{\"ts\":") ||
        !cursor_take_number(&cursor, &timestamp) || !cursor_take(&cursor, ",\"kind\":\""))
        return;

    if (of_call && call > recovery->last_call)
        recovery->last_call = call;
    if (of_call && cursor_take(&cursor, "start\""))
        numbers_add(&recovery->open, call);
    else if (of_call && (cursor_take(&cursor, "exit\"") || cursor_take(&cursor, "lost\"")))
        numbers_remove(&recovery->open, call);
    else if (!of_call && (cursor_take(&cursor, "serve\"") || cursor_take(&cursor, "reload\"") ||
                          cursor_take(&cursor, "continue\"") ||
                          cursor_take(&cursor, "stop\"")))
        line_read_state(&cursor, recovery);
}

/* Whether half a line began as an event of ours, however short it is. */
static bool half_is_ours(const char *half, size_t length)
{
    static const char *const beginnings[] = {"{\"call\":", "{\"ts\":"};
    for (size_t i = 0; i < 2; i++) {
        size_t common = strlen(beginnings[i]);
        common = length < common ? length : common;
        if (common > 0 && memcmp(half, beginnings[i], common) == 0)
            return true;
    }
    return false;
}

static void text_read(const char *text, size_t length, bool from_the_start,
                      struct recovery *recovery)
{
    const char *line = text, *end = text + length, *newline;
    bool whole = from_the_start;
    while (line < end && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        if (whole)
            line_read(line, newline, recovery);
        whole = true;
        line = newline + 1;
    }
    recovery->whole = recovery->size - (end - line);
    recovery->half_is_ours = whole && half_is_ours(line, (size_t)(end - line));
}

/* Reads the last `most` bytes. */
static int end_read(int file, off_t most, struct recovery *recovery, struct failure *failure)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return failure_set(failure, errno, "%s", strerror(errno));
    recovery->open.count = 0;
    recovery->last_call = 0;
    recovery->size = recovery->whole = status.st_size;
    recovery->half_is_ours = recovery->told = false;
    if (status.st_size == 0)
        return 0;

    off_t from = status.st_size > most ? status.st_size - most : 0;
    size_t length = (size_t)(status.st_size - from);
    char *text = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return failure_set(failure, errno, "no memory for its last %zu bytes", length);
    ssize_t got = read_whole_at(file, text, length, from);
    if (got >= 0) {
        recovery->size = from + got;
        text_read(text, (size_t)got, from == 0, recovery);
    }
    munmap(text, length);
    return got < 0 ? failure_set(failure, (int)-got, "%s", strerror((int)-got)) : 0;
}

int recovery_read(int file, struct recovery *recovery, struct failure *failure)
{
    int status = end_read(file, RECOVERY_BYTES_FIRST, recovery, failure);
    if (status == 0 && !recovery->told && recovery->size > RECOVERY_BYTES_FIRST)
        status = end_read(file, RECOVERY_BYTES_MAX, recovery, failure);
    return status;
}
