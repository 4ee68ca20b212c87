#define _GNU_SOURCE 1

#include "runtime/client/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

/* One entry as getdents64(2) writes it. */
struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

#define SOCKET_SUFFIX ".sock"

/* The sockets of a directory, as far as they matter. */
struct sockets {
    unsigned count;
    char first[NAME_MAX + 1];
};

static void entry_consider(struct sockets *sockets, const struct directory_entry *entry)
{
    size_t length = strlen(entry->name), suffix = strlen(SOCKET_SUFFIX);

    if (length <= suffix || strcmp(entry->name + length - suffix, SOCKET_SUFFIX) != 0)
        return;
    if (entry->type != DT_SOCK && entry->type != DT_UNKNOWN)
        return;
    if (sockets->count++ == 0) {
        struct text text;
        text_start(&text, sockets->first, sizeof(sockets->first));
        text_append(&text, entry->name);
    }
}

/* Reads the names by the system call itself: opendir(3) would bring an allocator with it. */
static void directory_read(const char *path, struct sockets *sockets)
{
    _Alignas(struct directory_entry) char entries[4096];
    cleanup_fd int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (directory >= 0) {
        long filled = syscall(SYS_getdents64, directory, entries, sizeof(entries));
        if (filled <= 0)
            return;
        for (long at = 0; at < filled;) {
            const struct directory_entry *entry = (const void *)(entries + at);
            entry_consider(sockets, entry);
            at += entry->length;
        }
    }
}

static int place_fail(struct client_place *place, const char *problem)
{
    place->problem = problem;
    return -1;
}

static int place_set(struct client_place *place, const char *address)
{
    place->name = address;
    if (!sluicify_address_read(&place->address, address))
        return place_fail(place, "this is neither a path nor fd:N");
    int checked = sluicify_address_check(&place->address);
    if (checked < 0)
        return place_fail(place, checked == -EBADF
                                     ? "that descriptor is not open here"
                                     : "that descriptor is not a broker's connection");
    return 0;
}

/* The broker that serves under its default name, when there is one alone. */
static int place_default(struct client_place *place)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct sockets sockets = {0};
    struct text text;

    if (!runtime || runtime[0] != '/')
        return place_fail(place, "use -s SOCKET, or set SLUICE_SOCKET");
    text_start(&text, place->buffer, sizeof(place->buffer));
    text_append(&text, runtime);
    text_append(&text, "/sluice");
    if (!text.truncated)
        directory_read(place->buffer, &sockets);
    if (sockets.count > 1)
        return place_fail(place,
                          "there are several in $XDG_RUNTIME_DIR/sluice: choose with -s SOCKET, "
                          "or set SLUICE_SOCKET");
    text_append(&text, "/");
    text_append(&text, sockets.first);
    if (sockets.count == 0 || text.truncated)
        return place_fail(place, "use -s SOCKET, or set SLUICE_SOCKET; there is none in "
                                 "$XDG_RUNTIME_DIR/sluice");
    return place_set(place, place->buffer);
}

int client_place_find(struct client_place *place, const char *socket)
{
    const char *inherited = getenv("SLUICE_FD");
    const char *named = getenv("SLUICE_SOCKET");
    struct text text;

    place->name = NULL;
    place->problem = NULL;
    if (socket)
        return place_set(place, socket);
    if (inherited && inherited[0] != '\0') {
        text_start(&text, place->buffer, sizeof(place->buffer));
        text_append(&text, "fd:");
        text_append(&text, inherited);
        /* Many programs close what they do not know before they start another: with a socket named
         * as well, that is no reason to fail. */
        if (place_set(place, place->buffer) == 0 || !named || named[0] == '\0')
            return place->problem ? -1 : 0;
        place->problem = NULL;
    }
    if (named && named[0] != '\0')
        return place_set(place, named);
    return place_default(place);
}

int client_place_move(struct client_place *place)
{
    int descriptor = place->address.descriptor;

    if (place->address.path || descriptor > 2)
        return 0;
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    if (moved < 0)
        return -errno;
    place->address.descriptor = moved;
    close(descriptor);
    return descriptors_fill_standard();
}
