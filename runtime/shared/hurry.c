#include "runtime/shared/hurry.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

static void alarm_ignore(int signal)
{
    (void)signal;
}

void hurry_prepare(void)
{
    struct sigaction action = {.sa_handler = alarm_ignore}; /* no SA_RESTART */
    sigset_t alarm;

    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

void hurry(bool now)
{
    const struct timeval each = {.tv_usec = now ? HURRY_US : 0};
    const struct itimerval often = {.it_interval = each, .it_value = each};

    setitimer(ITIMER_REAL, &often, NULL);
}
