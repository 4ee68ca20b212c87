/* What the fault build of the runtime and the script that drives it share: one file, mapped by every
 * process of a broker, that counts each place of a fallible call and says which is to fail.
 *
 * tests/faults/inject.py has the same layout, field by field. */
#ifndef SLUICE_TESTS_FAULTS_INJECT_H
#define SLUICE_TESTS_FAULTS_INJECT_H

#include <stdint.h>

#define FAULT_VARIABLE "SLUICE_FAULTS" /* the environment variable that names the file */
#define FAULT_MAGIC 0x544c4146u
#define FAULT_SITES_MAX 4096u
#define FAULT_SHORT 0 /* in the place of an errno: half of what was asked for is done */

enum fault_role {
    ROLE_BROKER,
    ROLE_FORKED,    /* workers, copiers, and the check of a new broker before its exec */
    ROLE_CHILD,     /* between clone and exec, in its worker's memory */
    ROLE_CANDIDATE, /* another image of the broker's executable: check-host */
    ROLE_COUNT,
};

/* A place of a call: where it returns to, from the image's start. `number` tells syscall(2)s apart. */
struct fault_site {
    uint32_t state; /* 0: free, 1: being filled, 2: filled */
    uint32_t role, place, number;
    uint32_t count;
    char name[28];
};

struct fault_map {
    uint32_t magic;
    int32_t broker; /* the first process that came */
    /* what is to fail */
    uint32_t armed, role, place, number;
    uint32_t first, length; /* of the calls there from now on, counted from 1 */
    int32_t error;          /* errno, or FAULT_SHORT */
    uint32_t seen, fired;
    /* what was seen */
    int32_t crash_signal, crash_process;
    uint32_t overflow; /* a place found no room */
    uint32_t unused[2];
    struct fault_site sites[FAULT_SITES_MAX];
};

#endif
