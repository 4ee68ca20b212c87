/* Deadlines: a binary heap over timers that live inside what they time.
 *
 * Owns: the order of deadlines. A timer belongs to the object that holds it; the heap keeps its
 * address only while it is armed. Never: allocates (the heap's room is given at start), reads a
 * clock, or calls anybody back: the event loop asks for what is due.
 *
 * One process-wide wait covers them all: the loop passes timers_wait's answer to epoll_pwait, so that
 * arming and disarming cost no system call. */
#ifndef SLUICE_TIMERS_H
#define SLUICE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

enum timer_kind {
    TIMER_CONNECTION, /* no first frame yet; owner: index of a connection */
    TIMER_CALL,       /* the call's next stage; owner: index of a call */
    TIMER_WORKER,     /* idle for long; owner: index in the pool */
    TIMER_STOP,       /* stop_timeout, then the last patience */
    TIMER_RELOAD,     /* the check of a new broker takes too long */
    TIMER_ACCEPT,     /* accept again after a shortage */
    TIMER_AUDIT,      /* probe an unhealthy audit trail */
    TIMER_CLOSERS,    /* some may have been idle for long */
    TIMER_ORPHANS,    /* the next pass over what a killed worker left */
    TIMER_CAPTURES,   /* some copiers may have been idle for long */
    TIMER_ROOM,       /* calls that linger want places in the background */
};

struct timer {
    uint64_t deadline; /* clock_monotonic_ms */
    uint32_t position; /* in the heap, from 1; 0: not armed */
    uint16_t kind;     /* enum timer_kind */
    uint16_t reserved;
    uint32_t owner;
};

struct timers {
    struct timer **heap; /* heap[0] is not used */
    uint32_t count;
    uint32_t capacity; /* timers that can be armed at a time */
};

/* Starts with `heap`, room for capacity + 1 pointers, which stays the caller's. */
void timers_start(struct timers *timers, struct timer **heap, uint32_t capacity);

/* Says what a timer is for. It must not be armed. */
void timer_describe(struct timer *timer, enum timer_kind kind, uint32_t owner);

/* Arms a timer, or moves one that is armed, to `deadline`. */
void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline);

/* Disarms a timer; nothing happens if it is not armed. */
void timer_disarm(struct timers *timers, struct timer *timer);

bool timer_is_armed(const struct timer *timer);

/* Takes the earliest timer out if it is due at `now`; NULL if none is. */
struct timer *timers_take_due(struct timers *timers, uint64_t now);

/* Milliseconds from `now` to the earliest deadline, 0 if one is due, -1 if none is armed; at most a
 * day, so that it fits what epoll_wait(2) takes. */
int timers_wait(const struct timers *timers, uint64_t now);

#endif
