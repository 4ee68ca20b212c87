#include "compiler/emit/simplify.h"

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

static struct pattern *node_new(struct arena *arena, enum pattern_kind kind, size_t capacity)
{
    struct pattern *node = arena_alloc(arena, sizeof *node);
    node->kind = kind;
    node->children = arena_array(arena, capacity, sizeof(struct pattern *));
    return node;
}

/* Only readers see a simplified tree, so that sharing children with the original is safe. */
static void node_adopt(struct pattern *node, const struct pattern *child)
{
    node->children[node->child_count++] = (struct pattern *)child;
}

const struct pattern *tree_concat(struct arena *arena, const struct pattern *const *children,
                                  size_t count)
{
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++)
        capacity += children[i]->kind == PATTERN_CONCAT ? children[i]->child_count : 1;
    struct pattern *node = node_new(arena, PATTERN_CONCAT, capacity);
    for (size_t i = 0; i < count; i++) {
        if (children[i]->kind == PATTERN_CONCAT)
            for (size_t k = 0; k < children[i]->child_count; k++)
                node_adopt(node, children[i]->children[k]);
        else if (children[i]->kind != PATTERN_EMPTY)
            node_adopt(node, children[i]);
    }
    if (node->child_count == 0)
        node->kind = PATTERN_EMPTY;
    return node->child_count == 1 ? node->children[0] : node;
}

/* Whether X{c,d} taken a to b times is X{ac,bd}: no number between is left out. */
static bool repeats_merge(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (a == b)
        return true;
    if (d == PATTERN_REPEAT_NONE)
        return a > 0 || c <= 1;
    return a * d + 1 >= (a + 1) * c; /* grows with a, so the next ones hold too */
}

static bool repeat_product(uint32_t a, uint32_t b, uint32_t *product)
{
    if (a == 0 || b == 0)
        *product = 0;
    else if (a == PATTERN_REPEAT_NONE || b == PATTERN_REPEAT_NONE)
        *product = PATTERN_REPEAT_NONE;
    else if ((uint64_t)a * b >= PATTERN_REPEAT_NONE)
        return false;
    else
        *product = a * b;
    return true;
}

const struct pattern *tree_repeat(struct arena *arena, const struct pattern *child,
                                  uint32_t minimum, uint32_t maximum)
{
    if (minimum == 1 && maximum == 1)
        return child;
    struct pattern *node = node_new(arena, PATTERN_REPEAT, 1);
    if (maximum == 0 || child->kind == PATTERN_EMPTY) {
        node->kind = PATTERN_EMPTY;
        return node;
    }
    node->minimum = minimum;
    node->maximum = maximum;
    uint32_t least, most;
    if (child->kind == PATTERN_REPEAT &&
        repeats_merge(minimum, maximum, child->minimum, child->maximum) &&
        repeat_product(minimum, child->minimum, &least) &&
        repeat_product(maximum, child->maximum, &most)) {
        node->minimum = least;
        node->maximum = most;
        child = child->children[0];
    }
    node_adopt(node, child);
    return node;
}

const struct pattern *tree_literal(struct arena *arena, const char *bytes, size_t length)
{
    struct pattern *node = node_new(arena, PATTERN_CONCAT, length);
    for (size_t at = 0; at < length;) {
        uint32_t scalar;
        at += utf8_decode(bytes + at, length - at, &scalar);
        struct pattern *set = node_new(arena, PATTERN_SET, 0);
        set->set = charset_range(arena, scalar, scalar);
        node_adopt(node, set);
    }
    return tree_concat(arena, (const struct pattern *const[]){node}, 1);
}

/* ---- simplification -------------------------------------------------------------------------- */

/* U+0000 ends a value, and surrogates cannot occur in one. */
static const struct pattern *set_simplify(struct arena *arena, const struct pattern *tree)
{
    struct charset possible =
        charset_union(arena, charset_range(arena, 1, 0xD7FF), charset_range(arena, 0xE000, SCALAR_MAX));
    struct charset set = charset_intersect(arena, tree->set, possible);
    if (!set.count)
        return NULL;
    struct pattern *node = node_new(arena, PATTERN_SET, 0);
    node->set = set;
    return node;
}

static const struct pattern *concat_simplify(struct arena *arena, const struct pattern *tree)
{
    const struct pattern **children = arena_array(arena, tree->child_count, sizeof *children);
    for (size_t i = 0; i < tree->child_count; i++) {
        children[i] = tree_simplify(arena, tree->children[i]);
        if (!children[i])
            return NULL;
    }
    return tree_concat(arena, children, tree->child_count);
}

static void alternate_adopt(struct arena *arena, struct pattern *node, struct pattern **set,
                            const struct pattern *child)
{
    if (child->kind != PATTERN_SET) {
        node_adopt(node, child);
    } else if (*set) {
        (*set)->set = charset_union(arena, (*set)->set, child->set);
    } else {
        *set = node_new(arena, PATTERN_SET, 0);
        (*set)->set = child->set;
        node_adopt(node, *set);
    }
}

const struct pattern *tree_alternate(struct arena *arena, const struct pattern *const *children,
                                     size_t count)
{
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++)
        capacity += children[i]->kind == PATTERN_ALTERNATE ? children[i]->child_count : 1;
    struct pattern *node = node_new(arena, PATTERN_ALTERNATE, capacity);
    struct pattern *set = NULL;
    for (size_t i = 0; i < count; i++) {
        if (children[i]->kind != PATTERN_ALTERNATE)
            alternate_adopt(arena, node, &set, children[i]);
        else
            for (size_t k = 0; k < children[i]->child_count; k++)
                alternate_adopt(arena, node, &set, children[i]->children[k]);
    }
    return node->child_count == 1 ? node->children[0] : node;
}

static const struct pattern *alternate_simplify(struct arena *arena, const struct pattern *tree)
{
    size_t count = 0;
    const struct pattern **children = arena_array(arena, tree->child_count, sizeof *children);
    for (size_t i = 0; i < tree->child_count; i++) {
        children[count] = tree_simplify(arena, tree->children[i]);
        count += children[count] != NULL;
    }
    return count ? tree_alternate(arena, children, count) : NULL;
}

static const struct pattern *repeat_simplify(struct arena *arena, const struct pattern *tree)
{
    const struct pattern *child = tree_simplify(arena, tree->children[0]);
    if (!child)
        return tree->minimum ? NULL : node_new(arena, PATTERN_EMPTY, 0);
    return tree_repeat(arena, child, tree->minimum, tree->maximum);
}

const struct pattern *tree_simplify(struct arena *arena, const struct pattern *tree)
{
    switch (tree->kind) {
    case PATTERN_EMPTY:
        return tree;
    case PATTERN_SET:
        return set_simplify(arena, tree);
    case PATTERN_CONCAT:
        return concat_simplify(arena, tree);
    case PATTERN_ALTERNATE:
        return alternate_simplify(arena, tree);
    case PATTERN_REPEAT:
        return repeat_simplify(arena, tree);
    }
    return NULL;
}

/* ---- loosening ------------------------------------------------------------------------------- */

/* *left counts down to the repetition that is meant; UINT32_MAX once it was found. */
static const struct pattern *loosen(struct arena *arena, const struct pattern *tree, uint32_t *left)
{
    struct pattern *node = node_new(arena, tree->kind, tree->child_count);
    node->set = tree->set;
    node->minimum = tree->minimum;
    node->maximum = tree->maximum;
    if (tree->kind == PATTERN_REPEAT && (*left)-- == 0) {
        node->minimum -= node->minimum > 0;
        node->maximum += node->maximum != PATTERN_REPEAT_NONE;
    }
    for (size_t i = 0; i < tree->child_count; i++)
        node_adopt(node, *left == UINT32_MAX ? tree->children[i]
                                             : loosen(arena, tree->children[i], left));
    return node;
}

const struct pattern *tree_loosen(struct arena *arena, const struct pattern *tree, uint32_t which)
{
    uint32_t left = which;
    const struct pattern *loosened = loosen(arena, tree, &left);
    return left == UINT32_MAX ? loosened : NULL;
}

/* ---- questions ------------------------------------------------------------------------------- */

bool tree_fixed_length(const struct pattern *tree, uint32_t *length)
{
    uint64_t sum = 0;
    uint32_t one = 0;
    switch (tree->kind) {
    case PATTERN_EMPTY:
        break;
    case PATTERN_SET:
        sum = 1;
        break;
    case PATTERN_CONCAT:
        for (size_t i = 0; i < tree->child_count; i++) {
            if (!tree_fixed_length(tree->children[i], &one))
                return false;
            sum += one;
        }
        break;
    case PATTERN_ALTERNATE:
        for (size_t i = 0; i < tree->child_count; i++) {
            if (!tree_fixed_length(tree->children[i], &one) || (i && one != sum))
                return false;
            sum = one;
        }
        break;
    case PATTERN_REPEAT:
        if (tree->minimum != tree->maximum || !tree_fixed_length(tree->children[0], &one))
            return false;
        sum = (uint64_t)one * tree->minimum;
        break;
    }
    *length = (uint32_t)sum;
    return sum < UINT32_MAX / 2;
}

bool tree_is_ascii(const struct pattern *tree)
{
    if (tree->kind == PATTERN_SET && tree->set.count &&
        tree->set.ranges[tree->set.count - 1].high > 0x7f)
        return false;
    for (size_t i = 0; i < tree->child_count; i++)
        if (!tree_is_ascii(tree->children[i]))
            return false;
    return true;
}

uint32_t tree_weight(const struct pattern *tree)
{
    uint64_t weight = tree->kind == PATTERN_SET ? tree->set.count : 1;
    for (size_t i = 0; i < tree->child_count; i++)
        weight += tree_weight(tree->children[i]);
    if (tree->kind == PATTERN_REPEAT)
        weight *= tree->maximum == PATTERN_REPEAT_NONE ? tree->minimum + 1 : tree->maximum;
    return weight < UINT32_MAX ? (uint32_t)weight : UINT32_MAX;
}

bool tree_is_nullable(const struct pattern *tree)
{
    bool all = true, any = false;
    for (size_t i = 0; i < tree->child_count; i++) {
        bool child = tree_is_nullable(tree->children[i]);
        all = all && child;
        any = any || child;
    }
    switch (tree->kind) {
    case PATTERN_EMPTY:
        return true;
    case PATTERN_SET:
        return false;
    case PATTERN_CONCAT:
        return all;
    case PATTERN_ALTERNATE:
        return any;
    case PATTERN_REPEAT:
        return tree->minimum == 0 || all;
    }
    return false;
}

struct charset tree_first(struct arena *arena, const struct pattern *tree)
{
    if (tree->kind == PATTERN_SET)
        return tree->set;
    struct charset first = charset_empty();
    for (size_t i = 0; i < tree->child_count; i++) {
        first = charset_union(arena, first, tree_first(arena, tree->children[i]));
        if (tree->kind == PATTERN_CONCAT && !tree_is_nullable(tree->children[i]))
            break;
    }
    return first;
}
