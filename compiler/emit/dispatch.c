#include "compiler/emit/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/table.h"
#include "compiler/emit/emitted.h"
#include "compiler/emit/layout.h"
#include "compiler/emit/words.h"
#include "compiler/policy/model.h"

/* What a rule has at some place, as far as dispatch can look at it. */
struct word {
    const char *bytes; /* NULL: no literal there */
    size_t length;
};

struct builder {
    struct arena *arena;
    const struct model *model;
    const struct rule_shape *shapes;
    bool by_hash;
    uint64_t *keys; /* scratch, one for each rule of a node */
};

/* A way to divide a node's rules, and how well it does. */
struct division {
    enum dispatch_kind kind;
    uint32_t position;
    double cost; /* rules that a request aimed at one of them is expected to be asked about */
    size_t groups;
};

uint32_t dispatch_hash(const char *bytes, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}

static struct word rule_word(const struct builder *builder, uint32_t rule, enum dispatch_kind kind,
                             uint32_t position)
{
    const struct model_rule *which = &builder->model->rules[rule];
    size_t rest = builder->shapes[rule].rest, count = which->token_count, at = position;
    if (position >= count)
        return (struct word){NULL, 0};
    if (kind == DISPATCH_BACK)
        at = count - 1 - position;
    if (rest != SIZE_MAX && (kind == DISPATCH_FRONT ? at >= rest : at <= rest))
        return (struct word){NULL, 0};
    const struct model_token *token = &which->tokens[at];
    if (token->kind != TOKEN_LITERAL)
        return (struct word){NULL, 0};
    return (struct word){token->pieces[0].literal, token->pieces[0].literal_length};
}

/* A number for what a rule has there: equal for equal words. False when it has none. */
static bool rule_key(const struct builder *builder, uint32_t rule, enum dispatch_kind kind,
                     uint32_t position, uint64_t *key)
{
    if (kind == DISPATCH_COUNT) {
        *key = builder->shapes[rule].minimum;
        return builder->shapes[rule].minimum == builder->shapes[rule].maximum;
    }
    struct word word = rule_word(builder, rule, kind, position);
    if (!word.bytes)
        return false;
    *key = (uint64_t)word.length << 32 | dispatch_hash(word.bytes, word.length);
    return true;
}

/* ---- the choice of a division ---------------------------------------------------------------- */

static int keys_compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static struct division division_weigh(const struct builder *builder, const uint32_t *rules,
                                      size_t count, enum dispatch_kind kind, uint32_t position)
{
    struct division division = {kind, position, 0, 0};
    size_t keyed = 0;
    for (size_t i = 0; i < count; i++)
        keyed += rule_key(builder, rules[i], kind, position, &builder->keys[keyed]);
    qsort(builder->keys, keyed, sizeof *builder->keys, keys_compare);
    double squares = 0;
    for (size_t first = 0, i = 1; i <= keyed; i++) {
        if (i < keyed && builder->keys[i] == builder->keys[first])
            continue;
        squares += (double)(i - first) * (double)(i - first);
        division.groups++;
        first = i;
    }
    division.cost = squares / (double)count + (double)(count - keyed);
    return division;
}

/* The first division that comes near the best one: so that one rule more seldom changes the tree's
 * shape. The program's name comes first wherever it divides at all, as people think of it. False when
 * none is worth its own cost. */
static bool division_choose(const struct builder *builder, const uint32_t *rules, size_t count,
                            struct division *chosen)
{
    uint32_t longest = 0;
    for (size_t i = 0; i < count; i++)
        if (builder->model->rules[rules[i]].token_count > longest)
            longest = (uint32_t)builder->model->rules[rules[i]].token_count;

    size_t made = 0;
    struct division *all = memory_zeroed(2 * (size_t)longest + 1, sizeof *all);
    for (uint32_t position = 0; position < longest; position++)
        all[made++] = division_weigh(builder, rules, count, DISPATCH_FRONT, position);
    for (uint32_t position = 0; position < longest; position++)
        all[made++] = division_weigh(builder, rules, count, DISPATCH_BACK, position);
    all[made++] = division_weigh(builder, rules, count, DISPATCH_COUNT, 0);

    double best = (double)count;
    for (size_t i = 0; i < made; i++)
        if (all[i].groups && all[i].cost < best)
            best = all[i].cost;
    bool found = false;
    for (size_t i = 0; i < made && !found; i++) {
        bool program = i == 0 && all[i].groups > 1;
        found = program || (all[i].groups && all[i].cost + DISPATCH_LEAF <= (double)count &&
                            all[i].cost <= 2 * best + DISPATCH_LEAF);
        if (found)
            *chosen = all[i];
    }
    free(all);
    return found;
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* Rules that share a word. */
struct group {
    uint32_t *rules;
    size_t count, capacity;
    struct dispatch_branch branch;
};

static void group_add(const struct builder *builder, struct group *group, uint32_t rule)
{
    arena_grow(builder->arena, &group->rules, &group->capacity, group->count + 1,
               sizeof *group->rules);
    group->rules[group->count++] = rule;
}

/* The group of a rule, made when it is the first of its word. */
static struct group *group_of(const struct builder *builder, struct table *known,
                              struct group **groups, size_t *count, uint32_t rule,
                              const struct division *by)
{
    struct dispatch_branch branch = {0};
    const void *key = &branch.hash;
    size_t key_length = sizeof branch.hash;
    if (by->kind == DISPATCH_COUNT) {
        branch.hash = builder->shapes[rule].minimum;
    } else {
        struct word word = rule_word(builder, rule, by->kind, by->position);
        branch.word = word.bytes;
        branch.length = word.length;
        branch.hash = dispatch_hash(word.bytes, word.length);
        if (!builder->by_hash) {
            key = word.bytes;
            key_length = word.length;
        }
    }
    struct group *group = table_find(known, key, key_length);
    if (!group) {
        group = arena_alloc(builder->arena, sizeof *group);
        group->branch = branch;
        if (key == &branch.hash)
            key = &group->branch.hash;
        table_add(builder->arena, known, key, key_length, group);
        groups[(*count)++] = group;
    }
    if (branch.length > group->branch.longest)
        group->branch.longest = branch.length;
    return group;
}

static const struct dispatch_node *node_build(const struct builder *builder, const uint32_t *rules,
                                              size_t count, uint32_t depth);

static void node_divide(const struct builder *builder, struct dispatch_node *node,
                        const uint32_t *rules, size_t count, const struct division *by,
                        uint32_t depth)
{
    struct table known = {0};
    struct group rest = {0};
    struct group **groups = arena_array(builder->arena, count, sizeof(struct group *));
    size_t group_count = 0;
    uint64_t key;
    for (size_t i = 0; i < count; i++) {
        bool keyed = rule_key(builder, rules[i], by->kind, by->position, &key);
        group_add(builder,
                  keyed ? group_of(builder, &known, groups, &group_count, rules[i], by) : &rest,
                  rules[i]);
    }
    struct dispatch_branch *branches = arena_array(builder->arena, group_count, sizeof *branches);
    for (size_t i = 0; i < group_count; i++) {
        branches[i] = groups[i]->branch;
        branches[i].child =
            node_build(builder, groups[i]->rules, groups[i]->count, depth + 1);
        if (branches[i].child->depth + 1 > node->depth)
            node->depth = branches[i].child->depth + 1;
    }
    node->branches = branches;
    node->branch_count = group_count;
    if (rest.count) {
        node->rest = node_build(builder, rest.rules, rest.count, depth + 1);
        if (node->rest->depth > node->depth)
            node->depth = node->rest->depth;
    }
}

/* Recurses DISPATCH_DEPTH_MAX deep at most. */
static const struct dispatch_node *node_build(const struct builder *builder, const uint32_t *rules,
                                              size_t count, uint32_t depth)
{
    struct dispatch_node *node = arena_alloc(builder->arena, sizeof *node);
    struct division by;
    node->rule_count = count;
    if (count > DISPATCH_LEAF && depth < DISPATCH_DEPTH_MAX &&
        division_choose(builder, rules, count, &by)) {
        node->kind = by.kind;
        node->position = by.position;
        node_divide(builder, node, rules, count, &by, depth);
    } else {
        node->kind = DISPATCH_LIST;
        node->rules = rules;
    }
    return node;
}

const struct dispatch_node *dispatch_build(struct arena *arena, const struct model *model,
                                           bool by_hash)
{
    size_t count = model->rule_count;
    struct rule_shape *shapes = arena_array(arena, count, sizeof *shapes);
    uint32_t *rules = arena_array(arena, count, sizeof *rules);
    for (size_t i = 0; i < count; i++) {
        shapes[i] = rule_shape(&model->rules[i]);
        rules[i] = (uint32_t)i;
    }
    struct builder builder = {arena, model, shapes, by_hash,
                              arena_array(arena, count, sizeof(uint64_t))};
    return node_build(&builder, rules, count, 0);
}

/* ---- dispatch.c ------------------------------------------------------------------------------ */

static const char search_text[] =
    "#include \"rules.h\"\n"
    "\n"
    "/* A search among the rules, and the best decision so far. */\n"
    "struct search {\n"
    "    const struct policy_request *request;\n"
    "    struct policy_decision decision;\n"
    "};\n"
    "\n"
    "/* Asks one rule. The first rule that accepts decides; where none does, the first that would have\n"
    " * but for a leading dash or the like. Rules may be asked in any order. */\n"
    "static void ask(struct search *search, uint32_t rule, rule_function *function)\n"
    "{\n"
    "    const struct policy_decision *so_far = &search->decision;\n"
    "    if (so_far->verdict == POLICY_YES && so_far->rule < rule)\n"
    "        return;\n"
    "    uint32_t slot = 0;\n"
    "    enum policy_verdict verdict = function(search->request, &slot);\n"
    "    if (verdict == POLICY_YES ||\n"
    "        (verdict != POLICY_NO && (so_far->verdict == POLICY_NO ||\n"
    "                                  (so_far->verdict != POLICY_YES && rule < so_far->rule))))\n"
    "        search->decision = (struct policy_decision){verdict, rule, slot};\n"
    "}\n"
    "\n";

void dispatch_emit(struct emitted *emitted, const struct layout *layout)
{
    struct arena *arena = emitted->arena;
    struct buffer out = {0};
    emitted_head(&out, layout->model,
                 "Which rules are asked about a request. This only narrows: each rule is asked in one\n"
                 "place, and its own function decides.");
    buffer_puts(&out, search_text);
    const struct dispatch_node *root = dispatch_build(arena, layout->model, false);
    if (layout->model->rule_count <= DISPATCH_CODE_RULES && root->depth <= DISPATCH_CODE_DEPTH)
        dispatch_code_add(&out, layout, root);
    else
        dispatch_table_add(arena, &out, layout, dispatch_build(arena, layout->model, true));
    emitted_add(emitted, "dispatch.c", &out);
    buffer_free(&out);
}
