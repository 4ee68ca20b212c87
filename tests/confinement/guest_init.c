/* The first process of a virtual machine whose root is the host's file system, read-only, over 9p
 * (tests/confinement/guest.py): loads the kernel's modules for that, in the order of their names, and
 * becomes guest.sh there. Privileges: all, in a machine that has nothing but this. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES_MAX 32

static void end(const char *what)
{
    printf("guest: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    reboot(RB_POWER_OFF);
    _exit(1);
}

/* /modules/NN.ko; the last number is where there is no more. */
static void modules_load(void)
{
    for (int number = 0; number < MODULES_MAX; number++) {
        char path[32];
        snprintf(path, sizeof path, "/modules/%02d.ko", number);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return;
        if (syscall(SYS_finit_module, file, "", 0) < 0 && errno != EEXIST)
            end(path);
        close(file);
    }
}

int main(void)
{
    const char *root = getenv("SLUICE_ROOT");
    char script[4096];

    modules_load();
    if (mkdir("/root", 0755) < 0 && errno != EEXIST)
        end("/root");
    if (mount("root", "/root", "9p", MS_RDONLY, "trans=virtio,version=9p2000.L,msize=262144,cache=loose") < 0)
        end("the host's files");
    if (!root || snprintf(script, sizeof script, "%s/tests/confinement/guest.sh", root) >= (int)sizeof script)
        end("SLUICE_ROOT");
    /* switch_root(8): the initial file system cannot be left by pivot_root(2) */
    if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        end("the new root");
    execl("/bin/sh", "sh", script, (char *)NULL);
    end(script);
}
