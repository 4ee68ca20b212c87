/* Dispatch as nested ifs, for policies that a person reads whole. */
#include "compiler/base/buffer.h"
#include "compiler/emit/dispatch.h"
#include "compiler/emit/layout.h"

/* Branches above which the word's length is looked at first. */
#define IFS_MAX 5u

struct writer {
    const struct layout *layout;
    struct buffer *out;
};

static void indent_add(const struct writer *writer, unsigned level)
{
    buffer_format(writer->out, "%*s", (int)(4 * level), "");
}

static void argument_add(const struct writer *writer, const struct dispatch_node *node)
{
    if (node->kind == DISPATCH_FRONT)
        buffer_format(writer->out, "argument[%u]", node->position);
    else
        buffer_format(writer->out, "argument[request->count - %u]", node->position + 1);
}

static void node_add(const struct writer *writer, const struct dispatch_node *node, unsigned level);

/* `if (...) {` of one branch; the caller has indented. */
static void branch_test_add(const struct writer *writer, const struct dispatch_node *node,
                            const struct dispatch_branch *branch)
{
    if (node->kind == DISPATCH_COUNT) {
        buffer_format(writer->out, "if (request->count == %u) {\n", branch->hash);
        return;
    }
    buffer_puts(writer->out, "if (is_word(");
    argument_add(writer, node);
    buffer_puts(writer->out, ", WORD(\"");
    buffer_c_string(writer->out, branch->word, branch->length);
    buffer_puts(writer->out, "\"))) {\n");
}

/* Those branches whose words have this length (SIZE_MAX: all), as one chain of ifs. */
static void chain_add(const struct writer *writer, const struct dispatch_node *node, size_t length,
                      unsigned level)
{
    bool first = true;
    for (size_t i = 0; i < node->branch_count; i++) {
        const struct dispatch_branch *branch = &node->branches[i];
        if (length != SIZE_MAX && branch->length != length)
            continue;
        if (first)
            indent_add(writer, level);
        else
            buffer_puts(writer->out, " else ");
        first = false;
        branch_test_add(writer, node, branch);
        node_add(writer, branch->child, level + 1);
        indent_add(writer, level);
        buffer_char(writer->out, '}');
    }
    buffer_char(writer->out, '\n');
}

static bool length_is_new(const struct dispatch_node *node, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (node->branches[i].length == node->branches[at].length)
            return false;
    return true;
}

static void switch_add(const struct writer *writer, const struct dispatch_node *node,
                       unsigned level)
{
    indent_add(writer, level);
    buffer_puts(writer->out, "switch (");
    argument_add(writer, node);
    buffer_puts(writer->out, ".length) {\n");
    for (size_t i = 0; i < node->branch_count; i++) {
        if (!length_is_new(node, i))
            continue;
        indent_add(writer, level);
        buffer_format(writer->out, "case %zu:\n", node->branches[i].length);
        chain_add(writer, node, node->branches[i].length, level + 1);
        indent_add(writer, level + 1);
        buffer_puts(writer->out, "break;\n");
    }
    indent_add(writer, level);
    buffer_puts(writer->out, "}\n");
}

/* Recurses as deep as the tree: DISPATCH_CODE_DEPTH. */
static void node_add(const struct writer *writer, const struct dispatch_node *node, unsigned level)
{
    for (; node; node = node->rest) {
        if (node->kind == DISPATCH_LIST) {
            for (size_t i = 0; i < node->rule_count; i++) {
                indent_add(writer, level);
                buffer_format(writer->out, "ASK(%s);\n",
                              writer->layout->rules[node->rules[i]].name);
            }
            continue;
        }
        /* There always is an argv[0]: no count to look at. */
        bool guarded = node->kind != DISPATCH_COUNT && node->position > 0;
        if (guarded) {
            indent_add(writer, level);
            buffer_format(writer->out, "if (request->count > %u) {\n", node->position);
        }
        if (node->kind != DISPATCH_COUNT && node->branch_count > IFS_MAX)
            switch_add(writer, node, level + guarded);
        else
            chain_add(writer, node, SIZE_MAX, level + guarded);
        if (guarded) {
            indent_add(writer, level);
            buffer_puts(writer->out, "}\n");
        }
    }
}

void dispatch_code_add(struct buffer *out, const struct layout *layout,
                       const struct dispatch_node *root)
{
    struct writer writer = {layout, out};
    buffer_puts(out, "#define ASK(rule) ask(&search, RULE_##rule, rule_##rule)\n"
                     "\n"
                     "struct policy_decision dispatch(const struct policy_request *request)\n"
                     "{\n");
    if (root->kind != DISPATCH_LIST && root->kind != DISPATCH_COUNT)
        buffer_puts(out, "    const struct policy_bytes *argument = request->arguments;\n");
    buffer_puts(out, "    struct search search = {request, {POLICY_NO, 0, 0}};\n\n");
    node_add(&writer, root, 1);
    buffer_puts(out, "    return search.decision;\n}\n");
}
