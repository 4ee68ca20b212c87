/* The matchers that the compiler generates against the compiler's model of the same rules.
 *
 * The input is a request, its arguments ended by NULs. The code generated from decide/decide.rules
 * decides it; so does the model, with automata alone. They must agree, on the rule, on the slot
 * that refused, and on the values of its slots. Each argument lies in memory of exactly its size. */
#include <string.h>

#include "compiler/analysis/matching.h"
#include "compiler/analysis/refusal.h"
#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "runtime/broker/explain.h"
#include "runtime/broker/match.h"
#include "runtime/include/policy.h"
#include "tests/fuzz/support.h"

#define ARGUMENTS_MAX 32u
#define HOME "/home/of"

/* The rules as the compiler knows them; once for all inputs. */
static const struct model *model_of_policy(void)
{
    static const struct model *model;
    if (!model) {
        struct arena *arena = arena_new(0);
        const struct source *source = source_from_text(
            arena, sluice_policy.file, sluice_policy.source, sluice_policy.source_length);
        model = model_from_source(arena, source, diagnostics_new(arena, source));
        FUZZ_CHECK(model && model->rule_count == sluice_policy.rule_count);
    }
    return model;
}

/* False when the input is no request: a decoder has refused it before. */
static bool read_arguments(struct input *input, struct policy_bytes *arguments,
                           struct policy_request *request)
{
    bool good = true;
    for (request->count = 0; input->left && request->count < ARGUMENTS_MAX; request->count++) {
        size_t length;
        char *text = input_text(input, &length);
        struct input whole = {(const uint8_t *)text, length};
        size_t same;
        arguments[request->count] =
            (struct policy_bytes){input_bytes(&whole, length, &same), (uint32_t)length};
        free(text);
        good = good && is_text(arguments[request->count].bytes, length);
    }
    request->arguments = arguments;
    return good && request->count > 0;
}

static void check_values(const struct policy_rule *rule, const struct policy_request *request,
                         const struct matching *found)
{
    struct policy_bytes values[ARGUMENTS_MAX];
    for (uint32_t slot = 0; slot < rule->slot_count; slot++) {
        int64_t count = match_slot_values(rule, request, slot, values, ARGUMENTS_MAX);
        FUZZ_CHECK(count >= -1 && count <= ARGUMENTS_MAX);
        int64_t at = 0;
        for (size_t i = 0; count >= 0 && i < found->bindings.count; i++) {
            const struct binding *binding = &found->bindings.items[i];
            if (binding->slot != slot)
                continue;
            FUZZ_CHECK(at < count && values[at].length == binding->value.length);
            FUZZ_CHECK(memcmp(values[at].bytes, binding->value.bytes, values[at].length) == 0);
            at++;
        }
        FUZZ_CHECK(count < 0 || at == count);
    }
}

static void check_explanations(struct arena *arena, const struct policy_request *request,
                               const struct policy_decision *decision,
                               const struct matching *found)
{
    char room[EXPLANATION_MAX];
    struct text text;
    text_start(&text, room, sizeof room);
    explain_decision(&text, &sluice_policy, request, decision);
    FUZZ_CHECK(text.length < sizeof room && is_text(room, text.length));
    struct buffer out = {0};
    refusal_explain(&out, arena, model_of_policy(), request, found);
    FUZZ_CHECK(out.length && is_printable(out.text, out.length, false));
    buffer_free(&out);
}

static void decide(const struct policy_request *request)
{
    const struct model *model = model_of_policy();
    struct arena *arena = arena_new(0);
    struct policy_decision decision = sluice_policy.match(request);
    struct matching found = matching_find(arena, model, request);

    FUZZ_CHECK(decision.verdict == found.verdict);
    if (decision.verdict != POLICY_NO) {
        FUZZ_CHECK(found.rule == &model->rules[decision.rule]);
        FUZZ_CHECK(decision.verdict == POLICY_YES || decision.slot == found.slot);
    }
    if (decision.verdict == POLICY_YES)
        check_values(&sluice_policy.rules[decision.rule], request, &found);
    else
        check_explanations(arena, request, &decision, &found);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_bytes arguments[ARGUMENTS_MAX];
    struct policy_bytes expansions[] = {{HOME "/bin", sizeof HOME "/bin" - 1}};
    struct policy_request request = {.expansions = expansions};
    struct input input = {data, size};

    FUZZ_CHECK(sluice_policy.expansion_count == 1);
    if (read_arguments(&input, arguments, &request))
        decide(&request);
    for (uint32_t i = 0; i < request.count; i++)
        free((void *)(uintptr_t)arguments[i].bytes);
    return 0;
}
