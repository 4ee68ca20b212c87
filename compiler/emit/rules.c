#include "compiler/emit/rules.h"

#include <string.h>

#include "compiler/base/buffer.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/names.h"
#include "compiler/emit/words.h"

static const char header_head[] =
    "\n"
    "#ifndef RULES_H\n"
    "#define RULES_H\n"
    "\n"
    "#include \"patterns.h\"\n"
    "\n"
    "/* What a rule says of a request: POLICY_NO when one token does not accept. When a slot refuses for\n"
    " * another reason, the verdict is that of the first such slot, whose index is put in *refusing. */\n"
    "typedef enum policy_verdict rule_function(const struct policy_request *request,\n"
    "                                          uint32_t *refusing);\n"
    "\n"
    "/* A literal and its length. */\n"
    "#define WORD(text) (text), sizeof(text) - 1\n"
    "\n"
    "bool is_word(struct policy_bytes argument, const char *word, size_t length);\n"
    "\n"
    "/* A value that begins with '-'. */\n"
    "enum dash { DASH_REFUSED, DASH_ALLOWED };\n"
    "\n"
    "/* The verdict so far, and a slot's value that is a whole argument: POLICY_NO if it was that already\n"
    " * or the pattern does not accept. `accept` NULL: anything. */\n"
    "enum policy_verdict slot_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                 policy_accept *accept, struct policy_bytes value, uint32_t most,\n"
    "                                 enum dash dash);\n"
    "\n"
    "/* The same for an argument with slots in it: first the whole of it, then for each slot what is\n"
    " * refused although the whole is accepted. `beside` bytes of the argument are not the slot's. */\n"
    "enum policy_verdict token_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                  policy_accept *accept, struct policy_bytes argument);\n"
    "enum policy_verdict part_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                 struct policy_bytes argument, uint32_t beside, uint32_t most,\n"
    "                                 enum dash dash);\n"
    "\n";

static const char values_text[] =
    "#include \"rules.h\"\n"
    "\n"
    "bool is_word(struct policy_bytes argument, const char *word, size_t length)\n"
    "{\n"
    "    return argument.length == length && memcmp(argument.bytes, word, length) == 0;\n"
    "}\n"
    "\n"
    "/* Puts a refusal into the verdict so far, unless there is one already. */\n"
    "static enum policy_verdict refuse(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                  enum policy_verdict verdict)\n"
    "{\n"
    "    if (so_far != POLICY_YES)\n"
    "        return so_far;\n"
    "    *refusing = slot;\n"
    "    return verdict;\n"
    "}\n"
    "\n"
    "enum policy_verdict token_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                  policy_accept *accept, struct policy_bytes argument)\n"
    "{\n"
    "    if (so_far == POLICY_NO || !accept)\n"
    "        return so_far;\n"
    "    enum policy_verdict verdict = accept(argument.bytes, argument.length);\n"
    "    if (verdict == POLICY_NO || verdict == POLICY_YES)\n"
    "        return verdict == POLICY_NO ? POLICY_NO : so_far;\n"
    "    return refuse(so_far, refusing, slot, verdict);\n"
    "}\n"
    "\n"
    "enum policy_verdict part_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                 struct policy_bytes argument, uint32_t beside, uint32_t most,\n"
    "                                 enum dash dash)\n"
    "{\n"
    "    if (so_far == POLICY_NO)\n"
    "        return POLICY_NO;\n"
    "    const uint32_t length = argument.length - beside;\n"
    "    if (dash == DASH_REFUSED && length > 0 && argument.bytes[0] == '-')\n"
    "        so_far = refuse(so_far, refusing, slot, POLICY_OPTION_LIKE);\n"
    "    if (length > most)\n"
    "        so_far = refuse(so_far, refusing, slot, POLICY_TOO_LONG);\n"
    "    return so_far;\n"
    "}\n"
    "\n"
    "enum policy_verdict slot_verdict(enum policy_verdict so_far, uint32_t *refusing, uint32_t slot,\n"
    "                                 policy_accept *accept, struct policy_bytes value, uint32_t most,\n"
    "                                 enum dash dash)\n"
    "{\n"
    "    so_far = token_verdict(so_far, refusing, slot, accept, value);\n"
    "    return part_verdict(so_far, refusing, slot, value, 0, most, dash);\n"
    "}\n";

static void header_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    const struct model *model = layout->model;
    emitted_head(out, model, "The rules: their numbers, and a function for each.");
    buffer_puts(out, header_head);
    buffer_puts(out, "/* In the order of the file: the first that matches decides. */\n"
                     "enum rule_number {\n");
    for (size_t i = 0; i < model->rule_count; i++)
        buffer_format(out, "    RULE_%s,\n", layout->rules[i].name);
    buffer_puts(out, "    RULE_COUNT\n};\n\n");
    if (model->expansion_count) {
        buffer_puts(out, "/* Literals that begin with $HOME/ and are known when the broker starts: indices\n"
                         " * into policy.expansions. */\nenum expansion_number {\n");
        for (size_t i = 0; i < model->expansion_count; i++)
            buffer_format(out, "    %s,\n", layout->expansions[i]);
        buffer_puts(out, "    EXPANSION_COUNT\n};\n\n");
    }
    for (size_t i = 0; i < model->rule_count; i++)
        buffer_format(out, "rule_function rule_%s;\n", layout->rules[i].name);
    buffer_puts(out, "\n/* Which rule takes a request (dispatch.c). */\n"
                     "struct policy_decision dispatch(const struct policy_request *request);\n"
                     "\n#endif\n");
    emitted_add(emitted, "rules.h", out);
}

/* ---- one rule -------------------------------------------------------------------------------- */

/* The rule that is being written, and where its tokens' arguments stand. */
struct writer {
    const struct layout *layout;
    const struct model_rule *rule;
    const struct layout_rule *placed;
    struct buffer *out;
    struct rule_shape shape;
};

/* The argument of token `at`, as an expression: counted from the end behind a `...` slot. */
static const char *argument_of(const struct writer *writer, size_t at, char text[64])
{
    struct buffer name = {0};
    if (at < writer->shape.rest)
        buffer_format(&name, "argument[%zu]", at);
    else if (at == writer->shape.rest)
        buffer_puts(&name, "argument[at]");
    else
        buffer_format(&name, "argument[request->count - %zu]", writer->rule->token_count - at);
    memcpy(text, name.text, name.length + 1); /* a number of at most three digits */
    buffer_free(&name);
    return text;
}

static void count_check_add(const struct writer *writer)
{
    const struct rule_shape *shape = &writer->shape;
    if (shape->minimum == shape->maximum)
        buffer_format(writer->out, "    if (request->count != %u", shape->minimum);
    else
        buffer_format(writer->out, "    if (request->count < %u || request->count > %u",
                      shape->minimum, shape->maximum);
}

static void word_checks_add(const struct writer *writer)
{
    char argument[64];
    for (size_t i = 0; i < writer->rule->token_count; i++) {
        const struct model_token *token = &writer->rule->tokens[i];
        if (token->kind == TOKEN_LITERAL) {
            buffer_format(writer->out, " ||\n        !is_word(%s, WORD(\"",
                          argument_of(writer, i, argument));
            buffer_c_string(writer->out, token->pieces[0].literal, token->pieces[0].literal_length);
            buffer_puts(writer->out, "\"))");
        } else if (token->kind == TOKEN_EXPANSION) {
            const char *name = writer->layout->expansions[token->expansion_index];
            buffer_format(writer->out,
                          " ||\n        !is_word(%s, request->expansions[%s].bytes,\n"
                          "                 request->expansions[%s].length)",
                          argument_of(writer, i, argument), name, name);
        }
    }
    buffer_puts(writer->out, ")\n        return POLICY_NO;\n");
}

static void slot_comment_add(const struct writer *writer, const char *indent, uint32_t slot)
{
    const struct model_slot *what = &writer->rule->slots[slot];
    buffer_format(writer->out, "%s/* #", indent);
    comment_text(writer->out, what->name, strlen(what->name));
    buffer_puts(writer->out, ": ");
    comment_text(writer->out, what->description, strlen(what->description));
    buffer_puts(writer->out, " */\n");
}

static const char *dash_of(const struct model_slot *slot)
{
    return slot->allow_dash ? "DASH_ALLOWED" : "DASH_REFUSED";
}

static const char *function_of(const struct accept *accept)
{
    return accept ? accept->name : "NULL";
}

static void value_add(const struct writer *writer, size_t at, const char *indent)
{
    char argument[64];
    uint32_t slot = writer->rule->tokens[at].pieces[0].slot;
    const struct model_slot *what = &writer->rule->slots[slot];
    slot_comment_add(writer, indent, slot);
    buffer_format(writer->out,
                  "%sverdict = slot_verdict(verdict, refusing, %u, %s, %s, %u,\n%s%*s%s);\n", indent,
                  slot, function_of(layout_language(writer->layout, what->language)),
                  argument_of(writer, at, argument), what->max_bytes, indent, 23, "",
                  dash_of(what));
}

static void rest_add(const struct writer *writer, size_t at)
{
    size_t behind = writer->rule->token_count - at - 1;
    buffer_format(writer->out,
                  "    for (uint32_t at = %zu; at < request->count", at);
    if (behind)
        buffer_format(writer->out, " - %zu", behind);
    buffer_puts(writer->out, " && verdict != POLICY_NO; at++) {\n");
    value_add(writer, at, "        ");
    buffer_puts(writer->out, "    }\n");
}

/* A token of literals and slots. With one slot its length is exact. With several, only the token's
 * length is known here: a slot counts as too long when the others, at their shortest, would leave it
 * more than its cap; and a first slot that may be empty counts as beginning where the token does. So
 * a value that is over its cap never passes; two values that share more than a cap may be refused
 * although each is within it. */
static void mixed_add(const struct writer *writer, size_t at)
{
    const struct model_token *token = &writer->rule->tokens[at];
    char argument[64];
    argument_of(writer, at, argument);
    uint32_t first = UINT32_MAX;
    for (size_t i = 0; i < token->piece_count; i++) {
        if (!token->pieces[i].is_slot)
            continue;
        slot_comment_add(writer, "    ", token->pieces[i].slot);
        if (first == UINT32_MAX)
            first = token->pieces[i].slot;
    }
    buffer_format(writer->out, "    verdict = token_verdict(verdict, refusing, %u, %s, %s);\n", first,
                  function_of(writer->placed->tokens[at]), argument);
    for (size_t i = 0; i < token->piece_count; i++) {
        if (!token->pieces[i].is_slot)
            continue;
        const struct model_slot *what = &writer->rule->slots[token->pieces[i].slot];
        buffer_format(writer->out,
                      "    verdict = part_verdict(verdict, refusing, %u, %s, %zu, %u, %s);\n",
                      token->pieces[i].slot, argument, token_least_beside(writer->rule, token, i),
                      what->max_bytes, dash_of(what));
    }
}

static void rule_emit(const struct layout *layout, size_t index, struct buffer *out)
{
    struct writer writer = {layout, &layout->model->rules[index], &layout->rules[index], out,
                            rule_shape(&layout->model->rules[index])};
    const struct model_rule *rule = writer.rule;
    buffer_puts(out, "\n/* ");
    comment_text(out, rule->text, strlen(rule->text));
    buffer_format(out,
                  " */\nenum policy_verdict rule_%s(\n"
                  "    const struct policy_request *request, uint32_t *refusing)\n"
                  "{\n    const struct policy_bytes *argument = request->arguments;\n",
                  writer.placed->name);
    buffer_puts(out, rule->slot_count ? "    enum policy_verdict verdict = POLICY_YES;\n\n"
                                      : "\n    (void)refusing;\n");
    count_check_add(&writer);
    word_checks_add(&writer);
    for (size_t i = 0; i < rule->token_count; i++) {
        if (rule->tokens[i].kind == TOKEN_SLOT)
            value_add(&writer, i, "    ");
        else if (rule->tokens[i].kind == TOKEN_REST)
            rest_add(&writer, i);
        else if (rule->tokens[i].kind == TOKEN_MIXED)
            mixed_add(&writer, i);
    }
    buffer_puts(out, rule->slot_count ? "    return verdict;\n}\n" : "    return POLICY_YES;\n}\n");
}

static void values_emit(struct emitted *emitted, const struct layout *layout, struct buffer *out)
{
    emitted_head(out, layout->model,
                 "How a rule looks at words and at slots' values: what it refuses although the slot's\n"
                 "pattern accepts is a leading dash, and a value over its cap.");
    buffer_puts(out, values_text);
    emitted_add(emitted, "values.c", out);
}

void rules_emit(struct emitted *emitted, const struct layout *layout)
{
    struct buffer out = {0};
    header_emit(emitted, layout, &out);
    values_emit(emitted, layout, &out);
    for (size_t i = 0; i < layout->share_count; i++) {
        const struct layout_share *share = &layout->shares[i];
        emitted_head(&out, layout->model,
                     "Whether a rule takes a request: the number of arguments, the words, then what\n"
                     "each slot accepts. Each rule is told by its function alone.");
        buffer_puts(&out, "#include \"rules.h\"\n");
        for (size_t k = 0; k < share->count; k++)
            rule_emit(layout, share->first + k, &out);
        emitted_add(emitted, share->file, &out);
    }
    buffer_free(&out);
}
