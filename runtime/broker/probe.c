#define _GNU_SOURCE
#include "runtime/broker/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "runtime/broker/paths.h"
#include "runtime/shared/descriptors.h"
#include "runtime/shared/io.h"

#define PROBE_NAME ".sluice-probe"

static int probe_open(int directory)
{
    int file = openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return file;
    unlinkat(directory, PROBE_NAME, 0); /* of a broker that was killed at the wrong moment */
    file =
        openat(directory, PROBE_NAME, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0)
        unlinkat(directory, PROBE_NAME, 0);
    return file;
}

/* Writes PROBE_BYTES of nothing, in parts: as one constant they would be a third of the binary. */
static int probe_write(int file)
{
    char bytes[1024] = {0};
    int error = 0;

    for (size_t written = 0; written < PROBE_BYTES && error == 0; written += sizeof bytes)
        error = write_whole(file, bytes, sizeof bytes);
    return error;
}

int probe_write_beside(const char *path, struct failure *failure)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length == 0 || length >= sizeof parent)
        return failure_set(failure, EINVAL, "%s: has no directory", path);
    memcpy(parent, path, length);
    parent[length] = '\0';

    cleanup_fd int directory = path_open_directory(parent, PATH_CREATE, failure);
    if (directory < 0)
        return -1;
    cleanup_fd int file = probe_open(directory);
    int error = file < 0 ? -errno : probe_write(file);
    /* Some file systems tell of a full disk only here. */
    if (error == 0 && close(descriptor_steal(&file)) < 0)
        error = -errno;
    return error == 0 ? 0 : failure_set(failure, -error, "%s: %s", parent, strerror(-error));
}
