/* A fuzz target without a fuzzer: gives it every file of the folders (and every file) that are
 * named, in the order of their names. Ends with 0 when the target ended none of them. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/support.h"

#define INPUT_MAX (16u * 1024 * 1024)

static unsigned replayed;

static _Noreturn void give_up(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

static void file_replay(const char *path)
{
    FILE *in = fopen(path, "re");
    struct stat status;
    if (!in || fstat(fileno(in), &status) < 0)
        give_up(path);
    if (status.st_size > INPUT_MAX) {
        errno = EFBIG;
        give_up(path);
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes || fread(bytes, 1, size, in) != size)
        give_up(path);
    fclose(in);
    if (getenv("SLUICE_FUZZ_VERBOSE"))
        fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    replayed++;
}

static void replay(const char *path)
{
    struct stat status;
    struct dirent **names;
    if (stat(path, &status) < 0)
        give_up(path);
    if (!S_ISDIR(status.st_mode)) {
        file_replay(path);
        return;
    }
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        give_up(path);
    for (int i = 0; i < count; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            file_replay(inner);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    const char *scratch = getenv("SLUICE_FUZZ_SCRATCH");
    /* Where the kernel has no Landlock, the inputs of the repository are replayed all the same. */
    if (!fuzz_confine(scratch))
        fputs("going on without\n", stderr);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%s: %u inputs\n", argv[0], replayed);
    return replayed ? 0 : 2;
}
