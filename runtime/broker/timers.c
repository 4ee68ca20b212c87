#include "runtime/broker/timers.h"

#include <assert.h>
#include <stddef.h>

#define WAIT_MAX_MS 86400000u

void timers_start(struct timers *timers, struct timer **heap, uint32_t capacity)
{
    timers->heap = heap;
    timers->count = 0;
    timers->capacity = capacity;
}

void timer_describe(struct timer *timer, enum timer_kind kind, uint32_t owner)
{
    assert(timer->position == 0);
    timer->kind = (uint16_t)kind;
    timer->owner = owner;
}

static void heap_place(struct timers *timers, uint32_t position, struct timer *timer)
{
    timers->heap[position] = timer;
    timer->position = position;
}

/* Moves the timer that belongs at `position` up until no parent is later. */
static void heap_rise(struct timers *timers, uint32_t position, struct timer *timer)
{
    while (position > 1 && timers->heap[position / 2]->deadline > timer->deadline) {
        heap_place(timers, position, timers->heap[position / 2]);
        position /= 2;
    }
    heap_place(timers, position, timer);
}

/* Moves the timer that belongs at `position` down until no child is earlier. */
static void heap_sink(struct timers *timers, uint32_t position, struct timer *timer)
{
    for (;;) {
        uint32_t child = position * 2;
        if (child > timers->count)
            break;
        if (child < timers->count &&
            timers->heap[child + 1]->deadline < timers->heap[child]->deadline)
            child++;
        if (timers->heap[child]->deadline >= timer->deadline)
            break;
        heap_place(timers, position, timers->heap[child]);
        position = child;
    }
    heap_place(timers, position, timer);
}

void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline)
{
    uint32_t position = timer->position;
    if (position == 0) {
        assert(timers->count < timers->capacity);
        timer->deadline = deadline;
        heap_rise(timers, ++timers->count, timer);
        return;
    }
    assert(timers->heap[position] == timer);
    bool earlier = deadline < timer->deadline;
    timer->deadline = deadline;
    if (earlier)
        heap_rise(timers, position, timer);
    else
        heap_sink(timers, position, timer);
}

void timer_disarm(struct timers *timers, struct timer *timer)
{
    uint32_t position = timer->position;
    if (position == 0)
        return;
    assert(position <= timers->count && timers->heap[position] == timer);
    timer->position = 0;
    struct timer *last = timers->heap[timers->count--];
    if (last == timer)
        return;
    if (position > 1 && timers->heap[position / 2]->deadline > last->deadline)
        heap_rise(timers, position, last);
    else
        heap_sink(timers, position, last);
}

bool timer_is_armed(const struct timer *timer)
{
    return timer->position != 0;
}

struct timer *timers_take_due(struct timers *timers, uint64_t now)
{
    if (timers->count == 0 || timers->heap[1]->deadline > now)
        return NULL;
    struct timer *first = timers->heap[1];
    timer_disarm(timers, first);
    return first;
}

int timers_wait(const struct timers *timers, uint64_t now)
{
    if (timers->count == 0)
        return -1;
    uint64_t first = timers->heap[1]->deadline;
    if (first <= now)
        return 0;
    uint64_t wait = first - now;
    return (int)(wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
}
