/* The load generator: what calls cost, in several lanes that take turns, from several processes.
 *
 *     load [-c CALLERS] [-t SECONDS] [-s SLICE_MS] < LANES > RESULTS
 *
 * A lane is a line of standard input, its parts separated by tabs: name, kind, socket, argv. Kinds:
 *     spawn   posix_spawn and waitpid of argv by the caller itself ("-" for the socket). With
 *             descriptors and environment as they are it is the floor: nothing does less.
 *     wire    a call over one version 2 connection that each caller keeps open
 *     wire1   a call over a version 1 connection of its own
 * CALLERS processes do the same lane at the same time, each one call after the other, for SLICE_MS;
 * then all do the next lane, and so on until each lane has had SECONDS. The order turns round each
 * time. So whatever else the machine does meets all lanes alike, and their ratios mean something.
 * Each slice begins with one call of each caller that does not count.
 *
 * A call that does not end with status 0 ends the whole: a figure for failing calls would be no
 * figure. Prints one JSON object a lane. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/shared/wire.h"
#include "tests/bench/caller.h"

#define LANES_MAX 64u
#define CALLERS_MAX 1024u
#define SAMPLES_MAX (1u << 17) /* of one caller in one lane; what is more counts, without a time */
#define LINE_MAX_BYTES 4096u

extern char **environ;

enum kind { LANE_SPAWN, LANE_WIRE, LANE_WIRE1 };

struct lane {
    char line[LINE_MAX_BYTES];
    const char *name, *socket;
    enum kind kind;
    char *arguments[CALLER_ARGUMENTS_MAX + 1];
    uint32_t argument_count;
    struct caller_request request;
};

enum phase_kind { PHASE_WARM, PHASE_MEASURE, PHASE_END };

/* What one caller did in one slice. */
struct slice {
    uint64_t begin, end;
    uint64_t calls;
};

/* Between the parent, which says what is next, and the callers. */
struct shared {
    atomic_uint phase; /* counts up; a futex */
    atomic_uint done;  /* callers that are through with it; a futex */
    enum phase_kind kind;
    uint32_t lane;
    uint64_t deadline;
    struct slice slices[CALLERS_MAX];
    uint32_t sample_counts[CALLERS_MAX][LANES_MAX];
};

struct load {
    uint32_t callers, lane_count;
    double seconds;
    uint64_t slice_ns;
    struct lane *lanes;
    struct shared *shared;
    uint32_t *samples; /* nanoseconds: [caller][lane][SAMPLES_MAX] */
    pid_t *pids;
    int null;
};

/* What a lane came to. */
struct total {
    uint64_t calls, elapsed;
    double rates[4096]; /* calls/s of each slice */
    uint32_t slices;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void complain(const struct lane *lane, const char *what, long number)
{
    fprintf(stderr, "load: %s: %s %ld\n", lane->name, what, number);
    exit(1);
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static void lane_read(struct lane *lane)
{
    char *rest = lane->line;
    lane->line[strcspn(lane->line, "\n")] = '\0';
    lane->name = strsep(&rest, "\t");
    const char *kind = rest ? strsep(&rest, "\t") : "";
    lane->socket = rest ? strsep(&rest, "\t") : "";
    while (rest && lane->argument_count < CALLER_ARGUMENTS_MAX)
        lane->arguments[lane->argument_count++] = strsep(&rest, "\t");
    if (strcmp(kind, "spawn") == 0)
        lane->kind = LANE_SPAWN;
    else if (strcmp(kind, "wire") == 0)
        lane->kind = LANE_WIRE;
    else if (strcmp(kind, "wire1") == 0)
        lane->kind = LANE_WIRE1;
    else
        complain(lane, "no such kind; part", 2);
    if (lane->argument_count == 0)
        complain(lane, "arguments:", 0);
    if (lane->kind != LANE_SPAWN)
        caller_request_make(&lane->request, lane->kind == LANE_WIRE ? 2 : 1, lane->arguments,
                            lane->argument_count);
}

static void lanes_read(struct load *load)
{
    load->lanes = calloc(LANES_MAX, sizeof *load->lanes);
    if (!load->lanes)
        die("lanes");
    while (load->lane_count < LANES_MAX &&
           fgets(load->lanes[load->lane_count].line, LINE_MAX_BYTES, stdin))
        lane_read(&load->lanes[load->lane_count++]);
    if (load->lane_count == 0) {
        fprintf(stderr, "load: no lane on standard input\n");
        exit(2);
    }
}

/* ---- one call -------------------------------------------------------------------------------- */

static void spawn_call(const struct lane *lane)
{
    pid_t pid;
    int status;
    errno = posix_spawn(&pid, lane->arguments[0], NULL, NULL, lane->arguments, environ);
    if (errno != 0)
        die(lane->arguments[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        complain(lane, "wait status", status);
}

static void lane_call(const struct lane *lane, int *connection, int null)
{
    if (lane->kind == LANE_SPAWN) {
        spawn_call(lane);
        return;
    }
    if (*connection < 0)
        *connection = caller_connect(lane->socket);
    caller_call(*connection, &lane->request, null);
    if (lane->kind == LANE_WIRE1)
        descriptor_close(connection);
}

/* ---- callers --------------------------------------------------------------------------------- */

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void slice_measure(struct load *load, uint32_t caller, int *connection)
{
    struct shared *shared = load->shared;
    uint32_t at = shared->lane;
    uint32_t *samples =
        load->samples + ((size_t)caller * load->lane_count + at) * SAMPLES_MAX;
    uint32_t *count = &shared->sample_counts[caller][at];
    uint64_t before = clock_monotonic_ns();
    struct slice slice = {.begin = before};

    do {
        lane_call(&load->lanes[at], connection, load->null);
        uint64_t after = clock_monotonic_ns();
        uint64_t taken = after - before;
        if (*count < SAMPLES_MAX)
            samples[(*count)++] = taken < UINT32_MAX ? (uint32_t)taken : UINT32_MAX;
        slice.calls++;
        before = after;
    } while (before < shared->deadline);
    slice.end = before;
    shared->slices[caller] = slice;
}

static _Noreturn void caller_run(struct load *load, uint32_t caller)
{
    struct shared *shared = load->shared;
    int connections[LANES_MAX];
    unsigned seen = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t i = 0; i < LANES_MAX; i++)
        connections[i] = -1;
    for (;;) {
        while (atomic_load(&shared->phase) == seen)
            futex_wait(&shared->phase, seen);
        seen = atomic_load(&shared->phase);
        if (shared->kind == PHASE_END)
            exit(0);
        if (shared->kind == PHASE_WARM)
            lane_call(&load->lanes[shared->lane], &connections[shared->lane], load->null);
        else
            slice_measure(load, caller, &connections[shared->lane]);
        if (atomic_fetch_add(&shared->done, 1) + 1 == load->callers)
            futex_wake(&shared->done);
    }
}

static void callers_start(struct load *load)
{
    load->shared = mmap(NULL, sizeof *load->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    load->samples =
        mmap(NULL, (size_t)load->callers * load->lane_count * SAMPLES_MAX * sizeof(uint32_t),
             PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    load->pids = calloc(load->callers, sizeof *load->pids);
    if (load->shared == MAP_FAILED || load->samples == MAP_FAILED || !load->pids)
        die("memory");
    for (uint32_t i = 0; i < load->callers; i++) {
        load->pids[i] = fork();
        if (load->pids[i] < 0)
            die("fork");
        if (load->pids[i] == 0) {
            /* A spawned program has what the broker gives its own: 0, 1 and 2, and nothing else. */
            if (dup2(load->null, 0) < 0 || dup2(load->null, 1) < 0)
                die("dup2");
            caller_run(load, i);
        }
    }
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* Whether all callers are there yet; one that has ended has said why. */
static void callers_check(struct load *load)
{
    int status;
    if (waitpid(-1, &status, WNOHANG) <= 0)
        return;
    for (uint32_t i = 0; i < load->callers; i++)
        kill(load->pids[i], SIGKILL);
    exit(1);
}

static void phase_run(struct load *load, enum phase_kind kind, uint32_t lane)
{
    struct shared *shared = load->shared;
    const struct timespec look = {.tv_sec = 1};

    shared->kind = kind;
    shared->lane = lane;
    shared->deadline = clock_monotonic_ns() + load->slice_ns;
    atomic_store(&shared->done, 0);
    atomic_fetch_add(&shared->phase, 1);
    futex_wake(&shared->phase);
    if (kind == PHASE_END)
        return;
    for (unsigned done; (done = atomic_load(&shared->done)) < load->callers;) {
        syscall(SYS_futex, &shared->done, FUTEX_WAIT, done, &look, NULL, 0);
        if (atomic_load(&shared->done) < load->callers)
            callers_check(load);
    }
}

static void total_add(const struct load *load, struct total *total)
{
    uint64_t begin = UINT64_MAX, end = 0, calls = 0;
    for (uint32_t i = 0; i < load->callers; i++) {
        const struct slice *slice = &load->shared->slices[i];
        begin = slice->begin < begin ? slice->begin : begin;
        end = slice->end > end ? slice->end : end;
        calls += slice->calls;
    }
    total->calls += calls;
    total->elapsed += end - begin;
    if (total->slices < sizeof total->rates / sizeof *total->rates)
        total->rates[total->slices++] = (double)calls / ((double)(end - begin) / 1e9);
}

static void turns_run(struct load *load, struct total *totals)
{
    uint64_t whole = (uint64_t)(load->seconds * 1e9);
    uint64_t turns = (whole + load->slice_ns - 1) / load->slice_ns;
    for (uint64_t turn = 0; turn < turns; turn++)
        for (uint32_t i = 0; i < load->lane_count; i++) {
            uint32_t lane = turn % 2 == 0 ? i : load->lane_count - 1 - i;
            phase_run(load, PHASE_WARM, lane);
            phase_run(load, PHASE_MEASURE, lane);
            total_add(load, &totals[lane]);
        }
    phase_run(load, PHASE_END, 0);
    for (uint32_t i = 0; i < load->callers; i++)
        waitpid(load->pids[i], NULL, 0);
}

/* ---- results --------------------------------------------------------------------------------- */

static int samples_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int rates_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile_us(const uint32_t *sorted, size_t count, double part)
{
    size_t at = (size_t)(part * (double)(count - 1) + 0.5);
    return (double)sorted[at] / 1000;
}

static void lane_print(const struct load *load, uint32_t at, struct total *total)
{
    size_t count = 0, used = 0;
    double sum = 0;
    for (uint32_t i = 0; i < load->callers; i++)
        count += load->shared->sample_counts[i][at];
    uint32_t *all = malloc(count * sizeof *all);
    if (!all)
        die("results");
    for (uint32_t i = 0; i < load->callers; i++) {
        uint32_t have = load->shared->sample_counts[i][at];
        memcpy(all + used, load->samples + ((size_t)i * load->lane_count + at) * SAMPLES_MAX,
               have * sizeof *all);
        used += have;
    }
    for (size_t i = 0; i < count; i++)
        sum += (double)all[i] / 1000;
    qsort(all, count, sizeof *all, samples_compare);
    qsort(total->rates, total->slices, sizeof *total->rates, rates_compare);
    printf("{\"lane\": \"%s\", \"callers\": %u, \"calls\": %llu, \"seconds\": %.3f, "
           "\"per_second\": %.1f, \"slice_per_second\": %.1f, \"mean_us\": %.1f, "
           "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, \"percentiles_us\": [",
           load->lanes[at].name, load->callers, (unsigned long long)total->calls,
           (double)total->elapsed / 1e9, (double)total->calls / ((double)total->elapsed / 1e9),
           total->rates[total->slices / 2], sum / (double)count, quantile_us(all, count, 0.5),
           quantile_us(all, count, 0.9), quantile_us(all, count, 0.99),
           quantile_us(all, count, 0.999), quantile_us(all, count, 1));
    for (int part = 0; part <= 100; part++)
        printf("%s%.1f", part ? ", " : "", quantile_us(all, count, part / 100.0));
    printf("]}\n");
    free(all);
}

int main(int argc, char **argv)
{
    struct load load = {.callers = 1, .seconds = 1, .slice_ns = 100 * 1000000ull};
    for (int option; (option = getopt(argc, argv, "c:t:s:")) != -1;) {
        if (option == 'c')
            load.callers = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 't')
            load.seconds = strtod(optarg, NULL);
        else if (option == 's')
            load.slice_ns = strtoull(optarg, NULL, 10) * 1000000;
        else
            return 2;
    }
    if (load.callers == 0 || load.callers > CALLERS_MAX || load.slice_ns == 0 ||
        load.seconds <= 0) {
        fprintf(stderr, "usage: load [-c CALLERS] [-t SECONDS] [-s SLICE_MS] < LANES\n");
        return 2;
    }
    load.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (load.null < 0)
        die("/dev/null");
    lanes_read(&load);
    struct total *totals = calloc(load.lane_count, sizeof *totals);
    if (!totals)
        die("memory");
    callers_start(&load);
    turns_run(&load, totals);
    for (uint32_t i = 0; i < load.lane_count; i++)
        lane_print(&load, i, &totals[i]);
    return 0;
}
