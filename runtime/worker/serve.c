/* The worker process.
 *
 * Privileges: the broker's uid and nothing more (capabilities given up, no_new_privs, unless the rule
 * has new_privs = allow), under the rule's seccomp filter, in its namespaces if any; outside the
 * Landlock layer of its children.
 * Inputs: asks from the broker over one SOCK_SEQPACKET socket, text in memory shared with the broker,
 * the file that it is to run (header only), /proc.
 * What its compromise would give: what the broker's uid may do within the filter and namespaces of
 * this one confinement, and false reports about its own calls. Nothing of other workers' calls: it
 * holds no descriptor and no memory of theirs.
 * Its children share its uid but cannot trace it (it is not dumpable and outside their Landlock
 * domain), hold none of its descriptors, and with signals = own or isolate = pid cannot signal it. */
#define _GNU_SOURCE 1

#include "runtime/worker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/apply.h"
#include "runtime/worker/cgroup.h"
#include "runtime/worker/limits.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/prelude.h"
#include "runtime/worker/protocol.h"
#include "runtime/worker/setup.h"
#include "runtime/worker/spawn.h"
#include "runtime/worker/supervise.h"
#include "runtime/worker/tree.h"

/* With the broker gone, from SIGTERM to SIGKILL. */
#define GRACE_MS 2000u
/* While something that was sent SIGKILL is not gone yet: an uninterruptible process takes its time. */
#define KILL_AGAIN_MIN_MS 1u
#define KILL_AGAIN_MAX_MS 100u

struct serving {
    const struct policy *policy;
    const struct confinement_setup *setup;
    int control; /* to the broker */
    int signals; /* signalfd of SIGCHLD */
    char *memory;
    int failed; /* errno of the worker's own set-up; 0: it serves */
    int directory_lost; /* errno: it has no working directory for calls that bring none */
    bool broker_gone;
    uint64_t grace_ends; /* CLOCK_MONOTONIC ms; with broker_gone and a running call */

    /* the call */
    uint64_t call;
    const struct policy_attributes *attributes;
    bool running;
    pid_t leader; /* the direct child, unreaped; 0: reaped, while others are still there */
    bool leader_ended;
    bool killing; /* until nothing is left */
    uint32_t kill_again_ms;

    struct limits limits; /* of each child */
    struct cgroup cgroup;
    struct supervisor supervisor;
    struct tree tree;
    struct rulesets rulesets;
    char *arguments[WORKER_ARGUMENTS_MAX + 1];
    char *environment[WORKER_ENVIRONMENT_MAX + 1];
    char stack[SPAWN_STACK_BYTES] __attribute__((aligned(16)));
};

/* ---- telling the broker ---------------------------------------------------------------------- */

/* Waits for room if it must: the broker reads, or is gone, which the next poll tells. A report that
 * cannot be sent ends the conversation: the broker would wait for it for good. Both sides then see
 * the other's end. */
static void tell(const struct serving *serving, struct worker_report report, bool idle_follows)
{
    report.call = serving->call;
    struct worker_telling telling = {
        .protocol = WORKER_PROTOCOL, .idle_follows = idle_follows, .report = report};
    ssize_t sent;
    do {
        sent = send(serving->control, &telling, sizeof telling, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && shutdown(serving->control, SHUT_RDWR) < 0 && errno != ENOTCONN)
        _exit(1);
}

static void tell_failed(const struct serving *serving, enum worker_stage stage, int failure)
{
    tell(serving, (struct worker_report){.kind = REPORT_FAILED, .stage = stage, .error = failure},
         true);
}

static uint64_t milliseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_usec / 1000;
}

static void tell_ended(const struct serving *serving, pid_t leader, const siginfo_t *ended,
                       const struct rusage *usage, size_t left)
{
    /* The form of waitpid(2): what a signal killed has its number in the low bits, a core dump 0x80. */
    int status = ended->si_code == CLD_EXITED
                     ? (ended->si_status & 0xff) << 8
                     : ended->si_status | (ended->si_code == CLD_DUMPED ? 0x80 : 0);
    struct worker_report report = {
        .kind = REPORT_ENDED,
        .pid = leader,
        .status = status,
        .left = left > INT32_MAX ? INT32_MAX : (int32_t)left,
        .user_ms = milliseconds(usage->ru_utime),
        .system_ms = milliseconds(usage->ru_stime),
        .max_rss_kb = (uint64_t)usage->ru_maxrss,
    };
    tell(serving, report, left == 0);
}

/* ---- a call that runs ------------------------------------------------------------------------ */

/* To the call's process group; its number is the leader's, whose zombie is kept while the call
 * lasts. */
static void group_signal(const struct serving *serving, int signal)
{
    if (serving->leader == 0)
        return;
    if (kill(-serving->leader, signal) < 0 && errno == ESRCH && !serving->leader_ended)
        kill(serving->leader, signal); /* it left its own group */
}

static void kill_everything(struct serving *serving)
{
    serving->killing = true;
    serving->kill_again_ms = KILL_AGAIN_MIN_MS;
    cgroup_kill_begin(&serving->cgroup);
}

/* The C library's waitid has no place for the usage. A worker that cannot watch its child ends: the
 * kernel then kills the child, and the broker answers the call. */
static bool leader_has_ended(const struct serving *serving, siginfo_t *ended, struct rusage *usage)
{
    long status;

    ended->si_pid = 0;
    do {
        status = syscall(SYS_waitid, P_PID, serving->leader, ended,
                         WEXITED | WNOHANG | WNOWAIT, usage);
    } while (status < 0 && errno == EINTR);
    if (status < 0)
        _exit(1);
    return ended->si_pid == serving->leader;
}

static void call_end(struct serving *serving)
{
    /* A worker that stayed outside of its group would let the next call have no limits. */
    if (serving->killing && cgroup_kill_end(&serving->cgroup) < 0)
        _exit(1);
    supervisor_end(&serving->supervisor);
    serving->running = false;
    serving->leader = 0;
    serving->leader_ended = false;
    serving->killing = false;
}

/* Whether nothing of the call is there any more. Its leader is reaped once no other child is to be
 * seen, and then the kernel says whether that was true. */
static bool call_is_over(struct serving *serving, size_t left)
{
    if (!serving->leader_ended || left > 0)
        return false;
    serving->leader = 0;
    return tree_reap_all();
}

/* Looks after the running call: called whenever a child may have changed, or a kill is under way. */
static void call_tend(struct serving *serving)
{
    siginfo_t ended;
    struct rusage usage;

    if (serving->killing)
        tree_kill(&serving->tree, serving->leader);
    bool ends_now = !serving->leader_ended && leader_has_ended(serving, &ended, &usage);
    if (ends_now)
        serving->leader_ended = true;
    if (!serving->leader_ended && !serving->killing) {
        tree_reap(&serving->tree, serving->leader);
        return;
    }
    size_t left = tree_reap(&serving->tree, serving->leader);
    pid_t leader = serving->leader;
    bool over = call_is_over(serving, left);
    if (over)
        call_end(serving);
    if (ends_now)
        tell_ended(serving, leader, &ended, &usage, over ? 0 : left > 0 ? left : 1);
    if (over) {
        if (!ends_now)
            tell(serving, (struct worker_report){.kind = REPORT_IDLE}, false);
    } else if (ends_now && serving->attributes->kill == KILL_TREE_ON_EXIT && !serving->killing) {
        kill_everything(serving);
        call_tend(serving); /* once: killing is set, leader_ended too */
    }
}

/* ---- a call that begins ---------------------------------------------------------------------- */

/* The next string in the shared memory; NULL when there is none before `end`. */
static char *string_take(char **at, const char *end)
{
    char *string = *at;
    char *nul = string < end ? memchr(string, '\0', (size_t)(end - string)) : NULL;
    if (!nul)
        return NULL;
    *at = nul + 1;
    return string;
}

static bool strings_take(char **at, const char *end, char **into, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(into[i] = string_take(at, end)))
            return false;
    into[count] = NULL;
    return true;
}

/* Fills the vectors from the shared memory. The broker has checked all of this; a mistake there must
 * not become a wrong command line here. */
static bool ask_unpack(struct serving *serving, const struct worker_ask *ask, const char **path,
                       const char **directory)
{
    if (ask->rule >= serving->policy->rule_count || ask->argument_count == 0 ||
        ask->argument_count > WORKER_ARGUMENTS_MAX ||
        ask->environment_count > WORKER_ENVIRONMENT_MAX || ask->bytes > WORKER_BYTES_MAX ||
        serving->policy->rules[ask->rule].confinement != serving->setup->confinement)
        return false;
    char *at = serving->memory;
    const char *end = at + ask->bytes;
    if (!strings_take(&at, end, serving->arguments, ask->argument_count) ||
        !strings_take(&at, end, serving->environment, ask->environment_count) ||
        !(*path = string_take(&at, end)) ||
        (ask->has_directory && !(*directory = string_take(&at, end))))
        return false;
    return at == end;
}

/* In a mount namespace of its own the worker opens by path what the broker opened, and sees that it
 * is the same. Replaces the descriptor. */
static int move_inside(int *descriptor, const char *path)
{
    int inside = namespaces_reopen(path, *descriptor);
    if (inside < 0)
        return inside;
    descriptor_close(descriptor);
    *descriptor = inside;
    return 0;
}

static void call_spawn(struct serving *serving, struct spawn *spawn, bool tells_start)
{
    pid_t pid = spawn_child(spawn, serving->stack);
    supervisor_take(&serving->supervisor);
    if (spawn->stage != STAGE_NONE) {
        siginfo_t ended;
        while (pid > 0 && waitid(P_PID, (id_t)pid, &ended, WEXITED) < 0 && errno == EINTR)
            continue;
        supervisor_end(&serving->supervisor);
        tell_failed(serving, spawn->stage, spawn->failure);
        return;
    }
    serving->running = true;
    serving->leader = pid;
    serving->leader_ended = false;
    serving->killing = false;
    if (tells_start)
        tell(serving, (struct worker_report){.kind = REPORT_STARTED, .pid = pid}, false);
}

/* `descriptors`: [input, output, error, executable, directory if any, grants]. */
static void call_begin(struct serving *serving, const struct worker_ask *ask, int *descriptors)
{
    const char *path = NULL, *directory = NULL;
    struct spawn spawn = {
        .setup = serving->setup,
        .limits = &serving->limits,
        .supervisor = &serving->supervisor,
        .input = descriptors[0],
        .output = descriptors[1],
        .error = descriptors[2],
        .directory = -1,
        .ruleset = -1,
        .arguments = serving->arguments,
        .environment = serving->environment,
        .worker = serving->tree.self,
    };
    if (!ask_unpack(serving, ask, &path, &directory)) {
        tell_failed(serving, STAGE_INTERNAL, EPROTO);
        return;
    }
    spawn.attributes = serving->attributes = serving->policy->rules[ask->rule].attributes;
    int status = 0;
    if (!ask->has_directory && serving->directory_lost != 0) {
        tell_failed(serving, STAGE_DIRECTORY, serving->directory_lost);
        return;
    }
    if (namespaces_has_mounts(serving->setup)) {
        status = move_inside(&descriptors[3], path);
        if (status < 0) {
            tell_failed(serving, STAGE_EXEC, -status);
            return;
        }
        if (ask->has_directory)
            status = move_inside(&descriptors[4], directory);
        if (status < 0) {
            tell_failed(serving, STAGE_DIRECTORY, -status);
            return;
        }
    }
    spawn.executable = descriptors[3];
    spawn.path = path;
    if (ask->has_directory)
        spawn.directory = descriptors[4];
    bool kept;
    status = rulesets_for_call(&serving->rulesets, serving->setup, spawn.executable,
                               descriptors + 4 + ask->has_directory, ask->grant_access,
                               ask->grant_count, &spawn.ruleset, &kept);
    if (status < 0) {
        tell_failed(serving, STAGE_CONFINE, -status);
        return;
    }
    call_spawn(serving, &spawn, ask->tells_start);
    if (!kept)
        descriptor_close(&spawn.ruleset);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void order_take(struct serving *serving, const struct worker_ask *ask)
{
    if (!serving->running || (ask->call != 0 && ask->call != serving->call))
        return;
    if (ask->kind == ASK_SIGNAL)
        group_signal(serving, ask->signal);
    else if (ask->kind == ASK_KILL_GROUP)
        group_signal(serving, SIGKILL);
    else if (ask->kind == ASK_KILL_TREE)
        kill_everything(serving);
}

/* A call that comes while the worker cannot take one: a mistake of the broker's, or the worker's own
 * set-up has failed and it will end. */
static void call_refuse(struct serving *serving, uint64_t call)
{
    uint64_t running = serving->call;
    serving->call = call;
    if (serving->failed != 0) {
        tell_failed(serving, STAGE_CONFINE, serving->failed);
        _exit(1);
    }
    tell_failed(serving, STAGE_INTERNAL, EBUSY);
    serving->call = running;
}

static void broker_lost(struct serving *serving)
{
    serving->broker_gone = true;
    if (!serving->running ||
        (serving->leader_ended && serving->attributes->kill == KILL_GROUP))
        return;
    group_signal(serving, SIGTERM);
    serving->grace_ends = clock_monotonic_ms() + GRACE_MS;
}

static void call_take(struct serving *serving, const struct worker_ask *ask,
                      const struct message *message)
{
    if (serving->failed != 0 || serving->running) {
        call_refuse(serving, ask->call);
        return;
    }
    serving->call = ask->call;
    if (ask->has_directory > 1 || ask->grant_count > WORKER_GRANTS_MAX ||
        message->count != 4 + ask->has_directory + ask->grant_count)
        tell_failed(serving, STAGE_INTERNAL, EPROTO);
    else
        call_begin(serving, ask, message->descriptors);
}

static void ask_take(struct serving *serving)
{
    struct worker_ask ask = {0};
    int descriptors[ASK_DESCRIPTORS_MAX];
    struct message message = {.buffer = &ask,
                              .capacity = sizeof ask,
                              .descriptors = descriptors,
                              .wanted = ASK_DESCRIPTORS_MAX};
    enum message_result result = message_receive(serving->control, &message);
    bool understood = ask.protocol == WORKER_PROTOCOL && message.length == sizeof ask;

    switch (result) {
    case MESSAGE_NONE:
        return;
    case MESSAGE_DESCRIPTORS_LOST:
    case MESSAGE_TOO_MANY:
        if (understood && ask.kind == ASK_CALL && !serving->running) {
            serving->call = ask.call;
            tell_failed(serving, STAGE_INTERNAL, EMFILE);
        }
        return;
    case MESSAGE_RECEIVED:
        if (understood && ask.kind == ASK_CALL)
            call_take(serving, &ask, &message);
        else if (understood)
            order_take(serving, &ask);
        descriptors_close(descriptors, message.count);
        return;
    case MESSAGE_TOO_LONG: /* not of this protocol */
        return;
    case MESSAGE_END:
    case MESSAGE_FAILED:
        broker_lost(serving);
        return;
    }
}

/* How long to wait for the next event, in poll's terms. */
static int patience(struct serving *serving)
{
    if (serving->killing) {
        int wait = (int)serving->kill_again_ms;
        serving->kill_again_ms *= 2;
        if (serving->kill_again_ms > KILL_AGAIN_MAX_MS)
            serving->kill_again_ms = KILL_AGAIN_MAX_MS;
        return wait;
    }
    if (!serving->broker_gone)
        return -1;
    uint64_t now = clock_monotonic_ms();
    return now >= serving->grace_ends ? 0 : (int)(serving->grace_ends - now);
}

/* With the broker gone: whether there is anything left to do. A rule with kill = group lets what
 * outlives the direct child go on; the others leave nothing behind. */
static bool call_outlives_broker(struct serving *serving)
{
    if (!serving->running)
        return false;
    bool leaves_rest = serving->attributes->kill == KILL_GROUP;
    if (leaves_rest && serving->leader_ended)
        return false;
    if (serving->killing || clock_monotonic_ms() < serving->grace_ends)
        return true;
    if (leaves_rest) {
        group_signal(serving, SIGKILL);
        serving->grace_ends = clock_monotonic_ms() + KILL_AGAIN_MAX_MS;
    } else {
        kill_everything(serving);
    }
    return true;
}

/* A child may have changed. The answer goes out first, then the signal is taken, and what changed in
 * between is looked at again: a call that has ended is nearly always all there was. */
static void children_tend(struct serving *serving)
{
    struct signalfd_siginfo ignored[8];
    if (serving->running)
        call_tend(serving);
    while (read(serving->signals, ignored, sizeof ignored) == (ssize_t)sizeof ignored)
        continue;
    if (serving->running && !serving->killing)
        call_tend(serving);
}

static _Noreturn void serve(struct serving *serving)
{
    struct pollfd events[] = {{.fd = serving->control, .events = POLLIN},
                              {.fd = serving->signals, .events = POLLIN},
                              {.fd = -1, .events = POLLIN}};

    while (!serving->broker_gone || call_outlives_broker(serving)) {
        events[0].fd = serving->broker_gone ? -1 : serving->control;
        events[2].fd = serving->supervisor.listener;
        int count = poll(events, 3, patience(serving));
        if (count < 0 && errno != EINTR)
            break;
        bool child_changed = count > 0 && events[1].revents;
        if (child_changed)
            children_tend(serving);
        if (count > 0 && events[2].revents)
            supervisor_answer(&serving->supervisor);
        if (count > 0 && events[0].revents)
            ask_take(serving);
        if (serving->running && serving->killing && !child_changed)
            call_tend(serving);
    }
    _exit(0);
}

_Noreturn void worker_serve(const struct policy *policy, const struct confinement_setup *setup,
                            int control, char *memory)
{
    pid_t broker = getppid();
    struct serving *serving = mmap(NULL, sizeof *serving, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (serving == MAP_FAILED)
        _exit(1);
    serving->policy = policy;
    serving->setup = setup;
    serving->control = control;
    serving->memory = memory;
    int in_group = cgroup_enter(setup->host, &setup->confinement->limits, &serving->cgroup);
    int status = prelude_descriptors(setup, control, serving->cgroup.files, CGROUP_FILES);
    if (status < 0)
        _exit(1); /* no control socket to say it on: the broker sees the end */
    status = in_group < 0 ? in_group : prelude_process();
    limits_prepare(&serving->limits, &setup->confinement->limits, setup->host);
    serving->signals = status < 0 ? status : prelude_signals();
    if (serving->signals < 0)
        status = serving->signals;
    rulesets_start(&serving->rulesets);
    if (status == 0)
        status = supervisor_start(&serving->supervisor, setup);
    if (status == 0)
        status = confinement_enter(setup, broker, &serving->tree, &serving->directory_lost);
    serving->failed = -status;
    serve(serving);
}
