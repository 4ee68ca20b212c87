/* Tools that a compile runs: re2c, the C compiler, the program that checks the result.
 *
 * Owns each process from its start to its end: none is left behind, whatever fails and whichever
 * signal comes. Two run at a time. Each has a limit of processor time and memory, so that no rules file
 * can make a tool run away, and an environment of PATH, TMPDIR and LC_ALL=C alone, so that nothing of
 * the caller's changes what it makes. */
#ifndef SLUICE_PROCESS_H
#define SLUICE_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct batch;

#define PROCESS_AT_A_TIME 2
#define PROCESS_CPU_SECONDS 60u
#define PROCESS_MEMORY ((uint64_t)2 * 1024 * 1024 * 1024) /* address space, bytes */
#define PROCESS_FILE_SIZE ((uint64_t)1024 * 1024 * 1024)  /* of any file it writes, bytes */
/* Of what a failed tool said, as much is shown. */
#define PROCESS_SAID_MAX 2000u

/* One run of a tool. Paths are relative to the compile's folder or absolute. */
struct process {
    const char *const *arguments; /* NULL at the end; [0] is an absolute path (process_find) */
    const char *about;            /* what it works on, for messages: "rules.c" */
    const char *input, *output;   /* files for its standard input and output; NULL: /dev/null */
    /* It starts only when these of the same batch have ended well: after_first..+after_count-1. */
    size_t after_first, after_count;
};

/* Where and how processes of one compile run. */
struct process_context {
    struct arena *arena;
    const char *folder;   /* their working directory, and TMPDIR */
    const char *path;     /* PATH as it was */
    sigset_t before;      /* signals that were blocked before process_begin */
    int interrupted;      /* the signal that asked to stop, or 0 */
    struct batch *running; /* what processes_run is at, or NULL */
};

/* Blocks the signals that end a compile, so that processes_run and process_interrupted see them.
 * process_end undoes that and, when one came, lets it end the process. */
void process_begin(struct process_context *context, struct arena *arena);
void process_end(struct process_context *context);

/* Ends what runs, and waits for it: for when this process ends in the middle of processes_run. */
void processes_abandon(struct process_context *context);

/* Whether a signal asks to stop; looked at between the longer steps. */
bool process_interrupted(struct process_context *context);

/* A tool's absolute path, found in PATH; NULL when there is none. A name with a '/' is that file. */
const char *process_find(const struct process_context *context, const char *name);

/* Runs them all. NULL when all ended with status 0; else what went wrong, in one line, followed by
 * what the tool said (bounded), each line indented: the first failure ends the others. */
const char *processes_run(struct process_context *context, const struct process *all,
                          size_t count);

#endif
