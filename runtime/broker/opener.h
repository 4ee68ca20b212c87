/* Openers: processes that open what a call names where that may wait (opening.h).
 *
 * Each is forked for one call, holds nothing of the broker's but its socket, and sends back what it
 * has opened. One whose file system does not answer is abandoned with its call (OPENER_PATIENCE_MS);
 * it ends when the file system lets it.
 *
 * Role: made by fork, with the broker's user, policy and filter. Inputs: the call's paths. What its
 * compromise would give: descriptors of the caller's choice for that call.
 *
 * Owns: the openers and their sockets. Never: knows what becomes of what was opened (calls.h). */
#ifndef SLUICE_OPENER_H
#define SLUICE_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/broker/opening.h"

struct broker;

/* Openers at a time, those that hang included. */
#define OPENERS_MAX 64u
/* How long a call waits for what it names. */
#define OPENER_PATIENCE_MS 5000u

struct opener {
    pid_t pid;   /* 0: none */
    int control; /* -1: abandoned, and only waited for */
    uint32_t generation;
    uint32_t call;
};

struct openers {
    struct opener table[OPENERS_MAX];
};

void openers_begin(struct openers *openers);

/* Starts one for call `call`. Its index, or NONE with errno (EAGAIN: as many hang as there may be). */
uint32_t opener_start(struct broker *broker, uint32_t call, const struct opening_order *order);

/* The call does not wait any more. */
void opener_abandon(struct broker *broker, uint32_t index);

/* One has finished, or is gone: its call goes on (call_opened). */
void opener_handle(struct broker *broker, uint32_t index, uint32_t generation);

/* A child has been reaped. */
void openers_forget_process(struct openers *openers, pid_t process);

/* Whether `process`, a child of this one, is an opener. */
bool openers_have_process(const struct openers *openers, pid_t process);

#endif
