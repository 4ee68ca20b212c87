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
#include "runtime/shared/hurry.h"
#include "runtime/shared/io.h"
#include "runtime/worker/ahead.h"
#include "runtime/worker/apply.h"
#include "runtime/worker/ask.h"
#include "runtime/worker/cgroup.h"
#include "runtime/worker/early.h"
#include "runtime/worker/limits.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/prelude.h"
#include "runtime/worker/protocol.h"
#include "runtime/worker/release.h"
#include "runtime/worker/setup.h"
#include "runtime/worker/spawn.h"
#include "runtime/worker/supervise.h"
#include "runtime/worker/tell.h"
#include "runtime/worker/tree.h"

/* With the broker gone, from SIGTERM to SIGKILL. */
#define GRACE_MS 2000u
/* While something that was sent SIGKILL is not gone yet: an uninterruptible process takes its time. */
#define KILL_AGAIN_MIN_MS 1u
#define KILL_AGAIN_MAX_MS 100u

struct serving {
    const struct policy *policy;
    const struct confinement_setup *setup;
    int control; /* to the broker: orders and reports */
    int signals; /* signalfd of SIGCHLD */
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
    struct early early;

    struct limits limits; /* of each child */
    struct cgroup cgroup;
    struct supervisor supervisor;
    struct tree tree;
    struct rulesets rulesets;
    struct ahead ahead; /* also: what a call's child is made with, whoever clones it */
    bool goes_ahead;    /* a child is cloned ahead of each call */
    bool asks_ended;    /* no call comes any more */
    char stack[SPAWN_STACK_BYTES] __attribute__((aligned(16)));
};

static void tell(const struct serving *serving, struct worker_report report, bool idle_follows)
{
    report.call = serving->call;
    tell_broker(serving->control, &report, idle_follows);
}

static void tell_failed(const struct serving *serving, enum worker_stage stage, int failure)
{
    tell(serving, (struct worker_report){.kind = REPORT_FAILED, .stage = stage, .error = failure},
         true);
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

/* The child that took the call ended before it was another program: so it has no descendants. */
static void call_fail(struct serving *serving)
{
    tree_reap_all();
    call_end(serving);
    tell_failed(serving, serving->ahead.spawn.stage, serving->ahead.spawn.failure);
}

/* Looks after the running call: called whenever a child may have changed, or a kill is under way. */
static void call_tend(struct serving *serving)
{
    siginfo_t ended;
    struct rusage usage;

    if (serving->killing)
        tree_kill(&serving->tree, serving->leader);
    bool ends_now = !serving->leader_ended && leader_has_ended(serving, &ended, &usage);
    if (ends_now && serving->ahead.spawn.stage != STAGE_NONE) {
        call_fail(serving);
        return;
    }
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
    left = over ? 0 : left > 0 ? left : 1;
    if (ends_now)
        tell(serving, tell_of_end(leader, &ended, &usage, left), left == 0);
    if (over) {
        if (!ends_now)
            tell(serving, (struct worker_report){.kind = REPORT_IDLE}, false);
    } else if (ends_now && serving->attributes->kill == KILL_TREE_ON_EXIT && !serving->killing) {
        kill_everything(serving);
        call_tend(serving); /* once: killing is set, leader_ended too */
    }
}

/* ---- a call that begins ---------------------------------------------------------------------- */

/* A call that runs from now on. What was ordered before it was seen is done now. */
static void call_running(struct serving *serving, pid_t leader)
{
    const struct early early = serving->early;

    serving->running = true;
    serving->leader = leader;
    serving->leader_ended = false;
    serving->killing = false;
    serving->early.call = 0;
    if (early.call != serving->call)
        return;
    for (int signal = 1; signal < 64; signal++)
        if (early.signals >> signal & 1)
            group_signal(serving, signal);
    if (early.kill_group)
        group_signal(serving, SIGKILL);
    if (early.kill_tree)
        kill_everything(serving);
}

static void call_spawn(struct serving *serving, bool tells_start)
{
    struct spawn *spawn = &serving->ahead.spawn;
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
    if (tells_start)
        tell(serving, (struct worker_report){.kind = REPORT_STARTED, .pid = pid}, false);
    call_running(serving, pid);
}

/* `descriptors`: [input, output, error, executable, directory if any, grants]. */
static void call_begin(struct serving *serving, const struct worker_ask *ask, int *descriptors)
{
    struct ahead *ahead = &serving->ahead;
    struct spawn *spawn = &ahead->spawn;
    enum worker_stage stage = STAGE_INTERNAL;

    if (!ask_unpack(ask, serving->policy, serving->setup, ahead->memory, &ahead->text)) {
        tell_failed(serving, STAGE_INTERNAL, EPROTO);
        return;
    }
    if (!ask->has_directory && serving->directory_lost != 0) {
        tell_failed(serving, STAGE_DIRECTORY, serving->directory_lost);
        return;
    }
    int status = ask_move_inside(ask, serving->setup, &ahead->text, descriptors, &stage);
    if (status < 0) {
        tell_failed(serving, stage, -status);
        return;
    }
    bool kept;
    status = rulesets_for_call(&serving->rulesets, serving->setup, descriptors[3],
                               descriptors + 4 + ask->has_directory, ask->grant_access,
                               ask->grant_count, &spawn->ruleset, &kept);
    if (status < 0) {
        tell_failed(serving, STAGE_CONFINE, -status);
        return;
    }
    serving->attributes = serving->policy->rules[ask->rule].attributes;
    spawn_describe(spawn, serving->attributes, descriptors,
                   ask->has_directory ? descriptors[4] : -1, &ahead->text);
    call_spawn(serving, ask->tells_start);
    if (!kept)
        descriptor_close(&spawn->ruleset);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* An order about a call that has ended does nothing. The broker gives none about a call that it has not
 * given, and one call at a time: while none runs, an order about another than the last one is about
 * the one that comes. */
static void order_take(struct serving *serving, const struct worker_ask *ask)
{
    bool is_current = ask->call == 0 || ask->call == serving->call;

    if (!serving->running && !is_current)
        early_keep(&serving->early, ask);
    if (!serving->running || !is_current)
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

/* Takes a call that no child waited for, or that the child could not take. False if there was none. */
static bool ask_take(struct serving *serving)
{
    struct worker_ask ask = {0};
    int descriptors[ASK_DESCRIPTORS_MAX];
    struct message message = {.buffer = &ask,
                              .capacity = sizeof ask,
                              .descriptors = descriptors,
                              .wanted = ASK_DESCRIPTORS_MAX};
    release_await(&serving->ahead.memory->held);
    enum message_result result = message_receive(serving->ahead.asks, &message);
    bool understood = ask.protocol == WORKER_PROTOCOL && message.length == sizeof ask &&
                      ask.kind == ASK_CALL;

    switch (result) {
    case MESSAGE_NONE:
    case MESSAGE_TOO_LONG: /* not of this protocol */
        return false;
    case MESSAGE_DESCRIPTORS_LOST:
    case MESSAGE_TOO_MANY:
        if (understood) {
            serving->call = ask.call;
            tell_failed(serving, STAGE_INTERNAL, EMFILE);
        }
        return understood;
    case MESSAGE_RECEIVED:
        if (understood)
            call_take(serving, &ask, &message);
        /* The call may be over already, and nobody else have them any more. */
        hurry(true);
        descriptors_close(descriptors, message.count);
        hurry(false);
        return understood;
    case MESSAGE_END:
        serving->asks_ended = true;
        return false;
    case MESSAGE_FAILED: /* a call may be there for good */
        broker_lost(serving);
        return false;
    }
    return false;
}

static void control_take(struct serving *serving)
{
    struct worker_ask ask = {0};
    struct message message = {.buffer = &ask, .capacity = sizeof ask};

    switch (message_receive(serving->control, &message)) {
    case MESSAGE_NONE:
    case MESSAGE_DESCRIPTORS_LOST:
    case MESSAGE_TOO_MANY:
    case MESSAGE_TOO_LONG: /* not of this protocol */
        return;
    case MESSAGE_RECEIVED:
        if (ask.protocol == WORKER_PROTOCOL && message.length == sizeof ask)
            order_take(serving, &ask);
        return;
    case MESSAGE_END:
    case MESSAGE_FAILED:
        broker_lost(serving);
        return;
    }
}

/* Looks what the child that waits has come to. `may_have_ended`: a child has changed. */
static void ahead_tend(struct serving *serving, bool may_have_ended)
{
    struct ahead *ahead = &serving->ahead;

    if (ahead->pid == 0 || (ahead_state(ahead) != AHEAD_TOOK &&
                            (!may_have_ended || !ahead_has_ended(ahead))))
        return;
    /* Of one that has ended, the state stays as it is. */
    enum ahead_state state = ahead_state(ahead);
    pid_t pid = ahead->pid;
    ahead->pid = 0;
    if (state == AHEAD_TOOK) {
        serving->call = ahead->ask.call;
        serving->attributes = ahead->spawn.attributes;
        call_running(serving, pid);
        return;
    }
    tree_reap_all();
    if (state == AHEAD_LAST)
        serving->asks_ended = true;
    else if (state == AHEAD_UNABLE)
        serving->goes_ahead = false;
    else if (state != AHEAD_WAITS && !ask_take(serving) && state == AHEAD_TAKES) {
        /* Killed with a call in its hands. */
        serving->call = ahead->ask.call;
        tell_failed(serving, STAGE_INTERNAL, ECHILD);
    }
}

/* Nobody waits for the next call, and a child could. The first call of a worker is its own to take,
 * so that there is a ruleset for those that follow; and one that its child has left, so that it runs. */
static bool wants_child_ahead(const struct serving *serving)
{
    return serving->goes_ahead && !serving->running && serving->ahead.pid == 0 &&
           !serving->asks_ended && !serving->broker_gone && serving->early.call == 0 &&
           rulesets_are_ready(&serving->rulesets, serving->setup);
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
    if (serving->early.call != 0 && !serving->running)
        return EARLY_LOOK_MS;
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
    ahead_tend(serving, true);
    if (serving->running)
        call_tend(serving);
    while (read(serving->signals, ignored, sizeof ignored) == (ssize_t)sizeof ignored)
        continue;
    ahead_tend(serving, true);
    if (serving->running && !serving->killing)
        call_tend(serving);
}

static _Noreturn void serve(struct serving *serving)
{
    enum { CONTROL, SIGNALS, LISTENER, ASKS, SOURCES };
    struct pollfd events[SOURCES] = {[SIGNALS] = {.fd = serving->signals}};

    for (int i = 0; i < SOURCES; i++)
        events[i].events = POLLIN;
    while (!serving->broker_gone || call_outlives_broker(serving)) {
        if (wants_child_ahead(serving) && ahead_start(&serving->ahead, serving->stack) < 0)
            serving->ahead.pid = 0; /* then the worker takes the next call itself */
        bool takes_calls =
            !serving->running && serving->ahead.pid == 0 && !serving->asks_ended;
        events[CONTROL].fd = serving->broker_gone ? -1 : serving->control;
        events[LISTENER].fd = serving->supervisor.listener;
        events[ASKS].fd = takes_calls && !serving->broker_gone ? serving->ahead.asks : -1;
        int count = poll(events, SOURCES, patience(serving));
        if (count < 0 && errno != EINTR)
            break;
        bool child_changed = count > 0 && events[SIGNALS].revents;
        if (child_changed)
            children_tend(serving);
        else
            ahead_tend(serving, false);
        if (count > 0 && events[LISTENER].revents)
            supervisor_answer(&serving->supervisor);
        if (count > 0 && events[ASKS].revents)
            ask_take(serving);
        if (count > 0 && events[CONTROL].revents)
            control_take(serving);
        if (!serving->running)
            early_tend(&serving->early, &serving->ahead, serving->call);
        if (serving->running && serving->killing && !child_changed)
            call_tend(serving);
    }
    ahead_stop(&serving->ahead);
    _exit(0);
}

_Noreturn void worker_serve(const struct policy *policy, const struct confinement_setup *setup,
                            int network, int control, int asks, struct worker_memory *memory)
{
    pid_t broker = getppid();
    int also[CGROUP_FILES + 1];
    struct serving *serving = mmap(NULL, sizeof *serving, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (serving == MAP_FAILED)
        _exit(1);
    serving->policy = policy;
    serving->setup = setup;
    serving->control = control;
    serving->ahead = (struct ahead){
        .asks = asks,
        .policy = policy,
        .rulesets = &serving->rulesets,
        .memory = memory,
        .spawn = {.setup = setup,
                  .limits = &serving->limits,
                  .supervisor = &serving->supervisor,
                  .attributes = policy->rules[0].attributes},
    };
    int in_group = cgroup_enter(setup->host, &setup->confinement->limits, &serving->cgroup);
    memcpy(also, serving->cgroup.files, sizeof serving->cgroup.files);
    also[CGROUP_FILES] = network;
    int status = prelude_descriptors(setup, control, asks, also, CGROUP_FILES + 1);
    if (status < 0)
        _exit(1); /* no control socket to say it on: the broker sees the end */
    /* Not before: the kernel takes its time, and the broker's lock and socket would be open meanwhile. */
    int made = namespaces_make(setup, network);
    descriptor_close(&network);
    status = made < 0 ? made : in_group < 0 ? in_group : prelude_process();
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
    /* What failed may be a shortage, and long over when a call comes: so not only then. */
    if (status < 0)
        tell(serving, (struct worker_report){.kind = REPORT_UNFIT, .error = -status}, false);
    serving->ahead.spawn.worker = serving->tree.self;
    serving->ahead.needs_directory = serving->directory_lost != 0;
    serving->goes_ahead = status == 0 && ahead_is_possible(&serving->ahead.spawn);
    serve(serving);
}
