#define _GNU_SOURCE 1 /* MAP_ANONYMOUS, MAP_NORESERVE */

#include "runtime/broker/tables.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"

/* Deadlines beside those of connections and calls: accept, pool, stop, reload, audit. */
#define OTHER_TIMERS 9u

/* Descriptors beside those of connections and calls: standard ones, epoll, signals, the listener,
 * its lock and directory, the reserve, the manifest, notify, a reload's, the policy's paths, and a
 * call's while it starts. */
#define OTHER_DESCRIPTORS 512u
/* Of a call that waits: in, out, err; of one that runs: a worker's three, two streams' copiers
 * and pipes. */
#define DESCRIPTORS_A_CALL 11u

/* Zeroed memory that becomes real when it is touched. */
static void *table_map(size_t count, size_t size)
{
    size_t bytes = (count > 0 ? count : 1) * size;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static uint32_t calls_capacity(const struct policy *policy)
{
    return 2 * policy->max_active + policy->queue;
}

int tables_make(struct broker *broker, uint32_t inherited, struct failure *failure)
{
    const struct policy *policy = broker->policy;
    uint32_t calls = calls_capacity(policy) + inherited;
    uint32_t accounts = CONNECTION_ENTRIES + calls;
    uint32_t timers = CONNECTION_ENTRIES + calls + OTHER_TIMERS;
    uint32_t workers = 2 * policy->max_active + POOL_SPARES_MAX + inherited;
    size_t storage = environment_storage_needed(policy, broker->path);

    struct connection *connection_table =
        table_map(CONNECTION_ENTRIES, sizeof(*connection_table));
    struct account *account_table = table_map(accounts, sizeof(*account_table));
    struct waiting_link *links = table_map(calls, sizeof(*links));
    struct call *call_table = table_map(calls, sizeof(*call_table));
    struct call_paths *paths = table_map(calls, sizeof(*paths));
    struct pool_entry *pool_table = table_map(workers, sizeof(*pool_table));
    uint32_t *idle = table_map(policy->confinement_count, sizeof(*idle));
    struct timer **heap = table_map((size_t)timers + 1, sizeof(struct timer *));
    broker->numbers = table_map(calls, sizeof(*broker->numbers));
    broker->frame = table_map(WIRE_REQUEST_MAX + 1, 1);
    broker->reply = table_map(WIRE_REPLY_MAX + 1, 1);
    broker->environment.storage = table_map(storage, 1);
    broker->environment.capacity = storage;
    if (!connection_table || !account_table || !links || !call_table || !paths || !pool_table ||
        !idle || !heap || !broker->numbers || !broker->frame || !broker->reply || !broker->environment.storage)
        return failure_set(failure, ENOMEM, "no memory for max_active = %u and queue = %u",
                           (unsigned)policy->max_active, (unsigned)policy->queue);
    timers_start(&broker->timers, heap, timers);
    accounts_start(&broker->accounts, account_table, accounts, links);
    connections_start(&broker->connections, connection_table);
    calls_begin(&broker->calls, call_table, paths, calls);
    pool_begin(&broker->pool, pool_table, workers, idle);
    return 0;
}

void tables_raise_limits(const struct broker *broker)
{
    rlim_t needed = (rlim_t)CONNECTION_ENTRIES + OTHER_DESCRIPTORS +
                    (rlim_t)calls_capacity(broker->policy) * DESCRIPTORS_A_CALL;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
        return;
    rlim_t hard = limit.rlim_max;
    limit.rlim_cur = needed < hard ? needed : hard;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        notice("cannot raise the limit of open files: %s", strerror(errno));
    else if (limit.rlim_cur < needed)
        notice("the limit of open files is %llu; %llu would be enough for every connection and "
               "call at once",
               (unsigned long long)hard, (unsigned long long)needed);
}
