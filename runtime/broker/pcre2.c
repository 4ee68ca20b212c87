#define PCRE2_CODE_UNIT_WIDTH 8

#include "runtime/broker/pcre2.h"

#include <errno.h>
#include <pcre2.h>
#include <stddef.h>
#include <stdlib.h>

/* How the compiler checked them: compiler/regex/pattern.h. */
#define COMPILE_OPTIONS                                                                            \
    (PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |                       \
     PCRE2_NEVER_BACKSLASH_C)

static struct {
    pcre2_code **codes;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    uint32_t count;
} engine;

static int pattern_compile(uint32_t index, const struct policy_bytes *pattern,
                           pcre2_compile_context *context, struct failure *failure)
{
    PCRE2_UCHAR text[128];
    PCRE2_SIZE offset;
    int error;

    engine.codes[index] = pcre2_compile((PCRE2_SPTR)pattern->bytes, pattern->length,
                                        COMPILE_OPTIONS, &error, &offset, context);
    if (engine.codes[index])
        return 0;
    pcre2_get_error_message(error, text, sizeof(text));
    return failure_set(failure, EINVAL, "pattern %.*s: %s", (int)pattern->length, pattern->bytes,
                       (const char *)text);
}

/* Gives back what an earlier set-up made; all of it takes NULL. */
static void engine_clear(void)
{
    for (uint32_t i = 0; engine.codes && i < engine.count; i++)
        pcre2_code_free(engine.codes[i]);
    free(engine.codes);
    pcre2_match_data_free(engine.match);
    pcre2_match_context_free(engine.limits);
    engine.codes = NULL;
    engine.count = 0;
}

int pcre2_prepare(const struct policy *policy, struct failure *failure)
{
    engine_clear();
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);

    engine.codes = calloc(policy->pcre2_count, sizeof(pcre2_code *));
    engine.match = pcre2_match_data_create(1, NULL);
    engine.limits = pcre2_match_context_create(NULL);
    engine.count = policy->pcre2_count;
    if (!context || !engine.codes || !engine.match || !engine.limits) {
        pcre2_compile_context_free(context);
        return failure_set(failure, ENOMEM, "no memory for PCRE2");
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_match_limit(engine.limits, PCRE2_MATCH_STEPS_MAX);
    pcre2_set_depth_limit(engine.limits, PCRE2_DEPTH_MAX);
    pcre2_set_heap_limit(engine.limits, PCRE2_HEAP_KIB_MAX);
    int result = 0;
    for (uint32_t i = 0; i < engine.count && result == 0; i++)
        result = pattern_compile(i, &policy->pcre2_patterns[i], context, failure);
    pcre2_compile_context_free(context);
    return result;
}

enum policy_verdict sluice_pcre2_match(uint32_t pattern, const char *bytes, uint32_t length)
{
    if (pattern >= engine.count || !engine.codes[pattern])
        return POLICY_PATTERN_LIMIT; /* not set up: refuse */
    /* The bytes are valid UTF-8: policy_request says so. */
    int result = pcre2_match(engine.codes[pattern], (PCRE2_SPTR)bytes, length, 0,
                             PCRE2_NO_UTF_CHECK, engine.match, engine.limits);
    if (result >= 0)
        return POLICY_YES;
    return result == PCRE2_ERROR_NOMATCH ? POLICY_NO : POLICY_PATTERN_LIMIT;
}
