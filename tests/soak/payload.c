/* What a soak's calls run: one program that ends in every way that a program can.
 *
 *   payload exit CODE ID       ends with CODE; 0 from confined, large, variable, nap (after 5 ms)
 *   payload print BYTES ID     writes BYTES of known text: lines of 16 bytes, "ID OFFSET\n" in hex
 *   payload share BYTES ID     the same, a line a write
 *   payload flood ID           writes until it is stopped
 *   payload wait|stay|hang ID  says one byte, then waits to be ended
 *   payload deaf ID            the same, deaf to SIGTERM
 *   payload tree ID            the same, with descendants that left its process group
 *   payload leave|linger ID    ends and leaves a process behind, which waits (for ever; 100 ms)
 *   payload fall ID            kills itself with SIGKILL */
#define _GNU_SOURCE 1

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 16

static void sleep_ms(long milliseconds)
{
    struct timespec pause = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = milliseconds % 1000 * 1000000};

    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        continue;
}

/* Writes all of it; a reader that has gone ends the program by SIGPIPE. */
static void put(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            exit(99);
        bytes += written;
        length -= (size_t)written;
    }
}

static int print(size_t total, unsigned long id, size_t lines_a_write)
{
    char buffer[LINE_BYTES * 256 + 1];

    for (size_t at = 0; at < total;) {
        size_t filled = 0;
        for (size_t line = 0; line < lines_a_write && at + filled < total; line++, filled += LINE_BYTES)
            snprintf(buffer + filled, LINE_BYTES + 1, "%08lx %06zx\n", id & 0xfffffffful,
                     (at + filled) & 0xffffff);
        size_t length = filled < total - at ? filled : total - at;
        put(buffer, length);
        at += length;
    }
    return 0;
}

static void wait_for_the_end(void)
{
    put("r", 1);
    for (;;)
        pause();
}

/* A process out of reach of a signal to the group, whose parent has gone. */
static void descend(void)
{
    if (fork() != 0)
        return;
    setsid();
    if (fork() == 0)
        for (;;)
            pause();
    _exit(0);
}

static int leave(long milliseconds)
{
    if (fork() != 0)
        return 0;
    if (milliseconds > 0)
        sleep_ms(milliseconds);
    else
        for (;;)
            pause();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 98;
    const char *verb = argv[1];
    unsigned long id = strtoul(argv[argc - 1], NULL, 10);

    if (strcmp(verb, "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(verb, "confined") == 0 || strcmp(verb, "large") == 0)
        return 0;
    if (strcmp(verb, "variable") == 0)
        return getenv("COLOR") ? 0 : 97;
    if (strcmp(verb, "nap") == 0) {
        sleep_ms(5);
        return 0;
    }
    if (strcmp(verb, "print") == 0)
        return print(strtoul(argv[2], NULL, 10), id, 256);
    if (strcmp(verb, "share") == 0)
        return print(strtoul(argv[2], NULL, 10), id, 1);
    if (strcmp(verb, "flood") == 0)
        return print((size_t)-1 / 2, id, 256);
    if (strcmp(verb, "leave") == 0)
        return leave(0);
    if (strcmp(verb, "linger") == 0)
        return leave(100);
    if (strcmp(verb, "fall") == 0)
        return raise(SIGKILL);
    if (strcmp(verb, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strcmp(verb, "tree") == 0)
        for (int i = 0; i < 3; i++)
            descend();
    wait_for_the_end();
    return 0;
}
