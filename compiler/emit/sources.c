/* build_sources: generated sources into a folder, for people to read. */
#define _GNU_SOURCE /* dirent's d_type */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/emit/build.h"
#include "compiler/emit/emit.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/files.h"

static const char *folder_need(struct arena *arena, const char *path)
{
    struct stat status;
    if (mkdir(path, 0777) == 0)
        return NULL;
    if (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return NULL;
    return arena_format(arena, "cannot make the folder %s: %s", path, strerror(errno));
}

/* Whether a file is of an earlier emit: it begins with the mark. */
static bool is_ours(const char *path)
{
    char head[sizeof EMITTED_MARK - 1];
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    bool ours = file && fread(head, sizeof head, 1, file) == 1 &&
                memcmp(head, EMITTED_MARK, sizeof head) == 0;
    if (file)
        fclose(file);
    return ours;
}

static bool is_wanted(const struct emitted *emitted, const char *path)
{
    for (size_t i = 0; i < emitted->count; i++)
        if (strcmp(emitted->files[i].path, path) == 0)
            return true;
    return false;
}

/* Removes our own files that this emit has not written. `inside`: "" or "patterns/". */
static const char *stale_remove(struct arena *arena, const struct emitted *emitted,
                                const char *directory, const char *inside)
{
    const char *folder = arena_format(arena, "%s/%s", directory, inside);
    DIR *listing = opendir(folder);
    if (!listing)
        return arena_format(arena, "cannot read the folder %s: %s", folder, strerror(errno));
    const char *failure = NULL;
    for (struct dirent *entry; !failure && (entry = readdir(listing));) {
        const char *name = arena_format(arena, "%s%s", inside, entry->d_name);
        const char *path = arena_format(arena, "%s/%s", directory, name);
        if (!is_wanted(emitted, name) && is_ours(path) && unlink(path) != 0)
            failure = arena_format(arena, "cannot remove %s: %s", path, strerror(errno));
    }
    closedir(listing);
    return failure;
}

static const char *file_replace(struct arena *arena, const char *directory,
                                const struct emitted_file *file)
{
    struct output output;
    const char *failure =
        output_begin(arena, arena_format(arena, "%s/%s", directory, file->path), &output);
    if (!failure)
        failure = output_write(arena, &output, file->text, file->length);
    if (!failure)
        failure = output_finish(arena, &output, 0666);
    output_abandon(&output);
    return failure;
}

static const char *sources_put(struct arena *arena, const struct emitted *emitted,
                               const char *directory)
{
    const char *failure = folder_need(arena, directory);
    if (!failure)
        failure = folder_need(arena, arena_format(arena, "%s/patterns", directory));
    for (size_t i = 0; i < emitted->count && !failure; i++)
        failure = file_replace(arena, directory, &emitted->files[i]);
    if (!failure)
        failure = stale_remove(arena, emitted, directory, "");
    if (!failure)
        failure = stale_remove(arena, emitted, directory, "patterns/");
    return failure;
}

enum build_result build_sources(struct arena *arena, const struct model *model,
                                const char *directory, struct diagnostics *diagnostics)
{
    const struct emitted *emitted = emit_policy(arena, model, diagnostics);
    if (!emitted)
        return BUILD_RULES_WRONG;
    const char *failure = sources_put(arena, emitted, directory);
    if (failure)
        fprintf(stderr, "sluicec: %s\n", failure);
    return failure ? BUILD_FAILED : BUILD_DONE;
}
