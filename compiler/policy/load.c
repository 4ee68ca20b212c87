#include "compiler/policy/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/command.h"

bool load_policy(struct loaded *loaded, const struct options *options, const char *path)
{
    *loaded = (struct loaded){.arena = arena_new(LOAD_MEMORY_MAX)};
    loaded->source = source_from_file(loaded->arena, path);
    if (!loaded->source) {
        if (errno == EFBIG)
            fprintf(stderr, "sluicec: %s: longer than %u bytes\n", path, SOURCE_LENGTH_MAX);
        else
            fprintf(stderr, "sluicec: %s: %s\n", path, strerror(errno));
        load_end(loaded);
        return false;
    }
    loaded->diagnostics = diagnostics_new(loaded->arena, loaded->source);
    options_apply(options, loaded->diagnostics);
    loaded->model = model_from_source(loaded->arena, loaded->source, loaded->diagnostics);
    return true;
}

int load_report(struct loaded *loaded, const struct options *options)
{
    diagnostics_print(loaded->diagnostics, stderr, options->format);
    return diagnostics_errors(loaded->diagnostics) ? EXIT_RULES : EXIT_GOOD;
}

void load_end(struct loaded *loaded)
{
    arena_free(loaded->arena);
    *loaded = (struct loaded){0};
}
