#define _GNU_SOURCE 1 /* on_exit */

#include "compiler/emit/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "compiler/base/arena.h"
#include "compiler/emit/broker.h"
#include "compiler/emit/emit.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/files.h"
#include "compiler/emit/process.h"
#include "compiler/emit/toolchain.h"
#include "compiler/emit/units.h"
#include "compiler/emit/validate.h"
#include "compiler/policy/model.h"

/* Bytes of generated code up to which it is compiled for size, which takes half as long again; and
 * above which rules are compiled without optimisation, which takes half as long. */
#define SMALL_BYTES ((size_t)512 * 1024)
#define LARGE_BYTES ((size_t)32 * 1024 * 1024)
#define BROKER_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define ANSWERS_BYTES_MAX ((size_t)1024 * 1024 * 1024)

/* One compile. */
struct build {
    struct arena *arena;
    const struct model *model;
    const struct build_options *options;
    struct process_context context;
    struct toolchain toolchain, checker; /* for the broker; for the program that checks it */
    const struct emitted *emitted;
    struct output output;
    struct timespec mark; /* when the last stage ended */
};

/* With --timings, says how long the stage that ends took. */
static void stage_end(struct build *build, const char *stage)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double took = (double)(now.tv_sec - build->mark.tv_sec) * 1e3 +
                  (double)(now.tv_nsec - build->mark.tv_nsec) / 1e6;
    if (build->options->timings && stage)
        fprintf(stderr, "%9.1f ms  %s\n", took, stage);
    build->mark = now;
}

static const char *path_in(struct build *build, const char *name)
{
    return arena_format(build->arena, "%s/%s", build->context.folder, name);
}

/* Bytes of code; comments and lines of the rules change none of it. */
static size_t code_bytes(const struct emitted *emitted)
{
    size_t sum = 0;
    for (size_t i = 0; i < emitted->count; i++)
        if (strcmp(emitted->files[i].path, "lines.c") != 0 &&
            strcmp(emitted->files[i].path, "source.c") != 0)
            sum += emitted->files[i].length;
    return sum;
}

/* ---- stages: each NULL, or what failed ------------------------------------------------------- */

/* For another machine everything is compiled once more for this one, so that the matchers can be
 * tried: it is the same C. */
static const char *tools_find(struct build *build)
{
    const struct build_options *options = build->options;
    struct toolchain_wishes wishes = {options->cc, options->target, options->runtime,
                                      build->model->uses_pcre2};
    const char *failure = toolchain_find(&build->context, &wishes, &build->toolchain);
    build->toolchain.fast = code_bytes(build->emitted) > SMALL_BYTES;
    build->toolchain.fastest = code_bytes(build->emitted) > LARGE_BYTES;
    build->checker = build->toolchain;
    if (failure || !build->toolchain.foreign)
        return failure;
    wishes.cc = wishes.target = NULL;
    failure = toolchain_find(&build->context, &wishes, &build->checker);
    build->checker.fast = true; /* it is thrown away */
    return failure;
}

static const char *sources_write(struct build *build)
{
    const char *patterns = path_in(build, "patterns");
    if (mkdir(patterns, 0700) != 0)
        return arena_format(build->arena, "cannot make %s: %s", patterns, strerror(errno));
    for (size_t i = 0; i < build->emitted->count; i++) {
        const struct emitted_file *file = &build->emitted->files[i];
        const char *failure =
            file_write(build->arena, path_in(build, file->path), file->text, file->length);
        if (failure)
            return failure;
    }
    return NULL;
}

/* Everything from re2c to the two executables, "broker" and "checker". */
static const char *sources_compile(struct build *build)
{
    struct plan plan = {.context = &build->context};
    struct arguments broker = {0}, checker = {0};
    plan_re2c(&plan, build->toolchain.re2c, build->emitted);
    const char *failure = plan_compile(&plan, &build->toolchain, build->emitted, "", &broker);
    if (!failure && build->toolchain.foreign)
        failure = plan_compile(&plan, &build->checker, build->emitted, "check_", &checker);
    if (!build->toolchain.foreign)
        for (size_t i = 0; i < broker.count; i++)
            arguments_add(&build->context, &checker, broker.items[i]);
    if (!failure)
        failure = plan_runtime(&plan, &build->toolchain, false, &broker);
    if (!failure)
        failure = plan_runtime(&plan, &build->checker, true, &checker);
    if (failure)
        return failure;
    plan_link(&plan, &build->toolchain, &broker, "broker", false);
    plan_link(&plan, &build->checker, &checker, "checker", true);
    return processes_run(&build->context, plan.processes, plan.count);
}

static const char *defect(struct build *build, const char *what)
{
    return arena_format(build->arena, "%s: this is a defect of sluicec, not of the rules", what);
}

/* Runs the checking program on the questions. */
static const char *answers_get(struct build *build, const struct validation *validation,
                               const char **answers, size_t *length)
{
    const char *questions;
    size_t question_bytes;
    validation_questions(validation, &questions, &question_bytes);
    const char *failure =
        file_write(build->arena, path_in(build, "questions"), questions, question_bytes);
    if (failure)
        return failure;
    struct process ask = {.arguments = (const char *const[]){path_in(build, "checker"), NULL},
                          .about = "the matchers",
                          .input = "questions",
                          .output = "answers"};
    failure = processes_run(&build->context, &ask, 1);
    if (failure)
        return build->context.interrupted ? failure : defect(build, failure);
    return file_read(build->arena, path_in(build, "answers"), ANSWERS_BYTES_MAX, answers, length);
}

/* Asks the generated matchers what the compiler expects of them. */
static const char *matchers_check(struct build *build)
{
    struct validation *validation;
    const char *answers = NULL, *failure, *different;
    size_t length = 0;
    different = validation_make(build->arena, build->emitted->layout, &validation);
    stage_end(build, "expected answers, and PCRE2's");
    failure = different ? NULL : answers_get(build, validation, &answers, &length);
    if (!different && !failure)
        different = validation_compare(build->arena, validation, answers, length);
    stage_end(build, arena_format(build->arena, "answers to %zu questions",
                                  validation_count(validation)));
    validation_free(validation);
    return different ? defect(build, different) : failure;
}

static const char *broker_install(struct build *build)
{
    const char *bytes;
    size_t length;
    const char *failure =
        file_read(build->arena, path_in(build, "broker"), BROKER_BYTES_MAX, &bytes, &length);
    if (!failure)
        failure = output_write(build->arena, &build->output, bytes, length);
    if (!failure)
        failure = output_finish(build->arena, &build->output, 0777);
    return failure;
}

static const char *build_run(struct build *build)
{
    const char *failure = output_begin(build->arena, build->options->output, &build->output);
    if (!failure)
        failure = folder_make(build->arena, &build->context.folder);
    if (!failure)
        failure = tools_find(build);
    stage_end(build, "tools");
    if (!failure)
        failure = sources_write(build);
    stage_end(build, "sources written");
    if (!failure)
        failure = sources_compile(build);
    stage_end(build, "re2c, compiler, linker");
    if (!failure)
        failure = matchers_check(build);
    if (!failure && process_interrupted(&build->context))
        failure = "stopped by a signal";
    if (!failure)
        failure = broker_install(build);
    stage_end(build, "output");
    return failure;
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Leaves nothing behind: no tool that runs, no half-written output, no temporary folder. */
static void build_clean(struct build *build)
{
    processes_abandon(&build->context);
    output_abandon(&build->output);
    if (build->context.folder)
        folder_remove(build->context.folder);
    build->context.folder = NULL;
}

/* Whether a build is under way when the process ends, as it does where memory runs out. */
struct build_watch {
    struct build *build; /* NULL: over */
};

static void build_watch_end(int status, void *watch)
{
    (void)status;
    struct build *build = ((struct build_watch *)watch)->build;
    if (build)
        build_clean(build);
    free(watch);
}

/* NULL when there is no memory for it. */
static struct build_watch *build_watch_begin(struct build *build)
{
    struct build_watch *watch = malloc(sizeof *watch);
    if (!watch)
        return NULL;
    watch->build = build;
    if (on_exit(build_watch_end, watch) == 0)
        return watch;
    free(watch);
    return NULL;
}

enum build_result build_emitted(struct arena *arena, const struct model *model,
                                const struct emitted *emitted, const struct build_options *options)
{
    struct build build = {.arena = arena, .model = model, .options = options, .emitted = emitted};
    build.output.descriptor = -1;
    stage_end(&build, NULL);
    process_begin(&build.context, arena);
    struct build_watch *watch = build_watch_begin(&build);
    if (!watch)
        memory_exhausted(NULL);
    const char *failure = build_run(&build);
    build_clean(&build);
    watch->build = NULL;
    if (failure)
        fprintf(stderr, "sluicec: %s\n", failure);
    process_end(&build.context);
    return failure ? BUILD_FAILED : BUILD_DONE;
}

enum build_result build_broker(struct arena *arena, const struct model *model,
                               const struct build_options *options,
                               struct diagnostics *diagnostics)
{
    const struct emitted *emitted = emit_policy(arena, model, diagnostics);
    return emitted ? build_emitted(arena, model, emitted, options) : BUILD_RULES_WRONG;
}
