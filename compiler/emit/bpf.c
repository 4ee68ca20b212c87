#include "compiler/emit/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/emit/filter.h"

#define X32_FIRST 0x40000000u /* asm/unistd.h __X32_SYSCALL_BIT */

static const struct {
    uint32_t audit;
    const char *name;
} architectures[SYSCALL_ARCHITECTURES] = {
    [SYSCALL_X86_64] = {0xc000003e, "x86-64"},
    [SYSCALL_AARCH64] = {0xc00000b7, "aarch64"},
};

_Static_assert(AUDIT_ARCH_X86_64 == 0xc000003e && AUDIT_ARCH_AARCH64 == 0xc00000b7,
               "linux/audit.h");

/* ---- numbers with one verdict ---------------------------------------------------------------- */

/* Numbers first.. up to the next range, all with the same verdict. */
struct range {
    uint32_t first;
    const struct filter_verdict *verdict; /* NULL: no such calls */
    const char *from, *to;                /* names of the first and last call */
};

struct ranges {
    struct range *all;
    size_t count;
};

struct numbered {
    uint32_t number;
    size_t entry;
};

static int by_number(const void *left, const void *right)
{
    const struct numbered *a = left, *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

static bool is_same_verdict(const struct filter_verdict *left, const struct filter_verdict *right)
{
    if (!left || !right)
        return left == right;
    return left->clause_count == 0 && right->clause_count == 0 &&
           left->refusal == right->refusal;
}

static void range_add(struct ranges *ranges, uint32_t first, const struct filter_verdict *verdict,
                      const char *name)
{
    struct range *last = ranges->count ? &ranges->all[ranges->count - 1] : NULL;
    if (last && is_same_verdict(last->verdict, verdict)) {
        last->to = name;
        return;
    }
    ranges->all[ranges->count++] =
        (struct range){.first = first, .verdict = verdict, .from = name, .to = name};
}

/* Covers all numbers from 0 on: what lies between the known calls, and beyond the last, is unknown. */
static struct ranges ranges_make(struct arena *arena, const struct filter *filter,
                                 enum syscall_architecture architecture)
{
    size_t count, known = 0;
    const struct syscall_entry *entries = syscalls_all(&count);
    struct numbered *numbered = arena_array(arena, count, sizeof *numbered);
    struct ranges ranges = {.all = arena_array(arena, 2 * count + 2, sizeof *ranges.all)};

    for (size_t i = 0; i < count; i++)
        if (entries[i].numbers[architecture] >= 0)
            numbered[known++] =
                (struct numbered){(uint32_t)entries[i].numbers[architecture], i};
    qsort(numbered, known, sizeof *numbered, by_number);
    uint32_t next = 0;
    for (size_t i = 0; i < known; i++) {
        const size_t entry = numbered[i].entry;
        if (numbered[i].number > next)
            range_add(&ranges, next, NULL, "");
        range_add(&ranges, numbered[i].number, &filter->verdicts[entry], entries[entry].name);
        next = numbered[i].number + 1;
    }
    range_add(&ranges, next, NULL, "");
    return ranges;
}

/* ---- instructions ---------------------------------------------------------------------------- */

struct building {
    struct arena *arena;
    struct sock_filter *instructions;
    const char **comments;
    size_t count;
};

static void instruction_add(struct building *building, uint16_t code, uint8_t jump_true,
                            uint8_t jump_false, uint32_t k, const char *comment)
{
    if (building->count == BPF_MAXINSNS)
        memory_exhausted("a seccomp program has more instructions than the kernel takes (4096)");
    building->instructions[building->count] =
        (struct sock_filter){.code = code, .jt = jump_true, .jf = jump_false, .k = k};
    building->comments[building->count++] = comment;
}

static const char *refusal_name(int refusal)
{
    return refusal == EPERM          ? "EPERM"
           : refusal == ENOSYS       ? "ENOSYS"
           : refusal == EAFNOSUPPORT ? "EAFNOSUPPORT"
                                     : "?";
}

static void return_add(struct building *building, int refusal, const char *what)
{
    if (refusal == 0)
        instruction_add(building, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW,
                        arena_format(building->arena, "%s: allowed", what));
    else
        instruction_add(building, BPF_RET | BPF_K, 0, 0,
                        SECCOMP_RET_ERRNO | ((uint32_t)refusal & SECCOMP_RET_DATA),
                        arena_format(building->arena, "%s: %s", what, refusal_name(refusal)));
}

/* ---- a range's verdict ----------------------------------------------------------------------- */

static size_t test_size(const struct filter_test *test)
{
    return !test->any_bit && test->mask != UINT32_MAX ? 3 : 2;
}

static size_t clause_size(const struct filter_clause *clause)
{
    size_t size = 1;
    for (unsigned i = 0; i < clause->test_count; i++)
        size += test_size(&clause->tests[i]);
    return size;
}

static size_t leaf_size(const struct range *range)
{
    size_t size = 1;
    for (unsigned i = 0; range->verdict && i < range->verdict->clause_count; i++)
        size += clause_size(&range->verdict->clauses[i]);
    return size;
}

/* The test's instructions; falls through when it holds, else jumps over the `rest` instructions that
 * follow it in its clause. */
static void test_add(struct building *building, const struct filter_test *test, size_t rest)
{
    instruction_add(building, BPF_LD | BPF_W | BPF_ABS, 0, 0,
                    (uint32_t)offsetof(struct seccomp_data, args) + 8 * test->argument,
                    arena_format(building->arena, "argument %u, low half", test->argument + 1));
    const char *what = arena_format(building->arena, "%s?", test->what);
    if (test->any_bit) {
        instruction_add(building, BPF_JMP | BPF_JSET | BPF_K, 0, (uint8_t)rest, test->mask, what);
        return;
    }
    if (test->mask != UINT32_MAX)
        instruction_add(building, BPF_ALU | BPF_AND | BPF_K, 0, 0, test->mask, "without its flags");
    instruction_add(building, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)rest, test->value, what);
}

static void leaf_add(struct building *building, const struct range *range)
{
    if (!range->verdict) {
        return_add(building, FILTER_UNKNOWN_REFUSAL, "no call that was judged");
        return;
    }
    for (unsigned i = 0; i < range->verdict->clause_count; i++) {
        const struct filter_clause *clause = &range->verdict->clauses[i];
        size_t rest = clause_size(clause);
        for (unsigned t = 0; t < clause->test_count; t++) {
            rest -= test_size(&clause->tests[t]);
            test_add(building, &clause->tests[t], rest);
        }
        return_add(building, clause->refusal, range->from);
    }
    const char *what = range->from;
    if (strcmp(range->from, range->to) != 0)
        what = arena_format(building->arena, "%s to %s", range->from, range->to);
    else if (range->verdict->clause_count > 0)
        what = arena_format(building->arena, "%s otherwise", range->from);
    return_add(building, range->verdict->refusal, what);
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* Instructions for ranges first..last-1. Depth: the logarithm of their number. */
static size_t tree_size(const struct ranges *ranges, size_t first, size_t last)
{
    if (last - first == 1)
        return leaf_size(&ranges->all[first]);
    size_t middle = first + (last - first) / 2;
    size_t lower = tree_size(ranges, first, middle);
    return (lower <= UINT8_MAX ? 1 : 2) + lower + tree_size(ranges, middle, last);
}

static void tree_add(struct building *building, const struct ranges *ranges, size_t first,
                     size_t last)
{
    if (last - first == 1) {
        leaf_add(building, &ranges->all[first]);
        return;
    }
    size_t middle = first + (last - first) / 2;
    size_t lower = tree_size(ranges, first, middle);
    const struct range *above = &ranges->all[middle];
    const char *question =
        above->verdict ? arena_format(building->arena, "%u (%s) or above?", above->first, above->from)
                       : arena_format(building->arena, "%u or above?", above->first);
    if (lower <= UINT8_MAX) {
        instruction_add(building, BPF_JMP | BPF_JGE | BPF_K, (uint8_t)lower, 0, above->first,
                        question);
    } else {
        /* further than a conditional jump reaches */
        instruction_add(building, BPF_JMP | BPF_JGE | BPF_K, 0, 1, above->first, question);
        instruction_add(building, BPF_JMP | BPF_JA, 0, 0, (uint32_t)lower,
                        arena_format(building->arena, "then over %zu instructions", lower));
    }
    tree_add(building, ranges, first, middle);
    tree_add(building, ranges, middle, last);
}

/* ---- the program ----------------------------------------------------------------------------- */

static const struct bpf_program *program_make(struct arena *arena, const struct filter *filter,
                                              enum syscall_architecture architecture)
{
    struct building building = {
        .arena = arena,
        .instructions = arena_array(arena, BPF_MAXINSNS, sizeof(struct sock_filter)),
        .comments = arena_array(arena, BPF_MAXINSNS, sizeof(char *)),
    };
    const struct ranges ranges = ranges_make(arena, filter, architecture);

    instruction_add(&building, BPF_LD | BPF_W | BPF_ABS, 0, 0,
                    (uint32_t)offsetof(struct seccomp_data, arch), "the architecture of the call");
    instruction_add(&building, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, architectures[architecture].audit,
                    arena_format(arena, "%s?", architectures[architecture].name));
    return_add(&building, ENOSYS, "another architecture's call");
    instruction_add(&building, BPF_LD | BPF_W | BPF_ABS, 0, 0,
                    (uint32_t)offsetof(struct seccomp_data, nr), "the call's number");
    if (architecture == SYSCALL_X86_64) {
        instruction_add(&building, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_FIRST, "x32's range?");
        return_add(&building, ENOSYS, "x32");
    }
    tree_add(&building, &ranges, 0, ranges.count);

    struct bpf_program *program = arena_alloc(arena, sizeof *program);
    *program = (struct bpf_program){
        .instructions = building.instructions,
        .comments = building.comments,
        .count = building.count,
        .per_call = filter_refuses_worker(filter, architecture),
    };
    return program;
}

const struct bpf_program *bpf_build(struct arena *arena, const struct model_filter *description,
                                    enum syscall_architecture architecture)
{
    const struct filter filter = filter_from_model(arena, description);
    return program_make(arena, &filter, architecture);
}

const struct bpf_program *bpf_build_broker(struct arena *arena, const struct model *model,
                                           enum syscall_architecture architecture)
{
    struct filter filter;
    if (!filter_for_broker(arena, model, &filter))
        return NULL;
    return program_make(arena, &filter, architecture);
}
