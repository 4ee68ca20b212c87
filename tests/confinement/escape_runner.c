/* kill = tree: runs away from the kill at full speed.
 *
 *   escape_runner alone|row|side|behind RUNNERS
 *
 * Each runner is a process that makes another and ends, again and again, in a session of its own: at a
 * walk until the leader, once they are well away, ends; then at full speed. From there on together they make STEPS_MAX processes at the most, so that a
 * kill that does not reach them fills no process table; the one that comes so far says so. */
#define _GNU_SOURCE 1

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 20000u
#define STEPS_AWAY 200u
#define DEAD 6000u

static atomic_uint *steps; /* [0]: so far; [1]: the leader ends */

static void step(void)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    unsigned made = atomic_fetch_add(&steps[0], 1);
    if (!atomic_load(&steps[1])) {
        nanosleep(&moment, NULL);
        return;
    }
    if (made < STEPS_MAX)
        return;
    static const char told[] = "got away\n";
    if (write(1, told, sizeof told - 1) < 0)
        _exit(1);
    _exit(0);
}

/* The parent ends at once: what is there is always somebody else. */
static void run_alone(void)
{
    for (;;) {
        step();
        pid_t pid = fork();
        if (pid > 0)
            _exit(0);
        if (pid == 0)
            setsid();
    }
}

/* Each waits until its child has a child before it ends, so that there are always some in a row, and
 * no look from the outside sees the last of them as an orphan. */
static void run_in_a_row(void)
{
    for (;;) {
        int told[2];
        char byte;
        step();
        if (pipe(told) < 0)
            continue;
        pid_t pid = fork();
        if (pid > 0) {
            close(told[1]);
            /* ends when the child has closed it, and what the child made before */
            if (read(told[0], &byte, 1) < 0)
                _exit(1);
            _exit(0);
        }
        if (pid == 0) {
            setsid();
            if (fork() > 0)
                _exit(0); /* the row goes on in the grandchild */
            setsid();
        }
        close(told[0]);
        close(told[1]);
    }
}

/* The new one is a sibling, with every trick of clone(2). */
static void run_sideways(void)
{
    for (;;) {
        step();
        long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (pid > 0)
            _exit(0);
        if (pid == 0)
            setsid();
    }
}

/* Waits, behind more dead children of the same parent than anybody lists at once. */
static void wait_behind(void)
{
    for (unsigned i = 0; i < DEAD; i++)
        if (fork() == 0)
            _exit(0);
    atomic_store(steps, STEPS_AWAY);
}

int main(int argc, char **argv)
{
    static const struct timespec moment = {.tv_nsec = 1000000};

    if (argc != 3)
        return 2;
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    steps = mmap(NULL, 2 * sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (steps == MAP_FAILED)
        return 1;
    if (strcmp(argv[1], "behind") == 0)
        wait_behind();
    for (int i = 0; i < atoi(argv[2]); i++)
        if (fork() == 0) {
            if (strcmp(argv[1], "alone") == 0)
                run_alone();
            else if (strcmp(argv[1], "row") == 0)
                run_in_a_row();
            else if (strcmp(argv[1], "side") == 0)
                run_sideways();
            for (setsid();;)
                pause();
        }
    while (atomic_load(steps) < STEPS_AWAY)
        nanosleep(&moment, NULL);
    if (write(1, "up\n", 3) != 3)
        return 1;
    atomic_store(&steps[0], 0);
    atomic_store(&steps[1], 1);
    return 0;
}
