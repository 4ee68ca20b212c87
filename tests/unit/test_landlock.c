/* Confinement as workers apply it: what a confined program can and cannot touch, for each key, with
 * this kernel's own Landlock, seccomp and namespaces; and what is said where a mechanism is missing. */
#define _GNU_SOURCE 1

#include "tests/unit/worker_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "compiler/base/arena.h"
#include "compiler/emit/bpf.h"
#include "compiler/policy/model.h"
#include "runtime/worker/landlock.h"
#include "runtime/worker/setup.h"

#if defined(__x86_64__)
#define HERE SYSCALL_X86_64
#else
#define HERE SYSCALL_AARCH64
#endif

#define GRANTS_MAX 16

/* A fixture with a directory of its own and room for grants. */
struct place {
    struct fixture f;
    char base[64];
    struct policy_template_piece pieces[GRANTS_MAX];
    char paths[GRANTS_MAX][PATH_MAX];
    struct policy_grant grants[GRANTS_MAX];
    struct policy_template denies[GRANTS_MAX];
    uint32_t pieces_used;
    struct policy_filter filter;
    struct arena *arena;
};

static void place_make(struct place *p)
{
    memset(p, 0, sizeof *p);
    fixture_make(&p->f);
    strcpy(p->base, "/tmp/sluice-confine-XXXXXX");
    assert_non_null(mkdtemp(p->base));
    p->f.confinement.grants = p->grants;
    p->f.confinement.denies = p->denies;
    p->arena = arena_new(0);
}

static void place_end(struct place *p)
{
    char command[PATH_MAX + 16];
    fixture_end(&p->f);
    snprintf(command, sizeof command, "rm -rf '%s'", p->base);
    assert_int_equal(system(command), 0);
    arena_free(p->arena);
}

static bool place_skip_without(struct place *p, bool there)
{
    if (!there)
        place_end(p);
    return !there;
}

/* `%` at the start stands for the place's directory. */
static struct policy_template path_template(struct place *p, const char *path)
{
    uint32_t n = p->pieces_used++;
    snprintf(p->paths[n], sizeof p->paths[n], "%s%s", path[0] == '%' ? p->base : "",
             path[0] == '%' ? path + 1 : path);
    p->pieces[n] = (struct policy_template_piece){.kind = TEMPLATE_TEXT, .text = p->paths[n]};
    return (struct policy_template){.pieces = &p->pieces[n], .count = 1};
}

static struct policy_grant *grant(struct place *p, enum policy_access access, const char *path)
{
    struct policy_grant *grant = &p->grants[p->f.confinement.grant_count++];
    *grant = (struct policy_grant){
        .kind = GRANT_PATH, .access = access, .path = path_template(p, path)};
    p->f.confinement.confines_files = true;
    return grant;
}

static void grant_set(struct place *p, enum policy_access access, enum policy_path_set set)
{
    p->grants[p->f.confinement.grant_count++] =
        (struct policy_grant){.kind = GRANT_SET, .access = access, .set = set};
    p->f.confinement.confines_files = true;
}

static void deny(struct place *p, const char *path)
{
    p->denies[p->f.confinement.deny_count++] = path_template(p, path);
}

static void filter(struct place *p, const struct model_filter *description)
{
    const struct bpf_program *program = bpf_build(p->arena, description, HERE);
    p->filter = (struct policy_filter){.program = program->instructions,
                                       .count = (uint16_t)program->count,
                                       .per_call = program->per_call};
    p->f.confinement.filter = &p->filter;
}

/* Runs a script with the place's directory as its working directory; its exit code. */
static int run(struct place *p, const char *script)
{
    const struct fixture_call extra = {.directory = p->base};
    if (!p->f.started)
        fixture_start(&p->f);
    fixture_run(&p->f, &extra, SHELL(script));
    if (p->f.report.kind == REPORT_FAILED)
        fail_msg("did not run: stage %u, %s; %s", p->f.report.stage, strerror(p->f.report.error),
                 p->f.told);
    return WIFEXITED(p->f.report.status) ? WEXITSTATUS(p->f.report.status)
                                         : 128 + WTERMSIG(p->f.report.status);
}

/* Each line of the script on its own: `+` must work, `-` must fail. */
static void run_each(struct place *p, const char *const *lines)
{
    for (; *lines; lines++) {
        int code = run(p, *lines + 1);
        if ((code == 0) != (**lines == '+'))
            fail_msg("`%s` ended with %d: %s", *lines, code, p->f.output);
    }
}

static void outside(struct place *p, const char *script)
{
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && { %s ; }", p->base, script);
    assert_int_equal(system(command), 0);
}

#define PYTHON "/usr/bin/python3 -c "

/* ---- fs_* ------------------------------------------------------------------------------------ */

static void only_what_is_listed_can_be_read(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "mkdir in out; echo 1 > in/f; echo 2 > out/f; echo 3 > f; ln -s ../out/f in/link;"
                "ln f in/hard");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "%/in");
    run_each(&p, ARGV("+cat in/f", "+ls in", "+cat in/hard", "-cat out/f", "-cat f", "-ls .",
                      "-ls out", "-cat in/link", "-cat in/../f", "-ls /root /home", "-ls /tmp",
                      "-cat /proc/self/cwd/f", "+cat /etc/passwd", "+cat /proc/self/status",
                      "-echo x > in/f", "-echo x >> in/f", "-echo x > in/new", "-rm in/f",
                      "-mkdir in/d", "-ln in/f in/g", "-mv in/f in/g", "-truncate -s 0 in/f",
                      "-echo x > /etc/sluice-test", "+echo x > /dev/null",
                      "-cp /bin/true in/true", "+: < /dev/zero",
                      "-/usr/bin/python3 -c 'import os; os.truncate(\"in/f\", 0)'"));
    place_end(&p);
}

/* What each `fs_*` gives, right by right: some stand behind other barriers that a test would meet
 * first (device nodes need a capability). */
static void each_access_has_its_rights(void **state)
{
    const uint64_t read = FS_READ_FILE | FS_READ_DIR;
    const uint64_t write = read | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE |
                           FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM |
                           FS_REFER | FS_IOCTL_DEV;
    (void)state;
    assert_int_equal(landlock_access_rights(ACCESS_READ, true), read);
    assert_int_equal(landlock_access_rights(ACCESS_READ, false), FS_READ_FILE);
    assert_int_equal(landlock_access_rights(ACCESS_EXECUTE, true), read | FS_EXECUTE);
    assert_int_equal(landlock_access_rights(ACCESS_EXECUTE, false), FS_READ_FILE | FS_EXECUTE);
    assert_int_equal(landlock_access_rights(ACCESS_WRITE, true), write);
    assert_int_equal(landlock_access_rights(ACCESS_WRITE, false),
                     FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV);
}

static void devices_that_are_read_take_no_commands(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.landlock_abi >= 5))
        skip();
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "/dev/ptmx"); /* @system has the others, with their commands */
    run_each(&p, ARGV("+: < /dev/ptmx", "-/usr/bin/python3 -c 'import fcntl; "
                      "fcntl.ioctl(open(\"/dev/ptmx\"), 0x80045430, bytes(4))'" /* TIOCGPTN */));
    place_end(&p);
}

static void the_program_and_what_it_needs_come_by_themselves(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "printf 'a\\nb\\n' > file; echo secret > other; mkdir d;"
                "printf '#!/bin/cat\\nscript\\n' > d/script; chmod +x d/script");
    p.f.confinement.confines_files = true;
    fixture_start(&p.f);
    char path[128], other[128];
    snprintf(path, sizeof path, "%s/file", p.base);
    snprintf(other, sizeof other, "%s/other", p.base);
    int file = open(path, O_PATH | O_CLOEXEC);
    const uint8_t access = ACCESS_READ;
    const struct fixture_call granted = {.grants = &file, .grant_access = &access,
                                         .grant_count = 1, .directory = p.base};
    fixture_run(&p.f, &granted, ARGV("/usr/bin/wc", "-l", path));
    assert_int_equal(p.f.report.kind, REPORT_ENDED);
    assert_int_equal(p.f.report.status, 0);
    assert_memory_equal(p.f.output, "2 ", 2);
    /* this file and no other, and for this call alone */
    fixture_run(&p.f, &granted, ARGV("/usr/bin/wc", "-l", other));
    assert_int_not_equal(p.f.report.status, 0);
    fixture_run(&p.f, NULL, ARGV("/usr/bin/wc", "-l", path));
    assert_int_not_equal(p.f.report.status, 0);
    /* a shell starts, but nothing else does */
    fixture_run(&p.f, NULL, ARGV("/bin/sh", "-c", "echo started; /bin/cat /etc/passwd"));
    assert_int_equal(WEXITSTATUS(p.f.report.status), 126);
    assert_memory_equal(p.f.output, "started\n", 8);
    /* a script: itself, its interpreter, that one's loader */
    snprintf(path, sizeof path, "%s/d/script", p.base);
    fixture_run(&p.f, NULL, ARGV(path));
    assert_int_equal(p.f.report.status, 0);
    assert_string_equal(p.f.output, "#!/bin/cat\nscript\n");
    close(file);
    place_end(&p);
}

static void written_paths_can_be_changed_in_every_way(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "mkdir w r; echo 1 > w/f; echo 2 > r/f; echo 3 > f; mkdir w/sub");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/w");
    grant(&p, ACCESS_READ, "%/r");
    run_each(&p, ARGV("+echo x > w/f", "+echo x > w/new", "+mkdir w/d", "+mv w/new w/d/new",
                      "+ln w/f w/d/hard", "+ln -s f w/link", "+truncate -s 1 w/f", "+mkfifo w/p",
                      "+rm -r w/d", "+rmdir w/sub", "-mv w/f r/f2", "-mv w/f f2", "-mv r/f w/f2",
                      "-ln r/f w/hard2", "-ln f w/hard3", "-echo x > f", "-echo x > r/f",
                      "-cp /bin/true w/t && w/t"));
    place_end(&p);
}

static void a_single_file_can_be_granted(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "echo 1 > a; echo 2 > b");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/a");
    run_each(&p, ARGV("+cat a", "+echo x > a", "-cat b", "-rm a", "-mv a c"));
    place_end(&p);
}

static void paths_that_do_not_exist(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    grant(&p, ACCESS_READ, "%/nowhere");
    assert_false(fixture_prepare(&p.f));
    assert_non_null(strstr(p.f.told, "error: fs_read: /tmp/sluice-confine-"));
    assert_non_null(strstr(p.f.told, "/nowhere: No such file or directory\n"));
    p.f.told[0] = '\0';
    p.grants[0].optional = true;
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    fixture_start(&p.f);
    assert_non_null(strstr(p.f.told, "note: fs_read: /tmp/sluice-confine-"));
    assert_non_null(strstr(p.f.told, "/nowhere does not exist: skipped"));
    place_end(&p);
}

/* The path names another object after the start: nothing new is granted. */
static void a_swapped_path_grants_nothing_new(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "mkdir a secret; echo 1 > a/f; echo 2 > secret/f");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "%/a");
    assert_int_equal(run(&p, "cat a/f"), 0);
    outside(&p, "mv a b; ln -s secret a");
    run_each(&p, ARGV("-cat a/f", "-cat secret/f", "+cat b/f"));
    place_end(&p);
}

static void sets(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant_set(&p, ACCESS_READ, SET_DEV);
    grant_set(&p, ACCESS_WRITE, SET_TMP);
    run_each(&p, ARGV("+echo x > f && cat f", "+echo x > /dev/null", "+head -c 9 /dev/urandom",
                      "+sort -S 1M --parallel=1 /etc/passwd", "+ls /dev/pts", "-ls /dev",
                      "-ls /root", "+/usr/bin/python3 -c 'import tempfile; "
                                   "tempfile.NamedTemporaryFile().write(b\"x\")'"));
    place_end(&p);
    place_make(&p);
    grant_set(&p, ACCESS_WRITE, SET_SYSTEM);
    assert_false(fixture_prepare(&p.f));
    assert_non_null(strstr(p.f.told, "error: fs_write: @system"));
    place_end(&p);
}

/* ---- fs_deny --------------------------------------------------------------------------------- */

static const char deny_tree[] = "mkdir -p w/a/b w/c; for f in w/f w/a/f w/a/b/f w/c/f; do "
                                "echo 1 > $f; done; ln -s a/b w/way";

static void denied_paths_are_split_out(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, deny_tree);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/w");
    deny(&p, "%/w/a/b");
    run_each(&p, ARGV("-cat w/a/b/f", "-ls w/a/b", "-cat w/way/f", "-echo x > w/a/b/f", "+cat w/f",
                      "+cat w/a/f", "+echo x > w/a/f", "+cat w/c/f", "+echo x > w/c/new",
                      "-echo x > w/new", "-mv w/a w/c/a"));
    outside(&p, "echo 1 > w/a/later");
    assert_int_not_equal(run(&p, "cat w/a/later"), 0);
    assert_non_null(strstr(p.f.told, "isolate = mount makes it exact"));
    place_end(&p);
}

static void a_denied_path_that_does_not_exist_yet(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, deny_tree);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "%/w");
    deny(&p, "%/w/a/later/deep");
    assert_int_equal(run(&p, "cat w/a/f"), 0);
    outside(&p, "mkdir -p w/a/later/deep; echo 1 > w/a/later/deep/f");
    assert_int_not_equal(run(&p, "cat w/a/later/deep/f"), 0);
    place_end(&p);
}

static void a_grant_within_a_denied_path_is_none(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, deny_tree);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "%/w/a/b");
    grant(&p, ACCESS_READ, "%/w/c");
    deny(&p, "%/w/a");
    run_each(&p, ARGV("-cat w/a/b/f", "+cat w/c/f"));
    place_end(&p);
}

static void with_mounts_a_denied_path_is_exact(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.mount_namespaces))
        skip();
    outside(&p, deny_tree);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/w");
    deny(&p, "%/w/a/b");
    deny(&p, "%/w/c/f");
    p.f.confinement.isolate = ISOLATE_MOUNT;
    run_each(&p, ARGV("-cat w/a/b/f", "-ls w/a/b", "-cat w/way/f", "-echo x > w/a/b/f",
                      "-cat w/c/f", "-echo x > w/c/f", "-rm -f w/c/f", "-rm -rf w/a/b",
                      "-mv w/a/b w/a/d", "+cat w/f", "+echo x > w/new", "+ls w", "+ls w/a"));
    outside(&p, "test -e w/a/b/f && test \"$(cat w/c/f)\" = 1");
    place_end(&p);
}

/* A worker in a mount namespace opens by path what the broker has opened: it must be that. */
static void with_mounts_only_what_was_opened_runs(void **state)
{
    struct place p;
    char path[128];
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.mount_namespaces))
        skip();
    outside(&p, "mkdir w; cp /bin/echo w/program; cp /bin/echo w/other");
    p.f.confinement.isolate = ISOLATE_MOUNT;
    snprintf(path, sizeof path, "%s/w/program", p.base);
    fixture_start(&p.f);
    int opened = open(path, O_PATH | O_CLOEXEC);
    assert_true(opened >= 0);
    const struct fixture_call extra = {.executable = opened, .path = path};
    fixture_run(&p.f, &extra, ARGV(path, "right"));
    assert_int_equal(p.f.report.kind, REPORT_ENDED);
    assert_string_equal(p.f.output, "right\n");
    outside(&p, "mv w/other w/program");
    fixture_run(&p.f, &extra, ARGV(path, "wrong"));
    assert_int_equal(p.f.report.kind, REPORT_FAILED);
    assert_int_equal(p.f.report.stage, STAGE_EXEC);
    assert_int_equal(p.f.report.error, ESTALE);
    close(opened);
    place_end(&p);
}

/* ---- metadata -------------------------------------------------------------------------------- */

#define CHANGES                                                                                    \
    "for change in (lambda p: os.chmod(p, 0o600), lambda p: os.utime(p),"                          \
    " lambda p: os.setxattr(p, \"user.x\", b\"1\"), lambda p: os.chown(p, os.getuid(), -1),"       \
    " lambda p: os.fchmod(os.open(p, os.O_RDONLY), 0o600),"                                        \
    " lambda p: os.utime(os.open(p, os.O_RDONLY)), lambda p: os.removexattr(p, \"user.x\")):\n"

/* Exit code 0: every change failed with `errno`. */
#define ALL_REFUSED(path, errno)                                                                   \
    PYTHON "'import os, errno\n" CHANGES "  try: change(\"" path "\")\n"                            \
           "  except OSError as e: assert e.errno == errno." errno ", e\n"                          \
           "  else: raise SystemExit(1)'"
#define ALL_WORK(path) PYTHON "'import os\n" CHANGES "  change(\"" path "\")'"

static void metadata_within(struct place *place, const char *refusal);

static void metadata_within_what_may_be_written(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.mount_namespaces))
        skip();
    metadata_within(&p, ALL_REFUSED("r/f", "EROFS"));
}

/* The same where the host lets nobody change mounts: the worker makes the calls. */
static void metadata_within_by_supervision(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.supervision))
        skip();
    p.f.host.mount_namespaces = false;
    metadata_within(&p, ALL_REFUSED("r/f", "EPERM"));
}

static void metadata_within(struct place *p, const char *refusal)
{
    outside(p, "mkdir w r; echo 1 > w/f; echo 2 > r/f; echo 3 > f; ln r/f w/hard; chmod 755 r f");
    grant_set(p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(p, ACCESS_WRITE, "%/w");
    grant(p, ACCESS_READ, "%/r");
    p->f.confinement.metadata = METADATA_WITHIN;
    assert_int_equal(run(p, ALL_WORK("w/f")), 0);
    assert_int_equal(run(p, refusal), 0);
    /* not granted at all: the directory itself, a name in it */
    run_each(p, ARGV("-chmod 700 .", "-chmod 600 f", "-touch -c f", "-chmod 700 /tmp",
                      "-chmod 600 /proc/self/cwd/f", "+echo x > w/new", "-echo x > r/new",
                      "+cd w && chmod 600 f", "-cd w && chmod 600 ../f"));
    /* The program was opened outside, where all is writable: no way back through it, or through
     * the working directory. */
    run_each(p, ARGV("-chmod 755 /proc/self/exe", "-chmod 700 /proc/self/cwd",
                      "-chmod 700 /proc/self/root/tmp"));
    place_end(p);
}

/* git, cp -a, tar and install under supervision; times, links, attributes of any size; a program that
 * hides its memory; many processes that ask at once; one that is killed while it waits. */
static void supervised_programs_of_all_kinds(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.supervision))
        skip();
    p.f.host.mount_namespaces = false;
    p.f.confinement.metadata = METADATA_WITHIN;
    outside(&p, "mkdir w; echo 1 > w/f; ln -s f w/link; ln -s ../out w/away; echo 2 > out");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/w");
    run_each(&p, ARGV("+cd w && cp -a f g && cp -a link link2 && tar cf t.tar f link && mkdir x && "
                      "tar xpf t.tar -C x && install -m 700 f h && test -x h",
                      "+touch -d '2001-02-03 04:05:06' w/f && test \"$(date -r w/f +%Y%H)\" = 200104",
                      "+touch -h -d 2002-02-03 w/link && test \"$(date -r w/f +%Y)\" = 2001",
                      "-chmod 600 w/away", "-touch -c w/away", "-chmod 600 w/../out",
                      "-chmod 600 /proc/self/cwd/out", "+cd w && chmod 640 ./../w/f",
                      "+chmod 640 /proc/self/cwd/w/f", "-chmod 600 w/none"));
    assert_non_null(strstr(p.f.output, "No such file"));
    assert_int_equal(
        run(&p, PYTHON "'import os, errno, ctypes\n"
                       "os.setxattr(\"w/f\", \"user.big\", b\"x\" * 3000)\n"
                       "assert os.getxattr(\"w/f\", \"user.big\") == b\"x\" * 3000\n"
                       "with open(\"w/f\") as f: os.chmod(f.fileno(), 0o604); os.utime(f.fileno())\n"
                       "assert os.stat(\"w/f\").st_mode & 0o777 == 0o604\n"
                       "d = os.open(\"w\", os.O_PATH); os.chmod(\"f\", 0o600, dir_fd=d)\n"
                       "for bad in (lambda: os.chmod(999, 0), lambda: os.chmod(\"\", 0)):\n"
                       "  try: bad()\n"
                       "  except OSError as e: assert e.errno in (errno.EBADF, errno.ENOENT), e\n"
                       "libc = ctypes.CDLL(None, use_errno=True)\n"
                       "assert libc.syscall(452, -100, 8, 0, 0) == -1\n" /* a path at address 8 */
                       "assert ctypes.get_errno() == errno.EFAULT\n"
                       "pids = [os.fork() for _ in range(4)]\n"
                       "for _ in range(50): os.chmod(\"w/f\", 0o600)\n"
                       "if 0 in pids: os._exit(0)\n"
                       "for p in pids: os.waitpid(p, 0)\n"
                       "libc.prctl(4, 0)\n"
                       "try: os.chmod(\"w/f\", 0o600)\n"
                       "except OSError as e: assert e.errno == errno.EPERM\n"
                       "else: raise SystemExit(1)'"),
        0);
    /* the worker goes on to the next call whatever becomes of an asking program */
    for (int i = 0; i < 5; i++)
        run(&p, "(while :; do chmod 600 w/f; done) & sleep 0.02; kill -KILL $!");
    assert_int_equal(run(&p, "exit 7"), 7);
    place_end(&p);
}

static void metadata_denied_by_the_filter(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    outside(&p, "mkdir r; echo 2 > r/f");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_READ, "%/r");
    p.f.confinement.metadata = METADATA_DENY;
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT, .metadata = METADATA_DENY});
    assert_int_equal(run(&p, ALL_REFUSED("r/f", "EPERM")), 0);
    place_end(&p);
}

/* ---- protect --------------------------------------------------------------------------------- */

static size_t found_count;
static char found_path[PATH_MAX];

static void found(void *context, const char *path)
{
    (void)context;
    found_count++;
    snprintf(found_path, sizeof found_path, "%s", path);
}

static void protected_files_stay_as_they_are(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.mount_namespaces))
        skip();
    outside(&p, "mkdir -p w/.git/hooks w/deep/er/.git/hooks w/.vscode; echo 1 > w/.git/config;"
                "echo 1 > w/.bashrc; echo 1 > w/deep/er/.git/config; echo 1 > w/deep/.envrc");
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant(&p, ACCESS_WRITE, "%/w");
    p.f.confinement.protect = PROTECT_DOTFILES | PROTECT_GIT_HOOKS;
    run_each(&p, ARGV("-echo x > w/.bashrc", "-rm -f w/.bashrc", "-mv w/.bashrc w/x",
                      "-echo x > w/x2 && mv w/x2 w/.bashrc", "-echo x > w/.git/hooks/pre-commit",
                      "-rm -rf w/.git/hooks", "-mv w/.git/hooks w/.git/h", "-echo x > w/.git/config",
                      "-echo x > w/.vscode/tasks.json", "-echo x > w/deep/er/.git/hooks/p",
                      "-echo x > w/deep/.envrc", "-chmod 700 w/.bashrc", "+cat w/.bashrc",
                      "+echo x > w/.git/index.lock", "+echo x > w/ordinary", "+mkdir w/.git/objects"));
    found_count = 0;
    assert_int_equal(confinement_protected_created(p.f.setup, found, NULL), 0);
    run(&p, "echo x > w/.mcp.json");
    assert_int_equal(confinement_protected_created(p.f.setup, found, NULL), 1);
    assert_non_null(strstr(found_path, "/w/.mcp.json"));
    assert_int_equal(confinement_protected_created(p.f.setup, found, NULL), 0);
    assert_int_equal(found_count, 1);
    /* the next worker protects that as well, and a file that was replaced since */
    outside(&p, "echo 2 > w/c && mv w/c w/.git/config && rm w/.bashrc && rm -r w/deep");
    fixture_stop(&p.f);
    fixture_start(&p.f);
    run_each(&p, ARGV("-echo x > w/.mcp.json", "-echo x > w/.git/config", "+cat w/.git/config",
                      "+echo x > w/.bashrc"));
    place_end(&p);
}

/* ---- network --------------------------------------------------------------------------------- */

static int server_open(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server, 8), 0);
    getsockname(server, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return server;
}

static void ports_are_those_listed(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.landlock_abi >= 4))
        skip();
    uint16_t ports[2];
    int one = server_open(&ports[0]), two = server_open(&ports[1]);
    p.f.confinement.net_ports = true;
    p.f.confinement.connect_ports = ports;
    p.f.confinement.connect_count = 1;
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT,
                                      .net_ports = true,
                                      .metadata = METADATA_ALLOW});
    char script[1024];
    snprintf(script, sizeof script,
             PYTHON "'import socket, errno\n"
                    "def tried(f, *e):\n"
                    "  try: f()\n"
                    "  except OSError as x: assert x.errno in e, (f, x)\n"
                    "  else: assert not e, f\n"
                    "def tcp(): return socket.socket()\n"
                    "tried(lambda: tcp().connect((\"127.0.0.1\", %u)))\n"
                    "tried(lambda: tcp().connect((\"127.0.0.1\", %u)), errno.EACCES)\n"
                    "tried(lambda: tcp().sendto(b\"x\", 0x20000000, (\"127.0.0.1\", %u)),"
                    " errno.EPERM)\n"
                    "tried(lambda: tcp().bind((\"127.0.0.1\", %u)), errno.EACCES)\n"
                    "tried(lambda: tcp().bind((\"127.0.0.1\", %u)), errno.EACCES)\n"
                    "tried(lambda: socket.socket(2, 2), errno.EPERM)\n"
                    "tried(lambda: socket.socket(2, 1, 262), errno.EPERM)\n"
                    "tried(lambda: tcp().setsockopt(6, 31, b\"smc\"), errno.EPERM)\n"
                    "tried(lambda: socket.socket(1, 2))\n"
                    "'",
             ports[0], ports[1], ports[1], ports[1] == 65535 ? 40000 : ports[1] + 1, ports[0]);
    int code = run(&p, script);
    if (code != 0)
        fail_msg("%d: %s", code, p.f.output);
    close(one);
    close(two);
    place_end(&p);
}

static void no_network_at_all(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    bool namespaces = p.f.host.user_namespaces || p.f.host.privileged_namespaces;
    p.f.confinement.net_none = true;
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT,
                                      .net_none = true,
                                      .metadata = METADATA_ALLOW});
    int code = run(&p, PYTHON "'import socket\n"
                              "for f, t in ((2, 1), (2, 2), (10, 1), (16, 3), (17, 3), (40, 1)):\n"
                              "  try: socket.socket(f, t)\n"
                              "  except OSError as e: assert e.errno == 1, e\n"
                              "  else: raise SystemExit(1)\n"
                              "socket.socketpair()'");
    if (code != 0)
        fail_msg("%d: %s", code, p.f.output);
    run(&p, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; tail -n +2 /proc/net/tcp | wc -l");
    if (namespaces)
        assert_string_equal(p.f.output, "lo\n0\n");
    place_end(&p);
}

/* ---- other processes ------------------------------------------------------------------------- */

static void signals_stay_among_ones_own(void **state)
{
    struct place p;
    char script[512];
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.landlock_abi >= 6))
        skip();
    p.f.confinement.signals_own = true;
    fixture_start(&p.f);
    snprintf(script, sizeof script,
             "! kill -0 %d && ! kill -TERM %d && ! kill -KILL %d && sleep 600 & kill -TERM $!; "
             "! kill -0 %d && ! kill -0 %d",
             getpid(), p.f.worker.pid, p.f.worker.pid, getpid(), p.f.worker.pid);
    assert_int_equal(run(&p, script), 0);
    assert_int_equal(run(&p, "exit 4"), 4);
    place_end(&p);
}

/* Even where no key asks for a Landlock layer: a program under a filter cannot take over one that is
 * under none. `inherit` keeps ptrace itself, so that only Landlock is in the way. */
static void others_cannot_be_traced(void **state)
{
    struct place p;
    char script[1024];
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.landlock_abi >= 2))
        skip();
    pid_t victim = fork();
    if (victim == 0) {
        prctl(PR_SET_PTRACER, -1);
        for (;;)
            pause();
    }
    filter(&p, &(struct model_filter){.base = SYSCALLS_INHERIT, .unix_none = true,
                                      .metadata = METADATA_ALLOW});
    fixture_start(&p.f);
    snprintf(script, sizeof script,
             PYTHON "'import ctypes, os\n"
                    "libc = ctypes.CDLL(None, use_errno=True)\n"
                    "for pid in (%d, %d, %d):\n"
                    "  assert libc.ptrace(16, pid, 0, 0) == -1\n" /* ATTACH */
                    "  assert libc.ptrace(0x4206, pid, 0, 0) == -1\n" /* SEIZE */
                    "  assert libc.syscall(310, pid, 0, 0, 0, 0, 0) in (-1, 0)\n"
                    "  for name in (\"mem\", \"environ\", \"fd/0\", \"cwd/x\", \"root/etc/passwd\"):\n"
                    "    try: open(f\"/proc/{pid}/{name}\", \"rb\").read(1)\n"
                    "    except OSError: pass\n"
                    "    else: raise SystemExit(f\"{pid} {name}\")\n"
                    "child = os.fork()\n"
                    "if child == 0: os.kill(os.getpid(), 19); os._exit(0)\n"
                    "assert libc.ptrace(16, child, 0, 0) == 0\n"
                    "os.kill(child, 9)'",
             victim, p.f.worker.pid, getpid());
    int code = run(&p, script);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    if (code != 0)
        fail_msg("%d: %s", code, p.f.output);
    /* and it restricts nothing else */
    run_each(&p, ARGV("+mkdir a b && echo 1 > a/f && mv a/f b/f && ln b/f a/g && cat a/g",
                      "+chmod 600 a/g", "+cat /etc/passwd"));
    place_end(&p);
}

static void a_filter_that_the_worker_cannot_live_with(void **state)
{
    struct place p;
    static const struct model_syscall_change changes[] = {{.add = false, .name = "kill"},
                                                          {.add = false, .name = "poll"},
                                                          {.add = false, .name = "waitid"}};
    (void)state;
    place_make(&p);
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT,
                                      .metadata = METADATA_ALLOW,
                                      .changes = changes,
                                      .change_count = 3});
    assert_true(p.filter.per_call);
    assert_int_equal(run(&p, "exit 5"), 5);
    assert_int_not_equal(run(&p, "kill -0 $$"), 0);
    run(&p, "grep Seccomp: /proc/self/status");
    assert_string_equal(p.f.output, "Seccomp:\t2\n");
    fixture_begin(&p.f, NULL, SHELL("echo up; exec sleep 600"));
    assert_int_equal(fixture_report(&p.f).kind, REPORT_STARTED);
    fixture_read_line(&p.f);
    assert_int_equal(worker_order(&p.f.worker, ORDER_KILL_TREE, 0), 0);
    while (fixture_report(&p.f).kind != REPORT_IDLE)
        continue;
    place_end(&p);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static void isolated_processes(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.own_proc))
        skip();
    p.f.confinement.isolate = ISOLATE_PID | ISOLATE_IPC | ISOLATE_UTS | ISOLATE_USER;
    /* 1 is the worker; others of the host are not seen */
    run(&p, "ls /proc | grep -c '^[0-9]' ; readlink /proc/self; cat /proc/1/comm");
    assert_non_null(strstr(p.f.output, "sluice-worker"));
    assert_true(atoi(p.f.output) <= 4);
    /* the first process of a namespace cannot be killed from within, and serves on */
    run(&p, "kill -KILL 1; kill -STOP 1");
    run_each(&p, ARGV("-mount -t tmpfs x /mnt", "-hostname changed"));
    assert_int_equal(run(&p, "exit 6"), 6);
    fixture_begin(&p.f, NULL, SHELL("setsid sleep 600 & (setsid sleep 601 &) ; echo up; wait"));
    assert_int_equal(fixture_report(&p.f).kind, REPORT_STARTED);
    fixture_read_line(&p.f);
    assert_int_equal(worker_order(&p.f.worker, ORDER_KILL_TREE, 0), 0);
    while (fixture_report(&p.f).kind != REPORT_IDLE)
        continue;
    fixture_read(&p.f);
    run(&p, "grep -E '^(CapPrm|CapEff):' /proc/self/status");
    assert_string_equal(p.f.output, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
    place_end(&p);
}

static void capabilities_are_gone(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    run(&p, "grep -E '^(CapInh|CapPrm|CapEff|CapAmb):' /proc/self/status | sort -u -k2 | cut -f2");
    assert_string_equal(p.f.output, "0000000000000000\n");
    place_end(&p);
}

static void new_privs_keeps_them(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    p.f.confinement.new_privs = true;
    run(&p, "grep NoNewPrivs /proc/self/status");
    assert_string_equal(p.f.output, "NoNewPrivs:\t0\n");
    place_end(&p);
}

/* ---- the broker's own ------------------------------------------------------------------------ */

static bool is_refused(const char *path, int flags)
{
    int file = open(path, flags | O_CLOEXEC);
    if (file >= 0)
        close(file);
    return file < 0 && errno == EACCES;
}

/* Runs in a child that has become the broker; 0 or the number of the line that failed. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 250 + 1);                                                             \
    } while (0)

static _Noreturn void broker_of_files(struct place *p)
{
    char own[128], in[128];
    snprintf(own, sizeof own, "%s/own", p->base);
    snprintf(in, sizeof in, "%s/in/f", p->base);
    const struct confinement_directory directory = {
        .descriptor = open(own, O_PATH | O_CLOEXEC), .access = ACCESS_WRITE};
    static const struct policy_piece piece = {.literal = {"cat", 3}};
    static const struct policy_token token = {.pieces = &piece, .piece_count = 1};
    p->f.rule.tokens = &token;
    p->f.rule.token_count = 1;
    p->f.attributes.exec_path = "/bin:/usr/bin";
    p->f.attributes.kill = KILL_GROUP; /* else it is told that trees are walked */
    p->f.policy.broker_confines_files = true;
    p->f.policy.broker_filter = &p->filter;
    NEED(fixture_prepare(&p->f));
    NEED(confinement_broker(&p->f.policy, &p->f.host, &p->f.setup, &directory, 1, fixture_tell,
                            &p->f) == 0);
    NEED(p->f.told[0] == '\0');
    NEED(prctl(PR_GET_DUMPABLE) == 0);
    NEED(is_refused("/root", O_RDONLY) && is_refused(p->base, O_RDONLY));
    NEED(!is_refused(in, O_RDONLY) && is_refused(in, O_WRONLY));
    snprintf(own, sizeof own, "%s/own/log", p->base);
    NEED(open(own, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
    NEED(unshare(CLONE_NEWUSER) < 0 && errno == EPERM);
    NEED(worker_start(&p->f.policy, 0, p->f.setup, &p->f.worker) == 0);
    p->f.started = true;
    fixture_run(&p->f, NULL, ARGV("/bin/cat", in));
    NEED(p->f.report.kind == REPORT_ENDED && p->f.report.status == 0);
    NEED(strcmp(p->f.output, "1\n") == 0);
    _exit(0);
}

static void the_broker_keeps_what_its_rules_need(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.landlock_abi >= 2))
        skip();
    outside(&p, "mkdir in own; echo 1 > in/f");
    grant(&p, ACCESS_READ, "%/in");
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT, .metadata = METADATA_ALLOW});
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        broker_of_files(&p);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    place_end(&p);
}

/* Capabilities, if there are any: gone, but workers still get their namespaces. */
static _Noreturn void broker_of_namespaces(struct place *p)
{
    NEED(fixture_prepare(&p->f));
    NEED(confinement_broker(&p->f.policy, &p->f.host, &p->f.setup, NULL, 0, fixture_tell, &p->f) ==
         0);
    struct text text;
    char status[4096];
    text_start(&text, status, sizeof status);
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = read_whole(file, status, sizeof status - 1);
    NEED(length > 0);
    status[length] = '\0';
    NEED(strstr(status, "CapEff:\t0000000000000000\n") && strstr(status, "NoNewPrivs:\t1\n"));
    NEED(worker_start(&p->f.policy, 0, p->f.setup, &p->f.worker) == 0);
    fixture_run(&p->f, NULL, SHELL("ls /proc | grep -c '^[0-9]*$'; grep CapPrm /proc/1/status"));
    NEED(p->f.report.kind == REPORT_ENDED && atoi(p->f.output) <= 4);
    NEED(strstr(p->f.output, "CapPrm:\t0000000000000000\n"));
    _exit(0);
}

static void a_broker_without_capabilities_makes_namespaces(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    if (place_skip_without(&p, p.f.host.own_proc))
        skip();
    p.f.confinement.isolate = ISOLATE_PID;
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT, .metadata = METADATA_ALLOW});
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        broker_of_namespaces(&p);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    place_end(&p);
}

static void what_was_given_up_is_missed(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT, .metadata = METADATA_ALLOW});
    p.f.policy.broker_filter = &p.filter;
    uint64_t digest = confinement_broker_digest(&p.f.policy);
    assert_true(digest != 0);
    assert_true(confinement_broker_digest(&p.f.policy) == digest);
    p.filter.count--;
    assert_true(confinement_broker_digest(&p.f.policy) != digest);
    p.f.confinement.new_privs = true;
    assert_true(confinement_broker_digest(&p.f.policy) == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        p.f.confinement.filter = NULL;
        NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        NEED(!fixture_prepare(&p.f) && strstr(p.f.told, "error: new_privs"));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    place_end(&p);
}

/* ---- what is missing ------------------------------------------------------------------------- */

static void missing_mechanisms_are_said(void **state)
{
    struct place p;
    (void)state;
    place_make(&p);
    grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
    grant_set(&p, ACCESS_WRITE, SET_TMP);
    p.f.confinement.metadata = METADATA_WITHIN;
    p.f.confinement.net_ports = true;
    p.f.confinement.signals_own = true;
    p.f.confinement.isolate = ISOLATE_PID;
    p.f.confinement.protect = PROTECT_DOTFILES;
    p.f.confinement.limits.memory = (uint64_t)1 << 30;
    filter(&p, &(struct model_filter){.base = SYSCALLS_DEFAULT});
    struct confinement_host nothing = p.f.host;
    nothing.landlock_abi = 0;
    nothing.seccomp_filters = nothing.user_namespaces = nothing.privileged_namespaces = false;
    nothing.mount_namespaces = nothing.own_proc = nothing.supervision = false;
    p.f.host = nothing;
    assert_false(fixture_prepare(&p.f));
    static const char *const words[] = {"missing: fs_*:",    "missing: net:",
                                        "missing: signals",  "missing: isolate",
                                        "missing: metadata", "missing: protect",
                                        "missing: syscalls", "note: memory"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strstr(p.f.told, words[i]))
            fail_msg("%s not in: %s", words[i], p.f.told);
    /* best-effort: said all the same, and it runs */
    p.f.told[0] = '\0';
    p.f.policy.confine_strict = false;
    assert_int_equal(run(&p, "exit 3"), 3);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(p.f.told, words[i]));
    place_end(&p);
}

static void every_abi_gives_what_it_has(void **state)
{
    (void)state;
    for (int abi = 1; abi <= LANDLOCK_ABI_MAX; abi++) {
        struct place p;
        place_make(&p);
        if (p.f.host.landlock_abi < abi) {
            place_end(&p);
            break;
        }
        p.f.host.landlock_abi = abi;
        p.f.policy.confine_strict = false;
        outside(&p, "mkdir w r; echo 1 > w/f; echo 2 > r/f");
        grant_set(&p, ACCESS_EXECUTE, SET_SYSTEM);
        grant(&p, ACCESS_WRITE, "%/w");
        p.f.confinement.signals_own = true;
        run_each(&p, ARGV("+cat w/f", "+echo x > w/new", "-cat r/f", "-echo x > r/new"));
        /* ABI 1 cannot let anything be renamed from one directory to another */
        assert_int_equal(run(&p, "mkdir w/d && mv -T w/new w/d/new 2>/dev/null; "
                                 "test -e w/d/new && ! test -e w/new"),
                         0);
        assert_int_equal(p.f.setup->layer.scoped != 0, abi >= 6);
        place_end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_can_be_read),
        cmocka_unit_test(each_access_has_its_rights),
        cmocka_unit_test(devices_that_are_read_take_no_commands),
        cmocka_unit_test(the_program_and_what_it_needs_come_by_themselves),
        cmocka_unit_test(written_paths_can_be_changed_in_every_way),
        cmocka_unit_test(a_single_file_can_be_granted),
        cmocka_unit_test(paths_that_do_not_exist),
        cmocka_unit_test(a_swapped_path_grants_nothing_new),
        cmocka_unit_test(sets),
        cmocka_unit_test(denied_paths_are_split_out),
        cmocka_unit_test(a_denied_path_that_does_not_exist_yet),
        cmocka_unit_test(a_grant_within_a_denied_path_is_none),
        cmocka_unit_test(with_mounts_a_denied_path_is_exact),
        cmocka_unit_test(with_mounts_only_what_was_opened_runs),
        cmocka_unit_test(metadata_within_what_may_be_written),
        cmocka_unit_test(metadata_within_by_supervision),
        cmocka_unit_test(supervised_programs_of_all_kinds),
        cmocka_unit_test(metadata_denied_by_the_filter),
        cmocka_unit_test(protected_files_stay_as_they_are),
        cmocka_unit_test(ports_are_those_listed),
        cmocka_unit_test(no_network_at_all),
        cmocka_unit_test(signals_stay_among_ones_own),
        cmocka_unit_test(others_cannot_be_traced),
        cmocka_unit_test(a_filter_that_the_worker_cannot_live_with),
        cmocka_unit_test(isolated_processes),
        cmocka_unit_test(capabilities_are_gone),
        cmocka_unit_test(new_privs_keeps_them),
        cmocka_unit_test(the_broker_keeps_what_its_rules_need),
        cmocka_unit_test(a_broker_without_capabilities_makes_namespaces),
        cmocka_unit_test(what_was_given_up_is_missed),
        cmocka_unit_test(missing_mechanisms_are_said),
        cmocka_unit_test(every_abi_gives_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
