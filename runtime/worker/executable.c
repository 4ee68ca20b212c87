#define _GNU_SOURCE 1

#include "runtime/worker/executable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

#define SCRIPT_LINE_BYTES 256 /* BINPRM_BUF_SIZE: the kernel reads no more of a first line */
#define PROGRAM_HEADERS_MAX 64

/* For executables that may be run but not read: the loaders that this machine's systems have. */
#if defined(__x86_64__)
static const char *const known_loaders[] = {"/lib64/ld-linux-x86-64.so.2",
                                            "/lib/ld-musl-x86_64.so.1"};
#elif defined(__aarch64__)
static const char *const known_loaders[] = {"/lib/ld-linux-aarch64.so.1",
                                            "/lib/ld-musl-aarch64.so.1"};
#else
#error "runtime/worker knows x86-64 and aarch64"
#endif

/* Whether a failure says something of this moment, and nothing of the file. */
static bool is_passing(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EIO;
}

/* Opens what is needed. `*object` is -1 when there is no such file: exec will say so better. 0, or a
 * negative errno when that could not be told. */
static int needs_add(struct executable_needs *needs, const char *path, int *object)
{
    *object = -1;
    if (needs->count == EXECUTABLE_NEEDS_MAX)
        return 0;
    *object = open(path, O_PATH | O_CLOEXEC);
    if (*object < 0) {
        needs->missing = true;
        return is_passing(errno) ? -errno : 0;
    }
    needs->objects[needs->count++] = *object;
    return 0;
}

/* The same file again, for reading: `*file`, -1 when it may not be read. 0, or a negative errno. */
static int reopen_for_reading(int descriptor, int *file)
{
    char path[32];
    struct text text;
    text_start(&text, path, sizeof path);
    text_append(&text, "/proc/self/fd/");
    text_append_signed(&text, descriptor);
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return *file < 0 && is_passing(errno) ? -errno : 0;
}

/* The interpreter's path in a script's first bytes (NUL-terminated by the caller), made a string in
 * place; NULL: not a script, or none that the kernel would take. */
static char *script_interpreter(char *line, size_t length)
{
    if (length < 3 || line[0] != '#' || line[1] != '!')
        return NULL;
    char *path = line + 2 + strspn(line + 2, " \t");
    path[strcspn(path, " \t\n")] = '\0';
    return *path == '/' ? path : NULL;
}

/* The loader's path in a 64-bit ELF file of this machine's byte order, into `path`. elf(5). 1, 0 if
 * it has none, or a negative errno. */
static int elf_interpreter(int file, char path[static PATH_MAX])
{
    Elf64_Ehdr header;
    ssize_t got = read_whole_at(file, &header, sizeof header, 0);
    if (got < 0)
        return (int)got;
    if (got != (ssize_t)sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phoff > INT64_MAX)
        return 0;
    Elf64_Phdr parts[PROGRAM_HEADERS_MAX];
    size_t count = header.e_phnum < PROGRAM_HEADERS_MAX ? header.e_phnum : PROGRAM_HEADERS_MAX;
    got = read_whole_at(file, parts, count * sizeof parts[0], (off_t)header.e_phoff);
    if (got < 0)
        return (int)got;
    count = (size_t)got / sizeof parts[0];
    for (size_t i = 0; i < count; i++) {
        if (parts[i].p_type != PT_INTERP)
            continue;
        if (parts[i].p_filesz < 2 || parts[i].p_filesz > PATH_MAX || parts[i].p_offset > INT64_MAX)
            return 0;
        size_t length = (size_t)parts[i].p_filesz;
        got = read_whole_at(file, path, length, (off_t)parts[i].p_offset);
        if (got < 0)
            return (int)got;
        return got == (ssize_t)length && path[length - 1] == '\0';
    }
    return 0;
}

/* What `*current` needs, in `needs`. `*current` becomes the interpreter that is to be looked at next,
 * or -1. 0, or a negative errno. */
static int needs_follow(struct executable_needs *needs, int *current)
{
    char line[SCRIPT_LINE_BYTES + 1], path[PATH_MAX];
    cleanup_fd int file = -1;
    struct stat kind;
    int executable = *current, object;

    *current = -1;
    if (fstat(executable, &kind) < 0)
        return -errno;
    /* A script may name anything as its interpreter: to open a device or a pipe does something, and exec
     * takes neither. */
    if (!S_ISREG(kind.st_mode))
        return 0;
    int status = reopen_for_reading(executable, &file);
    if (status == 0 && file < 0) {
        needs->dynamic = true;
        for (size_t i = 0; status == 0 && i < sizeof known_loaders / sizeof *known_loaders; i++)
            status = needs_add(needs, known_loaders[i], &object);
    }
    if (file < 0)
        return status;
    ssize_t length = read_whole_at(file, line, SCRIPT_LINE_BYTES, 0);
    if (length < 0)
        return (int)length;
    line[length] = '\0';
    const char *interpreter = script_interpreter(line, (size_t)length);
    if (interpreter)
        return needs_add(needs, interpreter, current);
    status = elf_interpreter(file, path);
    if (status <= 0)
        return status;
    needs->dynamic = true;
    return needs_add(needs, path, &object);
}

int executable_needs_find(int executable, struct executable_needs *needs)
{
    int current = executable;
    int status = 0;

    needs->count = 0;
    needs->dynamic = needs->missing = false;
    for (int depth = 0; status == 0 && depth <= EXECUTABLE_SCRIPTS_MAX && current >= 0; depth++)
        status = needs_follow(needs, &current);
    if (status < 0)
        executable_needs_close(needs);
    return status;
}

void executable_needs_close(struct executable_needs *needs)
{
    descriptors_close(needs->objects, needs->count);
    needs->count = 0;
}
