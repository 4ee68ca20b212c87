/* Rules text to tokens and to a tree, and the diagnostics that come of it, as text and as JSON. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/syntax/lexer.h"
#include "compiler/syntax/parse.h"
#include "grammar/rules.tab.h"
#include "tests/fuzz/support.h"

/* Places are in order and inside the text, an error is followed by NEWLINE, the end stays it. */
static void lex(struct arena *arena, const struct source *source)
{
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    struct lexer lexer;
    union RULES_STYPE token;
    struct span at;
    uint32_t last = 0;
    bool failed = false;

    lexer_start(&lexer, arena, source, encoding_check(arena, source, diagnostics), diagnostics);
    for (;;) {
        int kind = lexer_next(&lexer, &token, &at);
        FUZZ_CHECK(at.begin <= at.end && at.end <= source->length);
        FUZZ_CHECK(at.begin >= last);
        if (kind == LEX_YYEOF)
            break;
        FUZZ_CHECK(!failed || kind == LEX_NEWLINE);
        failed = kind == LEX_RULES_error;
        last = failed ? last : at.end;
    }
    FUZZ_CHECK(!failed && at.begin == source->length);
    FUZZ_CHECK(lexer_next(&lexer, &token, &at) == LEX_YYEOF);
}

static void parse(struct arena *arena, const struct source *source, enum diagnostic_format format)
{
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    char *text = NULL;
    size_t length = 0;

    FUZZ_CHECK(parse_source(arena, source, diagnostics));
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out);
    diagnostics_print(diagnostics, out, format);
    FUZZ_CHECK(fclose(out) == 0);
    if (format == DIAGNOSTIC_JSON)
        FUZZ_CHECK(are_json_lines(text, length));
    else
        FUZZ_CHECK(is_printable(text, length, true));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new((size_t)1 << 30);
    const struct source *source = source_from_text(arena, "f.rules", (const char *)data, size);

    lex(arena, source);
    parse(arena, source, DIAGNOSTIC_TEXT);
    parse(arena, source, DIAGNOSTIC_JSON);
    arena_free(arena);
    return 0;
}
