#include "runtime/broker/status.h"

#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"

static void pair(struct text *text, const char *key, uint64_t value)
{
    text_append_char(text, ' ');
    text_append(text, key);
    text_append_char(text, '=');
    text_append_unsigned(text, value);
}

/* A reason's name alone, without the punctuation that its detail follows. */
static void refused_pair(struct text *text, enum reason reason, uint64_t count)
{
    const char *name = reason_text(reason);

    text_append(text, " refused.");
    text_append_bytes(text, name, strcspn(name, ":"));
    text_append_char(text, '=');
    text_append_unsigned(text, count);
}

/* How many descriptors this process has open: the size of its folder of them, which kernels before
 * 6.2 give as 0 (proc(5)). */
static void descriptors_pair(struct text *text)
{
    struct stat status;

    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        pair(text, "descriptors", (uint64_t)status.st_size);
}

void status_print(const struct broker *broker)
{
    char buffer[NOTICE_MAX];
    struct text text;

    text_start(&text, buffer, sizeof(buffer));
    pair(&text, "uptime_s", (broker->now - broker->statistics.started_ms) / 1000);
    pair(&text, "calls", broker->statistics.calls);
    pair(&text, "active", broker->calls.active);
    pair(&text, "background", broker->calls.background);
    pair(&text, "queued", broker->accounts.waiting);
    pair(&text, "connections", broker->connections.count);
    pair(&text, "workers", broker->pool.count);
    pair(&text, "idle_workers", broker->pool.idle_count);
    descriptors_pair(&text);
    text_append(&text, broker->audit.healthy ? " audit=healthy" : " audit=unhealthy");
    for (int i = 0; i < REASON_COUNT; i++)
        if (broker->statistics.refused[i] > 0)
            refused_pair(&text, (enum reason)i, broker->statistics.refused[i]);
    notice("status%s", buffer);
}
