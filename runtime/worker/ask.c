#include "runtime/worker/ask.h"

#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "runtime/worker/kernel_call.h"
#include "runtime/worker/namespaces.h"
#include "runtime/worker/setup.h"

/* The next string in the shared memory; NULL when there is none before `end`. */
static char *string_take(char **at, const char *end)
{
    char *string = *at;
    char *nul = string < end ? memchr(string, '\0', (size_t)(end - string)) : NULL;
    if (!nul)
        return NULL;
    *at = nul + 1;
    return string;
}

static bool strings_take(char **at, const char *end, char **into, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(into[i] = string_take(at, end)))
            return false;
    into[count] = NULL;
    return true;
}

bool ask_unpack(const struct worker_ask *ask, const struct policy *policy,
                const struct confinement_setup *setup, struct worker_memory *memory,
                struct ask_text *text)
{
    if (ask->rule >= policy->rule_count || ask->argument_count == 0 ||
        ask->argument_count > WORKER_ARGUMENTS_MAX ||
        ask->environment_count > WORKER_ENVIRONMENT_MAX || ask->bytes > WORKER_BYTES_MAX ||
        policy->rules[ask->rule].confinement != setup->confinement)
        return false;
    char *at = memory->text;
    const char *end = at + ask->bytes;
    if (!strings_take(&at, end, text->arguments, ask->argument_count) ||
        !strings_take(&at, end, text->environment, ask->environment_count) ||
        !(text->path = string_take(&at, end)) ||
        (ask->has_directory && !(text->directory = string_take(&at, end))))
        return false;
    return at == end;
}

static int move_inside(int *descriptor, const char *path)
{
    int inside = namespaces_reopen(path, *descriptor);
    if (inside < 0)
        return inside;
    kernel_call(SYS_close, *descriptor);
    *descriptor = inside;
    return 0;
}

int ask_move_inside(const struct worker_ask *ask, const struct confinement_setup *setup,
                    const struct ask_text *text, int *descriptors, enum worker_stage *stage)
{
    if (!namespaces_has_mounts(setup))
        return 0;
    *stage = STAGE_EXEC;
    int status = move_inside(&descriptors[3], text->path);
    if (status < 0 || !ask->has_directory)
        return status;
    *stage = STAGE_DIRECTORY;
    return move_inside(&descriptors[4], text->directory);
}
