/* What a filter decides about each system call: between the checked description and BPF.
 *
 * Owns the meaning of the keys `syscalls`, `net`, `unix` and `metadata` for single system calls, as
 * plain data: for each call allowed, refused with an errno, or decided by its arguments. Knows
 * nothing of BPF. Pure. */
#ifndef SLUICE_FILTER_H
#define SLUICE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler/base/syscalls.h"

struct arena;
struct model;
struct model_filter;

/* A test of one argument's low 32 bits: every argument that filters look at is an int or an unsigned
 * int to the kernel, which ignores what a caller puts above. */
struct filter_test {
    unsigned argument; /* 0..5 */
    uint32_t mask;
    bool any_bit;   /* some bit of the mask is set; else: equal to `value` under the mask */
    uint32_t value;
    const char *what; /* for the comment: "family AF_UNIX" */
};

#define FILTER_TESTS_MAX 3

/* When all its tests hold, the clause decides: 0 allows, else the errno. */
struct filter_clause {
    struct filter_test tests[FILTER_TESTS_MAX];
    unsigned test_count;
    int refusal;
};

#define FILTER_CLAUSES_MAX 16

/* The first clause that holds decides, else `refusal`. No clauses: `refusal` alone. */
struct filter_verdict {
    struct filter_clause clauses[FILTER_CLAUSES_MAX];
    unsigned clause_count;
    int refusal; /* 0: allowed */
};

/* One for each of syscalls_all, in its order. */
struct filter {
    struct filter_verdict *verdicts;
    size_t count;
};

/* The errno for a number that no system call in the table has. */
#define FILTER_UNKNOWN_REFUSAL 38 /* ENOSYS */

struct filter filter_from_model(struct arena *arena, const struct model_filter *description);

/* Refuses only what every filter of the model refuses and neither the broker nor a worker that sets
 * up its confinement needs. False: there is a confinement without a filter, so nothing. */
bool filter_for_broker(struct arena *arena, const struct model *model, struct filter *filter);

/* Whether a worker could not live under it. */
bool filter_refuses_worker(const struct filter *filter, enum syscall_architecture architecture);

#endif
