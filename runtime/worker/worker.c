#define _GNU_SOURCE 1

#include "runtime/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/worker/capabilities.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/protocol.h"
#include "runtime/worker/release.h"
#include "runtime/worker/serve.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

/* After a call with more text than this, the shared memory is given back to the system. */
#define MEMORY_KEPT ((size_t)64 * 1024)

struct file_identity file_identify(const struct stat *status)
{
    return (struct file_identity){.device = (uint64_t)status->st_dev,
                                  .inode = (uint64_t)status->st_ino,
                                  .changed_s = status->st_ctim.tv_sec,
                                  .changed_ns = status->st_ctim.tv_nsec};
}

/* fork(2), with a pidfd from birth and in new namespaces: the C library's own has neither. The two
 * architectures agree on the first three arguments of clone(2). The child must not use what the C
 * library remembers of its thread (raise, pthread): the worker does not. Returns the pid, 0 in the
 * child, or a negative errno. */
static pid_t process_clone(unsigned long namespaces, int *pidfd)
{
    long pid = syscall(SYS_clone, namespaces | CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
    return pid < 0 ? -errno : (pid_t)pid;
}

/* A worker that nobody is to have. */
static void process_end(pid_t pid, int *pidfd)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    descriptor_close(pidfd);
}

/* The same, with the capabilities that the broker has kept for this alone (own.c). */
static pid_t process_fork(const struct confinement_setup *setup, int *pidfd)
{
    uint64_t needed = namespaces_capabilities(setup);
    if (needed == 0)
        return process_clone(namespaces_at_birth(setup), pidfd);
    bool was_raised = capabilities_effective(needed);
    int status = capabilities_raise(needed);
    if (status < 0)
        return status;
    pid_t pid = process_clone(namespaces_at_birth(setup), pidfd);
    if (pid != 0 && !was_raised)
        status = capabilities_lower(needed);
    if (pid > 0 && status < 0)
        process_end(pid, pidfd);
    /* Whatever came of the clone: a broker that cannot give its privileges up again says so. */
    return pid != 0 && status < 0 ? status : pid;
}

int worker_start(const struct policy *policy, uint32_t confinement,
                 const struct confinement_setup *setup, struct worker *worker)
{
    int control[2], asks[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return -errno;
    cleanup_fd int our_control = control[0];
    cleanup_fd int their_control = control[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, asks) < 0)
        return -errno;
    cleanup_fd int our_asks = asks[0];
    cleanup_fd int their_asks = asks[1];
    int status = descriptor_set_nonblocking(our_control);
    if (status < 0)
        return status;

    struct worker_memory *memory = mmap(NULL, WORKER_MEMORY_BYTES, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;

    int pidfd = -1;
    cleanup_fd int network = namespaces_take_network(setup);
    pid_t pid = process_fork(setup, &pidfd);
    if (pid == 0)
        worker_serve(policy, setup, network, their_control, their_asks, memory);
    if (pid < 0) {
        munmap(memory, WORKER_MEMORY_BYTES);
        return (int)pid;
    }
    /* A later worker has no business with this one's calls. */
    if (madvise(memory, WORKER_MEMORY_BYTES, MADV_DONTFORK) < 0) {
        status = -errno;
        process_end(pid, &pidfd);
        munmap(memory, WORKER_MEMORY_BYTES);
        return status;
    }
    *worker = (struct worker){
        .pid = pid,
        .pidfd = pidfd,
        .control = descriptor_steal(&our_control),
        .asks = descriptor_steal(&our_asks),
        .confinement = confinement,
        .memory = memory,
    };
    return 0;
}

void worker_adopt(struct worker *worker, pid_t pid, int pidfd, int control, uint64_t call)
{
    *worker = (struct worker){.pid = pid,
                              .pidfd = pidfd,
                              .control = control,
                              .asks = -1,
                              .call = call,
                              .confinement = UINT32_MAX,
                              .busy = true};
}

/* ---- giving a call --------------------------------------------------------------------------- */

/* Strings one after the other, a NUL after each, in the shared memory. */
struct packing {
    char *memory;
    size_t used;
    int status; /* 0 or the first negative errno */
};

static void pack(struct packing *packing, const char *bytes, size_t length)
{
    if (packing->status < 0)
        return;
    if (length >= WORKER_BYTES_MAX - packing->used) {
        packing->status = -E2BIG;
    } else if (memchr(bytes, '\0', length)) {
        packing->status = -EINVAL;
    } else {
        memcpy(packing->memory + packing->used, bytes, length);
        packing->used += length;
        packing->memory[packing->used++] = '\0';
    }
}

static int pack_call(struct worker_memory *memory, const struct worker_call *call, uint32_t *bytes)
{
    struct packing packing = {.memory = memory->text};

    memory->executable = call->identity;

    for (uint32_t i = 0; i < call->argument_count; i++)
        pack(&packing, call->arguments[i].bytes, call->arguments[i].length);
    for (uint32_t i = 0; i < call->environment_count; i++)
        pack(&packing, call->environment[i].bytes, call->environment[i].length);
    pack(&packing, call->path, strlen(call->path));
    if (call->directory >= 0)
        pack(&packing, call->directory_path, strlen(call->directory_path));
    *bytes = (uint32_t)packing.used;
    return packing.status;
}

static int ask_send(int socket, const struct worker_ask *ask, const int *descriptors, size_t count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)ask, .iov_len = sizeof *ask};
    int status = message_send(socket, &part, 1, descriptors, count);
    return status == -ECONNRESET ? -EPIPE : status;
}

int worker_run(struct worker *worker, const struct policy *policy, const struct worker_call *call)
{
    if (worker->busy || !worker->memory)
        return -EBUSY;
    if (call->argument_count == 0 || call->rule >= policy->rule_count)
        return -EINVAL;
    if (call->argument_count > WORKER_ARGUMENTS_MAX ||
        call->environment_count > WORKER_ENVIRONMENT_MAX || call->grant_count > WORKER_GRANTS_MAX)
        return -E2BIG;

    struct worker_ask ask = {
        .protocol = WORKER_PROTOCOL,
        .kind = ASK_CALL,
        .call = call->call,
        .rule = call->rule,
        .has_directory = call->directory >= 0,
        .tells_start = call->tells_start,
        .argument_count = call->argument_count,
        .environment_count = call->environment_count,
        .grant_count = call->grant_count,
    };
    int descriptors[ASK_DESCRIPTORS_MAX] = {call->input, call->output, call->error,
                                            call->executable};
    size_t count = 4;
    if (call->directory >= 0)
        descriptors[count++] = call->directory;
    for (uint32_t i = 0; i < call->grant_count; i++) {
        descriptors[count++] = call->grants[i];
        ask.grant_access[i] = call->grant_access[i];
    }
    int status = pack_call(worker->memory, call, &ask.bytes);
    if (call->held)
        release_hold(&worker->memory->held);
    if (status == 0)
        status = ask_send(worker->asks, &ask, descriptors, count);
    if (status < 0) {
        worker_release(worker);
        return status;
    }
    worker->busy = true;
    worker->call = call->call;
    worker->calls++;
    worker->bytes = ask.bytes;
    return 0;
}

void worker_release(struct worker *worker)
{
    release_do(&worker->memory->held);
}

int worker_order(struct worker *worker, enum worker_order order, int signal)
{
    static const uint32_t kinds[] = {[ORDER_SIGNAL] = ASK_SIGNAL,
                                     [ORDER_KILL_GROUP] = ASK_KILL_GROUP,
                                     [ORDER_KILL_TREE] = ASK_KILL_TREE};
    if (!worker->busy)
        return 0;
    struct worker_ask ask = {
        .protocol = WORKER_PROTOCOL,
        .kind = kinds[order],
        .call = worker->call,
        .signal = signal,
    };
    return ask_send(worker->control, &ask, NULL, 0);
}

/* ---- taking reports -------------------------------------------------------------------------- */

static void worker_idle(struct worker *worker, struct worker_report *report)
{
    *report = (struct worker_report){.kind = REPORT_IDLE, .call = worker->call};
    worker->idle_follows = false;
    worker->busy = false;
    if (worker->memory && worker->bytes > MEMORY_KEPT)
        madvise(worker->memory, WORKER_MEMORY_BYTES, MADV_REMOVE); /* a saving, no more */
}

int worker_receive(struct worker *worker, struct worker_report *report)
{
    if (worker->idle_follows) {
        worker_idle(worker, report);
        return 1;
    }
    struct worker_telling telling;
    struct message message = {.buffer = &telling, .capacity = sizeof telling};
    enum message_result result = message_receive(worker->control, &message);
    if (result == MESSAGE_NONE)
        return 0;
    if (result != MESSAGE_RECEIVED || message.length != sizeof telling || message.count != 0 ||
        telling.protocol != WORKER_PROTOCOL || telling.report.kind > REPORT_UNFIT)
        return -1;
    if (telling.report.kind == REPORT_IDLE) {
        worker_idle(worker, report);
        return 1;
    }
    worker->idle_follows = telling.idle_follows != 0;
    *report = telling.report;
    return 1;
}

void worker_close(struct worker *worker)
{
    descriptor_close(&worker->control);
    descriptor_close(&worker->asks);
    descriptor_close(&worker->pidfd);
    if (worker->memory)
        munmap(worker->memory, WORKER_MEMORY_BYTES);
    worker->memory = NULL;
}
