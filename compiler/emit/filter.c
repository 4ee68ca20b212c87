#include "compiler/emit/filter.h"

#include <errno.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/model.h"

_Static_assert(FILTER_UNKNOWN_REFUSAL == ENOSYS, "the same on every architecture that is made for");

/* Kernel constants, by value: what the building host's headers say must not matter. */
#define FAMILY_UNIX 1u
#define FAMILY_INET 2u
#define FAMILY_INET6 10u
#define FAMILY_NETLINK 16u
#define TYPE_MASK 0xfu /* besides SOCK_NONBLOCK and SOCK_CLOEXEC, net.h SOCK_TYPE_MASK */
#define TYPE_STREAM 1u
#define TYPE_SEQPACKET 5u
#define PROTOCOL_TCP 6u
#define LEVEL_TCP 6u
#define OPTION_TCP_ULP 31u
#define SEND_FAST_OPEN 0x20000000u
/* CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET; for unshare CLONE_NEWTIME, which in clone's
 * flags would be part of the exit signal. */
#define CLONE_NAMESPACES 0x7e020000u
#define UNSHARE_NAMESPACES (CLONE_NAMESPACES | 0x80u)

static const struct {
    uint32_t command;
    const char *what;
} terminal_commands[] =
    {
        {0x5412, "TIOCSTI"},
        {0x541c, "TIOCLINUX"},
        {0x5423, "TIOCSETD"},
},
  metadata_commands[] = {
      {0x40086602, "FS_IOC_SETFLAGS"},
      {0x40046602, "FS_IOC32_SETFLAGS"},
      {0x401c5820, "FS_IOC_FSSETXATTR"},
      {0x40087602, "FS_IOC_SETVERSION"},
      {0x40047602, "FS_IOC32_SETVERSION"},
      {0x40806685, "FS_IOC_ENABLE_VERITY"},
      {0x800c6613, "FS_IOC_SET_ENCRYPTION_POLICY"},
      {0x40047211, "FAT_IOCTL_SET_ATTRIBUTES"},
};

/* ---- clauses --------------------------------------------------------------------------------- */

static struct filter_test equals(unsigned argument, uint32_t value, const char *what)
{
    return (struct filter_test){
        .argument = argument, .mask = UINT32_MAX, .value = value, .what = what};
}

static struct filter_test masked(unsigned argument, uint32_t mask, uint32_t value,
                                 const char *what)
{
    return (struct filter_test){.argument = argument, .mask = mask, .value = value, .what = what};
}

static struct filter_test any_of(unsigned argument, uint32_t mask, const char *what)
{
    return (struct filter_test){.argument = argument, .mask = mask, .any_bit = true, .what = what};
}

/* Adds a clause with one test; clause_and adds further ones to it. */
static void clause_add(struct filter_verdict *verdict, int refusal, struct filter_test test)
{
    struct filter_clause *clause = &verdict->clauses[verdict->clause_count++];
    *clause = (struct filter_clause){.tests = {test}, .test_count = 1, .refusal = refusal};
}

static void clause_and(struct filter_verdict *verdict, struct filter_test test)
{
    struct filter_clause *clause = &verdict->clauses[verdict->clause_count - 1];
    clause->tests[clause->test_count++] = test;
}

/* ---- single calls ---------------------------------------------------------------------------- */

/* What the keys say of a call, `syscalls` aside. */
struct wants {
    bool lists;    /* the default list's own checks of arguments */
    bool net_none, net_ports, unix_none, metadata;
};

static void allow_family(struct filter_verdict *verdict, uint32_t family, const char *what)
{
    clause_add(verdict, 0, equals(0, family, what));
}

/* TCP over one family, and no other protocol that makes a stream (MPTCP, SCTP, SMC: Landlock's port
 * rules speak of TCP alone). */
static void allow_tcp(struct filter_verdict *verdict, uint32_t family, const char *what)
{
    static const struct {
        uint32_t protocol;
        const char *what;
    } protocols[] = {{0, "the default protocol"}, {PROTOCOL_TCP, "TCP"}};

    for (size_t i = 0; i < 2; i++) {
        clause_add(verdict, 0, equals(0, family, what));
        clause_and(verdict, masked(1, TYPE_MASK, TYPE_STREAM, "a stream"));
        clause_and(verdict, equals(2, protocols[i].protocol, protocols[i].what));
    }
}

static void socket_decide(struct filter_verdict *verdict, const struct wants *wants)
{
    if (wants->unix_none)
        clause_add(verdict, EPERM, equals(0, FAMILY_UNIX, "AF_UNIX"));
    if (wants->net_none || wants->net_ports) {
        if (!wants->unix_none)
            allow_family(verdict, FAMILY_UNIX, "AF_UNIX");
        if (wants->net_ports) {
            allow_tcp(verdict, FAMILY_INET, "AF_INET");
            allow_tcp(verdict, FAMILY_INET6, "AF_INET6");
        }
        verdict->refusal = EPERM;
    } else if (wants->lists) {
        if (!wants->unix_none)
            allow_family(verdict, FAMILY_UNIX, "AF_UNIX");
        allow_family(verdict, FAMILY_INET, "AF_INET");
        allow_family(verdict, FAMILY_INET6, "AF_INET6");
        allow_family(verdict, FAMILY_NETLINK, "AF_NETLINK");
        verdict->refusal = EAFNOSUPPORT;
    }
}

/* Of Unix pairs only those that stay connected to each other: a datagram socket of a pair can
 * connect to any path. */
static void socketpair_decide(struct filter_verdict *verdict, const struct wants *wants)
{
    bool closed = wants->lists || wants->net_none || wants->net_ports;

    if (wants->unix_none) {
        clause_add(verdict, 0, equals(0, FAMILY_UNIX, "AF_UNIX"));
        clause_and(verdict, masked(1, TYPE_MASK, TYPE_STREAM, "a stream"));
        clause_add(verdict, 0, equals(0, FAMILY_UNIX, "AF_UNIX"));
        clause_and(verdict, masked(1, TYPE_MASK, TYPE_SEQPACKET, "packets in sequence"));
        clause_add(verdict, EPERM, equals(0, FAMILY_UNIX, "AF_UNIX"));
    } else if (closed) {
        allow_family(verdict, FAMILY_UNIX, "AF_UNIX");
    }
    if (closed)
        verdict->refusal = wants->net_none || wants->net_ports ? EPERM : EAFNOSUPPORT;
}

static void ioctl_decide(struct filter_verdict *verdict, const struct wants *wants)
{
    for (size_t i = 0; wants->lists && i < sizeof terminal_commands / sizeof *terminal_commands;
         i++)
        clause_add(verdict, EPERM,
                   equals(1, terminal_commands[i].command, terminal_commands[i].what));
    for (size_t i = 0; wants->metadata && i < sizeof metadata_commands / sizeof *metadata_commands;
         i++)
        clause_add(verdict, EPERM,
                   equals(1, metadata_commands[i].command, metadata_commands[i].what));
}

/* The calls whose arguments decide. Returns false for the others. */
static bool arguments_decide(struct filter_verdict *verdict, const char *name,
                             const struct wants *wants)
{
    static const struct {
        const char *name;
        unsigned flags;
    } senders[] = {{"sendto", 3}, {"sendmsg", 2}, {"sendmmsg", 3}};

    if (strcmp(name, "socket") == 0) {
        socket_decide(verdict, wants);
    } else if (strcmp(name, "socketpair") == 0) {
        socketpair_decide(verdict, wants);
    } else if (strcmp(name, "ioctl") == 0) {
        ioctl_decide(verdict, wants);
    } else if (strcmp(name, "clone") == 0 || strcmp(name, "unshare") == 0) {
        uint32_t flags = name[0] == 'c' ? CLONE_NAMESPACES : UNSHARE_NAMESPACES;
        if (wants->lists)
            clause_add(verdict, EPERM, any_of(0, flags, "a new namespace"));
    } else if (strcmp(name, "prlimit64") == 0) {
        if (wants->lists) {
            clause_add(verdict, 0, equals(0, 0, "the caller itself"));
            verdict->refusal = EPERM;
        }
    } else if (strcmp(name, "setsockopt") == 0) {
        /* turns a TCP socket into one that Landlock's port rules do not know */
        if (wants->net_ports) {
            clause_add(verdict, EPERM, equals(1, LEVEL_TCP, "SOL_TCP"));
            clause_and(verdict, equals(2, OPTION_TCP_ULP, "TCP_ULP"));
        }
    } else {
        for (size_t i = 0; i < sizeof senders / sizeof *senders; i++)
            if (strcmp(name, senders[i].name) == 0) {
                /* connects without connect(2), and so past Landlock */
                if (wants->net_ports)
                    clause_add(verdict, EPERM,
                               any_of(senders[i].flags, SEND_FAST_OPEN, "MSG_FASTOPEN"));
                return true;
            }
        return false;
    }
    return true;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

enum change { UNCHANGED, ADDED, TAKEN };

static enum change change_of(const struct model_filter *description, const char *name)
{
    enum change change = UNCHANGED;
    for (size_t i = 0; i < description->change_count; i++)
        if (strcmp(description->changes[i].name, name) == 0)
            change = description->changes[i].add ? ADDED : TAKEN;
    return change;
}

static void entry_decide(struct filter_verdict *verdict, const struct syscall_entry *entry,
                         const struct model_filter *description)
{
    enum change change = change_of(description, entry->name);
    struct wants wants = {
        .lists = description->base != SYSCALLS_INHERIT && change != ADDED,
        .net_none = description->net_none,
        .net_ports = description->net_ports,
        .unix_none = description->unix_none,
        .metadata = description->metadata == METADATA_DENY,
    };
    /* io_uring does what the other keys forbid, and no filter sees it: no change brings it back. */
    bool otherwise = wants.net_none || wants.net_ports || wants.unix_none || wants.metadata;

    if (change == TAKEN) {
        verdict->refusal = entry->refusal;
    } else if (otherwise && starts_with(entry->name, "io_uring_")) {
        verdict->refusal = ENOSYS;
    } else if (wants.metadata && (entry->sets & SYSCALL_METADATA)) {
        verdict->refusal = EPERM;
    } else if (change == UNCHANGED && description->base == SYSCALLS_STRICT &&
               !(entry->sets & SYSCALL_STRICT_ALLOWED)) {
        verdict->refusal = entry->refusal;
    } else if (!arguments_decide(verdict, entry->name, &wants) && wants.lists &&
               (entry->sets & SYSCALL_DEFAULT_REFUSED)) {
        verdict->refusal = entry->refusal;
    }
}

struct filter filter_from_model(struct arena *arena, const struct model_filter *description)
{
    struct filter filter;
    const struct syscall_entry *entries = syscalls_all(&filter.count);

    filter.verdicts = arena_array(arena, filter.count, sizeof *filter.verdicts);
    for (size_t i = 0; i < filter.count; i++)
        entry_decide(&filter.verdicts[i], &entries[i], description);
    return filter;
}

/* ---- the broker's own ------------------------------------------------------------------------ */

/* What a worker needs to make its namespaces and mounts, before its own filter. */
static const char *const namespace_calls[] = {
    "clone",  "unshare",  "setns",   "mount",     "umount2",    "fsopen",
    "fsconfig", "fsmount", "open_tree", "move_mount", "mount_setattr"};

static bool makes_namespaces(const struct model_confinement *confinement)
{
    return confinement->isolate != 0 || confinement->net_none || confinement->protect != 0 ||
           confinement->metadata == METADATA_WITHIN;
}

static bool is_namespace_call(const char *name)
{
    for (size_t i = 0; i < sizeof namespace_calls / sizeof *namespace_calls; i++)
        if (strcmp(name, namespace_calls[i]) == 0)
            return true;
    return false;
}

/* Whether every filter does to this call at least what `syscalls = default` does. */
static bool all_refuse(const struct model *model, const struct syscall_entry *entry)
{
    for (size_t i = 0; i < model->filter_count; i++)
        if (model->filters[i]->base == SYSCALLS_INHERIT ||
            change_of(model->filters[i], entry->name) == ADDED)
            return false;
    return true;
}

bool filter_for_broker(struct arena *arena, const struct model *model, struct filter *filter)
{
    const struct syscall_entry *entries = syscalls_all(&filter->count);
    const struct wants wants = {.lists = true};
    bool namespaces = false;

    for (size_t i = 0; i < model->confinement_count; i++) {
        if (!model->confinements[i]->filter || model->confinements[i]->new_privs)
            return false;
        namespaces = namespaces || makes_namespaces(model->confinements[i]);
    }
    filter->verdicts = arena_array(arena, filter->count, sizeof *filter->verdicts);
    for (size_t i = 0; i < filter->count; i++) {
        const struct syscall_entry *entry = &entries[i];
        if (!(entry->sets & SYSCALL_DEFAULT_REFUSED) || !all_refuse(model, entry) ||
            (namespaces && is_namespace_call(entry->name)))
            continue;
        if (!arguments_decide(&filter->verdicts[i], entry->name, &wants))
            filter->verdicts[i].refusal = entry->refusal;
    }
    return true;
}

bool filter_refuses_worker(const struct filter *filter, enum syscall_architecture architecture)
{
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);

    for (size_t i = 0; i < count; i++)
        if ((entries[i].sets & SYSCALL_WORKER) && entries[i].numbers[architecture] >= 0 &&
            filter->verdicts[i].clause_count == 0 && filter->verdicts[i].refusal != 0)
            return true;
    return false;
}
