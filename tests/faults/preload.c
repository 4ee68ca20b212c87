/* Loaded before sluicec (LD_PRELOAD): counts its calls of what can fail, and lets one of them fail.
 * Memory is counted as one function, whoever asks for it: the compiler, libfa, PCRE2, the C library.
 *
 *   FAULT_COUNTS=FILE    the counts are written there at the end, "NAME COUNT" a line
 *   FAULT_NAME=NAME FAULT_AT=N FAULT_ERROR=ERRNO [FAULT_LASTS=1]   that call fails, or all from it on
 *
 * Tools that sluicec starts get no LD_PRELOAD from it, and what it does between vfork and exec is not
 * counted. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

#define COUNTERS 64

static struct counter {
    const char *name;
    unsigned long count;
} counters[COUNTERS];

static struct {
    bool active, lasts;
    pid_t process;
    const char *name, *counts;
    unsigned long at;
    int error;
} plan;

__attribute__((constructor)) static void plan_read(void)
{
    const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR");

    plan.name = getenv("FAULT_NAME");
    plan.counts = getenv("FAULT_COUNTS");
    plan.at = at ? strtoul(at, NULL, 10) : 0;
    plan.error = error ? atoi(error) : 0;
    plan.lasts = getenv("FAULT_LASTS") != NULL;
    plan.process = getpid();
    plan.active = true;
}

__attribute__((destructor)) static void counts_write(void)
{
    char line[64];
    plan.active = false;
    int file = plan.counts ? open(plan.counts, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    for (int i = 0; file >= 0 && i < COUNTERS && counters[i].name; i++) {
        int length = snprintf(line, sizeof line, "%s %lu\n", counters[i].name, counters[i].count);
        if (write(file, line, (size_t)length) != length)
            abort();
    }
    if (file >= 0)
        close(file);
}

static bool fails(const char *name)
{
    if (!plan.active || getpid() != plan.process)
        return false;
    int place = 0;
    while (place < COUNTERS && counters[place].name && strcmp(counters[place].name, name) != 0)
        place++;
    if (place == COUNTERS)
        abort();
    counters[place].name = name;
    unsigned long count = ++counters[place].count;
    if (!plan.name || strcmp(plan.name, name) != 0 || plan.at == 0 ||
        (plan.lasts ? count < plan.at : count != plan.at))
        return false;
    errno = plan.error;
    return true;
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
    return fails("memory") ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails("memory") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails("memory") ? NULL : __libc_realloc(old, size);
}

/* ---- calls ----------------------------------------------------------------------------------- */

#define CALL(type, name, parameters, arguments, failure)                                          \
    type name parameters                                                                          \
    {                                                                                             \
        static type(*real) parameters;                                                            \
        if (!real)                                                                                \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                            \
        return fails(#name) ? failure : real arguments;                                           \
    }

CALL(ssize_t, write, (int a, const void *b, size_t c), (a, b, c), -1)
CALL(ssize_t, read, (int a, void *b, size_t c), (a, b, c), -1)
CALL(ssize_t, pread, (int a, void *b, size_t c, off_t d), (a, b, c, d), -1)
CALL(int, fstat, (int a, struct stat *b), (a, b), -1)
CALL(int, stat, (const char *a, struct stat *b), (a, b), -1)
CALL(int, fsync, (int a), (a), -1)
CALL(int, fchmod, (int a, mode_t b), (a, b), -1)
CALL(int, rename, (const char *a, const char *b), (a, b), -1)
CALL(int, mkdir, (const char *a, mode_t b), (a, b), -1)
CALL(char *, mkdtemp, (char *a), (a), NULL)
CALL(int, mkostemp, (char *a, int b), (a, b), -1)
CALL(int, memfd_create, (const char *a, unsigned b), (a, b), -1)
CALL(char *, realpath, (const char *a, char *b), (a, b), NULL)
CALL(ssize_t, readlink, (const char *a, char *b, size_t c), (a, b, c), -1)
CALL(FILE *, fopen, (const char *a, const char *b), (a, b), NULL)
CALL(FILE *, open_memstream, (char **a, size_t *b), (a, b), NULL)
CALL(DIR *, opendir, (const char *a), (a), NULL)
CALL(int, access, (const char *a, int b), (a, b), -1)
CALL(pid_t, waitpid, (pid_t a, int *b, int c), (a, b, c), -1)

int close(int descriptor)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "close");
    bool failing = fails("close");
    int error = errno;
    int status = real(descriptor);
    if (failing)
        errno = error;
    return failing ? -1 : status;
}

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    return fails("open") ? -1 : real(path, flags, mode);
}

/* A function that called vfork could not return after its child has: this one jumps there. */
#ifdef __x86_64__
static void *real_vfork __attribute__((used));

__attribute__((used)) static int vfork_fails(void)
{
    if (!real_vfork)
        real_vfork = dlsym(RTLD_NEXT, "vfork");
    return fails("vfork");
}

__asm__(".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    sub $8, %rsp\n"
        "    call vfork_fails\n"
        "    add $8, %rsp\n"
        "    test %eax, %eax\n"
        "    jne 1f\n"
        "    jmp *real_vfork(%rip)\n"
        "1:  mov $-1, %rax\n"
        "    ret\n");
#endif
