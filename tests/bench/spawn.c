/* What a confined call costs: posix_spawn, an unconfined worker and confined ones, interleaved in one
 * run so that the machine's moods meet all of them alike. Prints medians in microseconds.
 *
 *   spawn [ROUNDS [PROGRAM]] */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/emit/bpf.h"
#include "compiler/policy/model.h"
#include "runtime/shared/io.h"
#include "runtime/worker/confinement.h"
#include "runtime/worker/worker.h"

#define KINDS 6
#define ROUNDS_MAX 100000

#if defined(__x86_64__)
#define HERE SYSCALL_X86_64
#else
#define HERE SYSCALL_AARCH64
#endif

extern char **environ;

enum kind { BARE, WORKER, CONFINED, FILE_OF_CALL, MOUNTED, PER_CALL };

static const char *const names[KINDS] = {
    [BARE] = "posix_spawn",
    [WORKER] = "worker, unconfined",
    [CONFINED] = "worker: Landlock, syscalls = default, net = none, limits",
    [FILE_OF_CALL] = "worker: the same, and a file of the call (fs_read = #slot)",
    [MOUNTED] = "worker: the same, with metadata = within (mount namespace)",
    [PER_CALL] = "worker: the same without mounts, filter loaded by each child",
};

struct bench {
    const char *program;
    int null;
    int executable;
    struct file_identity identity;
    struct policy_attributes attributes;
    struct policy_confinement confinements[KINDS];
    const struct policy_confinement *list[KINDS];
    struct policy_rule rules[KINDS];
    uint32_t lines[KINDS];
    struct policy policy;
    struct policy_filter filters[2];
    struct confinement_host host;
    struct worker workers[KINDS];
    uint64_t call;
    double *samples[KINDS];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void told(void *context, uint32_t confinement, enum confinement_gravity gravity,
                 const char *text)
{
    (void)context;
    if (gravity != CONFINEMENT_NOTE)
        fprintf(stderr, "%s: %s\n", names[confinement], text);
}

static struct policy_filter filter_make(struct arena *arena, const struct model_filter *description)
{
    const struct bpf_program *program = bpf_build(arena, description, HERE);
    return (struct policy_filter){.program = program->instructions,
                                  .count = (uint16_t)program->count,
                                  .per_call = program->per_call};
}

static void prepare(struct bench *bench, struct arena *arena)
{
    static const struct policy_grant grants[] = {
        {.kind = GRANT_SET, .access = ACCESS_EXECUTE, .set = SET_SYSTEM},
        {.kind = GRANT_SET, .access = ACCESS_READ, .set = SET_DEV},
        {.kind = GRANT_SET, .access = ACCESS_WRITE, .set = SET_TMP},
    };
    const struct policy_limits unset = {LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET,
                                        LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET};
    const struct policy_limits limits = {.memory = (uint64_t)4 << 30,
                                         .cpu_time = 60,
                                         .open_files = 256,
                                         .file_size = (uint64_t)1 << 30,
                                         .processes = LIMIT_UNSET,
                                         .core = 0};
    bench->filters[0] = filter_make(arena, &(struct model_filter){.base = SYSCALLS_DEFAULT,
                                                                  .net_none = true});
    bench->filters[1] = bench->filters[0];
    bench->filters[1].per_call = true;
    bench->attributes.umask = 022;
    for (int kind = WORKER; kind < KINDS; kind++) {
        struct policy_confinement *confinement = &bench->confinements[kind];
        confinement->name = names[kind];
        confinement->limits = kind == WORKER ? unset : limits;
        if (kind != WORKER) {
            confinement->filter = &bench->filters[kind == PER_CALL];
            confinement->grants = grants;
            confinement->grant_count = 3;
            confinement->confines_files = true;
            confinement->signals_own = true;
            confinement->net_none = true;
            confinement->metadata = kind == MOUNTED ? METADATA_WITHIN : METADATA_ALLOW;
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        bench->list[kind] = &bench->confinements[kind];
        bench->rules[kind] = (struct policy_rule){.attributes = &bench->attributes,
                                                  .confinement = &bench->confinements[kind]};
    }
    bench->policy = (struct policy){.rules = bench->rules,
                                    .rule_count = KINDS,
                                    .lines = bench->lines,
                                    .confinements = bench->list,
                                    .confinement_count = KINDS};
}

static void workers_start(struct bench *bench)
{
    const struct confinement_values values = {.home = getenv("HOME")};
    confinement_host_read(&bench->host);
    for (uint32_t kind = WORKER; kind < KINDS; kind++) {
        struct confinement_setup *setup = confinement_prepare(&bench->policy, kind, &bench->host,
                                                              &values, told, NULL);
        if (!setup || worker_start(&bench->policy, kind, setup, &bench->workers[kind]) < 0)
            die("worker_start");
    }
}

static void spawn_bare(const struct bench *bench)
{
    char *const argv[] = {(char *)(uintptr_t)bench->program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&actions);
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        posix_spawn_file_actions_adddup2(&actions, bench->null, descriptor);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn(&pid, bench->program, &actions, &attributes, argv, environ) != 0 ||
        waitpid(pid, &status, 0) < 0)
        die("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

static void spawn_worker(struct bench *bench, struct worker *worker, uint32_t rule)
{
    const uint8_t access = ACCESS_READ;
    const struct policy_bytes argument = {bench->program, (uint32_t)strlen(bench->program)};
    struct policy_bytes environment[WORKER_ENVIRONMENT_MAX];
    uint32_t count = 0;
    for (; environ[count] && count < WORKER_ENVIRONMENT_MAX; count++)
        environment[count] =
            (struct policy_bytes){environ[count], (uint32_t)strlen(environ[count])};
    const struct worker_call call = {
        .call = ++bench->call,
        .rule = rule,
        .input = bench->null,
        .output = bench->null,
        .error = bench->null,
        .executable = bench->executable,
        .identity = bench->identity,
        .path = bench->program,
        .directory = -1,
        .arguments = &argument,
        .argument_count = 1,
        .environment = environment,
        .environment_count = count,
        .grants = &bench->executable, /* one file is like another */
        .grant_access = &access,
        .grant_count = rule == FILE_OF_CALL,
    };
    errno = -worker_run(worker, &bench->policy, &call);
    if (errno != 0)
        die("worker_run");
    for (;;) {
        struct worker_report report;
        int status = worker_receive(worker, &report);
        if (status < 0 || (status > 0 && report.kind == REPORT_FAILED)) {
            errno = status < 0 ? EPIPE : report.error;
            die(names[rule]);
        }
        if (status > 0 && report.kind == REPORT_IDLE)
            return;
        struct pollfd event = {.fd = worker->control, .events = POLLIN};
        if (status == 0)
            poll(&event, 1, -1);
    }
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    struct arena *arena = arena_new(0);

    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = 1000;
    bench.program = argc > 2 ? argv[2] : "/bin/true";
    bench.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bench.executable = open(bench.program, O_PATH | O_CLOEXEC);
    struct stat status;
    if (bench.null < 0 || bench.executable < 0 || fstat(bench.executable, &status) < 0)
        die(bench.program);
    bench.identity = file_identify(&status);
    prepare(&bench, arena);
    workers_start(&bench);
    for (int kind = 0; kind < KINDS; kind++)
        bench.samples[kind] = calloc((size_t)rounds, sizeof(double));
    for (long round = -20; round < rounds; round++) /* some to warm up */
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            uint64_t begin = clock_monotonic_ns();
            if (kind == BARE)
                spawn_bare(&bench);
            else
                spawn_worker(&bench, &bench.workers[kind], kind);
            if (round >= 0)
                bench.samples[kind][round] = (double)(clock_monotonic_ns() - begin) / 1000;
        }
    printf("%s, %ld rounds, median and 90th percentile in microseconds, against posix_spawn\n",
           bench.program, rounds);
    double bare = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(bench.samples[kind], (size_t)rounds, sizeof(double), by_value);
        double median = bench.samples[kind][rounds / 2];
        bare = kind == BARE ? median : bare;
        printf("  %7.1f  %7.1f  %+5.1f %%  %s\n", median, bench.samples[kind][rounds * 9 / 10],
               (median / bare - 1) * 100, names[kind]);
    }
    for (uint32_t kind = WORKER; kind < KINDS; kind++)
        worker_close(&bench.workers[kind]);
    arena_free(arena);
    return 0;
}
