/* What the broker's side (worker.c) and the worker process (serve.c, ahead.c) say to each other. Calls
 * go over a socket of their own, so that the child that waits for one and the worker never read what
 * is the other's; orders and reports go over the control socket.
 *
 * Two images of one program speak this, and after a re-exec of the broker two versions of it may:
 * orders and reports keep their form within one WORKER_PROTOCOL. Calls are only ever given by the
 * image that forked the worker. Owns nothing. */
#ifndef SLUICE_WORKER_PROTOCOL_H
#define SLUICE_WORKER_PROTOCOL_H

#include "runtime/worker/worker.h"

enum worker_ask_kind { ASK_CALL = 1, ASK_SIGNAL, ASK_KILL_GROUP, ASK_KILL_TREE };

/* Broker to worker. An order says which call it means, so that one that crosses the end of that call
 * never touches the next; 0: the one that runs. */
struct worker_ask {
    uint32_t protocol;
    uint32_t kind;
    uint64_t call;
    int32_t signal; /* ASK_SIGNAL */
    /* ASK_CALL: comes with [input, output, error, executable, directory if has_directory, grants] */
    uint32_t rule;
    uint16_t has_directory;
    uint16_t tells_start;
    uint32_t argument_count, environment_count, grant_count;
    uint32_t bytes; /* of text: arguments, environment, path, directory's path, a NUL after each */
    uint8_t grant_access[WORKER_GRANTS_MAX];
};

#define ASK_DESCRIPTORS_MAX (5u + WORKER_GRANTS_MAX)

/* The memory that both share, at most WORKER_MEMORY_BYTES. */
struct worker_memory {
    uint32_t held; /* release.h */
    struct file_identity executable;
    char text[]; /* `bytes` of it, see above */
};

#define WORKER_MEMORY_BYTES (sizeof(struct worker_memory) + WORKER_BYTES_MAX)

/* Worker to broker. */
struct worker_telling {
    uint32_t protocol;
    uint32_t idle_follows; /* nothing is left: the same as if a REPORT_IDLE came after this one */
    struct worker_report report;
};

#endif
