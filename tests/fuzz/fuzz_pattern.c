/* Pattern text to a tree and back: what is accepted spells out to the same tree and is taken by
 * PCRE2, what is refused says where and why. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/regex/oracle.h"
#include "compiler/regex/pattern.h"
#include "tests/fuzz/support.h"

static void check_error(const struct pattern_error *error, size_t length)
{
    FUZZ_CHECK(error->begin <= error->end && error->end <= length);
    FUZZ_CHECK(error->message && error->message[0]);
}

static void check_pattern(struct arena *arena, const struct pattern *tree, const char *text,
                          size_t length)
{
    struct pattern_error error;
    const char *spelled = pattern_spelled(arena, tree);
    if (spelled) {
        const struct pattern *again =
            pattern_parse(arena, spelled, strlen(spelled), NULL, &error);
        /* Spelled out it may be over a bound of what is written. */
        if (again)
            FUZZ_CHECK(pattern_equal(again, tree));
        else
            FUZZ_CHECK(strlen(spelled) > PATTERN_LENGTH_MAX || strstr(error.message, "more than") ||
                       strstr(error.message, "too"));
    }
    FUZZ_CHECK(pattern_canonical(arena, tree));
    const char *expanded = pattern_pcre2(arena, text, length, NULL, &error);
    if (!expanded)
        return;
    const char *message;
    size_t place;
    FUZZ_CHECK(oracle_pcre2_compiles(arena, expanded, strlen(expanded), &message, &place) !=
               ORACLE_NO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new((size_t)1 << 30);
    struct pattern_error error;
    struct input input = {data, size};
    size_t length;
    char *text = input_rest(&input, &length);

    const struct pattern *tree = pattern_parse(arena, text, length, NULL, &error);
    if (tree)
        check_pattern(arena, tree, text, length);
    else
        check_error(&error, length);
    if (!pattern_check_pcre2(arena, text, length, &error))
        check_error(&error, length);
    free(text);
    arena_free(arena);
    return 0;
}
