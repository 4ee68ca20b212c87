#define _GNU_SOURCE /* GLOB's flags */
#include "compiler/emit/units.h"

#include <glob.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/files.h"

static void plan_add(struct plan *plan, struct process process)
{
    arena_grow(plan->context->arena, &plan->processes, &plan->capacity, plan->count + 1,
               sizeof *plan->processes);
    plan->processes[plan->count++] = process;
}

static bool has_ending(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcmp(path + length - tail, ending) == 0;
}

static bool has_beginning(const char *path, const char *beginning)
{
    return strncmp(path, beginning, strlen(beginning)) == 0;
}

/* ---- re2c ------------------------------------------------------------------------------------ */

/* A pattern's file; what the others include is none. */
static bool is_pattern(const char *path)
{
    return has_beginning(path, "patterns/") && strcmp(path, "patterns/whole.re") != 0;
}

void plan_re2c(struct plan *plan, const char *re2c, const struct emitted *emitted)
{
    struct process_context *context = plan->context;
    plan->re2c_first = plan->count;
    for (size_t i = 0; i < emitted->count; i++) {
        const char *path = emitted->files[i].path;
        if (!is_pattern(path) || !has_ending(path, ".re"))
            continue;
        struct arguments arguments = {0};
        /* UTF-8; a class that has surrogates, a sentinel within a value and every warning is an
         * error; no #line, version or date. */
        const char *const options[] = {re2c, "-8", "--encoding-policy", "fail",
                                       "-W", "-Werror", "-Wno-match-empty-string", "-i",
                                       "--no-version", "--no-generation-date", "--case-ranges",
                                       "-I", "patterns", "-o",
                                       arena_format(context->arena, "%.*s.c",
                                                    (int)strlen(path) - 3, path),
                                       path};
        for (size_t k = 0; k < sizeof options / sizeof *options; k++)
            arguments_add(context, &arguments, options[k]);
        plan_add(plan, (struct process){.arguments = arguments.items, .about = path});
    }
    plan->re2c_count = plan->count - plan->re2c_first;
}

/* ---- units ----------------------------------------------------------------------------------- */

/* A unit that is being gathered. */
struct unit {
    struct plan *plan;
    const struct toolchain *toolchain;
    struct arguments *objects;
    struct buffer text;
    size_t files;
};

/* Writes the unit, if it holds anything, and adds its compilation. */
static const char *unit_finish(struct unit *unit, const char *name, bool patterns)
{
    struct process_context *context = unit->plan->context;
    if (!unit->files)
        return NULL;
    const char *source = arena_format(context->arena, "%s.c", name);
    const char *object = arena_format(context->arena, "%s.o", name);
    const char *failure =
        file_write(context->arena, arena_format(context->arena, "%s/%s", context->folder, source),
                   buffer_text(&unit->text), unit->text.length);
    struct arguments arguments = {0};
    toolchain_compile(context, unit->toolchain, &arguments, source, object,
                      patterns ? TOOLCHAIN_MATCHERS : TOOLCHAIN_RULES);
    struct process process = {.arguments = arguments.items, .about = source};
    if (patterns) {
        process.after_first = unit->plan->re2c_first;
        process.after_count = unit->plan->re2c_count;
    }
    plan_add(unit->plan, process);
    arguments_add(context, unit->objects, object);
    buffer_clear(&unit->text);
    unit->files = 0;
    return failure;
}

static void unit_include(struct unit *unit, const char *path)
{
    if (has_ending(path, ".re"))
        buffer_format(&unit->text, "#include \"%.*s.c\"\n", (int)strlen(path) - 3, path);
    else
        buffer_format(&unit->text, "#include \"%s\"\n", path);
    unit->files++;
}

/* policy.c with filters.c; dispatch.c and values.c with the rules where one file holds them; else
 * those alone. The largest come first, since they take longest. */
static const char *main_units(struct unit *unit, const struct emitted *emitted, const char *prefix)
{
    struct arena *arena = unit->plan->context->arena;
    unit_include(unit, "policy.c");
    unit_include(unit, "filters.c");
    const char *failure = unit_finish(unit, arena_format(arena, "%spolicy_unit", prefix), false);
    for (size_t i = 0; i < emitted->count && !failure; i++) {
        const char *path = emitted->files[i].path;
        if (!has_beginning(path, "rules_") || !has_ending(path, ".c"))
            continue;
        unit_include(unit, path);
        failure = unit_finish(unit, arena_format(arena, "%s%.*s_unit", prefix,
                                                 (int)strlen(path) - 2, path), false);
    }
    for (size_t i = 0; i < emitted->count && !failure; i++)
        if (strcmp(emitted->files[i].path, "rules.c") == 0)
            unit_include(unit, "rules.c");
    unit_include(unit, "dispatch.c");
    unit_include(unit, "values.c");
    return failure ? failure
                   : unit_finish(unit, arena_format(arena, "%sdispatch_unit", prefix), false);
}

const char *plan_compile(struct plan *plan, const struct toolchain *toolchain,
                         const struct emitted *emitted, const char *prefix,
                         struct arguments *objects)
{
    struct arena *arena = plan->context->arena;
    struct unit unit = {.plan = plan, .toolchain = toolchain, .objects = objects};
    const char *failure = main_units(&unit, emitted, prefix);
    size_t number = 0;
    for (size_t i = 0; i < emitted->count && !failure; i++) {
        if (!is_pattern(emitted->files[i].path))
            continue;
        unit_include(&unit, emitted->files[i].path);
        if (unit.files == UNITS_PATTERNS)
            failure = unit_finish(
                &unit, arena_format(arena, "%spatterns_unit_%zu", prefix, ++number), true);
    }
    if (!failure)
        failure =
            unit_finish(&unit, arena_format(arena, "%spatterns_unit_%zu", prefix, ++number), true);
    buffer_free(&unit.text);
    return failure;
}

/* ---- the runtime's sources ------------------------------------------------------------------- */

const char *plan_runtime(struct plan *plan, const struct toolchain *toolchain, bool verify,
                         struct arguments *objects)
{
    struct process_context *context = plan->context;
    if (toolchain->kind != TOOLCHAIN_SOURCES)
        return NULL;
    const char *pattern = arena_format(context->arena, "%s/runtime/{%s}/*.c", toolchain->runtime,
                                       verify ? "verify" : "shared,broker,worker");
    glob_t found;
    if (glob(pattern, GLOB_BRACE, NULL, &found) != 0)
        return arena_format(context->arena, "the runtime's sources are not in %s/runtime",
                            toolchain->runtime);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *source =
            arena_copy(context->arena, found.gl_pathv[i], strlen(found.gl_pathv[i]));
        if (!toolchain->pcre2 && has_ending(source, "/broker/pcre2.c"))
            continue;
        const char *object =
            arena_format(context->arena, "%s_%zu.o", verify ? "verify" : "runtime", i);
        struct arguments arguments = {0};
        toolchain_compile(context, toolchain, &arguments, source, object, TOOLCHAIN_RUNTIME);
        plan_add(plan, (struct process){.arguments = arguments.items, .about = source});
        arguments_add(context, objects, object);
    }
    globfree(&found);
    return NULL;
}

void plan_link(struct plan *plan, const struct toolchain *toolchain,
               const struct arguments *objects, const char *output, bool verify)
{
    struct arguments arguments = {0};
    toolchain_link(plan->context, toolchain, &arguments, objects, output, verify);
    plan_add(plan, (struct process){.arguments = arguments.items, .about = output,
                                    .after_count = plan->count});
}
