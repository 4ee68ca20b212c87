/* Confinement at run time: what the host offers, what is made ready once at start for each
 * confinement of the policy, and the broker's own.
 *
 * Owns a `struct confinement_setup` for each of policy.confinements: descriptors of every granted
 * path, opened once at start so that a later swap of a directory grants nothing new. Never decides
 * policy: everything it applies is written in struct policy_confinement. What cannot be enforced here
 * is told through a callback, never passed over. Applying a setup is the worker's affair
 * (runtime/worker/worker.h). */
#ifndef SLUICE_CONFINEMENT_H
#define SLUICE_CONFINEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "runtime/include/policy.h"

struct confinement_setup;

/* Facts about this host, read once at start by confinement_host_read. */
struct confinement_host {
    int landlock_abi;          /* 0: this kernel has none */
    bool seccomp_filters;
    bool supervision;          /* seccomp user notification, and children's memory can be read */
    uint32_t uid, gid;         /* of this process */
    bool user_namespaces;      /* this process may make one, with the others inside it */
    bool privileged_namespaces; /* ... and has CAP_SYS_ADMIN, so that it needs none for the others */
    bool mount_namespaces;     /* mounts can be changed in one of those */
    bool own_proc;             /* ... and a pid namespace with them can have its own /proc */
    bool user_mounts, user_proc; /* the same inside a user namespace, where `isolate` asks for one */
    bool process_list;         /* /proc tells a process's children: kill = tree needs it */
    int cgroup;                /* descriptor of a cgroup v2 that is ours to divide, or -1 */
    bool cgroup_memory, cgroup_processes; /* its controllers */
    bool cgroup_kill;          /* ... and all of a group can be killed at once (Linux 5.14) */
    struct rlimit open_files;  /* RLIMIT_NOFILE for children: what the broker itself was started
                                * with. Read before raising it; hand it over on a re-exec. */
    /* While namespaces are tried (namespaces.h): */
    unsigned long probed;      /* CLONE_NEW* flags that are asked for; 0: the answer is known */
    bool privileged;           /* with CAP_SYS_ADMIN */
    pid_t prober;              /* the child that tries them; -1: none */
    int probe;                 /* where its answer comes from; -1: nowhere */
    int network;               /* the network namespace that it made, until a worker takes it; -1 */
};

/* Values of the start-time pieces of path templates; NULL when unset. */
struct confinement_values {
    const char *home, *runtime_directory, *state_home, *config_home;
};

/* What confinement_prepare and confinement_broker say while they work; `check-host` prints them. */
enum confinement_gravity {
    CONFINEMENT_NOTE,    /* as it should be, but worth knowing: a `?path` that does not exist */
    CONFINEMENT_MISSING, /* a mechanism that this kernel or host lacks: `confine = strict` refuses to
                          * start; best-effort warns, logs it in `serve` and goes on */
    CONFINEMENT_ERROR,   /* cannot be served in either mode: a granted path that does not exist */
};

/* `confinement`: index into policy.confinements, or UINT32_MAX: the broker's own. `text`: one line
 * without its end, valid during the call. */
typedef void confinement_tell(void *context, uint32_t confinement,
                              enum confinement_gravity gravity, const char *text);

/* Reads the host's facts; probing for namespaces forks a short-lived child. Opens host->cgroup.
 * Never fails: what cannot be found out is not there. */
void confinement_host_read(struct confinement_host *host);
/* The same as far as `policy` needs it, for a fast start: only namespaces that its confinements ask for
 * are probed, by host->prober, and its answer is waited for by the first confinement_prepare, which
 * works meanwhile; until then the members that speak of namespaces are false. The child ends by itself
 * a moment later and is the caller's to reap. */
void confinement_host_begin(struct confinement_host *host, const struct policy *policy);
void confinement_host_release(struct confinement_host *host);

/* Makes one confinement ready: expands and opens its paths (the sets, splits for fs_deny and the
 * protected files included) and builds what can be built before a call. Tells everything that is
 * missing. Returns the setup, owned by the caller until confinement_release, or NULL after telling at
 * least one CONFINEMENT_ERROR, or a CONFINEMENT_MISSING with policy->confine_strict. `host` must
 * outlive it. Only for start-up and check-host: allocates and does file I/O. */
struct confinement_setup *confinement_prepare(const struct policy *policy, uint32_t confinement,
                                              struct confinement_host *host,
                                              const struct confinement_values *values,
                                              confinement_tell *tell, void *context);
void confinement_release(struct confinement_setup *setup);

/* Names of protected files (protect = ...) that now exist and did not at the last call of this
 * function or at confinement_prepare: for the exit event's "protected_created". Gives each path to
 * `found`; returns how many. Cheap when the confinement protects nothing. */
size_t confinement_protected_created(struct confinement_setup *setup,
                                     void (*found)(void *context, const char *path), void *context);

/* A directory that the broker itself writes in or reads from: where the audit files, the socket and
 * its own executable are, and the programs of rules that begin with $HOME/... */
struct confinement_directory {
    int descriptor; /* O_PATH; stays the caller's */
    enum policy_access access;
};

/* Confines the broker itself, after everything that start-up needs and before the first worker:
 * divides the delegated cgroup if there is one; not dumpable; no_new_privs and
 * capabilities given up (unless a rule has new_privs = allow; then nothing further either),
 * policy->broker_filter, and, when every rule is confined in the file system, Landlock to the union of
 * their grants, `directories` (none: no Landlock) and what running programs needs. Landlock is left
 * out, with a note, where workers change mounts (it would forbid that) or slots name files. What it takes away stays away across an exec: a successor at
 * SIGHUP runs inside it (see confinement_broker_digest). Returns 0 or a negative errno after telling
 * why. `setups`: all of them, policy->confinement_count, none NULL. */
int confinement_broker(const struct policy *policy, const struct confinement_host *host,
                       struct confinement_setup *const *setups,
                       const struct confinement_directory *directories, size_t directory_count,
                       confinement_tell *tell, void *context);

/* Whether confinement_broker restricts the broker in the file system, its own directories being
 * known. */
bool confinement_broker_restricts_files(const struct policy *policy,
                                        const struct confinement_host *host,
                                        struct confinement_setup *const *setups);

/* Stands for the filter that confinement_broker loads; 0: none. A broker that became another in place
 * still is under its first one's filter: if that one's digest was not 0 and is not the new policy's,
 * the new rules may need what has been given up, and only a restart gives it back. (Rules with
 * new_privs = allow are told apart by confinement_prepare: it refuses them once no_new_privs is set.)
 */
uint64_t confinement_broker_digest(const struct policy *policy);

#endif
