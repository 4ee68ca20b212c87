#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"

/* From pcre2.h: what a pattern that is in order can fail by. Named here since older headers lack
 * some of them. */
#define COMPILE_TOO_LARGE 120
#define COMPILE_TOO_COMPLICATED 186

struct oracle_pcre2 {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static pcre2_code *text_compile(const char *text, size_t length, int *error, PCRE2_SIZE *place)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        memory_exhausted("PCRE2");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 8 * PATTERN_DEPTH_MAX);
    uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                       PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, length, options, error, place, context);
    pcre2_compile_context_free(context);
    if (!code && *error == ORACLE_PCRE2_NO_MEMORY)
        memory_exhausted("PCRE2");
    return code;
}

enum oracle_answer oracle_pcre2_compiles(struct arena *arena, const char *text, size_t length,
                                         const char **message, size_t *place)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *code = text_compile(text, length, &error, &offset);
    if (code) {
        pcre2_code_free(code);
        return ORACLE_YES;
    }
    char said[256] = "PCRE2 does not take it";
    pcre2_get_error_message(error, (PCRE2_UCHAR *)said, sizeof said);
    *message = arena_copy(arena, said, strlen(said));
    *place = offset < length ? offset : length;
    return error == COMPILE_TOO_LARGE || error == COMPILE_TOO_COMPLICATED ? ORACLE_UNKNOWN
                                                                          : ORACLE_NO;
}

struct oracle_pcre2 *oracle_pcre2_new(const char *text, size_t length)
{
    int error;
    PCRE2_SIZE place;
    pcre2_code *code = text_compile(text, length, &error, &place);
    if (!code)
        return NULL;
    struct oracle_pcre2 *oracle = memory_zeroed(1, sizeof *oracle);
    oracle->code = code;
    oracle->match = pcre2_match_data_create(1, NULL);
    oracle->context = pcre2_match_context_create(NULL);
    if (!oracle->match || !oracle->context)
        memory_exhausted("PCRE2");
    pcre2_set_match_limit(oracle->context, ORACLE_PCRE2_MATCH_LIMIT);
    pcre2_set_heap_limit(oracle->context, ORACLE_PCRE2_HEAP_LIMIT);
    return oracle;
}

void oracle_pcre2_free(struct oracle_pcre2 *oracle)
{
    if (!oracle)
        return;
    pcre2_match_context_free(oracle->context);
    pcre2_match_data_free(oracle->match);
    pcre2_code_free(oracle->code);
    free(oracle);
}

enum oracle_answer oracle_pcre2_accepts(struct oracle_pcre2 *oracle, const char *bytes,
                                        size_t length)
{
    int status =
        pcre2_match(oracle->code, (PCRE2_SPTR)bytes, length, 0, 0, oracle->match, oracle->context);
    if (status >= 0)
        return ORACLE_YES;
    bool limit = status == PCRE2_ERROR_MATCHLIMIT || status == PCRE2_ERROR_DEPTHLIMIT ||
                 status == PCRE2_ERROR_HEAPLIMIT || status == PCRE2_ERROR_NOMEMORY;
    return limit ? ORACLE_UNKNOWN : ORACLE_NO;
}
