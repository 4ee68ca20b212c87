/* The compiler's front end: rules text to a checked policy, its warnings, its summary and its
 * generated sources, all in memory. Diagnostics and generated texts can be shown; a policy that was
 * checked can be asked about a request and compared with itself. */
#include <string.h>

#include "compiler/analysis/matching.h"
#include "compiler/analysis/refusal.h"
#include "compiler/analysis/summary.h"
#include "compiler/analysis/warnings.h"
#include "compiler/analysis/work.h"
#include "compiler/base/arena.h"
#include "compiler/emit/emit.h"
#include "compiler/emit/emitted.h"
#include "tests/fuzz/support.h"

static void print_diagnostics(struct diagnostics *diagnostics, bool json)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out);
    diagnostics_print(diagnostics, out, json ? DIAGNOSTIC_JSON : DIAGNOSTIC_TEXT);
    FUZZ_CHECK(fclose(out) == 0);
    FUZZ_CHECK(json ? are_json_lines(text, length) : is_printable(text, length, true));
    free(text);
}

/* A request of a rule's own words, with a letter in each slot. */
static void ask(struct arena *arena, const struct model *model, const struct model_rule *rule)
{
    struct policy_bytes *arguments = arena_array(arena, rule->token_count, sizeof *arguments);
    struct policy_bytes *expansions =
        arena_array(arena, model->expansion_count, sizeof *expansions);
    struct policy_request request = {0, arguments, expansions};
    for (size_t i = 0; i < model->expansion_count; i++)
        expansions[i] = (struct policy_bytes){"/h", 2};
    for (size_t i = 0; i < rule->token_count; i++) {
        const struct model_token *token = &rule->tokens[i];
        bool is_word = token->kind == TOKEN_LITERAL && token->piece_count == 1;
        arguments[request.count++] =
            is_word ? (struct policy_bytes){token->pieces[0].literal,
                                            (uint32_t)token->pieces[0].literal_length}
                    : (struct policy_bytes){"a", 1};
    }
    struct matching found = matching_find(arena, model, &request);
    if (found.verdict == POLICY_YES)
        return;
    struct buffer out = {0};
    refusal_explain(&out, arena, model, &request, &found);
    FUZZ_CHECK(out.length && is_printable(out.text, out.length, true));
    buffer_free(&out);
}

static void check_model(struct arena *arena, const struct model *model,
                        struct diagnostics *diagnostics)
{
    struct buffer text = {0};
    summary_policy(&text, model);
    for (size_t i = 0; i < model->rule_count; i++)
        summary_rule(&text, &model->rules[i]);
    FUZZ_CHECK(is_printable(buffer_text(&text), text.length, true));
    buffer_free(&text);
    for (size_t i = 0; i < model->rule_count && i < 4; i++)
        ask(arena, model, &model->rules[i]);
    /* A twentieth of what the command may do: the sanitizers are slow. */
    struct work work = {.steps = WORK_STEPS_MAX / 20};
    warnings_check(arena, model, diagnostics, &work);
    const struct emitted *emitted = emit_policy(arena, model, diagnostics);
    for (size_t i = 0; emitted && i < emitted->count; i++) {
        const struct emitted_file *file = &emitted->files[i];
        FUZZ_CHECK(is_text(file->text, file->length));
        FUZZ_CHECK(strncmp(file->text, EMITTED_MARK, strlen(EMITTED_MARK)) == 0);
        FUZZ_CHECK(file->path[0] != '/' && !strstr(file->path, ".."));
        FUZZ_CHECK(is_printable(file->path, strlen(file->path), false));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new((size_t)1536 * 1024 * 1024);
    const struct source *source = source_from_text(arena, "f.rules", (const char *)data, size);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    const struct model *model = model_from_source(arena, source, diagnostics);

    FUZZ_CHECK((model == NULL) == (diagnostics_errors(diagnostics) > 0));
    if (model)
        check_model(arena, model, diagnostics);
    print_diagnostics(diagnostics, size & 1);
    arena_free(arena);
    return 0;
}
