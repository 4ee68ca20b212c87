#include "compiler/syntax/parse.h"

#include "compiler/syntax/build.h"
#include "compiler/syntax/encoding.h"
#include "compiler/syntax/lexer.h"
#include "grammar/rules.tab.h"

struct rules_file *parse_source(struct arena *arena, const struct source *source,
                                struct diagnostics *diagnostics)
{
    struct encoding encoding = encoding_check(arena, source, diagnostics);
    struct lexer lexer;
    struct builder builder;
    lexer_start(&lexer, arena, source, encoding, diagnostics);
    builder_start(&builder, arena, source, diagnostics);
    rules_parse(&lexer, &builder); /* what it returns was reported */
    return builder.file;
}
