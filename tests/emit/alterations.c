/* Translation validation: a compile whose generated code was altered behind the emitter's back fails,
 * whatever was altered, and leaves the old output alone. This is what stands between a defect of the
 * emitter and a broker that lets something through. */
#define _GNU_SOURCE /* mkdtemp, memmem */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/emit/broker.h"
#include "compiler/emit/files.h"
#include "tests/unit/emit_model.h"

/* One pattern of every form, and one rule of every kind of token. */
static const char rules[] =
    "git notes #note\n"
    "  note = [a-z-]{1,5000}\n"
    "git push origin #branch\n"
    "  branch = [a-z][a-z0-9-]{0,40}\n"
    "git log --max-count=#{n} #range\n"
    "  n = [0-9]{1,3}\n"
    "  range = ([a-z]{1,20}/){1,10}\n"
    "git checkout #literal\n"
    "  literal = main\n"
    "git tag #table\n"
    "  table = [ab]*a[ab]{10}\n"
    "git add #paths...{1,4}\n"
    "  paths = [a-z./]+\n"
    "  paths != .*\\.\\..*\n"
    "git show #{a}:#{b}\n"
    "  a = [a-z]{1,5}\n"
    "  b = [0-9]{1,5}\n"
    "git archive #file\n"
    "  file = [a-z][a-z.]{0,60}\\.(tar\\.gz|zip)\n";

struct alteration {
    const char *file; /* as its path begins */
    const char *find, *replace;
};

static const struct alteration alterations[] = {
    {"patterns/accept_branch_", "[a-z] [", "[b-z] ["},
    {"patterns/accept_branch_", "length > 41", "length > 42"},
    {"patterns/accept_branch_", "length > 41", "length > 40"},
    {"patterns/accept_branch_", "length < 1", "length < 2"},
    {"patterns/accept_n_", "{1,3} \"", "{1,4} \""},
    {"patterns/accept_n_", "{1,3} \"", "{2,3} \""},
    {"patterns/accept_range_", "times < 10", "times < 11"},
    {"patterns/accept_range_", "> 21)", "> 22)"},
    {"patterns/accept_literal_", "\"main\"", "\"mann\""},
    {"patterns/accept_table_", "[(unsigned char)bytes[at]]", "[(unsigned char)bytes[0]]"},
    {"patterns/accept_paths_", "== POLICY_YES", "== POLICY_NO"},
    {"patterns/accept_file_", "length > 68", "length > 69"},
    {"patterns/accept_file_", " ||\n", " &&\n"},
    {"patterns/token_max_count_n_", "length - 12", "length - 13"},
    {"patterns/token_max_count_n_", "\"--max-count=\"", "\"--max-colnt=\""},
    {"patterns/token_a_b_", "\":\"", "\";\""},
    {"dispatch.c", "ASK(git_push_origin);", ""},
    {"dispatch.c", "WORD(\"checkout\")", "WORD(\"checkuot\")"},
    {"dispatch.c", "ASK(git_checkout);", "ASK(git_tag);"},
    {"rules.c", "WORD(\"origin\")", "WORD(\"Origin\")"},
    {"rules.c", "request->count != 4", "request->count < 4"},
    {"rules.c", "request->count > 6", "request->count > 5"},
    {"rules.c", "DASH_REFUSED", "DASH_ALLOWED"},
    {"values.c", "argument.bytes[0] == '-'", "argument.bytes[0] == '+'"},
    {"values.c", "length > most", "length >= most"},
    {"values.c", "length > most", "length > most + 1"},
};

struct place {
    char folder[PATH_MAX];
    char output[PATH_MAX + 16], said[PATH_MAX + 16];
    const char *runtime;
};

/* The runtime of this build, which the program stands in: build/tests/unit/test_validate. */
static const char *runtime_of_this_build(struct arena *arena)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    for (int up = 0; up < 3; up++)
        *strrchr(self, '/') = '\0';
    return arena_format(arena, "%s/lib/sluice", self);
}

/* Builds, with standard error in a file. */
static enum build_result build_quietly(struct arena *arena, const struct place *place,
                                       const struct model *model, const struct emitted *emitted)
{
    struct build_options options = {.output = place->output, .runtime = place->runtime};
    fflush(stderr);
    int kept = dup(2), said = open(place->said, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && said >= 0 && dup2(said, 2) == 2);
    enum build_result result = build_emitted(arena, model, emitted, &options);
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
    close(said);
    return result;
}

static const char *file_text(struct arena *arena, const char *path)
{
    const char *text;
    size_t length;
    assert_null(file_read(arena, path, 64 * 1024 * 1024, &text, &length));
    return text;
}

static bool file_alter(struct arena *arena, struct emitted *emitted,
                       const struct alteration *alteration)
{
    for (size_t i = 0; i < emitted->count; i++) {
        struct emitted_file *file = &emitted->files[i];
        if (strncmp(file->path, alteration->file, strlen(alteration->file)) != 0)
            continue;
        const char *at = memmem(file->text, file->length, alteration->find,
                                strlen(alteration->find));
        if (!at)
            continue;
        file->text = arena_format(arena, "%.*s%s%s", (int)(at - file->text), file->text,
                                  alteration->replace, at + strlen(alteration->find));
        file->length = strlen(file->text);
        return true;
    }
    return false;
}

static struct place place_make(struct arena *arena)
{
    struct place place = {0};
    const char *parent = getenv("TMPDIR");
    snprintf(place.folder, sizeof place.folder, "%s/sluice-altered.XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(place.folder));
    snprintf(place.output, sizeof place.output, "%s/broker", place.folder);
    snprintf(place.said, sizeof place.said, "%s/said", place.folder);
    place.runtime = runtime_of_this_build(arena);
    assert_null(file_write(arena, place.output, "old", 3));
    return place;
}

static void what_was_emitted_passes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct place place = place_make(arena);
    struct emitted *emitted = emitted_of(arena, rules);
    enum build_result result = build_quietly(arena, &place, emitted->layout->model, emitted);
    assert_string_equal(file_text(arena, place.said), "");
    assert_int_equal(result, BUILD_DONE);
    assert_memory_equal(file_text(arena, place.output), "\177ELF", 4);
    folder_remove(place.folder);
    arena_free(arena);
}

static void every_alteration_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alterations / sizeof *alterations; i++) {
        struct arena *arena = arena_new(0);
        struct place place = place_make(arena);
        struct emitted *emitted = emitted_of(arena, rules);
        if (!file_alter(arena, emitted, &alterations[i]))
            fail_msg("%s has no %s", alterations[i].file, alterations[i].find);
        enum build_result result = build_quietly(arena, &place, emitted->layout->model, emitted);
        const char *said = file_text(arena, place.said);
        if (result != BUILD_FAILED || !strstr(said, "this is a defect of sluicec"))
            fail_msg("%s: %s for %s: result %d, said: %s", alterations[i].file,
                     alterations[i].replace, alterations[i].find, result, said);
        assert_string_equal(file_text(arena, place.output), "old");
        folder_remove(place.folder);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_emitted_passes),
        cmocka_unit_test(every_alteration_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
