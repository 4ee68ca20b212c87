/* How much an analysis may do: its time counted in steps, so that the same rules meet the same limit on
 * every machine, and its memory. What meets a limit says so (work_limit); nothing runs away.
 *
 * A step is about a nanosecond of a machine of 2020; all of a command's are some seven seconds of it. */
#ifndef SLUICE_WORK_H
#define SLUICE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define WORK_STEPS_MAX UINT64_C(5000000000) /* of one command */
#define WORK_MEMORY_MAX ((size_t)192 * 1024 * 1024) /* of one exploration, of one product, of one search */

struct work {
    uint64_t steps;  /* left */
    uint64_t allowed; /* of these, at the beginning: what the limit says */
    bool memory_met;  /* it was memory that did not suffice */
};

/* Three quarters of what is left of a whole, for one of several questions: one that meets its limit leaves
 * something to the others. */
struct work work_part(const struct work *whole);

/* Takes from the whole what the part used. */
void work_return(struct work *whole, const struct work *part);

/* Spends steps; false when there are not that many left, now or ever again. */
static inline bool work_spend(struct work *work, uint64_t steps)
{
    if (work->steps < steps || work->memory_met)
        work->steps = 0;
    else
        work->steps -= steps;
    return work->steps != 0;
}

/* Whether the arena may hold so many bytes more; if not, WORK_MEMORY_MAX is the limit that was met. */
bool work_may_hold(struct work *work, const struct arena *arena, size_t bytes);

/* The limit that was met, in words: "it takes over 2000 million steps". */
const char *work_limit(struct arena *arena, const struct work *work);

#endif
