/* Every pattern of the corpus, the examples and the manual: the automaton, libfa and PCRE2 are of one
 * mind, the first two on the whole language, all on chosen values and on values near them.
 *
 * Runs in the project's folder, as `make unit` does. Says how much it compared, and fails when that
 * is nothing: a corpus that moved is not a corpus that agrees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/policy/model.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/witness.h"

#define VALUES_OF_PATTERN 300u /* that go through its automaton */
#define VALUES_NEAR 10u        /* each of them */
#define BLOCK_BEGIN "```rules\n"
#define BLOCK_END "\n```\n"

struct comparison {
    size_t files, patterns, languages, values;
    size_t accepted;   /* of the values */
    size_t libfa;      /* patterns whose whole language libfa confirmed */
    size_t beyond_fa;  /* patterns that are too large for libfa */
    size_t beyond_pcre2; /* values on which PCRE2 gave up, and patterns that it does not compile */
    size_t at_call_time; /* patterns that PCRE2 alone matches (engine = pcre2) */
};

/* ---- one value, one pattern ------------------------------------------------------------------ */

static void compare_value(struct comparison *seen, const struct model_pattern *pattern,
                          struct oracle_pcre2 *pcre2, const struct value *value)
{
    bool ours = automaton_accepts(pattern->automaton, value->bytes, value->length);
    enum oracle_answer theirs = oracle_pcre2_accepts(pcre2, value->bytes, value->length);
    seen->values++;
    seen->accepted += ours;
    if (theirs == ORACLE_UNKNOWN)
        seen->beyond_pcre2++;
    else if (ours != (theirs == ORACLE_YES))
        fail_msg("`%s`: the automaton %s `%s`, PCRE2 does not", pattern->text,
                 ours ? "accepts" : "refuses", value->bytes);
}

static void compare_values(struct comparison *seen, const struct model_pattern *pattern)
{
    struct oracle_pcre2 *pcre2 =
        pattern->pcre2 ? oracle_pcre2_new(pattern->pcre2, strlen(pattern->pcre2)) : NULL;
    if (!pcre2) {
        seen->beyond_pcre2++;
        return;
    }
    struct arena *arena = arena_new(0);
    struct value *values, *near;
    size_t count = witness_cover(arena, pattern->automaton, VALUES_OF_PATTERN, &values);
    for (size_t i = 0; i < count; i++) {
        compare_value(seen, pattern, pcre2, &values[i]);
        size_t mutants = witness_mutate(arena, values[i], VALUES_NEAR, &near);
        for (size_t j = 0; j < mutants; j++)
            compare_value(seen, pattern, pcre2, &near[j]);
    }
    arena_free(arena);
    oracle_pcre2_free(pcre2);
}

static void compare_with_libfa(struct comparison *seen, const struct model_pattern *pattern)
{
    struct arena *arena = arena_new(0);
    const char *witness = "";
    size_t length;
    switch (oracle_libfa_equal(arena, pattern->tree, pattern->automaton, &witness, &length)) {
    case ORACLE_YES:
        seen->libfa++;
        break;
    case ORACLE_NO:
        fail_msg("`%s`: libfa and the automaton differ on `%s`", pattern->text, witness);
        break;
    case ORACLE_UNKNOWN:
        seen->beyond_fa++;
        break;
    }
    arena_free(arena);
}

/* ---- several lines of one slot --------------------------------------------------------------- */

/* What PCRE2 says of the lines, put together: POLICY_PATTERN_LIMIT where it does not know. */
static enum policy_verdict lines_accept(struct oracle_pcre2 *const *lines,
                                        const struct model_language *language,
                                        const struct value *value)
{
    enum policy_verdict verdict = POLICY_YES;
    for (size_t i = 0; i < language->line_count; i++) {
        enum oracle_answer answer =
            lines[i] ? oracle_pcre2_accepts(lines[i], value->bytes, value->length) : ORACLE_UNKNOWN;
        if (answer == ORACLE_UNKNOWN)
            verdict = POLICY_PATTERN_LIMIT;
        else if ((answer == ORACLE_YES) == language->lines[i].excluded)
            return POLICY_NO;
    }
    return verdict;
}

static void compare_together(struct comparison *seen, const struct model_language *language,
                             struct oracle_pcre2 *const *lines, const struct value *value)
{
    bool ours = automaton_accepts(language->automaton, value->bytes, value->length);
    enum policy_verdict theirs = lines_accept(lines, language, value);
    seen->values++;
    seen->accepted += ours;
    if (theirs == POLICY_PATTERN_LIMIT)
        seen->beyond_pcre2++;
    else if (ours != (theirs == POLICY_YES))
        fail_msg("`%s` and its other lines: the automaton %s `%s`, PCRE2 does not",
                 language->lines[0].text, ours ? "accepts" : "refuses", value->bytes);
}

/* Values of the whole and of each line: those that an exclusion takes away are in the latter. */
static void compare_language(struct comparison *seen, const struct model_language *language)
{
    struct arena *arena = arena_new(0);
    struct oracle_pcre2 **lines = arena_array(arena, language->line_count, sizeof *lines);
    for (size_t i = 0; i < language->line_count; i++)
        if (language->lines[i].pcre2)
            lines[i] = oracle_pcre2_new(language->lines[i].pcre2,
                                        strlen(language->lines[i].pcre2));
    for (size_t i = 0; i <= language->line_count; i++) {
        const struct automaton *of =
            i < language->line_count ? language->lines[i].automaton : language->automaton;
        struct value *values, *near;
        size_t count = witness_cover(arena, of, VALUES_OF_PATTERN, &values);
        for (size_t j = 0; j < count; j++) {
            compare_together(seen, language, lines, &values[j]);
            size_t mutants = witness_mutate(arena, values[j], VALUES_NEAR, &near);
            for (size_t k = 0; k < mutants; k++)
                compare_together(seen, language, lines, &near[k]);
        }
    }
    for (size_t i = 0; i < language->line_count; i++)
        oracle_pcre2_free(lines[i]);
    arena_free(arena);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void compare_model(struct comparison *seen, const struct model *model)
{
    for (size_t i = 0; i < model->language_count; i++) {
        const struct model_language *language = model->languages[i];
        for (size_t j = 0; j < language->line_count; j++) {
            if (language->pcre2) {
                seen->at_call_time++;
                continue;
            }
            seen->patterns++;
            compare_with_libfa(seen, &language->lines[j]);
            compare_values(seen, &language->lines[j]);
        }
        if (!language->pcre2 && language->line_count > 1) {
            seen->languages++;
            compare_language(seen, language);
        }
    }
}

static void compare_source(struct comparison *seen, struct arena *arena,
                           const struct source *source)
{
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    const struct model *model = model_from_source(arena, source, diagnostics);
    if (!model) {
        diagnostics_print(diagnostics, stderr, DIAGNOSTIC_TEXT);
        fail_msg("%s has errors", source->name);
    }
    seen->files++;
    compare_model(seen, model);
}

static void compare_files(struct comparison *seen, const char *names)
{
    glob_t found;
    assert_int_equal(glob(names, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct arena *arena = arena_new(0);
        const struct source *source = source_from_file(arena, found.gl_pathv[i]);
        assert_non_null(source);
        compare_source(seen, arena, source);
        arena_free(arena);
    }
    globfree(&found);
}

/* The blocks of a page that are rules files. */
static void compare_page(struct comparison *seen, const char *path)
{
    struct arena *pages = arena_new(0);
    const struct source *page = source_from_file(pages, path);
    assert_non_null(page);
    const char *text = arena_copy(pages, page->text, page->length), *begin, *end;
    for (; (begin = strstr(text, BLOCK_BEGIN)); text = end + strlen(BLOCK_END)) {
        begin += strlen(BLOCK_BEGIN);
        end = strstr(begin, BLOCK_END);
        assert_non_null(end);
        struct arena *arena = arena_new(0);
        compare_source(seen, arena,
                       source_from_text(arena, path, begin, (size_t)(end + 1 - begin)));
        arena_free(arena);
    }
    arena_free(pages);
}

static void report(const char *what, const struct comparison *seen)
{
    printf("%s: %zu patterns of %zu rules files and %zu intersections, %zu values (%zu of them "
           "accepted); libfa confirmed %zu, %zu were too large for it; PCRE2 gave up %zu times; %zu "
           "patterns are PCRE2's own\n",
           what, seen->patterns, seen->files, seen->languages, seen->values, seen->accepted,
           seen->libfa, seen->beyond_fa, seen->beyond_pcre2, seen->at_call_time);
    assert_true(seen->patterns > 0 && seen->libfa > 0);
    assert_true(seen->accepted > 0 && seen->accepted < seen->values);
    /* Second opinions that are mostly not given are none. */
    assert_true(seen->beyond_fa * 4 <= seen->patterns);
    assert_true(seen->beyond_pcre2 * 20 <= seen->values);
}

static void the_corpus_agrees(void **state)
{
    struct comparison seen = {0};
    (void)state;
    compare_files(&seen, "tests/language/decisions/*.rules");
    report("corpus", &seen);
    assert_true(seen.languages > 0);
}

static void the_examples_agree(void **state)
{
    struct comparison seen = {0};
    (void)state;
    compare_files(&seen, "examples/*.rules");
    report("examples", &seen);
}

static void the_manual_agrees(void **state)
{
    struct comparison seen = {0};
    (void)state;
    compare_page(&seen, "docs/language.md");
    compare_page(&seen, "docs/warnings.md");
    report("manual", &seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_agrees),
        cmocka_unit_test(the_examples_agree),
        cmocka_unit_test(the_manual_agrees),
    };
    return cmocka_run_group_tests_name("corpus_patterns", tests, NULL, NULL);
}
