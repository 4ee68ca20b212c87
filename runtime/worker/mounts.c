#define _GNU_SOURCE 1

#include "runtime/worker/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/worker/setup.h"

/* The mount calls of Linux 5.2 and 5.12; one number on every architecture. */
#define CALL_OPEN_TREE 428
#define CALL_MOVE_MOUNT 429
#define CALL_FSOPEN 430
#define CALL_FSCONFIG 431
#define CALL_FSMOUNT 432
#define CALL_MOUNT_SETATTR 442

#define TREE_CLONE 1u
#define TREE_CLOEXEC O_CLOEXEC
#define TREE_RECURSIVE 0x8000u /* AT_RECURSIVE */
#define TREE_EMPTY_PATH 0x1000u
#define MOVE_FROM_EMPTY_PATH 0x04u
#define MOVE_TO_SYMLINKS 0x10u
#define FS_CLOEXEC 1u
#define FS_SET_FLAG 0u
#define FS_SET_STRING 1u
#define FS_CREATE 6u
#define ATTRIBUTE_READ_ONLY 1u
#define ATTRIBUTE_NO_SUID 2u
#define ATTRIBUTE_NO_DEVICES 4u
#define ATTRIBUTE_NO_EXECUTE 8u

struct attributes { /* struct mount_attr */
    uint64_t set, clear, propagation, userns;
};

/* ---- the calls ------------------------------------------------------------------------------- */

static int tree_read_only(int tree)
{
    struct attributes attributes = {.set = ATTRIBUTE_READ_ONLY};
    return syscall(CALL_MOUNT_SETATTR, tree, "", TREE_EMPTY_PATH | TREE_RECURSIVE, &attributes,
                   sizeof attributes) < 0
               ? -errno
               : 0;
}

/* A detached copy of what is mounted at `path` and beneath, as long as that is still the object that
 * was opened at start. Returns a descriptor or a negative errno. */
static int tree_copy(const struct setup_object *object)
{
    cleanup_fd int tree = (int)syscall(CALL_OPEN_TREE, AT_FDCWD, object->path,
                                       TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
    if (tree < 0)
        return -errno;
    struct stat now, then;
    if (fstat(tree, &now) < 0 || fstat(object->descriptor, &then) < 0)
        return -errno;
    if (now.st_dev != then.st_dev || now.st_ino != then.st_ino)
        return -ESTALE;
    return descriptor_steal(&tree);
}

static int tree_attach(int tree, const char *path)
{
    return syscall(CALL_MOVE_MOUNT, tree, "", AT_FDCWD, path,
                   MOVE_FROM_EMPTY_PATH | MOVE_TO_SYMLINKS) < 0
               ? -errno
               : 0;
}

/* A new file system that nobody has mounted yet. `mode` is of its root, NULL: as it comes. */
static int tree_new(const char *type, const char *mode, unsigned attributes)
{
    cleanup_fd int context = (int)syscall(CALL_FSOPEN, type, FS_CLOEXEC);
    if (context < 0)
        return -errno;
    if (mode && (syscall(CALL_FSCONFIG, context, FS_SET_STRING, "mode", mode, 0) < 0 ||
                 syscall(CALL_FSCONFIG, context, FS_SET_STRING, "size", "4096", 0) < 0))
        return -errno;
    if (syscall(CALL_FSCONFIG, context, FS_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int tree = (int)syscall(CALL_FSMOUNT, context, FS_CLOEXEC, attributes);
    return tree < 0 ? -errno : tree;
}

/* ---- all read-only but some ------------------------------------------------------------------ */

#define WRITABLE_MAX 128

/* The copies are made first and attached last: so each keeps the state that it has now, and a mount
 * that is read-only on the host stays so. */
static int leave_writable(const struct setup_objects *writable)
{
    int copies[WRITABLE_MAX], status = 0;
    size_t count = 0;

    if (writable->count > WRITABLE_MAX)
        return -E2BIG;
    for (; count < writable->count; count++) {
        copies[count] = tree_copy(&writable->all[count]);
        if (copies[count] < 0) {
            status = copies[count];
            break;
        }
    }
    if (status == 0) {
        cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        status = root < 0 ? -errno : tree_read_only(root);
    }
    for (size_t i = 0; status == 0 && i < count; i++)
        status = tree_attach(copies[i], writable->all[i].path);
    descriptors_close(copies, count);
    return status;
}

/* ---- covered and guarded paths --------------------------------------------------------------- */

/* Whatever has the name by now: git and editors replace such files. One that has gone needs nothing. */
static int guard(const char *path)
{
    cleanup_fd int tree = (int)syscall(CALL_OPEN_TREE, AT_FDCWD, path,
                                       TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE |
                                           AT_SYMLINK_NOFOLLOW);
    if (tree < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    struct stat status;
    if (fstat(tree, &status) < 0)
        return -errno;
    if (S_ISLNK(status.st_mode))
        return 0;
    int result = tree_read_only(tree);
    return result < 0 ? result : tree_attach(tree, path);
}

static int guard_all(const struct confinement_setup *setup)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < setup->guarded.count; i++)
        status = guard(setup->guarded.all[i].path);
    /* those that did not exist at the start may do so now */
    for (size_t i = 0; status == 0 && i < setup->unborn_count; i++)
        status = guard(setup->unborn[i]);
    return status;
}

static int cover_directory(const struct setup_object *object)
{
    cleanup_fd int tree =
        tree_new("tmpfs", "0000", ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEVICES);
    return tree < 0 ? tree : tree_attach(tree, object->path);
}

/* A file that nobody may open, on a file system of its own. It has to be mounted somewhere while the
 * copy of the file is taken: /proc is there in any case. */
static int cover_file(const struct setup_object *object)
{
    static const char place[] = "/proc";
    cleanup_fd int tree = tree_new("tmpfs", "0700", ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEVICES);
    if (tree < 0)
        return tree;
    cleanup_fd int file = openat(tree, "denied", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (file < 0)
        return -errno;
    int status = tree_attach(tree, place);
    if (status < 0)
        return status;
    cleanup_fd int cover =
        (int)syscall(CALL_OPEN_TREE, tree, "denied", TREE_CLONE | TREE_CLOEXEC);
    status = cover < 0 ? -errno : 0;
    if (umount2(place, MNT_DETACH) < 0 && status == 0)
        status = -errno;
    if (status == 0)
        status = tree_attach(cover, object->path);
    descriptor_close(&file); /* a file open for writing keeps its mount from becoming read-only */
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int own_proc(void)
{
    cleanup_fd int tree = tree_new(
        "proc", NULL, ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEVICES | ATTRIBUTE_NO_EXECUTE);
    return tree < 0 ? tree : tree_attach(tree, "/proc");
}

/* The working directory still is where the old mounts are. */
static int enter_directory_again(int *directory_lost)
{
    char path[PATH_MAX];

    *directory_lost = 0;
    if (getcwd(path, sizeof path) && chdir(path) == 0)
        return 0;
    *directory_lost = errno;
    return chdir("/") < 0 ? -errno : 0;
}

int mounts_enter(const struct confinement_setup *setup, int *directory_lost)
{
    /* Nothing that is mounted outside later shall appear here, writable at that. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    int status = 0;
    if (setup->mounts_read_only)
        status = leave_writable(&setup->writable);
    if (status == 0)
        status = guard_all(setup);
    for (size_t i = 0; status == 0 && i < setup->hidden.count; i++) {
        const struct setup_object *object = &setup->hidden.all[i];
        status = object->is_directory ? cover_directory(object) : cover_file(object);
    }
    if (status == 0 && (setup->namespaces & CLONE_NEWPID))
        status = own_proc();
    return status < 0 ? status : enter_directory_again(directory_lost);
}

int mounts_probe(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    cleanup_fd int cover = tree_new("tmpfs", "0000", ATTRIBUTE_READ_ONLY);
    if (cover < 0)
        return cover;
    cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -errno : tree_read_only(root);
}

int mounts_probe_proc(void)
{
    return own_proc();
}
