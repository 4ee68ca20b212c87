#include "compiler/emit/toolchain.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "compiler/base/arena.h"
#include "compiler/emit/process.h"

void arguments_add(struct process_context *context, struct arguments *arguments, const char *item)
{
    /* One more than is used: the list always ends with NULL. */
    arena_grow(context->arena, &arguments->items, &arguments->capacity, arguments->count + 2,
               sizeof *arguments->items);
    arguments->items[arguments->count++] = item;
    arguments->items[arguments->count] = NULL;
}

static void arguments_add_all(struct process_context *context, struct arguments *arguments,
                              const char *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        arguments_add(context, arguments, items[i]);
}

/* A compiler that is built with the sanitizers (`make SAN=1`) makes brokers that are, for the tests:
 * such a broker is neither static nor small, and nothing is promised of it but that it finds bugs. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif
static const char *const sanitizers[] = {"-fsanitize=address,undefined",
                                         "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"};

/* So needs glibc what is built to count what of the runtime runs (`make coverage`). */
#if defined __SANITIZE_ADDRESS__ || defined SLUICE_COVERED
#define NEEDS_GLIBC true
#else
#define NEEDS_GLIBC false
#endif

#define ADD(...)                                                                       \
    arguments_add_all(context, arguments, (const char *const[]){__VA_ARGS__},          \
                      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* ---- finding --------------------------------------------------------------------------------- */

static bool is_readable(struct process_context *context, const char *folder, const char *file)
{
    return access(arena_format(context->arena, "%s/%s", folder, file), R_OK) == 0;
}

/* The runtime that belongs to this executable: beside it in the build tree, in ../lib when
 * installed. */
static const char *runtime_find(struct process_context *context)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return NULL;
    self[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
        const char *folder = arena_format(context->arena, "%s/lib/sluice", self);
        if (is_readable(context, folder, "runtime/include/policy.h"))
            return folder;
    }
    return NULL;
}

static const char *runtime_check(struct process_context *context,
                                 const struct toolchain_wishes *wishes,
                                 struct toolchain *toolchain)
{
    if (!wishes->runtime) {
        toolchain->runtime = runtime_find(context);
        return toolchain->runtime ? NULL : "the runtime (lib/sluice) is not beside this program nor "
                                           "in ../lib/sluice: give its folder with --runtime";
    }
    char *real = realpath(wishes->runtime, NULL);
    toolchain->runtime = real ? arena_copy(context->arena, real, strlen(real)) : NULL;
    free(real);
    if (!toolchain->runtime)
        return arena_format(context->arena, "cannot use the runtime %s: %s", wishes->runtime,
                            strerror(errno));
    if (!is_readable(context, toolchain->runtime, "runtime/include/policy.h"))
        return arena_format(context->arena, "%s is not a runtime folder: it has no "
                            "runtime/include/policy.h", wishes->runtime);
    return NULL;
}

/* The folder with musl's start files and libc.a: where distributions put it. */
static const char *musl_find(struct process_context *context, const char *machine)
{
    const char *const folders[] = {
        arena_format(context->arena, "/usr/lib/%s-linux-musl", machine),
        "/usr/lib/musl/lib",
        "/usr/local/musl/lib",
    };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (is_readable(context, folders[i], "rcrt1.o") &&
            is_readable(context, folders[i], "libc.a"))
            return folders[i];
    return NULL;
}

/* Asks the compiler for the folder of its own start files. */
static const char *startup_find(struct process_context *context, struct toolchain *toolchain)
{
    struct process ask = {
        .arguments = (const char *const[]){toolchain->linker, "-print-file-name=crtbeginS.o", NULL},
        .about = "its own files",
        .output = "startup",
    };
    const char *failure = processes_run(context, &ask, 1);
    if (failure)
        return failure;
    char path[PATH_MAX] = "";
    FILE *answer = fopen(arena_format(context->arena, "%s/startup", context->folder), "re");
    bool got = answer && fgets(path, sizeof path, answer);
    if (answer)
        fclose(answer);
    char *slash = strrchr(path, '/');
    if (!got || !slash)
        return arena_format(context->arena, "%s has no crtbeginS.o: a complete gcc is needed",
                            toolchain->linker);
    toolchain->startup = arena_copy(context->arena, path, (size_t)(slash - path));
    return NULL;
}

static const char *musl_check(struct process_context *context, struct toolchain *toolchain)
{
    struct utsname host;
    uname(&host);
    toolchain->compiler = process_find(context, "musl-gcc");
    toolchain->linker = process_find(context, "gcc");
    toolchain->musl = musl_find(context, host.machine);
    if (!toolchain->compiler || !toolchain->musl)
        return "musl-gcc and musl's libc.a are needed: install musl-tools, or use another C library "
               "with --cc gcc";
    if (!toolchain->linker)
        return "gcc is needed to link: install it, or use another compiler with --cc";
    return startup_find(context, toolchain);
}

static const char *compiler_check(struct process_context *context, const char *name,
                                  struct toolchain *toolchain)
{
    toolchain->compiler = toolchain->linker = process_find(context, name);
    if (!toolchain->compiler)
        return arena_format(context->arena, "there is no compiler %s (looked in PATH)", name);
    return NULL;
}

const char *toolchain_find(struct process_context *context, const struct toolchain_wishes *wishes,
                           struct toolchain *toolchain)
{
    *toolchain = (struct toolchain){.pcre2 = wishes->pcre2, .foreign = wishes->target != NULL};
    const char *failure = runtime_check(context, wishes, toolchain);
    if (failure)
        return failure;
    toolchain->re2c = process_find(context, "re2c");
    if (!toolchain->re2c)
        return "re2c is needed and not in PATH: install it";
    if (wishes->cc || wishes->target) {
        toolchain->kind = TOOLCHAIN_SOURCES;
        return compiler_check(context,
                              wishes->cc ? wishes->cc
                                         : arena_format(context->arena, "%s-gcc", wishes->target),
                              toolchain);
    }
    toolchain->kind = wishes->pcre2 || NEEDS_GLIBC ? TOOLCHAIN_GLIBC : TOOLCHAIN_MUSL;
    if (toolchain->kind == TOOLCHAIN_GLIBC)
        return compiler_check(context, "gcc", toolchain);
    return musl_check(context, toolchain);
}

/* ---- command lines --------------------------------------------------------------------------- */

void toolchain_compile(struct process_context *context, const struct toolchain *toolchain,
                       struct arguments *arguments, const char *source, const char *object,
                       enum toolchain_code code)
{
    bool runtime = code == TOOLCHAIN_RUNTIME;
    const char *level = runtime || !toolchain->fast ? "-Os"
                        : code != TOOLCHAIN_RULES   ? "-O1"
                        : toolchain->fastest        ? "-O0"
                                                    : "-Og";
    ADD(toolchain->compiler, "-std=gnu11", level, "-w", "-fPIE",
        "-fstack-protector-strong", "-ffunction-sections", "-fdata-sections",
        "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-ident");
    /* Rules share words: equal constants are kept once. */
    if (!runtime)
        ADD("-fmerge-all-constants");
    if (toolchain->kind == TOOLCHAIN_MUSL) {
        struct utsname host;
        uname(&host);
        /* Kernel headers, last, so that none of glibc's comes before musl's. */
        ADD("-idirafter", "/usr/include", "-idirafter",
            arena_format(context->arena, "/usr/include/%s-linux-gnu", host.machine));
    } else if (SANITIZED && toolchain->kind == TOOLCHAIN_GLIBC) {
        arguments_add_all(context, arguments, sanitizers, sizeof sanitizers / sizeof *sanitizers);
    } else {
        ADD("-D_FORTIFY_SOURCE=2");
    }
    ADD(arena_format(context->arena, "-ffile-prefix-map=%s=.", context->folder),
        arena_format(context->arena, "-ffile-prefix-map=%s=.", toolchain->runtime),
        arena_format(context->arena, "-I%s", toolchain->runtime),
        arena_format(context->arena, "-I%s/runtime/include", toolchain->runtime), "-I.",
        "-DSLUICE_VERSION=\"" SLUICE_VERSION "\"", "-c", "-o", object, source);
}

static void musl_link(struct process_context *context, const struct toolchain *toolchain,
                      struct arguments *arguments, const struct arguments *objects)
{
    const char *musl = toolchain->musl, *startup = toolchain->startup;
    ADD("-nostdlib", "-nostartfiles", "-Wl,--no-dynamic-linker",
        arena_format(context->arena, "%s/rcrt1.o", musl),
        arena_format(context->arena, "%s/crti.o", musl),
        arena_format(context->arena, "%s/crtbeginS.o", startup));
    arguments_add_all(context, arguments, objects->items, objects->count);
    ADD(arena_format(context->arena, "%s/libc.a", musl), "-lgcc", "-lgcc_eh",
        arena_format(context->arena, "%s/crtendS.o", startup),
        arena_format(context->arena, "%s/crtn.o", musl));
}

void toolchain_link(struct process_context *context, const struct toolchain *toolchain,
                    struct arguments *arguments, const struct arguments *objects,
                    const char *output, bool verify)
{
    struct arguments all = {0};
    arguments_add_all(context, &all, objects->items, objects->count);
    if (toolchain->kind != TOOLCHAIN_SOURCES)
        arguments_add(context, &all,
                      arena_format(context->arena, "%s/%s-%s.%s", toolchain->runtime,
                                   verify ? "verify" : "libruntime",
                                   toolchain->kind == TOOLCHAIN_MUSL ? "musl" : "glibc",
                                   verify ? "o" : "a"));
    if (toolchain->pcre2 && !verify)
        arguments_add(context, &all, "-l:libpcre2-8.a");
    bool sanitized = SANITIZED && toolchain->kind == TOOLCHAIN_GLIBC;
    if (sanitized)
        arguments_add(context, &all, arena_format(context->arena, "%s/sanitized.o",
                                                  toolchain->runtime));
    ADD(toolchain->linker, sanitized ? "-pie" : "-static-pie", sanitized ? "-g" : "-s",
        "-Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--build-id=none", "-o", output);
    if (sanitized)
        arguments_add_all(context, arguments, sanitizers, sizeof sanitizers / sizeof *sanitizers);
    if (toolchain->kind == TOOLCHAIN_MUSL)
        musl_link(context, toolchain, arguments, &all);
    else
        arguments_add_all(context, arguments, all.items, all.count);
}
