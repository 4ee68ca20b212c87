#define _GNU_SOURCE 1 /* memfd_create, AT_EMPTY_PATH, O_PATH */

#include "runtime/broker/reload.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/confine.h"
#include "runtime/broker/notice.h"
#include "runtime/broker/notify.h"
#include "runtime/broker/paths.h"
#include "runtime/broker/state.h"
#include "runtime/shared/descriptors.h"

#define NUMBER_MAX 24 /* a decimal number with its NUL */

static void number_write(char *buffer, uint64_t number)
{
    struct text text;

    text_start(&text, buffer, NUMBER_MAX);
    text_append_unsigned(&text, number);
}

void reload_prepare(struct broker *broker, const char *path)
{
    struct reload *reload = &broker->reload;
    static const char self[] = "/proc/self/exe";

    timer_describe(&reload->timer, TIMER_RELOAD, 0);
    reload->candidate = reload->output = -1;
    reload->self = open(self, O_PATH | O_CLOEXEC);
    ssize_t length = -1;
    if (path) {
        length = (ssize_t)strlen(path);
        memcpy(reload->path, path, (size_t)length);
    } else {
        length = readlink(self, reload->path, sizeof(reload->path) - 1);
    }
    if (length < 0 || reload->self < 0 || fstat(reload->self, &reload->running) < 0)
        length = 0;
    reload->path[length] = '\0';
    if (length == 0)
        notice("cannot tell which executable this is; SIGHUP will not replace it");
}

/* ---- the end of a reload --------------------------------------------------------------------- */

void reload_complete(struct broker *broker, const char *note)
{
    if (note[0] != '\0')
        notice("reload: %s", note);
    else
        notice("reloaded");
    audit_reload(&broker->audit, note[0] != '\0' ? note : NULL);
    notify_ready(broker->notify);
}

/* This broker goes on. `why` is what kept it from becoming another; "" if there was none. */
static void reload_stay(struct broker *broker, const char *why)
{
    struct reload *reload = &broker->reload;

    descriptor_close(&reload->candidate);
    descriptor_close(&reload->output);
    reload->checker = 0;
    if (why[0] == '\0' && reload->manifest_kept)
        why = reload->note.text;
    reload_complete(broker, why);
}

void reload_stop(struct broker *broker)
{
    struct reload *reload = &broker->reload;

    if (reload->checker == 0)
        return;
    timer_disarm(&broker->timers, &reload->timer);
    kill(reload->checker, SIGKILL); /* reaped like any other child, or left to init */
    reload->again = false;
    reload_stay(broker, "the broker is stopping");
}

/* ---- the exec -------------------------------------------------------------------------------- */

/* Becomes `executable`, which is handed `file` with the state. Returns only if it cannot. */
static void image_replace(struct broker *broker, int executable, int file)
{
    char number[NUMBER_MAX];
    char name[] = "agent-broker", serve[] = "serve", resume[] = "--resume", socket[] = "--socket";
    char *argv[] = {name, serve, resume, number, NULL, NULL, NULL};

    number_write(number, (uint64_t)file);
    if (broker->options.socket) {
        argv[4] = socket;
        argv[5] = (char *)(uintptr_t)broker->options.socket;
    }
    syscall(SYS_execveat, executable, "", argv, broker->variables, AT_EMPTY_PATH);
}

/* This image goes on: no descriptor is to survive an exec any more. */
static void candidate_let_go(struct broker *broker, const struct state *state)
{
    if (state)
        state_keep(state, false);
    if (broker->captures)
        captures_keep(broker->captures, false);
}

/* Hands everything over to the candidate. Returns only with `failure`. */
static void candidate_become(struct broker *broker, struct failure *failure)
{
    struct reload *reload = &broker->reload;
    struct state state;

    pool_settle(broker);
    pool_retire(broker); /* idle workers are not worth handing over */
    if (closers_leave(broker, failure) < 0)
        return;
    if (broker->captures && captures_keep(broker->captures, true) < 0) {
        failure_set(failure, errno, "handing over captures: %s", strerror(errno));
        candidate_let_go(broker, NULL); /* some of them may have been marked */
        return;
    }
    cleanup_fd int file = state_write(broker, reload->self, "", failure);
    if (file < 0 || state_read(file, &state, failure) < 0) {
        candidate_let_go(broker, NULL);
        return;
    }
    if (fcntl(file, F_SETFD, 0) == 0 && state_keep(&state, true)) {
        image_replace(broker, reload->candidate, file);
        failure_set(failure, errno, "%s: %s", reload->path, strerror(errno));
    } else {
        failure_set(failure, errno, "handing over descriptors: %s", strerror(errno));
    }
    candidate_let_go(broker, &state);
    state_close(&state);
}

void reload_go_back(struct broker *broker, struct state *state, const char *why)
{
    struct failure failure;
    int previous = state->header.previous;

    notice("reload: %s; going back to the old broker", why);
    if (previous < 0)
        return;
    /* What this image was handed is of no use to that one, which gets a state of its own. */
    fcntl(broker->options.resume, F_SETFD, FD_CLOEXEC);
    cleanup_fd int file = state_rewrite(state, -1, why, &failure);
    if (file < 0 || fcntl(file, F_SETFD, 0) < 0 || !state_keep(state, true)) {
        notice("reload: handing the state back failed");
        return;
    }
    if (fcntl(previous, F_SETFD, FD_CLOEXEC) == 0)
        image_replace(broker, previous, file);
    notice("reload: the old broker cannot be run any more: %s", strerror(errno));
}

/* ---- the check ------------------------------------------------------------------------------- */

/* In the child: becomes the candidate, asked whether it could serve. */
static void check_run(const struct broker *broker)
{
    char format[NUMBER_MAX], digest[NUMBER_MAX];
    char name[] = "agent-broker", command[] = "check-host", takes_over[] = "--takes-over",
         inherits[] = "--inherits", socket[] = "--socket";
    char *argv[] = {name, command, takes_over, format, inherits, digest, NULL, NULL, NULL};
    sigset_t none;

    number_write(format, STATE_FORMAT);
    number_write(digest, confine_given_up(broker));
    if (broker->options.socket) {
        argv[6] = socket;
        argv[7] = (char *)(uintptr_t)broker->options.socket;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(broker->reload.output, STDOUT_FILENO) >= 0 &&
        dup2(broker->reload.output, STDERR_FILENO) >= 0)
        syscall(SYS_execveat, broker->reload.candidate, "", argv, broker->variables,
                AT_EMPTY_PATH);
    notice("error: it cannot be run: %s", strerror(errno));
    _exit(127);
}

static int check_begin(struct broker *broker, struct failure *failure)
{
    struct reload *reload = &broker->reload;

    reload->output = memfd_create("sluice-check", MFD_CLOEXEC);
    if (reload->output < 0)
        return failure_set(failure, errno, "memfd_create: %s", strerror(errno));
    reload->late = false;
    closers_await(broker);
    reload->checker = fork();
    if (reload->checker < 0) {
        reload->checker = 0;
        return failure_set(failure, errno, "fork: %s", strerror(errno));
    }
    if (reload->checker == 0)
        check_run(broker);
    timer_arm(&broker->timers, &reload->timer, broker->now + RELOAD_CHECK_MS);
    return 0;
}

/* The line of the check's output that says what is wrong: the first error, else what is missing,
 * else the first. */
static void check_read(const struct reload *reload, char *line, size_t size)
{
    static const char *const marks[] = {"error: ", "missing: ", ""};
    char output[8192];
    ssize_t length = read_whole_at(reload->output, output, sizeof(output) - 1, 0);

    line[0] = '\0';
    if (length <= 0)
        return;
    output[length] = '\0';
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const char *found = strstr(output, marks[i]);
        if (!found)
            continue;
        struct text text;
        text_start(&text, line, size);
        text_append_bytes(&text, found, strcspn(found, "\n"));
        return;
    }
}

/* A SIGHUP that came during the check may be about yet another executable. Whoever is the broker next
 * reads it: a signal that is pending stays so in an exec (execve(2)). */
static void again_pass_on(struct reload *reload)
{
    if (reload->again)
        kill(getpid(), SIGHUP);
    reload->again = false;
}

bool reload_child_ended(struct broker *broker, pid_t child, int status)
{
    struct reload *reload = &broker->reload;
    struct failure failure;
    char line[FAILURE_TEXT_MAX - 64];

    if (reload->checker == 0 || child != reload->checker)
        return false;
    timer_disarm(&broker->timers, &reload->timer);
    reload->checker = 0;
    again_pass_on(reload);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        candidate_become(broker, &failure);
    } else if (reload->late) {
        failure_set(&failure, 0, "the new broker did not check the host within %u s",
                    RELOAD_CHECK_MS / 1000);
    } else {
        check_read(reload, line, sizeof(line));
        failure_set(&failure, 0, "the new broker is unfit: %s", line);
    }
    reload_stay(broker, failure.text);
    return true;
}

void reload_expire(struct broker *broker)
{
    if (broker->reload.checker == 0)
        return;
    broker->reload.late = true;
    kill(broker->reload.checker, SIGKILL);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool is_running_image(const struct reload *reload, const struct stat *status)
{
    return status->st_dev == reload->running.st_dev && status->st_ino == reload->running.st_ino &&
           status->st_ctim.tv_sec == reload->running.st_ctim.tv_sec &&
           status->st_ctim.tv_nsec == reload->running.st_ctim.tv_nsec;
}

/* Opens the file at `path` if nobody but root and the broker's uid can have put it there. */
static int executable_open(const char *path, struct failure *failure)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash > path ? (size_t)(slash - path) : 1;
    struct stat status;

    memcpy(parent, path, length);
    parent[length] = '\0';
    cleanup_fd int directory = path_open_directory(parent, 0, failure);
    if (directory < 0)
        return -1;
    cleanup_fd int file =
        openat(directory, slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        return failure_set(failure, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != geteuid()) ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return failure_set(failure, EPERM, "%s: others than its owner could change it", path);
    return descriptor_steal(&file);
}

/* Opens what is at this broker's path now. 1 if it is another executable, 0 if it is this one, -1
 * with `failure`. */
static int candidate_open(struct reload *reload, struct failure *failure)
{
    struct stat status;

    if (reload->path[0] == '\0')
        return 0;
    reload->candidate = executable_open(reload->path, failure);
    if (reload->candidate < 0)
        return -1;
    if (fstat(reload->candidate, &status) < 0)
        return failure_set(failure, errno, "%s: %s", reload->path, strerror(errno));
    return is_running_image(reload, &status) ? 0 : 1;
}

void reload_begin(struct broker *broker)
{
    struct reload *reload = &broker->reload;
    struct failure failure;

    if (reload->checker != 0) {
        reload->again = true;
        return;
    }
    notify_reloading(broker->notify, clock_monotonic_ns() / 1000);
    reload->manifest_kept = audit_reopen(&broker->audit, &reload->note) < 0;
    int found = candidate_open(reload, &failure);
    if (found > 0 && check_begin(broker, &failure) == 0)
        return;
    reload_stay(broker, found == 0 ? "" : failure.text);
}
