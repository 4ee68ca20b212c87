#define _GNU_SOURCE 1 /* O_CLOEXEC */

#include "runtime/broker/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/notice.h"

void orphans_begin(struct broker *broker, int children)
{
    struct orphans *orphans = &broker->orphans;

    timer_describe(&orphans->timer, TIMER_ORPHANS, 0);
    orphans->held = children >= 0;
    orphans->children =
        children >= 0 ? children : open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (orphans->children < 0)
        notice("/proc does not tell a process's children (%s): what the call of a worker that is "
               "killed leaves behind cannot be ended",
               strerror(errno));
}

static bool is_our_own(const struct broker *broker, pid_t child)
{
    return pool_has_process(&broker->pool, child) ||
           closers_have_process(&broker->closers, child) ||
           openers_have_process(&broker->openers, child) || child == broker->reload.checker ||
           (broker->captures && captures_has_process(broker->captures, child));
}

static bool is_spared(const struct orphans *orphans, pid_t child)
{
    for (uint32_t i = 0; i < orphans->saved.spared_count; i++)
        if (orphans->saved.spared[i] == child)
            return true;
    return false;
}

/* Kills or spares one child. Whether it was an orphan to be killed. */
static bool child_treat(struct broker *broker, pid_t child)
{
    struct orphans *orphans = &broker->orphans;

    if (child <= 1 || is_our_own(broker, child) || is_spared(orphans, child))
        return false;
    if (orphans->saved.sweep == SWEEP_KILL) {
        kill(child, SIGKILL);
        return true;
    }
    if (orphans->saved.spared_count < ORPHANS_SPARED_MAX)
        orphans->saved.spared[orphans->saved.spared_count++] = child;
    return false;
}

/* One pass over the children. How many were killed; -1 if the list cannot be read. */
static int children_walk(struct broker *broker)
{
    char buffer[4096];
    ssize_t got;
    pid_t number = 0;
    int killed = 0;

    if (lseek(broker->orphans.children, 0, SEEK_SET) < 0)
        return -1;
    while ((got = read(broker->orphans.children, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                number = number * 10 + (buffer[i] - '0');
                continue;
            }
            killed += child_treat(broker, number);
            number = 0;
        }
    }
    killed += child_treat(broker, number);
    return got < 0 ? -1 : killed;
}

void orphans_expire(struct broker *broker)
{
    struct orphans *orphans = &broker->orphans;
    int killed = children_walk(broker);

    orphans->quiet = killed == 0 ? orphans->quiet + 1 : 0;
    if (killed < 0 || orphans->quiet >= ORPHANS_QUIET_PASSES ||
        ++orphans->passes >= ORPHANS_PASSES_MAX) {
        orphans->saved.sweep = SWEEP_NONE;
        return;
    }
    timer_arm(&broker->timers, &orphans->timer, broker->now + ORPHANS_SWEEP_MS);
}

void orphans_sweep(struct broker *broker, bool kill_tree)
{
    struct orphans *orphans = &broker->orphans;
    uint32_t sweep = kill_tree ? SWEEP_KILL : SWEEP_SPARE;

    if (orphans->children < 0)
        return;
    if (orphans->saved.sweep < sweep)
        orphans->saved.sweep = sweep;
    if (orphans->held)
        return;
    /* What an earlier loss left is told apart from what this one leaves by being looked at now. */
    orphans->passes = orphans->quiet = 0;
    orphans_expire(broker);
}

bool orphans_are_sound(const struct orphans_saved *saved)
{
    if (saved->sweep > SWEEP_KILL || saved->spared_count > ORPHANS_SPARED_MAX)
        return false;
    for (uint32_t i = 0; i < saved->spared_count; i++)
        if (saved->spared[i] <= 1)
            return false;
    return true;
}

void orphans_restore(struct broker *broker, const struct orphans_saved *saved)
{
    struct orphans *orphans = &broker->orphans;
    uint32_t since = orphans->saved.sweep;

    orphans->saved = *saved;
    orphans->held = false;
    if (since != SWEEP_NONE || saved->sweep != SWEEP_NONE)
        orphans_sweep(broker, since == SWEEP_KILL || saved->sweep == SWEEP_KILL);
}

void orphans_forget(struct broker *broker, pid_t child)
{
    struct orphans *orphans = &broker->orphans;

    for (uint32_t i = 0; i < orphans->saved.spared_count; i++)
        if (orphans->saved.spared[i] == child)
            orphans->saved.spared[i] = orphans->saved.spared[--orphans->saved.spared_count];
}
