#define _GNU_SOURCE 1

#include "runtime/worker/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

#define TEXT_OF(number) #number
#define TEXT_OF_VALUE(macro) TEXT_OF(macro)

const char *objects_failure(int status)
{
    if (status == -E2BIG)
        return "more than " TEXT_OF_VALUE(SETUP_OBJECTS_MAX) " files and directories";
    return strerror(-status);
}

static struct setup_object *objects_grow(struct setup_objects *objects)
{
    if (objects->count == objects->capacity) {
        size_t capacity = objects->capacity ? objects->capacity * 2 : 16;
        struct setup_object *all = realloc(objects->all, capacity * sizeof *all);
        if (!all)
            return NULL;
        objects->all = all;
        objects->capacity = capacity;
    }
    return &objects->all[objects->count];
}

/* Takes over `descriptor` and `path` (may be NULL: out of memory). */
static int objects_take(struct setup_objects *objects, int *descriptor, char *path,
                        uint64_t rights)
{
    struct stat status;
    int failure = 0;
    struct setup_object *object = NULL;

    if (fstat(*descriptor, &status) < 0)
        failure = -errno;
    else if (S_ISLNK(status.st_mode))
        failure = -ELOOP;
    else if (objects->count >= SETUP_OBJECTS_MAX)
        failure = -E2BIG;
    else if (!path || !(object = objects_grow(objects)))
        failure = -ENOMEM;
    if (failure < 0) {
        free(path);
        return failure;
    }
    *object = (struct setup_object){
        .descriptor = descriptor_steal(descriptor),
        .path = path,
        .rights = rights,
        .is_directory = S_ISDIR(status.st_mode),
        .is_regular = S_ISREG(status.st_mode),
    };
    objects->count++;
    return 0;
}

int objects_add(struct setup_objects *objects, const char *path, uint64_t rights)
{
    cleanup_fd int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    return objects_take(objects, &descriptor, strdup(path), rights);
}

int objects_add_at(struct setup_objects *objects, int directory, const char *directory_path,
                   const char *name, uint64_t rights)
{
    cleanup_fd int descriptor = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    size_t size = strlen(directory_path) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) {
        struct text text;
        text_start(&text, path, size);
        text_append(&text, strcmp(directory_path, "/") == 0 ? "" : directory_path);
        text_append_char(&text, '/');
        text_append(&text, name);
    }
    return objects_take(objects, &descriptor, path, rights);
}

static void object_release(struct setup_object *object)
{
    descriptor_close(&object->descriptor);
    free(object->path);
    free(object->real_path);
}

void objects_remove(struct setup_objects *objects, size_t index)
{
    object_release(&objects->all[index]);
    objects->count--;
    memmove(&objects->all[index], &objects->all[index + 1],
            (objects->count - index) * sizeof objects->all[0]);
}

int object_real_path(const struct setup_object *object, char *path, size_t size)
{
    char link[32];
    struct text text;
    text_start(&text, link, sizeof link);
    text_append(&text, "/proc/self/fd/");
    text_append_signed(&text, object->descriptor);
    ssize_t length = readlink(link, path, size);
    if (length < 0)
        return -errno;
    if ((size_t)length >= size)
        return -ENAMETOOLONG;
    path[length] = '\0';
    return path[0] == '/' ? 0 : -ENOENT;
}

static bool path_is_in(const char *path, const char *directory)
{
    size_t length = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

int objects_know_paths(struct setup_objects *objects)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < objects->count; i++) {
        struct setup_object *object = &objects->all[i];
        if (object->real_path)
            continue;
        int status = object_real_path(object, path, sizeof path);
        if (status == 0 && !(object->real_path = strdup(path)))
            status = -ENOMEM;
        if (status < 0 && status != -ENOENT)
            return status;
    }
    return 0;
}

/* The rights that `holders` give to what is at `path`. In the list that the object is in itself,
 * `index` is its place: of two that are the same, the first holds the second. */
static uint64_t rights_held(const struct setup_objects *holders, const char *path, size_t index)
{
    uint64_t rights = 0;
    for (size_t i = 0; i < holders->count; i++) {
        const char *held = holders->all[i].real_path;
        if (i != index && held &&
            (path_is_in(path, held) || (i < index && strcmp(path, held) == 0)))
            rights |= holders->all[i].rights;
    }
    return rights;
}

int objects_drop_held(struct setup_objects *objects, struct setup_objects *holders)
{
    int status = objects_know_paths(objects);
    if (status == 0)
        status = objects_know_paths(holders);
    for (size_t i = objects->count; status == 0 && i-- > 0;) {
        const struct setup_object *object = &objects->all[i];
        size_t index = objects == holders ? i : SIZE_MAX;
        if (object->real_path &&
            (object->rights & ~rights_held(holders, object->real_path, index)) == 0)
            objects_remove(objects, i);
    }
    return status;
}

void objects_release(struct setup_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        object_release(&objects->all[i]);
    free(objects->all);
    *objects = (struct setup_objects){0};
}
