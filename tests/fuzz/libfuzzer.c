/* What libFuzzer calls before the first input: the program confines itself, or does not begin. */
#include <string.h>

#include "tests/fuzz/support.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    const char *scratch = getenv("SLUICE_FUZZ_SCRATCH");
    if (!scratch || scratch[0] != '/' || strspn(scratch, "/") == strlen(scratch)) {
        fputs("SLUICE_FUZZ_SCRATCH must name the folder that this may write to\n", stderr);
        exit(2);
    }
    if (!fuzz_confine(scratch))
        exit(2);
    return 0;
}
