#define _GNU_SOURCE 1

#include "runtime/client/call.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/client/arguments.h"
#include "runtime/client/display.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/wire.h"

/* ---- what is said ---------------------------------------------------------------------------- */

static void report_command(struct display *display, const struct sluicify_request *request)
{
    if (!request)
        return;
    display_append(display, ": ");
    display_append_command(display, request->arguments, request->argument_count);
}

int client_report_answer(const struct sluicify_request *request,
                         const struct sluicify_answer *answer)
{
    struct display display;

    if (answer->status < 0) {
        display_start(&display, STDERR_FILENO);
        display_append(&display, "sluicify: ");
        display_append(&display, wire_status_text(answer->status));
        report_command(&display, request);
        display_append(&display, "\n");
        display_append_lines(&display, answer->text, answer->text_length, "  ");
        display_finish(&display);
    }
    return wire_status_exit_code(answer->status);
}

/* What a person can do about it, where the error alone does not say. */
static const char *error_hint(int error)
{
    switch (-error) {
    case ENOENT:
        return " (is it running?): ";
    case ECONNREFUSED:
        return " (nothing listens there): ";
    case ENOTSOCK:
    case EPROTOTYPE:
        return " (that is no broker's socket): ";
    case EMSGSIZE:
        return " (it cannot be sent so large a request): ";
    default:
        return ": ";
    }
}

int client_report_error(const struct client_place *place, const struct sluicify_exchange *exchange,
                        const struct sluicify_request *request, int error)
{
    if (error == -EINVAL && exchange->problem) {
        display_complain("cannot send ", NULL, exchange->problem, NULL);
        return wire_status_exit_code(WIRE_PROTO);
    }
    if (error == SLUICIFY_LOST)
        display_complain("the broker went away before it answered", NULL, request ? ": " : NULL,
                         request ? request->arguments[0] : NULL);
    else if (error == SLUICIFY_BROKEN)
        display_complain("cannot understand the broker: ", NULL, exchange->problem, NULL);
    else if (error == SLUICIFY_OLD_BROKER)
        display_complain("this broker speaks version 1 only, which cannot do that", NULL, NULL,
                         NULL);
    else
        display_complain("no broker at ", place->name, error_hint(error), strerror(-error));
    if (error < 0 && place->is_operand)
        display_complain(client_operand_hint, NULL, NULL, NULL);
    return CLIENT_FAILURE;
}

/* ---- signals --------------------------------------------------------------------------------- */

static const int forwarded_signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGWINCH,
                                        SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2};

#define FORWARDED_COUNT (sizeof(forwarded_signals) / sizeof(forwarded_signals[0]))

/* The signals of one call: blocked, and read from `descriptor` (-1 while they are not). */
struct signals {
    int descriptor;
    sigset_t before;
    sigset_t passed_on; /* since the call began */
};

/* Whether this process was started with a signal ignored. Asked of the kernel itself: the library's
 * sigaction(3) brings a kilobyte of locking that a program without threads has no use for. In the
 * kernel's struct the handler comes first (rt_sigaction(2); not so on MIPS, which is not
 * supported). */
static bool signal_is_ignored(int number)
{
    struct {
        uintptr_t handler;
        uintptr_t rest[7];
    } action = {0};

    return syscall(SYS_rt_sigaction, number, NULL, &action, (size_t)8) == 0 &&
           action.handler == (uintptr_t)SIG_IGN;
}

/* Takes the signals over. Where there can be no signalfd they keep acting on this process. */
static void signals_take(struct signals *signals)
{
    sigset_t wanted;

    signals->descriptor = -1;
    sigemptyset(&signals->passed_on);
    sigemptyset(&wanted);
    for (size_t i = 0; i < FORWARDED_COUNT; i++)
        if (!signal_is_ignored(forwarded_signals[i]))
            sigaddset(&wanted, forwarded_signals[i]);
    if (sigprocmask(SIG_BLOCK, &wanted, &signals->before) < 0)
        return;
    signals->descriptor = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->descriptor < 0)
        sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

/* Gives them back: what is pending acts on this process now, and so does what was passed on to a
 * broker that turned out not to know signals. */
static void signals_give_back(struct signals *signals)
{
    if (signals->descriptor < 0)
        return;
    descriptor_close(&signals->descriptor);
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
    for (size_t i = 0; i < FORWARDED_COUNT; i++)
        if (sigismember(&signals->passed_on, forwarded_signals[i]) == 1)
            kill(getpid(), forwarded_signals[i]);
}

/* Stops this process as the terminal asked, so that its shell gets its prompt back. The default
 * action does it, and not SIGSTOP, because it does not stop where nobody could continue us (an
 * orphaned process group, setpgid(2)); the command, which may have stopped, is then continued at
 * once. */
static void process_stop(struct sluicify_exchange *exchange)
{
    sigset_t stop, pending;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(getpid(), SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); /* stops here */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (exchange->sent && sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) != 1)
        sluicify_exchange_signal(exchange, SIGCONT);
}

/* A signal that came before there is a call: it acts on this process. */
static void signal_act(int number)
{
    sigset_t one;

    sigemptyset(&one);
    sigaddset(&one, number);
    kill(getpid(), number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
}

/* Handles every signal that has come. */
static void signals_pass(struct signals *signals, struct sluicify_exchange *exchange)
{
    struct signalfd_siginfo came;

    while (read(signals->descriptor, &came, sizeof(came)) == (ssize_t)sizeof(came)) {
        int number = (int)came.ssi_signo;
        if (!exchange->sent) {
            signal_act(number);
            continue;
        }
        /* What cannot be sent finds the broker gone, which the answer's descriptor tells as well.
         */
        sluicify_exchange_signal(exchange, number);
        if (number == SIGTSTP)
            process_stop(exchange); /* has acted here, too */
        else
            sigaddset(&signals->passed_on, number);
    }
}

/* ---- a call ---------------------------------------------------------------------------------- */

/* Waits until something has come, or the request can be sent. Returns 0 or a negative errno. */
static int call_wait(struct signals *signals, struct sluicify_exchange *exchange)
{
    struct pollfd wait[] = {
        {.fd = exchange->reply, .events = POLLIN},
        {.fd = signals->descriptor, .events = POLLIN},
        {.fd = exchange->sent ? -1 : sluicify_exchange_connection(exchange), .events = POLLOUT},
    };

    if (poll(wait, 3, -1) < 0 && errno != EINTR)
        return -errno;
    if (wait[1].revents)
        signals_pass(signals, exchange);
    return 0;
}

/* Sends the request of an open exchange and waits for its end: a sluicify_state, or a negative
 * errno. */
static int call_finish(struct signals *signals, struct sluicify_exchange *exchange,
                       struct sluicify_answer *answer)
{
    for (;;) {
        int result = exchange->sent ? 0 : sluicify_exchange_send(exchange);
        if (result < 0 && result != -EAGAIN)
            return result;
        if (exchange->sent) {
            enum sluicify_state state = sluicify_exchange_receive(exchange, answer);
            if (state != SLUICIFY_WAITING)
                return (int)state;
        }
        result = call_wait(signals, exchange);
        if (result < 0)
            return result;
    }
}

int client_call_run(const struct client_place *place, const struct sluicify_request *request)
{
    struct sluicify_exchange exchange;
    struct sluicify_answer answer = {0};
    struct signals signals = {.descriptor = -1};
    int exit_code;

    int result = sluicify_exchange_open(&exchange, &place->address, SLUICIFY_CALL, request, 2);
    if (result == 0) {
        if (exchange.takes_signals)
            signals_take(&signals);
        result = call_finish(&signals, &exchange, &answer);
    }
    if (result == SLUICIFY_OLD_BROKER) {
        sluicify_exchange_close(&exchange);
        signals_give_back(&signals);
        result = sluicify_exchange_open(&exchange, &place->address, SLUICIFY_CALL, request, 1);
        if (result == 0)
            result = call_finish(&signals, &exchange, &answer);
    }
    if (result == SLUICIFY_ANSWERED)
        exit_code = client_report_answer(request, &answer);
    else
        exit_code = client_report_error(place, &exchange, request, result);
    sluicify_exchange_close(&exchange);
    descriptor_close(&signals.descriptor);
    return exit_code;
}

/* ---- a listing ------------------------------------------------------------------------------- */

int client_list_fetch(const struct client_place *place, struct sluicify_exchange *exchange,
                      struct sluicify_answer *answer)
{
    int result =
        sluicify_exchange_finish(exchange, &place->address, SLUICIFY_LIST, NULL, -1, answer);

    if (result != SLUICIFY_ANSWERED)
        return client_report_error(place, exchange, NULL, result);
    return client_report_answer(NULL, answer);
}

int client_list_run(const struct client_place *place)
{
    struct sluicify_exchange exchange;
    struct sluicify_answer answer = {0};
    struct display display;
    int exit_code = client_list_fetch(place, &exchange, &answer);

    if (exit_code == 0) {
        display_start(&display, STDOUT_FILENO);
        display_append_lines(&display, answer.text, answer.text_length, "");
        if (display_finish(&display) < 0) {
            display_complain("cannot write the listing: ", NULL, NULL, strerror(-display.failure));
            exit_code = CLIENT_FAILURE;
        }
    }
    sluicify_exchange_close(&exchange);
    return exit_code;
}
