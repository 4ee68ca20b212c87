#include "compiler/analysis/work.h"

#include "compiler/base/arena.h"

struct work work_part(const struct work *whole)
{
    uint64_t part = whole->steps / 4 * 3;
    return (struct work){.steps = part, .allowed = part};
}

void work_return(struct work *whole, const struct work *part)
{
    uint64_t used = part->allowed - part->steps;
    whole->steps = used < whole->steps ? whole->steps - used : 0;
}

bool work_may_hold(struct work *work, const struct arena *arena, size_t bytes)
{
    work->memory_met = work->memory_met || bytes > WORK_MEMORY_MAX ||
                       arena_used(arena) > WORK_MEMORY_MAX - bytes;
    return !work->memory_met;
}

const char *work_limit(struct arena *arena, const struct work *work)
{
    if (work->memory_met)
        return arena_format(arena, "it takes over %zu MiB of memory", WORK_MEMORY_MAX >> 20);
    return arena_format(arena, "it takes over %llu million steps", (unsigned long long)work->allowed / 1000000);
}
