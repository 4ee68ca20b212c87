#include "runtime/worker/early.h"

#include <poll.h>
#include <signal.h>

#include "runtime/shared/io.h"

void early_keep(struct early *early, const struct worker_ask *ask)
{
    if (early->call != ask->call)
        *early = (struct early){.call = ask->call, .since = clock_monotonic_ms()};
    if (ask->kind == ASK_SIGNAL && ask->signal > 0 && ask->signal < 64)
        early->signals |= (uint64_t)1 << ask->signal;
    else if (ask->kind == ASK_KILL_GROUP)
        early->kill_group = true;
    else if (ask->kind == ASK_KILL_TREE)
        early->kill_tree = true;
}

void early_tend(struct early *early, const struct ahead *ahead, uint64_t last)
{
    struct pollfd asks = {.fd = ahead->asks, .events = POLLIN};

    if (early->call == 0)
        return;
    /* First the socket, then the child: it says that it takes a call before it does. */
    bool is_there = poll(&asks, 1, 0) != 0;
    bool is_taken = ahead->pid != 0 && ahead_state(ahead) != AHEAD_WAITS;
    if (early->call == last || (!is_there && !is_taken))
        *early = (struct early){0};
    else if (is_there && !is_taken && ahead->pid != 0 &&
             clock_monotonic_ms() - early->since >= EARLY_PATIENCE_MS)
        kill(ahead->pid, SIGKILL);
}
