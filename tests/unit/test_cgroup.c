/* Workers in a delegated cgroup. Needs a cgroup v2 hierarchy in which this process may make groups
 * (root, or a delegated group); what the kernel offers there in controllers is what is tested: on a
 * host that still binds `memory` and `pids` to version 1, only the groups themselves are. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "runtime/worker/cgroup.h"

#define CGROUP2_MAGIC 0x63677270

struct delegated {
    char path[PATH_MAX];
    bool memory, processes;
};

static bool file_write(const char *directory, const char *name, const char *text)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

static bool file_has(const char *directory, const char *name, const char *word)
{
    char path[2 * PATH_MAX], text[4096] = "";
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t length = read_whole(file, text, sizeof text - 1);
    close(file);
    return length > 0 && strstr(text, word);
}

/* A group of the test's own at the hierarchy's root, marked as systemd marks those that it gives
 * away. */
static bool delegated_make(struct delegated *delegated)
{
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs system;
    for (size_t i = 0; i < 2; i++) {
        if (statfs(mounts[i], &system) < 0 || system.f_type != CGROUP2_MAGIC)
            continue;
        snprintf(delegated->path, sizeof delegated->path, "%s/sluice-test-%d", mounts[i],
                 getpid());
        if (mkdir(delegated->path, 0755) < 0)
            return false;
        file_write(mounts[i], "cgroup.subtree_control", "+memory");
        file_write(mounts[i], "cgroup.subtree_control", "+pids");
        delegated->memory = file_has(delegated->path, "cgroup.controllers", "memory");
        delegated->processes = file_has(delegated->path, "cgroup.controllers", "pids");
        setxattr(delegated->path, "user.delegate", "1", 1, 0);
        return true;
    }
    return false;
}

static void delegated_end(const struct delegated *delegated)
{
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command,
             "for try in $(seq 100); do find '%s' -depth -type d -exec rmdir {} + 2>/dev/null; "
             "test -d '%s' || exit 0; sleep 0.05; done; exit 1",
             delegated->path, delegated->path);
    assert_int_equal(system(command), 0);
}

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static size_t worker_groups(const char *path)
{
    char command[3 * PATH_MAX], count[16] = "";
    snprintf(command, sizeof command, "ls '%s' | grep -c sluice-worker-", path);
    FILE *list = popen(command, "r");
    NEED(list && fgets(count, sizeof count, list));
    pclose(list);
    return (size_t)atoi(count);
}

/* The broker's part, in a child that lives in the group. */
static _Noreturn void broker(const struct delegated *delegated)
{
    struct fixture f;
    char script[512];

    NEED(file_write(delegated->path, "cgroup.procs", "0"));
    fixture_make(&f);
    f.attributes.kill = KILL_TREE_ON_EXIT; /* before the worker has its copy */
    NEED(f.host.cgroup >= 0);
    NEED(f.host.cgroup_memory == delegated->memory);
    NEED(f.host.cgroup_processes == delegated->processes);
    if (delegated->memory)
        f.confinement.limits.memory = (uint64_t)64 << 20;
    if (delegated->processes)
        f.confinement.limits.processes = 20;
    NEED(fixture_prepare(&f));
    NEED(confinement_broker(&f.policy, &f.host, &f.setup, NULL, 0, fixture_tell, &f) == 0);
    NEED(file_has(delegated->path, "sluice-broker/cgroup.procs", "\n"));
    fixture_start(&f);
    /* the call is in the worker's group, and the broker is not */
    NEED(fixture_shell(&f, "grep '^0::' /proc/$$/cgroup | grep -q /sluice-worker-") == 0);
    NEED(!file_has("/proc/self", "cgroup", "sluice-worker-"));
    NEED(worker_groups(delegated->path) == 1);
    if (delegated->memory)
        NEED(fixture_shell(&f, "/usr/bin/python3 -c 'import os\n"
                               "if os.fork() == 0: x = b\"x\" * (200 << 20)\n"
                               "else: raise SystemExit(os.wait()[1])'") == 9);
    if (delegated->processes) {
        snprintf(script, sizeof script,
                 "for i in $(seq 40); do sleep 600 & done 2>/dev/null; exit 7");
        NEED(fixture_shell(&f, script) != 7);
        NEED(fixture_shell(&f, "exit 3") == 3); /* and may fork again */
        NEED(fixture_shell(&f, "true & wait; exit 4") == 4);
    }
    /* a tree that is ended by its group leaves a worker that is in it again */
    NEED(fixture_shell(&f, "setsid sleep 600 & exit 5") == 5);
    NEED(fixture_shell(&f, "grep '^0::' /proc/$$/cgroup | grep -q /sluice-worker-") == 0);
    fixture_end(&f);
    /* what a dead worker left goes with the next one's start */
    fixture_make(&f);
    NEED(f.host.cgroup >= 0);
    fixture_start(&f);
    NEED(fixture_shell(&f, "exit 0") == 0);
    NEED(worker_groups(delegated->path) == 1);
    fixture_end(&f);
    _exit(0);
}

static void a_worker_has_a_group_of_its_own(void **state)
{
    struct delegated delegated;
    (void)state;
    if (!delegated_make(&delegated))
        skip();
    if (!delegated.memory || !delegated.processes)
        print_message("           controllers here: memory %s, pids %s\n",
                      delegated.memory ? "yes" : "no", delegated.processes ? "yes" : "no");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        broker(&delegated);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    delegated_end(&delegated);
    assert_int_equal(status, 0);
}

/* Nobody kills anybody here but cgroup.kill. */
static _Noreturn void worker_that_kills(const struct delegated *delegated)
{
    struct confinement_host host = {.uid = (uint32_t)geteuid()};
    const struct policy_limits unset = {LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET,
                                        LIMIT_UNSET, LIMIT_UNSET, LIMIT_UNSET};
    struct cgroup cgroup;

    NEED(file_write(delegated->path, "cgroup.procs", "0"));
    cgroup_find(&host);
    NEED(host.cgroup >= 0);
    if (!host.cgroup_kill)
        _exit(77);
    NEED(cgroup_divide(&host) == 0);
    NEED(cgroup_enter(&host, &unset, &cgroup) == 0);
    for (int round = 0; round < 3; round++) {
        NEED(file_has("/proc/self", "cgroup", "sluice-worker-"));
        for (int i = 0; i < 5; i++)
            if (fork() == 0) {
                setsid();
                fork();
                for (;;)
                    pause();
            }
        cgroup_kill_begin(&cgroup);
        NEED(cgroup.elsewhere && file_has("/proc/self", "cgroup", "/sluice-broker"));
        int status;
        while (waitpid(-1, &status, 0) > 0)
            NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        NEED(errno == ECHILD);
        /* nobody is in it, and still it is not swept away */
        struct cgroup other;
        if (fork() == 0)
            _exit(cgroup_enter(&host, &unset, &other) == 0 ? 0 : 1);
        NEED(waitpid(-1, &status, 0) > 0 && status == 0);
        NEED(cgroup_kill_end(&cgroup) == 0);
    }
    _exit(0);
}

static void all_of_a_group_end_at_once(void **state)
{
    struct delegated delegated;
    (void)state;
    if (!delegated_make(&delegated))
        skip();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        worker_that_kills(&delegated);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    delegated_end(&delegated);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void what_is_not_delegated_is_left_alone(void **state)
{
    struct confinement_host host = {.uid = (uint32_t)geteuid()};
    (void)state;
    cgroup_find(&host);
    /* the test's own group is shared with whoever started it */
    assert_int_equal(host.cgroup, -1);
    assert_int_equal(cgroup_divide(&host), 0);
    struct cgroup cgroup;
    const struct policy_limits limits = {.memory = 1, .processes = 1};
    assert_int_equal(cgroup_enter(&host, &limits, &cgroup), 0);
    for (size_t i = 0; i < CGROUP_FILES; i++)
        assert_int_equal(cgroup.files[i], -1);
    cgroup_kill_begin(&cgroup);
    assert_false(cgroup.elsewhere);
    assert_int_equal(cgroup_kill_end(&cgroup), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_has_a_group_of_its_own),
        cmocka_unit_test(all_of_a_group_end_at_once),
        cmocka_unit_test(what_is_not_delegated_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
