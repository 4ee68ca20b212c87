#include "compiler/emit/patterns.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/acceptors.h"
#include "compiler/emit/choices.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/matcher.h"
#include "compiler/emit/names.h"

/* What every .re file includes: how re2c reads a value. */
static const char whole_config[] =
    "/*!re2c\n"
    "    re2c:api = custom;\n"
    "    re2c:api:style = free-form;\n"
    "    re2c:define:YYCTYPE = \"unsigned char\";\n"
    "    re2c:define:YYPEEK = \"at < length ? (unsigned char)bytes[at] : 0\";\n"
    "    re2c:define:YYSKIP = \"at++;\";\n"
    "    re2c:define:YYBACKUP = \"\";\n"
    "    re2c:define:YYRESTORE = \"\";\n"
    "    re2c:yyfill:enable = 0;\n"
    "    re2c:sentinel = 0;\n"
    "*/\n";

static const char patterns_head[] =
    "\n"
    "#ifndef PATTERNS_H\n"
    "#define PATTERNS_H\n"
    "\n"
    "#include <string.h>\n"
    "\n"
    "#include \"policy.h\"\n"
    "\n"
    "/* Characters (Unicode scalar values) in valid UTF-8: every byte that does not continue one. */\n"
    "static inline uint32_t scalar_count(const char *bytes, uint32_t length)\n"
    "{\n"
    "    uint32_t count = 0;\n"
    "    for (uint32_t at = 0; at < length; at++)\n"
    "        count += ((unsigned char)bytes[at] & 0xC0) != 0x80;\n"
    "    return count;\n"
    "}\n"
    "\n";

static void header_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    emitted_head(out, layout->model,
                 "The values that slots accept: one function for each distinct pattern, in a file\n"
                 "of its own under patterns/. Each reads exactly `length` bytes.");
    buffer_puts(out, patterns_head);
    size_t pcre2 = 0;
    for (size_t i = 0; i < layout->accept_count; i++)
        pcre2 += layout->accepts[i]->kind == ACCEPT_PCRE2;
    if (pcre2) {
        buffer_puts(out, "/* What PCRE2 matches: indices into policy.pcre2_patterns. */\n"
                         "enum pcre2_pattern {\n");
        for (size_t i = 0; i < layout->accept_count; i++)
            if (layout->accepts[i]->kind == ACCEPT_PCRE2)
                buffer_format(out, "    PCRE2_%s,\n", layout->accepts[i]->name);
        buffer_puts(out, "    PCRE2_COUNT\n};\n\n");
    }
    for (size_t i = 0; i < layout->accept_count; i++)
        buffer_format(out, "policy_accept %s;\n", layout->accepts[i]->name);
    buffer_puts(out, "\n#endif\n");
    emitted_add(emitted, "patterns.h", out);
}

/* ---- comments -------------------------------------------------------------------------------- */

static void line_text(struct buffer *out, const struct model_pattern *line)
{
    comment_text(out, line->text, line->length);
    if (line->pcre2 && strcmp(line->text, line->pcre2) != 0) {
        buffer_puts(out, "\n * which is ");
        comment_text(out, line->pcre2, strlen(line->pcre2));
    }
}

static void token_text(struct buffer *out, const struct accept *accept)
{
    for (size_t i = 0; i < accept->token->piece_count; i++) {
        const struct model_piece *piece = &accept->token->pieces[i];
        if (piece->is_slot) {
            const char *name = accept->rule->slots[piece->slot].name;
            buffer_puts(out, "#{");
            comment_text(out, name, strlen(name));
            buffer_char(out, '}');
        } else {
            comment_text(out, piece->literal, piece->literal_length);
        }
    }
}

static void comment_emit(struct buffer *out, const struct accept *accept)
{
    buffer_puts(out, "/* ");
    switch (accept->kind) {
    case ACCEPT_LINE:
    case ACCEPT_PCRE2:
        line_text(out, accept->line);
        break;
    case ACCEPT_COMBINED:
        for (size_t i = 0; i < accept->language->line_count; i++) {
            const struct model_pattern *line = &accept->language->lines[i];
            buffer_puts(out, i ? "\n * and " : "");
            buffer_puts(out, line->excluded ? "not " : "");
            comment_text(out, line->text, line->length);
        }
        break;
    case ACCEPT_TOKEN:
        token_text(out, accept);
        break;
    }
    buffer_puts(out, " */\n");
}

/* ---- one accept function --------------------------------------------------------------------- */

/* Whether it needs re2c. */
static bool function_emit(struct arena *arena, const struct layout *layout,
                          const struct accept *accept, const struct matcher *matcher,
                          struct buffer *out)
{
    if (accept->kind == ACCEPT_PCRE2) {
        acceptor_pcre2(out, accept);
    } else if (accept->kind == ACCEPT_COMBINED) {
        acceptor_combined(out, accept);
    } else if (!matcher) {
        acceptor_token(out, layout, accept);
    } else {
        acceptor_matcher(arena, out, accept->name, matcher);
        return matcher_needs_re2c(matcher);
    }
    return false;
}

/* One file: .re when re2c has work in it. */
static void accept_emit(struct emitted *emitted, const struct layout *layout,
                        const struct accept *accept, const struct matcher *matcher,
                        struct buffer *out)
{
    struct buffer body = {0};
    comment_emit(&body, accept);
    bool re2c = function_emit(emitted->arena, layout, accept, matcher, &body);
    buffer_puts(out, EMITTED_MARK);
    comment_text(out, layout->model->file, strlen(layout->model->file));
    buffer_puts(out, ". */\n#include \"patterns.h\"\n\n");
    if (re2c)
        buffer_puts(out, "/*!include:re2c \"whole.re\" */\n\n");
    buffer_add(out, buffer_text(&body), body.length);
    emitted_add(emitted,
                arena_format(emitted->arena, "patterns/%s.%s", accept->name, re2c ? "re" : "c"),
                out);
    buffer_free(&body);
}

bool patterns_emit(struct emitted *emitted, const struct layout *layout,
                   struct diagnostics *diagnostics)
{
    const struct matcher **matchers = choices_make(emitted->arena, layout, diagnostics);
    if (!matchers)
        return false;
    struct buffer out = {0};
    header_emit(emitted, layout, &out);
    emitted_head(&out, layout->model,
                 "How re2c's code reads a value: byte by byte, and then one byte 0 that stands for its\n"
                 "end. `at` is length + 1 once that end has been taken.");
    buffer_puts(&out, whole_config);
    emitted_add(emitted, "patterns/whole.re", &out);
    for (size_t i = 0; i < layout->accept_count; i++)
        accept_emit(emitted, layout, layout->accepts[i], matchers[i], &out);
    buffer_free(&out);
    return true;
}
