/* seccomp programs: from a checked filter description to BPF instructions with a comment each.
 *
 * Owns the shape of the filters: the architecture word is checked first, the x32 range is refused,
 * then a balanced tree over the system call numbers decides, so that cost does not grow with the
 * lists and no jump comes near its 8 bits. Pure and deterministic: the same description and
 * architecture give the same bytes on any host. Never reads the host's own tables: numbers and lists
 * are data (grammar/syscalls.def through compiler/base/syscalls.h). */
#ifndef SLUICE_BPF_H
#define SLUICE_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#include "compiler/base/syscalls.h"

struct arena;
struct model;
struct model_filter;

struct bpf_program {
    const struct sock_filter *instructions;
    const char *const *comments; /* one for each instruction, without comment marks; never NULL */
    size_t count;                /* at most BPF_MAXINSNS (4096) */
    /* The program refuses a call that the worker itself makes: each child has to load it, because
     * the worker cannot live under it (struct policy_filter's member of that name). */
    bool per_call;
};

/* The program of one filter. Never NULL; lives in the arena. */
const struct bpf_program *bpf_build(struct arena *arena, const struct model_filter *filter,
                                    enum syscall_architecture architecture);

/* The broker's own: refuses what neither the broker, nor a worker that sets up its confinement, nor
 * any rule of the policy can need. NULL when nothing can be refused (a rule runs without a filter). */
const struct bpf_program *bpf_build_broker(struct arena *arena, const struct model *model,
                                           enum syscall_architecture architecture);

#endif
