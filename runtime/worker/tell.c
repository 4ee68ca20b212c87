#define _GNU_SOURCE 1

#include "runtime/worker/tell.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/worker/protocol.h"

static uint64_t milliseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_usec / 1000;
}

struct worker_report tell_of_end(pid_t leader, const siginfo_t *ended, const struct rusage *usage,
                                 size_t left)
{
    /* The form of waitpid(2): what a signal killed has its number in the low bits, a core dump 0x80. */
    int status = ended->si_code == CLD_EXITED
                     ? (ended->si_status & 0xff) << 8
                     : ended->si_status | (ended->si_code == CLD_DUMPED ? 0x80 : 0);
    return (struct worker_report){
        .kind = REPORT_ENDED,
        .pid = leader,
        .status = status,
        .left = left > INT32_MAX ? INT32_MAX : (int32_t)left,
        .user_ms = milliseconds(usage->ru_utime),
        .system_ms = milliseconds(usage->ru_stime),
        .max_rss_kb = (uint64_t)usage->ru_maxrss,
    };
}

void tell_broker(int control, const struct worker_report *report, bool idle_follows)
{
    struct worker_telling telling = {
        .protocol = WORKER_PROTOCOL, .idle_follows = idle_follows, .report = *report};
    ssize_t sent;
    do {
        sent = send(control, &telling, sizeof telling, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && shutdown(control, SHUT_RDWR) < 0 && errno != ENOTCONN)
        _exit(1);
}
