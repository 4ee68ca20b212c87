#define _GNU_SOURCE 1

#include "runtime/worker/prepare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"
#include "runtime/worker/objects.h"

/* Beneath each fs_write path, how deep protected files are looked for, and among how many entries:
 * a workspace with all its dependencies is no reason to start slowly. */
#define PROTECT_DEPTH 6
#define PROTECT_ENTRIES_MAX 100000u
#define PROTECT_UNBORN_MAX 1024u

/* What runs, or decides what runs, when somebody opens a shell, an editor or an agent, or uses git, in
 * the directory that holds it. docs/confinement.md lists these. */
static const char *const dotfiles[] = {
    ".bashrc",       ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases",
    ".profile",      ".zshrc",        ".zshenv",     ".zprofile",    ".zlogin",
    ".zlogout",      ".kshrc",        ".cshrc",      ".tcshrc",      ".login",
    ".inputrc",      ".envrc",        ".gitconfig",  ".gitmodules",  ".mcp.json",
    ".vscode",       ".idea",         ".zed",        ".fleet",       ".vimrc",
    ".nvimrc",       ".exrc",         ".vim",        ".emacs",       ".emacs.d",
    ".dir-locals.el", ".claude",      ".codex",      ".cursor",      ".gemini",
    ".aider.conf.yml", ".continue",   ".windsurf",   ".devcontainer",
};
#define DOTFILES (sizeof dotfiles / sizeof *dotfiles)

/* In a repository's .git. */
static const char *const git_files[] = {"hooks", "config"};
#define GIT_FILES (sizeof git_files / sizeof *git_files)

struct search {
    struct preparing *preparing;
    size_t entries; /* looked at so far */
    bool cut;       /* PROTECT_ENTRIES_MAX or PROTECT_DEPTH ended it */
};

static bool is_dotfile(const char *name)
{
    for (size_t i = 0; i < DOTFILES; i++)
        if (strcmp(name, dotfiles[i]) == 0)
            return true;
    return false;
}

static void guard_add(struct search *search, int directory, const char *path, const char *name)
{
    struct preparing *preparing = search->preparing;
    int status = objects_add_at(&preparing->setup->guarded, directory, path, name, 0);
    if (status == 0 || status == -ENOENT)
        return;
    if (status == -ELOOP)
        preparing_tell(preparing, CONFINEMENT_NOTE, "protect: ", path, "/", name,
                       " is a symbolic link, which cannot be protected", NULL);
    else
        preparing_tell(preparing, CONFINEMENT_ERROR, "protect: ", path, "/", name, ": ",
                       objects_failure(status), NULL);
}

/* A name that does not exist, to be looked for after calls. */
static void unborn_add(struct search *search, const char *path, const char *name)
{
    struct confinement_setup *setup = search->preparing->setup;
    size_t size = strlen(path) + strlen(name) + 2;

    if (setup->unborn_count == PROTECT_UNBORN_MAX)
        return;
    if (!setup->unborn) {
        setup->unborn = calloc(PROTECT_UNBORN_MAX, sizeof *setup->unborn);
        setup->unborn_seen = calloc(PROTECT_UNBORN_MAX, sizeof *setup->unborn_seen);
    }
    char *whole = setup->unborn && setup->unborn_seen ? malloc(size) : NULL;
    if (!whole) {
        preparing_tell(search->preparing, CONFINEMENT_ERROR, "protect: out of memory", NULL);
        return;
    }
    struct text text;
    text_start(&text, whole, size);
    text_append(&text, path);
    text_append_char(&text, '/');
    text_append(&text, name);
    setup->unborn[setup->unborn_count++] = whole;
}

static void name_look_up(struct search *search, int directory, const char *path, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        unborn_add(search, path, name);
}

static void git_search(struct search *search, int directory, const char *path)
{
    char inside[PATH_MAX];
    struct text text;
    cleanup_fd int git = openat(directory, ".git", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (git < 0)
        return; /* a file: a worktree or a submodule, whose repository is elsewhere */
    text_start(&text, inside, sizeof inside);
    text_append(&text, path);
    text_append(&text, "/.git");
    for (size_t i = 0; i < GIT_FILES; i++) {
        guard_add(search, git, inside, git_files[i]);
        name_look_up(search, git, inside, git_files[i]);
    }
}

/* One entry of a directory: guarded, or searched in turn by the caller (then true). */
static bool entry_search(struct search *search, int directory, const char *path, const char *name,
                         unsigned char type)
{
    uint32_t sets = search->preparing->setup->confinement->protect;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    if ((sets & PROTECT_DOTFILES) && is_dotfile(name)) {
        guard_add(search, directory, path, name);
        return false;
    }
    if (strcmp(name, ".git") == 0) {
        if (sets & PROTECT_GIT_HOOKS)
            git_search(search, directory, path);
        return false;
    }
    return type == DT_DIR || type == DT_UNKNOWN;
}

/* Depth first; the bound on the depth bounds the recursion. Takes over `directory`. */
static void directory_search(struct search *search, int directory, const char *path,
                             unsigned depth)
{
    int listed = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = listed < 0 ? NULL : fdopendir(listed);
    if (!list) {
        descriptor_close(&listed);
        return; /* what cannot be listed by this uid */
    }
    for (const struct dirent *entry; (entry = readdir(list));) {
        if (++search->entries > PROTECT_ENTRIES_MAX) {
            search->cut = true;
            break;
        }
        if (!entry_search(search, directory, path, entry->d_name, entry->d_type))
            continue;
        if (depth == PROTECT_DEPTH) {
            search->cut = true;
            continue;
        }
        char below[PATH_MAX];
        struct text text;
        text_start(&text, below, sizeof below);
        text_append(&text, path);
        text_append_char(&text, '/');
        text_append(&text, entry->d_name);
        cleanup_fd int next = openat(directory, entry->d_name,
                                     O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next >= 0 && !text.truncated)
            directory_search(search, next, below, depth + 1);
    }
    closedir(list);
}

void protect_prepare(struct preparing *preparing)
{
    struct confinement_setup *setup = preparing->setup;
    struct search search = {.preparing = preparing};
    char path[PATH_MAX];

    if (setup->confinement->protect == 0)
        return;
    for (size_t i = 0; i < setup->writable.count; i++) {
        const struct setup_object *object = &setup->writable.all[i];
        if (!object->is_directory || object->of_set ||
            object_real_path(object, path, sizeof path) < 0)
            continue;
        if (setup->namespaces & CLONE_NEWNS)
            directory_search(&search, object->descriptor, path, 0);
        if (setup->confinement->protect & PROTECT_DOTFILES)
            for (size_t n = 0; n < DOTFILES; n++)
                name_look_up(&search, object->descriptor, path, dotfiles[n]);
    }
    if (search.cut)
        preparing_tell(preparing, CONFINEMENT_NOTE,
                       "protect: looked no further than 6 directories down and 100,000 entries",
                       NULL);
    if (setup->unborn_count > 0)
        preparing_tell(preparing, CONFINEMENT_NOTE,
                       "protect: protected names that do not exist yet can be created; the exit"
                       " event then names them",
                       NULL);
}

size_t confinement_protected_created(struct confinement_setup *setup,
                                     void (*found)(void *context, const char *path), void *context)
{
    size_t count = 0;
    for (size_t i = 0; i < setup->unborn_count; i++) {
        struct stat status;
        if (setup->unborn_seen[i] || lstat(setup->unborn[i], &status) < 0)
            continue;
        setup->unborn_seen[i] = 1;
        count++;
        found(context, setup->unborn[i]);
    }
    return count;
}
