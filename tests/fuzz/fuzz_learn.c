/* A broker's manifest, read by the compiler (`sluicec learn`) and by a broker that starts after
 * another one: whatever is in it. What the compiler proposes is rules text. */
#define _GNU_SOURCE 1 /* memfd_create */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler/analysis/learn.h"
#include "compiler/analysis/work.h"
#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "runtime/broker/recovery.h"
#include "tests/fuzz/support.h"

#define OPEN_MAX_HERE 8u

static void recover(const uint8_t *data, size_t size)
{
    uint64_t open[OPEN_MAX_HERE];
    struct recovery recovery = {.open = {.values = open, .capacity = OPEN_MAX_HERE}};
    struct failure failure;
    int file = memfd_create("manifest", MFD_CLOEXEC);

    FUZZ_CHECK(file >= 0 && write(file, data, size) == (ssize_t)size);
    FUZZ_CHECK(recovery_read(file, &recovery, &failure) == 0);
    close(file);
    FUZZ_CHECK(recovery.size == (off_t)size && recovery.whole <= recovery.size);
    FUZZ_CHECK(recovery.whole == 0 || data[recovery.whole - 1] == '\n');
    FUZZ_CHECK(recovery.last_call <= RECOVERY_CALL_MAX);
    FUZZ_CHECK(recovery.open.count <= OPEN_MAX_HERE);
    for (uint32_t i = 1; i < recovery.open.count; i++)
        FUZZ_CHECK(open[i - 1] < open[i]);
}

static void check_manifest(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->call_count; i++) {
        const struct manifest_call *call = &manifest->calls[i];
        FUZZ_CHECK(call->count >= 1);
        for (uint32_t k = 0; k < call->count; k++)
            FUZZ_CHECK(is_text(call->arguments[k].bytes, call->arguments[k].length));
    }
}

/* Proposals are a rules file: at most "there are no rules" is wrong with it. */
static void check_proposals(struct arena *arena, const char *text, size_t length)
{
    const struct source *source = source_from_text(arena, "p.rules", text, length);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    FUZZ_CHECK(is_printable(text, length, true));
    model_from_source(arena, source, diagnostics);
    FUZZ_CHECK(diagnostics_errors(diagnostics) <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    recover(data, size);
    if (size == 0)
        return 0;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    FUZZ_CHECK(in);
    struct arena *arena = arena_new((size_t)1536 * 1024 * 1024);
    struct manifest manifest = manifest_read(arena, in);
    fclose(in);
    check_manifest(&manifest);
    struct buffer out = {0};
    struct work work = {.steps = WORK_STEPS_MAX / 20}; /* the sanitizers are slow */
    if (learn_propose(arena, &manifest, NULL, &work, &out))
        check_proposals(arena, buffer_text(&out), out.length);
    buffer_free(&out);
    arena_free(arena);
    return 0;
}
