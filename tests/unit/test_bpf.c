/* Filters: an interpreter of the emitted BPF against the meaning of the keys, written down here a
 * second time and in another way, for both architectures, every number and the arguments that matter;
 * numbers against libseccomp's; and the program of this machine loaded into the kernel. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/emit/bpf.h"
#include "compiler/policy/model.h"

#define ALLOWED 0

static const uint32_t audit_architectures[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};

/* ---- the interpreter ------------------------------------------------------------------------- */

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;
    assert_true(offset % 4 == 0 && offset + 4 <= sizeof *data);
    memcpy(&word, (const char *)data + offset, sizeof word);
    return word;
}

/* The errno that the program answers, 0 for allowed. Fails the test for whatever the kernel's checker
 * would not take: a jump out of the program, an instruction that is not in its list, no return. */
static int run(const struct bpf_program *program, const struct seccomp_data *data, size_t *steps)
{
    uint32_t a = 0;
    size_t at = 0;
    for (*steps = 0;; ++*steps) {
        assert_true(at < program->count);
        const struct sock_filter *i = &program->instructions[at++];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(data, i->k);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            at += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            at += a & i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            if (i->k == SECCOMP_RET_ALLOW)
                return ALLOWED;
            assert_int_equal(i->k & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
            return (int)(i->k & SECCOMP_RET_DATA);
        default:
            fail_msg("instruction 0x%02x", i->code);
        }
    }
}

static int ask(const struct bpf_program *program, enum syscall_architecture architecture,
               int number, const uint64_t *arguments)
{
    struct seccomp_data data = {.nr = number, .arch = audit_architectures[architecture]};
    size_t steps;
    if (arguments)
        memcpy(data.args, arguments, sizeof data.args);
    return run(program, &data, &steps);
}

/* ---- the meaning, a second time -------------------------------------------------------------- */

static const struct syscall_entry *entry_of(enum syscall_architecture architecture, int number)
{
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);
    for (size_t i = 0; i < count; i++)
        if (entries[i].numbers[architecture] == number)
            return &entries[i];
    return NULL;
}

static bool is_one_of(const char *name, const char *list)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static int change(const struct model_filter *f, const char *name)
{
    for (size_t i = 0; i < f->change_count; i++)
        if (strcmp(f->changes[i].name, name) == 0)
            return f->changes[i].add ? 1 : -1;
    return 0;
}

static int expected_socket(const struct model_filter *f, bool lists, uint32_t family, uint32_t type,
                           uint32_t protocol)
{
    type &= 0xf;
    if (family == AF_UNIX)
        return f->unix_none ? EPERM : ALLOWED;
    if (f->net_none)
        return EPERM;
    if (f->net_ports)
        return (family == AF_INET || family == AF_INET6) && type == SOCK_STREAM &&
                       (protocol == 0 || protocol == 6)
                   ? ALLOWED
                   : EPERM;
    if (!lists || family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
        return ALLOWED;
    return EAFNOSUPPORT;
}

static int expected(const struct model_filter *f, enum syscall_architecture architecture,
                    int number, const uint64_t *a)
{
    const struct syscall_entry *e = entry_of(architecture, number);
    if (!e)
        return ENOSYS;
    const char *name = e->name;
    const bool deny = f->metadata == METADATA_DENY;
    const bool net = f->net_none || f->net_ports;
    if (change(f, name) < 0)
        return e->refusal;
    if ((net || f->unix_none || deny) && strncmp(name, "io_uring", 8) == 0)
        return ENOSYS;
    if (deny && is_one_of(name, "chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime "
                                "utimes futimesat utimensat setxattr lsetxattr fsetxattr setxattrat "
                                "removexattr lremovexattr fremovexattr removexattrat file_setattr"))
        return EPERM;
    const bool lists = f->base != SYSCALLS_INHERIT && change(f, name) == 0;
    if (lists && f->base == SYSCALLS_STRICT && !(e->sets & SYSCALL_STRICT_ALLOWED))
        return e->refusal;
    uint32_t a0 = (uint32_t)a[0], a1 = (uint32_t)a[1], a2 = (uint32_t)a[2], a3 = (uint32_t)a[3];
    if (strcmp(name, "socket") == 0)
        return expected_socket(f, lists, a0, a1, a2);
    if (strcmp(name, "socketpair") == 0) {
        if (a0 == AF_UNIX)
            return f->unix_none && (a1 & 0xf) != SOCK_STREAM && (a1 & 0xf) != SOCK_SEQPACKET
                       ? EPERM
                       : ALLOWED;
        return net ? EPERM : lists ? EAFNOSUPPORT : ALLOWED;
    }
    if (strcmp(name, "ioctl") == 0) {
        if (lists && (a1 == TIOCSTI || a1 == TIOCLINUX || a1 == TIOCSETD))
            return EPERM;
        return deny && (a1 == 0x40086602 || a1 == 0x401c5820) ? EPERM : ALLOWED;
    }
    if (strcmp(name, "clone") == 0)
        return lists && (a0 & 0x7e020000) ? EPERM : ALLOWED;
    if (strcmp(name, "unshare") == 0)
        return lists && (a0 & 0x7e020080) ? EPERM : ALLOWED;
    if (strcmp(name, "prlimit64") == 0)
        return lists && a0 != 0 ? EPERM : ALLOWED;
    if (f->net_ports && is_one_of(name, "sendto sendmmsg"))
        return a3 & 0x20000000 ? EPERM : ALLOWED;
    if (f->net_ports && strcmp(name, "sendmsg") == 0)
        return a2 & 0x20000000 ? EPERM : ALLOWED;
    if (f->net_ports && strcmp(name, "setsockopt") == 0)
        return a1 == 6 && a2 == 31 ? EPERM : ALLOWED;
    return lists && (e->sets & SYSCALL_DEFAULT_REFUSED) ? e->refusal : ALLOWED;
}

/* ---- filters to try -------------------------------------------------------------------------- */

static const struct model_syscall_change some_changes[] = {
    {.add = true, .name = "add_key"},   {.add = false, .name = "chdir"},
    {.add = true, .name = "clone"},     {.add = true, .name = "io_uring_setup"},
    {.add = false, .name = "kill"},     {.add = true, .name = "ptrace"},
    {.add = true, .name = "shmget"},    {.add = true, .name = "socket"},
};
#define SOME_CHANGES (sizeof some_changes / sizeof *some_changes)

/* Every combination of the keys. */
#define FILTERS (3 * 2 * 2 * 2 * 2 * 2)

static struct model_filter filter_number(unsigned n)
{
    struct model_filter f = {.base = (enum model_syscall_base)(n % 3)};
    n /= 3;
    f.net_none = n & 1;
    f.net_ports = n & 2 && !f.net_none;
    f.unix_none = n & 4;
    f.metadata = n & 8 ? METADATA_DENY : METADATA_WITHIN;
    if (n & 16) {
        f.changes = some_changes;
        f.change_count = SOME_CHANGES;
    }
    return f;
}

static const uint64_t interesting[][6] = {
    {0},
    {AF_UNIX, SOCK_STREAM},
    {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK},
    {AF_UNIX, SOCK_DGRAM},
    {AF_UNIX, SOCK_RAW},
    {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC},
    {AF_INET, SOCK_STREAM},
    {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 6},
    {AF_INET, SOCK_STREAM, 262 /* MPTCP */},
    {AF_INET, SOCK_STREAM, 132 /* SCTP */},
    {AF_INET, SOCK_DGRAM, 17},
    {AF_INET, SOCK_DGRAM},
    {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC},
    {AF_INET, SOCK_RAW, 1},
    {AF_INET6, SOCK_STREAM, 6},
    {AF_INET6, SOCK_SEQPACKET, 132},
    {AF_NETLINK, SOCK_RAW, 0},
    {AF_PACKET, SOCK_RAW, 3},
    {40 /* AF_VSOCK */, SOCK_STREAM},
    {38 /* AF_ALG */, SOCK_SEQPACKET},
    {44 /* AF_XDP */, SOCK_RAW},
    {0x100000001, SOCK_STREAM}, /* what stands above 32 bits is not the kernel's */
    {0x100000028, SOCK_STREAM},
    {3, TIOCSTI},
    {3, TIOCLINUX},
    {3, TIOCSETD},
    {3, 0xffffffff00000000 | TIOCSTI},
    {3, TCGETS},
    {3, 0x40086602},
    {3, 0x401c5820},
    {3, 0x80086601 /* FS_IOC_GETFLAGS */},
    {SIGCHLD},
    {0x003d0f00 /* a thread */},
    {0x02000000},
    {0x00020000 | SIGCHLD},
    {0x10000000},
    {0x20000000},
    {0x40000000},
    {0x80},
    {3, 6, 31},
    {3, 6, 1},
    {3, 1, 31},
    {3, 0, 0x20000000, 0},
    {3, 0, 10, 0x20000000},
    {3, 0, 10, 0x4000},
};
#define INTERESTING (sizeof interesting / sizeof *interesting)

static void every_filter_means_what_the_keys_say(void **state)
{
    struct arena *arena = arena_new(0);
    (void)state;
    for (unsigned n = 0; n < FILTERS; n++) {
        const struct model_filter f = filter_number(n);
        for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
            enum syscall_architecture architecture = (enum syscall_architecture)k;
            const struct bpf_program *program = bpf_build(arena, &f, architecture);
            for (int number = 0; number <= 600; number++)
                for (size_t i = 0; i < INTERESTING; i++) {
                    int got = ask(program, architecture, number, interesting[i]);
                    int want = expected(&f, architecture, number, interesting[i]);
                    if (got != want)
                        fail_msg("filter %u, %s, call %d (%s), arguments %zu: %d, not %d", n,
                                 k ? "aarch64" : "x86-64", number,
                                 entry_of(architecture, number)
                                     ? entry_of(architecture, number)->name
                                     : "none",
                                 i, got, want);
                }
        }
        arena_free(arena);
        arena = arena_new(0);
    }
    arena_free(arena);
}

static void other_architectures_and_x32_are_refused(void **state)
{
    struct arena *arena = arena_new(0);
    static const uint32_t others[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_X86_64,
                                      AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0, 0xffffffff};
    (void)state;
    for (unsigned n = 0; n < FILTERS; n++) {
        const struct model_filter f = filter_number(n);
        for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
            const struct bpf_program *program =
                bpf_build(arena, &f, (enum syscall_architecture)k);
            size_t steps;
            for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                for (int number = 0; number < 500; number += 7) {
                    struct seccomp_data data = {.nr = number, .arch = others[i]};
                    if (others[i] != audit_architectures[k])
                        assert_int_equal(run(program, &data, &steps), ENOSYS);
                }
            for (int number = 0; number < 600; number++)
                assert_int_equal(
                    ask(program, (enum syscall_architecture)k, number | 0x40000000, NULL), ENOSYS);
            assert_int_equal(ask(program, (enum syscall_architecture)k, -1, NULL), ENOSYS);
            assert_int_equal(ask(program, (enum syscall_architecture)k, INT32_MIN, NULL), ENOSYS);
        }
    }
    arena_free(arena);
}

static void cost_does_not_grow_with_length(void **state)
{
    struct arena *arena = arena_new(0);
    (void)state;
    for (unsigned n = 0; n < FILTERS; n++) {
        const struct model_filter f = filter_number(n);
        for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
            const struct bpf_program *program =
                bpf_build(arena, &f, (enum syscall_architecture)k);
            assert_true(program->count < 1024);
            for (int number = 0; number < 600; number++) {
                /* the tree's depth, and more only where arguments are looked at */
                struct seccomp_data data = {.nr = number, .arch = audit_architectures[k]};
                const struct syscall_entry *e = entry_of((enum syscall_architecture)k, number);
                size_t steps;
                run(program, &data, &steps);
                bool looks = e && is_one_of(e->name, "socket socketpair ioctl clone unshare sendto "
                                                     "sendmsg sendmmsg setsockopt prlimit64");
                assert_true(steps <= (looks ? 60u : 24u));
            }
            for (size_t i = 0; i < program->count; i++) {
                assert_non_null(program->comments[i]);
                assert_true(program->comments[i][0] != '\0');
                assert_null(strstr(program->comments[i], "*/"));
            }
        }
    }
    arena_free(arena);
}

static void the_same_bytes_each_time(void **state)
{
    struct arena *arena = arena_new(0);
    (void)state;
    for (unsigned n = 0; n < FILTERS; n += 5) {
        const struct model_filter f = filter_number(n);
        const struct bpf_program *one = bpf_build(arena, &f, SYSCALL_X86_64);
        const struct bpf_program *two = bpf_build(arena, &f, SYSCALL_X86_64);
        assert_int_equal(one->count, two->count);
        assert_memory_equal(one->instructions, two->instructions,
                            one->count * sizeof *one->instructions);
        for (size_t i = 0; i < one->count; i++)
            assert_string_equal(one->comments[i], two->comments[i]);
    }
    arena_free(arena);
}

static void per_call_when_the_worker_could_not_live_with_it(void **state)
{
    struct arena *arena = arena_new(0);
    static const struct model_syscall_change no_kill = {.add = false, .name = "kill"};
    static const struct model_syscall_change no_mkdir = {.add = false, .name = "mkdirat"};
    (void)state;
    for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
        for (unsigned n = 0; n < FILTERS; n++) {
            const struct model_filter f = filter_number(n);
            /* some_changes take kill away */
            assert_int_equal(bpf_build(arena, &f, (enum syscall_architecture)k)->per_call,
                             f.change_count != 0);
        }
        struct model_filter f = {.base = SYSCALLS_STRICT, .changes = &no_kill, .change_count = 1};
        assert_true(bpf_build(arena, &f, (enum syscall_architecture)k)->per_call);
        f.changes = &no_mkdir;
        assert_false(bpf_build(arena, &f, (enum syscall_architecture)k)->per_call);
    }
    arena_free(arena);
}

/* ---- the lists ------------------------------------------------------------------------------- */

static void numbers_are_those_of_libseccomp(void **state)
{
    static const uint32_t theirs[] = {SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64};
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);
    (void)state;
    for (int k = 0; k < SYSCALL_ARCHITECTURES; k++) {
        for (size_t i = 0; i < count; i++) {
            int number = seccomp_syscall_resolve_name_arch(theirs[k], entries[i].name);
            if (number == __NR_SCMP_ERROR)
                assert_true(entries[i].numbers[k] < 0 || entries[i].numbers[k] >= 335);
            else if (number >= 0)
                assert_int_equal(entries[i].numbers[k], number);
            else
                assert_int_equal(entries[i].numbers[k], -1);
        }
        /* and none of its names is missing here */
        for (int number = 0; number < 600; number++) {
            char *name = seccomp_syscall_resolve_num_arch(theirs[k], number);
            if (!name)
                continue;
            const struct syscall_entry *entry = syscall_find(name, strlen(name));
            assert_non_null(entry);
            assert_int_equal(entry->numbers[k], number);
            free(name);
        }
    }
}

static void the_table_is_sorted_and_sound(void **state)
{
    size_t count;
    const struct syscall_entry *entries = syscalls_all(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            assert_true(strcmp(entries[i - 1].name, entries[i].name) < 0);
        assert_true(entries[i].numbers[0] >= 0 || entries[i].numbers[1] >= 0);
        assert_true(entries[i].refusal == EPERM || entries[i].refusal == ENOSYS);
        bool listed = entries[i].sets & (SYSCALL_DEFAULT_REFUSED | SYSCALL_METADATA);
        assert_int_equal(listed, entries[i].reason[0] != '\0');
        if (entries[i].sets & SYSCALL_WORKER)
            assert_true(entries[i].sets & SYSCALL_STRICT_ALLOWED);
        for (size_t j = 0; j < i; j++)
            for (int k = 0; k < SYSCALL_ARCHITECTURES; k++)
                assert_true(entries[i].numbers[k] < 0 ||
                            entries[i].numbers[k] != entries[j].numbers[k]);
        assert_ptr_equal(syscall_find(entries[i].name, strlen(entries[i].name)), &entries[i]);
    }
    assert_null(syscall_find("", 0));
    assert_null(syscall_find("ope", 3));
    assert_null(syscall_find("openn", 5));
    assert_non_null(syscall_find("openat2xyz", 7));
    assert_string_equal(syscall_nearest("opnat", 5), "openat");
    assert_string_equal(syscall_nearest("ptrase", 6), "ptrace");
    assert_null(syscall_nearest("frobnicate_the_world", 20));
}

/* ---- the broker's own ------------------------------------------------------------------------ */

static void the_broker_refuses_what_all_rules_refuse(void **state)
{
    struct arena *arena = arena_new(0);
    (void)state;
    static const struct model_syscall_change with_ptrace = {.add = true, .name = "ptrace"};
    const struct model_filter plain = {.base = SYSCALLS_DEFAULT, .metadata = METADATA_ALLOW};
    const struct model_filter debugger = {
        .base = SYSCALLS_STRICT, .changes = &with_ptrace, .change_count = 1};
    const struct model_filter *filters[] = {&plain, &debugger};
    struct model_confinement one = {.filter = &plain}, two = {.filter = &debugger};
    const struct model_confinement *confinements[] = {&one, &two};
    struct model model = {.filters = filters,
                          .filter_count = 2,
                          .confinements = confinements,
                          .confinement_count = 2};
    static const uint64_t none[6], user_namespace[6] = {0x10000000 | SIGCHLD};
    const struct bpf_program *program = bpf_build_broker(arena, &model, SYSCALL_X86_64);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_ptrace, none), ALLOWED);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_bpf, none), EPERM);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_mount, none), EPERM);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_chmod, none), ALLOWED);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_clone, user_namespace), EPERM);
    assert_int_equal(ask(program, SYSCALL_X86_64, 600, none), ENOSYS);
    /* whatever strict refuses besides, the other rule may use */
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_shmget, none), ALLOWED);
    two.net_none = true;
    program = bpf_build_broker(arena, &model, SYSCALL_X86_64);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_clone, user_namespace), ALLOWED);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_mount, none), ALLOWED);
    assert_int_equal(ask(program, SYSCALL_X86_64, SYS_bpf, none), EPERM);
    /* never more than any rule refuses: for every call and argument */
    for (unsigned n = 0; n < FILTERS; n++) {
        const struct model_filter f = filter_number(n);
        const struct model_filter *of_one[] = {&f};
        const struct model_confinement confined = {.filter = &f};
        const struct model_confinement *in_one[] = {&confined};
        const struct model single = {.filters = of_one,
                                     .filter_count = 1,
                                     .confinements = in_one,
                                     .confinement_count = 1};
        program = bpf_build_broker(arena, &single, SYSCALL_AARCH64);
        for (int number = 0; number <= 600; number++)
            for (size_t i = 0; i < INTERESTING; i++)
                if (ask(program, SYSCALL_AARCH64, number, interesting[i]) != ALLOWED)
                    assert_int_not_equal(expected(&f, SYSCALL_AARCH64, number, interesting[i]),
                                         ALLOWED);
        assert_false(program->per_call);
    }
    two.filter = NULL;
    assert_null(bpf_build_broker(arena, &model, SYSCALL_X86_64));
    two.filter = &debugger;
    two.new_privs = true;
    assert_null(bpf_build_broker(arena, &model, SYSCALL_X86_64));
    arena_free(arena);
}

/* ---- this kernel ----------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define HERE SYSCALL_X86_64
#else
#define HERE SYSCALL_AARCH64
#endif

/* Loads the filter in a child that then runs `trial`; its exit status is the trial's line number of
 * failure, 0 for none. */
static int under_filter(const struct model_filter *filter, int (*trial)(void))
{
    struct arena *arena = arena_new(0);
    const struct bpf_program *program = bpf_build(arena, filter, HERE);
    struct sock_fprog loaded = {.len = (unsigned short)program->count,
                                .filter = (struct sock_filter *)program->instructions};
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) < 0)
            _exit(255);
        _exit(trial());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    arena_free(arena);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define REFUSED(call, code)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((call) >= 0 || errno != (code))                                                        \
            return __COUNTER__ + 1;                                                                \
    } while (0)
#define WORKS(call)                                                                                \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            return __COUNTER__ + 1;                                                                \
    } while (0)

static int try_default(void)
{
    REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM);
    REFUSED(syscall(SYS_unshare, 0x10000000), EPERM);
    REFUSED(syscall(SYS_setns, 0, 0), EPERM);
    REFUSED(syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0), EPERM);
    REFUSED(syscall(435, 0, 0), ENOSYS);
    REFUSED(syscall(425, 8, 0), ENOSYS);
    REFUSED(syscall(SYS_keyctl, 0, 0), EPERM);
    REFUSED(syscall(SYS_prlimit64, getppid(), 7, 0, 0), EPERM);
    WORKS(syscall(SYS_prlimit64, 0, 7, 0, 0));
    REFUSED(syscall(SYS_mount, 0, 0, 0, 0, 0), EPERM);
    REFUSED(syscall(470 + 50), ENOSYS);
    REFUSED(socket(40, SOCK_STREAM, 0), EAFNOSUPPORT);
    REFUSED(socket(38, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
    REFUSED(ioctl(0, TIOCSTI, "x"), EPERM);
#if defined(__x86_64__)
    REFUSED(syscall(SYS_getpid | 0x40000000), ENOSYS);
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory");
    if (answer != -ENOSYS)
        return __COUNTER__ + 1;
#endif
    WORKS(socket(AF_UNIX, SOCK_STREAM, 0));
    WORKS(socket(AF_INET, SOCK_DGRAM, 0));
    REFUSED(chmod("/nonexistent/file", 0), ENOENT); /* not by the filter */
    int status;
    pid_t pid = fork();
    if (pid == 0)
        execl("/bin/sh", "sh", "-c", "echo x | cat > /dev/null; exit 5", (char *)NULL);
    WORKS(waitpid(pid, &status, 0));
    return WIFEXITED(status) && WEXITSTATUS(status) == 5 ? 0 : 254;
}

static int try_closed(void)
{
    int pair[2];
    REFUSED(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    REFUSED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), EPERM);
    REFUSED(chmod("/nonexistent", 0), EPERM);
    REFUSED(syscall(452, -1, "/nonexistent", 0, 0), EPERM);
    REFUSED(syscall(463, 0, 0, 0, 0, 0, 0), EPERM);
    REFUSED(syscall(SYS_utimensat, 0, NULL, NULL, 0), EPERM);
    WORKS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    return 0;
}

static void the_kernel_takes_and_obeys_it(void **state)
{
    (void)state;
    const struct model_filter plain = {.base = SYSCALLS_DEFAULT};
    assert_int_equal(under_filter(&plain, try_default), 0);
    const struct model_filter strict = {.base = SYSCALLS_STRICT};
    assert_int_equal(under_filter(&strict, try_default), 0);
    const struct model_filter closed = {.base = SYSCALLS_INHERIT,
                                        .net_none = true,
                                        .unix_none = true,
                                        .metadata = METADATA_DENY};
    assert_int_equal(under_filter(&closed, try_closed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_sound),
        cmocka_unit_test(numbers_are_those_of_libseccomp),
        cmocka_unit_test(every_filter_means_what_the_keys_say),
        cmocka_unit_test(other_architectures_and_x32_are_refused),
        cmocka_unit_test(cost_does_not_grow_with_length),
        cmocka_unit_test(the_same_bytes_each_time),
        cmocka_unit_test(per_call_when_the_worker_could_not_live_with_it),
        cmocka_unit_test(the_broker_refuses_what_all_rules_refuse),
        cmocka_unit_test(the_kernel_takes_and_obeys_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
