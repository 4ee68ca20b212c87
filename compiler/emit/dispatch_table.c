/* Dispatch as hash tables that one small function walks, for policies of many rules. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/emit/dispatch.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/names.h"

static const char walk_text[] =
    "/* Where the search goes on: nowhere, at one rule (its number + 1), or at a step. */\n"
    "typedef uint16_t target;\n"
    "#define ONE(rule) (RULE_##rule + 1)\n"
    "#define STEP_BIT 0x8000u\n"
    "#define STEP(name) (STEP_BIT | STEP_##name)\n"
    "\n"
    "/* A place of a hash table with open addressing; target 0: empty. Words are not compared here: the\n"
    " * rules' own functions do that. */\n"
    "struct bucket {\n"
    "    uint32_t hash;\n"
    "    target target;\n"
    "};\n"
    "\n"
    "enum look { LOOK_RULES, LOOK_COUNT, LOOK_FRONT, LOOK_BACK };\n"
    "\n"
    "/* One step of the search. LOOK_RULES: ask all of `rules` (0 ends them). Else look at the number of\n"
    " * arguments, or at one argument, counted from the front or from the end; go where the table says,\n"
    " * and to `rest` as well. */\n"
    "struct step {\n"
    "    uint8_t look;\n"
    "    uint8_t position;\n"
    "    target rest;\n"
    "    uint32_t longest; /* no word in the table has more bytes */\n"
    "    uint32_t mask;    /* buckets - 1, a power of two less one */\n"
    "    const struct bucket *buckets;\n"
    "    const target *rules;\n"
    "};\n"
    "\n";

static const char walk_code[] =
    "/* FNV-1a. */\n"
    "static uint32_t hash_of(struct policy_bytes word)\n"
    "{\n"
    "    uint32_t hash = 2166136261u;\n"
    "    for (uint32_t at = 0; at < word.length; at++)\n"
    "        hash = (hash ^ (unsigned char)word.bytes[at]) * 16777619u;\n"
    "    return hash;\n"
    "}\n"
    "\n"
    "/* What a step's table says of the request; 0 where it says nothing. */\n"
    "static target step_branch(const struct step *step, const struct policy_request *request)\n"
    "{\n"
    "    uint32_t hash = request->count;\n"
    "    if (step->look != LOOK_COUNT) {\n"
    "        if (step->position >= request->count)\n"
    "            return 0;\n"
    "        struct policy_bytes word =\n"
    "            request->arguments[step->look == LOOK_FRONT ? step->position\n"
    "                                                        : request->count - 1 - step->position];\n"
    "        if (word.length > step->longest)\n"
    "            return 0;\n"
    "        hash = hash_of(word);\n"
    "    }\n"
    "    uint32_t at = hash & step->mask;\n"
    "    while (step->buckets[at].target && step->buckets[at].hash != hash)\n"
    "        at = (at + 1) & step->mask;\n"
    "    return step->buckets[at].target;\n"
    "}\n"
    "\n"
    "/* Calls itself as deep as steps are nested, which is 48 at most. */\n"
    "static void walk(struct search *search, target to)\n"
    "{\n"
    "    while (to) {\n"
    "        if (to < STEP_BIT) {\n"
    "            ask(search, to - 1u, rule_functions[to - 1]);\n"
    "            return;\n"
    "        }\n"
    "        const struct step *step = &steps[to & ~STEP_BIT];\n"
    "        if (step->look == LOOK_RULES)\n"
    "            for (const target *rule = step->rules; *rule; rule++)\n"
    "                ask(search, *rule - 1u, rule_functions[*rule - 1]);\n"
    "        else\n"
    "            walk(search, step_branch(step, search->request));\n"
    "        to = step->rest;\n"
    "    }\n"
    "}\n"
    "\n"
    "struct policy_decision dispatch(const struct policy_request *request)\n"
    "{\n"
    "    struct search search = {request, {POLICY_NO, 0, 0}};\n"
    "    walk(&search, FIRST);\n"
    "    return search.decision;\n"
    "}\n";

/* A node that is a step, and its name. */
struct named_step {
    const struct dispatch_node *node;
    const char *name;
    const char *rest; /* targets, as expressions */
    const char **children;
};

struct writer {
    struct arena *arena;
    const struct layout *layout;
    struct named_step *steps;
    size_t count, capacity;
    struct table names; /* taken ones */
};

/* The generated text says how deep the walk nests. */
_Static_assert(DISPATCH_DEPTH_MAX == 48, "walk_code names this number");

/* A step's name: the words on the way to it, and a hash of that way. */
static const char *step_name(struct writer *writer, const char *path, size_t length)
{
    struct buffer words = {0};
    name_add_word(&words, path, length);
    const char *name = arena_format(writer->arena, "%s_%s", buffer_text(&words),
                                    name_hash(writer->arena, path, length));
    buffer_free(&words);
    while (table_find(&writer->names, name, strlen(name)))
        name = arena_format(writer->arena, "%s_%s", name,
                            name_hash(writer->arena, name, strlen(name)));
    table_add(writer->arena, &writer->names, name, strlen(name), writer);
    return name;
}

static const char *target_add(struct writer *writer, const struct dispatch_node *node,
                              struct buffer *path);

/* The same for a node below: `path` is extended for it, and is as it was afterwards. */
static const char *child_add(struct writer *writer, const struct dispatch_node *node,
                             struct buffer *path, const char *how, uint32_t position,
                             const struct dispatch_branch *branch)
{
    size_t before = path->length;
    buffer_format(path, "%s%s %u ", *how ? " " : "", how, position);
    if (branch && branch->word)
        buffer_add(path, branch->word, branch->length);
    else if (branch)
        buffer_format(path, "%u", branch->hash);
    const char *target = target_add(writer, node, path);
    path->length = before;
    path->text[before] = '\0';
    return target;
}

/* The target of a node, as an expression; its step is added, its children's after it. */
static const char *target_add(struct writer *writer, const struct dispatch_node *node,
                              struct buffer *path)
{
    if (node->kind == DISPATCH_LIST && node->rule_count == 1)
        return arena_format(writer->arena, "ONE(%s)",
                            writer->layout->rules[node->rules[0]].name);
    arena_grow(writer->arena, &writer->steps, &writer->capacity, writer->count + 1,
               sizeof *writer->steps);
    size_t own = writer->count++;
    const char *name = step_name(writer, buffer_text(path), path->length);
    const char **children = arena_array(writer->arena, node->branch_count, sizeof *children);
    static const char *const how[] = {"", "count", "", "back"};
    for (size_t i = 0; i < node->branch_count; i++)
        children[i] = child_add(writer, node->branches[i].child, path, how[node->kind],
                                node->position, &node->branches[i]);
    const char *rest = node->rest ? child_add(writer, node->rest, path, "rest", node->position, NULL)
                                  : "0";
    writer->steps[own] = (struct named_step){node, name, rest, children};
    return arena_format(writer->arena, "STEP(%s)", name);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int branches_compare(const void *a, const void *b)
{
    const struct dispatch_branch *const *left = a, *const *right = b;
    return (*left)->hash < (*right)->hash ? -1 : (*left)->hash > (*right)->hash;
}

static size_t bucket_count(const struct dispatch_node *node)
{
    size_t count = 2;
    while (count < 2 * node->branch_count)
        count *= 2;
    return count;
}

/* Branches are placed in the order of their hashes, so that the table does not depend on the order
 * of the rules. */
static void buckets_add(struct writer *writer, struct buffer *out, const struct named_step *step)
{
    const struct dispatch_node *node = step->node;
    size_t count = bucket_count(node);
    const struct dispatch_branch **sorted =
        arena_array(writer->arena, node->branch_count, sizeof *sorted);
    const struct dispatch_branch **buckets = arena_array(writer->arena, count, sizeof *buckets);
    for (size_t i = 0; i < node->branch_count; i++)
        sorted[i] = &node->branches[i];
    qsort(sorted, node->branch_count, sizeof *sorted, branches_compare);
    for (size_t i = 0; i < node->branch_count; i++) {
        size_t at = sorted[i]->hash & (count - 1);
        while (buckets[at])
            at = (at + 1) & (count - 1);
        buckets[at] = sorted[i];
    }
    buffer_format(out, "static const struct bucket buckets_%s[%zu] = {\n", step->name, count);
    for (size_t at = 0; at < count; at++) {
        if (!buckets[at])
            continue;
        buffer_format(out, "    [%zu] = {0x%08x, %s},", at, buckets[at]->hash,
                      step->children[buckets[at] - node->branches]);
        if (buckets[at]->word) {
            buffer_puts(out, " /* ");
            comment_text(out, buckets[at]->word, buckets[at]->length);
            buffer_puts(out, " */");
        }
        buffer_char(out, '\n');
    }
    buffer_puts(out, "};\n\n");
}

static void list_add(const struct writer *writer, struct buffer *out, const struct named_step *step)
{
    buffer_format(out, "static const target rules_%s[] = {\n", step->name);
    for (size_t i = 0; i < step->node->rule_count; i++)
        buffer_format(out, "    ONE(%s),\n",
                      writer->layout->rules[step->node->rules[i]].name);
    buffer_puts(out, "    0,\n};\n\n");
}

static void step_add(struct buffer *out, const struct named_step *step)
{
    const struct dispatch_node *node = step->node;
    if (node->kind == DISPATCH_LIST) {
        buffer_format(out, "    [STEP_%s] = {.look = LOOK_RULES, .rules = rules_%s},\n", step->name,
                      step->name);
        return;
    }
    static const char *const look[] = {"", "LOOK_COUNT", "LOOK_FRONT", "LOOK_BACK"};
    size_t longest = 0;
    for (size_t i = 0; i < node->branch_count; i++)
        if (node->branches[i].longest > longest)
            longest = node->branches[i].longest;
    buffer_format(out,
                  "    [STEP_%s] = {\n"
                  "        .look = %s, .position = %u, .rest = %s,\n"
                  "        .longest = %zu, .mask = %zu, .buckets = buckets_%s,\n"
                  "    },\n",
                  step->name, look[node->kind], node->position, step->rest, longest,
                  bucket_count(node) - 1, step->name);
}

void dispatch_table_add(struct arena *arena, struct buffer *out, const struct layout *layout,
                        const struct dispatch_node *root)
{
    struct writer writer = {.arena = arena, .layout = layout};
    struct buffer path = {0};
    const char *first = target_add(&writer, root, &path);
    buffer_free(&path);

    buffer_puts(out, walk_text);
    buffer_puts(out, "enum step_number {\n");
    for (size_t i = 0; i < writer.count; i++)
        buffer_format(out, "    STEP_%s,\n", writer.steps[i].name);
    buffer_puts(out, "    STEP_COUNT\n};\n\n");
    for (size_t i = 0; i < writer.count; i++) {
        if (writer.steps[i].node->kind == DISPATCH_LIST)
            list_add(&writer, out, &writer.steps[i]);
        else
            buckets_add(&writer, out, &writer.steps[i]);
    }
    buffer_puts(out, "static const struct step steps[STEP_COUNT] = {\n");
    for (size_t i = 0; i < writer.count; i++)
        step_add(out, &writer.steps[i]);
    buffer_puts(out, "};\n\nstatic rule_function *const rule_functions[RULE_COUNT] = {\n");
    for (size_t i = 0; i < layout->model->rule_count; i++)
        buffer_format(out, "    [RULE_%s] = rule_%s,\n", layout->rules[i].name,
                      layout->rules[i].name);
    buffer_format(out, "};\n\n#define FIRST %s\n\n", first);
    buffer_puts(out, walk_code);
}
