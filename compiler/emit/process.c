#define _GNU_SOURCE /* close_range, memfd_create */
#include "compiler/emit/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

static const int ending_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/* A process that runs. pid 0: this place is free. */
struct running {
    pid_t pid;
    size_t which;
    int said; /* memory that its standard error goes to: there even when the disk is full */
};

/* One batch, as it goes. */
struct batch {
    struct process_context *context;
    const struct process *all;
    size_t count;
    bool *done;
    size_t next; /* all before it have been started */
    bool *started;
    struct running running[PROCESS_AT_A_TIME];
    const char *failure;
};

/* ---- signals --------------------------------------------------------------------------------- */

static void ending_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof ending_signals / sizeof *ending_signals; i++)
        sigaddset(set, ending_signals[i]);
}

void process_begin(struct process_context *context, struct arena *arena)
{
    sigset_t blocked;
    ending_set(&blocked);
    sigaddset(&blocked, SIGCHLD);
    const char *path = getenv("PATH");
    *context = (struct process_context){.arena = arena,
                                        .path = path && *path ? path : "/usr/bin:/bin"};
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody could wait */
    sigprocmask(SIG_BLOCK, &blocked, &context->before);
}

void process_end(struct process_context *context)
{
    if (context->interrupted) {
        signal(context->interrupted, SIG_DFL);
        raise(context->interrupted);
    }
    sigprocmask(SIG_SETMASK, &context->before, NULL);
}

bool process_interrupted(struct process_context *context)
{
    sigset_t set;
    ending_set(&set);
    if (!context->interrupted) {
        int got = sigtimedwait(&set, NULL, &(struct timespec){0, 0});
        context->interrupted = got > 0 ? got : 0;
    }
    return context->interrupted != 0;
}

/* ---- starting -------------------------------------------------------------------------------- */

const char *process_find(const struct process_context *context, const char *name)
{
    if (strchr(name, '/')) {
        char *real = access(name, X_OK) == 0 ? realpath(name, NULL) : NULL;
        const char *file = real ? arena_copy(context->arena, real, strlen(real)) : NULL;
        free(real);
        return file;
    }
    const char *at = context->path;
    while (*at) {
        size_t length = strcspn(at, ":");
        if (length > 0 && at[0] == '/') { /* never a folder relative to where we happen to be */
            const char *file = arena_format(context->arena, "%.*s/%s", (int)length, at, name);
            struct stat status;
            if (stat(file, &status) == 0 && S_ISREG(status.st_mode) && access(file, X_OK) == 0)
                return file;
        }
        at += length + (at[length] == ':');
    }
    return NULL;
}

/* Everything that the child needs, made before it is there. It shares our memory until it has
 * become the tool, and tells its failure by `error`. */
struct launch {
    const char *const *arguments;
    const char *const *environment;
    const char *folder, *input, *output;
    int said;
    volatile int error;
};

/* prlimit(2) by number: the C libraries disagree on the type of its second parameter. */
static void limit_set(int resource, uint64_t value)
{
    struct rlimit limit;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) != 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    syscall(SYS_prlimit64, 0, resource, &limit, NULL);
}

/* In the child, between vfork and exec: system calls only, nothing that allocates. */
static void child_become(struct launch *launch)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < sizeof ending_signals / sizeof *ending_signals; i++)
        sigaction(ending_signals[i], &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    limit_set(RLIMIT_CPU, PROCESS_CPU_SECONDS);
    /* The sanitizers' shadow needs address space: with them the checker is one of these. */
#ifndef __SANITIZE_ADDRESS__
    limit_set(RLIMIT_AS, PROCESS_MEMORY);
#endif
    limit_set(RLIMIT_FSIZE, PROCESS_FILE_SIZE);
    limit_set(RLIMIT_CORE, 0);

    int input, output;
    if (chdir(launch->folder) != 0 ||
        (input = open(launch->input, O_RDONLY)) < 0 ||
        (output = open(launch->output, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0 ||
        dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(launch->said, 2) < 0) {
        launch->error = errno;
        _exit(127);
    }
    /* Whatever the caller left open stays out of the tools. */
    close_range(3, ~0u, 0);
    execve(launch->arguments[0], (char *const *)launch->arguments,
           (char *const *)launch->environment);
    launch->error = errno;
    _exit(127);
}

static bool process_start(struct batch *batch, struct running *place, size_t which)
{
    struct process_context *context = batch->context;
    const struct process *process = &batch->all[which];
    const char *const environment[] = {arena_format(context->arena, "PATH=%s", context->path),
                                       arena_format(context->arena, "TMPDIR=%s", context->folder),
                                       "LC_ALL=C", NULL};
    place->said = memfd_create("said", MFD_CLOEXEC);
    struct launch launch = {.arguments = process->arguments,
                            .environment = environment,
                            .folder = context->folder,
                            .input = process->input ? process->input : "/dev/null",
                            .output = process->output ? process->output : "/dev/null",
                            .said = place->said};
    /* vfork: copying the page tables of a large compilation would cost more than most tools. */
    pid_t pid = place->said < 0 ? -1 : vfork();
    if (pid == 0)
        child_become(&launch);
    int error = pid < 0 ? errno : launch.error;
    if (pid > 0 && error)
        waitpid(pid, NULL, 0);
    if (error) {
        if (place->said >= 0)
            close(place->said);
        batch->failure = arena_format(context->arena, "cannot run %s: %s", process->arguments[0],
                                      strerror(error));
        return false;
    }
    place->pid = pid;
    place->which = which;
    batch->started[which] = true;
    return true;
}

static bool process_is_ready(const struct batch *batch, size_t which)
{
    const struct process *process = &batch->all[which];
    for (size_t i = 0; i < process->after_count; i++)
        if (!batch->done[process->after_first + i])
            return false;
    return true;
}

/* Fills the free places with processes that can start. */
static void batch_fill(struct batch *batch)
{
    for (int i = 0; i < PROCESS_AT_A_TIME && !batch->failure; i++) {
        if (batch->running[i].pid)
            continue;
        while (batch->next < batch->count && batch->started[batch->next])
            batch->next++;
        size_t which = batch->next;
        while (which < batch->count && (batch->started[which] || !process_is_ready(batch, which)))
            which++;
        if (which == batch->count)
            return;
        process_start(batch, &batch->running[i], which);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* What the tool wrote to standard error, bounded, each line indented and after a newline. */
static const char *process_said(struct process_context *context, int from)
{
    char said[PROCESS_SAID_MAX];
    ssize_t got = pread(from, said, sizeof said, 0);
    size_t length = got > 0 ? (size_t)got : 0;
    struct buffer text = {0};
    bool fresh = true;
    for (size_t i = 0; i < length; i++) {
        if (said[i] == '\n') {
            fresh = true;
            continue;
        }
        if (fresh)
            buffer_puts(&text, "\n    ");
        fresh = false;
        bool control = (unsigned char)said[i] < 0x20 || said[i] == 0x7f;
        buffer_char(&text, control ? ' ' : said[i]);
    }
    if (length == sizeof said)
        buffer_puts(&text, "...");
    const char *made = arena_copy(context->arena, buffer_text(&text), text.length);
    buffer_free(&text);
    return made;
}

static const char *tool_name(const struct process *process)
{
    const char *slash = strrchr(process->arguments[0], '/');
    return slash ? slash + 1 : process->arguments[0];
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static const char *failure_text(struct process_context *context, const struct running *ended,
                                const struct process *process, int status,
                                const struct rusage *usage)
{
    const char *said = process_said(context, ended->said);
    const char *tool = tool_name(process);
    bool too_slow = seconds(usage->ru_utime) + seconds(usage->ru_stime) >= PROCESS_CPU_SECONDS ||
                    (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
    if (too_slow)
        return arena_format(context->arena,
                            "%s needs more than %u s of processor time for %s: its patterns or rules "
                            "are too large", tool, PROCESS_CPU_SECONDS, process->about);
    if (WIFSIGNALED(status))
        return arena_format(context->arena, "%s was killed by signal %d (%s) while it worked on %s%s",
                            tool, WTERMSIG(status), strsignal(WTERMSIG(status)), process->about,
                            said);
    return arena_format(context->arena, "%s failed on %s (exit status %d)%s", tool, process->about,
                        WEXITSTATUS(status), said);
}

/* Takes in every process that has ended. */
static void batch_reap(struct batch *batch)
{
    for (int i = 0; i < PROCESS_AT_A_TIME; i++) {
        struct running *running = &batch->running[i];
        int status;
        struct rusage usage;
        if (!running->pid || wait4(running->pid, &status, WNOHANG, &usage) != running->pid)
            continue;
        running->pid = 0;
        batch->done[running->which] = true;
        if (status != 0 && !batch->failure)
            batch->failure = failure_text(batch->context, running, &batch->all[running->which],
                                          status, &usage);
        close(running->said);
    }
}

static bool batch_is_idle(const struct batch *batch)
{
    for (int i = 0; i < PROCESS_AT_A_TIME; i++)
        if (batch->running[i].pid)
            return false;
    return true;
}

/* Ends what still runs, its own children (a compiler's stages) with it. */
static void batch_kill(struct batch *batch)
{
    for (int i = 0; i < PROCESS_AT_A_TIME; i++) {
        pid_t pid = batch->running[i].pid;
        if (!pid)
            continue;
        if (kill(-pid, SIGKILL) != 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(batch->running[i].said);
        batch->running[i].pid = 0;
    }
}

void processes_abandon(struct process_context *context)
{
    if (context->running)
        batch_kill(context->running);
    context->running = NULL;
}

const char *processes_run(struct process_context *context, const struct process *all, size_t count)
{
    struct batch batch = {.context = context,
                          .all = all,
                          .count = count,
                          .done = arena_array(context->arena, count, sizeof(bool)),
                          .started = arena_array(context->arena, count, sizeof(bool))};
    sigset_t awaited;
    ending_set(&awaited);
    sigaddset(&awaited, SIGCHLD);
    context->running = &batch;
    for (;;) {
        batch_fill(&batch);
        if (batch.failure || batch_is_idle(&batch))
            break;
        int got = sigwaitinfo(&awaited, NULL);
        if (got == SIGCHLD) {
            batch_reap(&batch);
        } else if (got > 0) {
            context->interrupted = got;
            batch.failure = arena_format(context->arena, "stopped by signal %d (%s)", got,
                                         strsignal(got));
        }
    }
    processes_abandon(context);
    return batch.failure;
}
