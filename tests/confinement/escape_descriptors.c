/* What a program is given besides 0, 1 and 2: looks for descriptors in every way there is, and says
 * which it finds, one a line: "WAY NUMBER". Nothing to say is right. */
#define _GNU_SOURCE 1
#include "attempt.h"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void found(const char *way, long number)
{
    if (number > 2)
        printf("%s %ld\n", way, number);
}

/* Every entry but the one that the listing itself has open. */
static void listed(const char *path)
{
    DIR *list = opendir(path);
    if (!list)
        return;
    for (const struct dirent *entry; (entry = readdir(list));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(list))
            found(path, atol(entry->d_name));
    closedir(list);
}

static void polled(int number)
{
    struct pollfd entry = {.fd = number};
    if (poll(&entry, 1, 0) >= 0 && !(entry.revents & POLLNVAL))
        found("poll", number);
}

int main(void)
{
    struct rlimit limit;
    struct stat status;

    /* a limit that was lowered hides nothing that is open above it */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    long last = limit.rlim_max < 1048576 ? 1048576 : (long)limit.rlim_max;
    for (long number = 3; number < last && number < 4194304; number++)
        if (fcntl((int)number, F_GETFD) >= 0)
            found("fcntl", number);
    for (int number = 3; number < 4096; number++) {
        char path[64];
        int copy = dup(number);
        if (copy >= 0) {
            found("dup", number);
            close(copy);
        }
        if (fstat(number, &status) == 0)
            found("fstat", number);
        if (lseek(number, 0, SEEK_CUR) >= 0 || errno != EBADF)
            found("lseek", number);
        polled(number);
        snprintf(path, sizeof path, "/proc/self/fd/%d", number);
        if (lstat(path, &status) == 0)
            found("lstat", number);
        int again = open(path, O_RDONLY | O_NONBLOCK);
        if (again >= 0) {
            found("open", number);
            close(again);
        }
    }
    listed("/proc/self/fd");
    listed("/proc/self/fdinfo");
    listed("/proc/thread-self/fd");
    listed("/dev/fd");
    return 0;
}
