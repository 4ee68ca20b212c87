/* The least that a call can cost where broker, worker and program are three processes: a broker that
 * passes descriptors on and answers, and does nothing else. No rule, no record, no confinement, no
 * check; whoever connects runs ARGV.
 *
 *     bare SOCKET ARGV...
 *
 * What it costs beside the floor is the shape's; what the real broker costs beside it is its work. A
 * worker clones its next child ahead, on its own memory, as the real one does. Ends at SIGTERM. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/caller.h"

#define CALLERS_MAX 512
#define STACK_BYTES 65536
#define EVENTS_PER_TURN 64
#define STANDARD 3
#define KEPT 900 /* a worker's two descriptors; the broker has fewer than so many */

extern char **environ;

enum source { LISTENER, CALLER, WORKER };

struct worker {
    int asks, reports;
    int caller; /* whom its call is for */
};

static struct worker workers[CALLERS_MAX];
static size_t worker_count, idle_count;
static size_t idle[CALLERS_MAX];
static char *const *program;
static int executable;

/* ---- a worker -------------------------------------------------------------------------------- */

static _Alignas(16) char stack[STACK_BYTES];

static int child_run(void *asks)
{
    char byte;
    int descriptors[STANDARD + 1];
    struct message message = {
        .buffer = &byte, .capacity = 1, .descriptors = descriptors, .wanted = STANDARD + 1};
    struct pollfd call = {.fd = *(const int *)asks, .events = POLLIN};
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&call, 1, -1) != 1 || message_receive(call.fd, &message) != MESSAGE_RECEIVED)
        _exit(1);
    for (int i = 0; i < STANDARD; i++)
        if (dup2(descriptors[i], i) < 0)
            _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    syscall(SYS_execveat, descriptors[STANDARD], "", program, environ, AT_EMPTY_PATH);
    _exit(127);
}

static _Noreturn void worker_serve(int asks, int reports)
{
    sigset_t ended;
    struct signalfd_siginfo ignored;
    siginfo_t how;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    int signals = signalfd(-1, &ended, SFD_CLOEXEC);
    for (;;) {
        pid_t child = clone(child_run, stack + sizeof stack, CLONE_VM | SIGCHLD, &asks);
        struct pollfd events[] = {{.fd = signals, .events = POLLIN}, {.fd = reports}};
        if (child < 0 || poll(events, 2, -1) < 1 || (events[0].revents & POLLIN) == 0 ||
            waitid(P_PID, (id_t)child, &how, WEXITED) < 0 ||
            send(reports, &how.si_status, sizeof how.si_status, 0) < 0 ||
            read(signals, &ignored, sizeof ignored) < 0)
            _exit(1);
    }
}

static void watch(int epoll, int descriptor, enum source source, size_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)source << 32 | index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        caller_fail("epoll_ctl");
}

static size_t worker_take(int epoll)
{
    int asks[2], reports[2];

    if (idle_count > 0)
        return idle[--idle_count];
    if (worker_count == CALLERS_MAX || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, asks) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports))
        caller_fail("a worker");
    pid_t pid = fork();
    if (pid < 0)
        caller_fail("fork");
    if (pid == 0) {
        int kept[] = {fcntl(asks[1], F_DUPFD_CLOEXEC, KEPT), fcntl(reports[1], F_DUPFD_CLOEXEC, KEPT)};
        if (close_range(STANDARD, KEPT - 1, 0) < 0)
            caller_fail("close_range");
        worker_serve(kept[0], kept[1]);
    }
    close(asks[1]);
    close(reports[1]);
    workers[worker_count] = (struct worker){.asks = asks[0], .reports = reports[0]};
    watch(epoll, reports[0], WORKER, worker_count);
    return worker_count++;
}

/* ---- the broker ------------------------------------------------------------------------------ */

static void caller_serve(int epoll, int caller)
{
    static char request[CALLER_REQUEST_BYTES];
    int descriptors[STANDARD + 1];
    struct message message = {.buffer = request,
                              .capacity = sizeof request,
                              .descriptors = descriptors,
                              .wanted = STANDARD};
    struct iovec part = {.iov_base = request, .iov_len = 1};

    switch (message_receive(caller, &message)) {
    case MESSAGE_NONE:
        return;
    case MESSAGE_RECEIVED:
        break;
    default:
        close(caller);
        return;
    }
    if (message.count != STANDARD)
        caller_fail("a request");
    size_t index = worker_take(epoll);
    workers[index].caller = caller;
    descriptors[STANDARD] = executable;
    errno = -message_send(workers[index].asks, &part, 1, descriptors, STANDARD + 1);
    if (errno != 0)
        caller_fail("a worker");
    descriptors_close(descriptors, STANDARD);
}

static void worker_report(size_t index)
{
    char header[WIRE_REPLY_HEADER_MAX];
    int status;
    struct iovec part = {.iov_base = header};

    if (recv(workers[index].reports, &status, sizeof status, 0) != sizeof status)
        caller_fail("a report");
    part.iov_len = wire_reply_header_encode(2, status, 0, header);
    idle[idle_count++] = index;
    message_send(workers[index].caller, &part, 1, NULL, 0);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[EVENTS_PER_TURN];

    if (argc < 3 || strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "usage: bare SOCKET ARGV...\n");
        return 2;
    }
    program = argv + 2;
    executable = open(program[0], O_PATH | O_CLOEXEC);
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (executable < 0 || epoll < 0 || listener < 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, CALLERS_MAX) < 0)
        caller_fail(argv[1]);
    watch(epoll, listener, LISTENER, 0);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_PER_TURN, -1);
        for (int i = 0; i < count; i++) {
            size_t index = (uint32_t)events[i].data.u64;
            switch ((enum source)(events[i].data.u64 >> 32)) {
            case LISTENER: {
                int caller = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (caller >= 0)
                    watch(epoll, caller, CALLER, (size_t)caller);
                break;
            }
            case CALLER:
                caller_serve(epoll, (int)index);
                break;
            case WORKER:
                worker_report(index);
                break;
            }
        }
    }
}
