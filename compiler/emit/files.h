/* Files of a compile: the temporary folder, and outputs that appear whole or not at all.
 *
 * Owns what it has made until files_remove or output_finish/output_abandon. Every failure is one
 * line of text (in the arena) that names the file; NULL means that all went well. */
#ifndef SLUICE_FILES_H
#define SLUICE_FILES_H

#include <stddef.h>

struct arena;

/* A new folder that only we can use, in $TMPDIR or /tmp; its absolute path in *folder. */
const char *folder_make(struct arena *arena, const char **folder);

/* Removes a folder and everything in it; goes on where something cannot be removed. */
void folder_remove(const char *folder);

/* Writes a whole file (path: absolute, or relative to where we are). */
const char *file_write(struct arena *arena, const char *path, const char *bytes, size_t length);

/* Reads a whole file of at most `limit` bytes. */
const char *file_read(struct arena *arena, const char *path, size_t limit, const char **bytes,
                      size_t *length);

/* A file that will replace another one: written beside it, under a name of its own. */
struct output {
    const char *path;   /* what it will replace; symbolic links resolved */
    const char *beside; /* NULL: there is none (any more) */
    int descriptor;
};

/* Begins to replace `path`, which may be missing or must be a regular file. */
const char *output_begin(struct arena *arena, const char *path, struct output *output);

/* Writes bytes to it. */
const char *output_write(struct arena *arena, struct output *output, const char *bytes,
                         size_t length);

/* The file takes its place, with mode `mode` less the umask: by rename, once it is on the disk. */
const char *output_finish(struct arena *arena, struct output *output, unsigned mode);

/* Removes what was written beside, if anything; the old file stays as it was. */
void output_abandon(struct output *output);

#endif
