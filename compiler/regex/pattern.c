#include "compiler/regex/pattern.h"

#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/utf8.h"

/* The longest literal that a repetition may spell out: longer ones are not worth a string compare
 * of their own. */
#define LITERAL_MAX 4096u

static uint32_t sum_capped(uint32_t a, uint32_t b)
{
    uint32_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT32_MAX : sum;
}

static struct pattern *node_new(struct arena *arena, enum pattern_kind kind)
{
    struct pattern *node = arena_alloc(arena, sizeof *node);
    node->kind = kind;
    node->depth = node->node_count = 1;
    node->nullable = kind == PATTERN_EMPTY;
    return node;
}

/* Fills what a node says of the tree below it. */
static void node_sum_up(struct pattern *node)
{
    for (size_t i = 0; i < node->child_count; i++) {
        const struct pattern *child = node->children[i];
        if (child->depth >= node->depth)
            node->depth = child->depth + 1;
        node->node_count = sum_capped(node->node_count, child->node_count);
    }
}

static bool is_nothing(const struct pattern *pattern)
{
    return pattern->kind == PATTERN_SET && pattern->set.count == 0;
}

struct pattern *pattern_empty(struct arena *arena)
{
    return node_new(arena, PATTERN_EMPTY);
}

struct pattern *pattern_set(struct arena *arena, struct charset set)
{
    struct pattern *node = node_new(arena, PATTERN_SET);
    node->set = set;
    return node;
}

/* A node whose children are `parts`, those of the same kind replaced by their own children and
 * EMPTY ones left out. */
static struct pattern *node_flat(struct arena *arena, enum pattern_kind kind,
                                 struct pattern *const *parts, size_t count)
{
    struct pattern *node = node_new(arena, kind);
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += parts[i]->kind == kind ? parts[i]->child_count : 1;
    node->children = arena_array(arena, room ? room : 1, sizeof *node->children);
    for (size_t i = 0; i < count; i++) {
        if (parts[i]->kind == kind)
            for (size_t j = 0; j < parts[i]->child_count; j++)
                node->children[node->child_count++] = parts[i]->children[j];
        else if (parts[i]->kind != PATTERN_EMPTY)
            node->children[node->child_count++] = parts[i];
    }
    return node;
}

/* How often a part stands for its body: a part that is no repetition is its own body, once. */
static struct pattern *part_body(struct pattern *part, uint32_t *minimum, uint32_t *maximum)
{
    bool repeat = part->kind == PATTERN_REPEAT;
    *minimum = repeat ? part->minimum : 1;
    *maximum = repeat ? part->maximum : 1;
    return repeat ? part->children[0] : part;
}

/* Two neighbours in a sequence as one, XX* as X+ or X{1,2}X{3} as X{4,5}; NULL when they have not
 * the same body, or are two literals. */
static struct pattern *neighbours_join(struct arena *arena, struct pattern *a, struct pattern *b)
{
    uint32_t minimum[2], maximum[2];
    struct pattern *body = part_body(a, &minimum[0], &maximum[0]);
    struct pattern *other = part_body(b, &minimum[1], &maximum[1]);
    bool unbounded = maximum[0] == PATTERN_REPEAT_NONE || maximum[1] == PATTERN_REPEAT_NONE;
    if ((body == a && other == b) || minimum[0] + minimum[1] > PATTERN_REPEAT_MAX ||
        (!unbounded && maximum[0] + maximum[1] > PATTERN_REPEAT_MAX) || !pattern_equal(body, other))
        return NULL;
    return pattern_repeat(arena, body, minimum[0] + minimum[1],
                          unbounded ? PATTERN_REPEAT_NONE : maximum[0] + maximum[1]);
}

/* What two neighbours become is a repeat, and may be joined with the one before them in turn: aaa*
 * is a{2,}. */
static void sequence_join(struct arena *arena, struct pattern *node)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->child_count; i++) {
        struct pattern *last = node->children[i], *joined;
        while (kept && (joined = neighbours_join(arena, node->children[kept - 1], last))) {
            last = joined;
            kept--;
        }
        node->children[kept++] = last;
    }
    node->child_count = kept;
}

struct pattern *pattern_concat(struct arena *arena, struct pattern *const *parts, size_t count)
{
    if (count == 1)
        return parts[0];
    for (size_t i = 0; i < count; i++)
        if (is_nothing(parts[i]))
            return parts[i];
    struct pattern *node = node_flat(arena, PATTERN_CONCAT, parts, count);
    sequence_join(arena, node);
    if (node->child_count == 0)
        return pattern_empty(arena);
    if (node->child_count == 1)
        return node->children[0];
    node_sum_up(node);
    node->nullable = true;
    for (size_t i = 0; i < node->child_count; i++)
        node->nullable = node->nullable && node->children[i]->nullable;
    return node;
}

/* Merges the sets among the alternatives into the first of them; drops what matches nothing. */
static void alternatives_merge(struct arena *arena, struct pattern *node)
{
    struct scalar_range *ranges = NULL;
    size_t count = 0, capacity = 0, sets = 0, kept = 0, place = 0;
    for (size_t i = 0; i < node->child_count; i++) {
        struct pattern *child = node->children[i];
        if (is_nothing(child))
            continue;
        if (child->kind != PATTERN_SET || sets++ == 0) {
            if (child->kind == PATTERN_SET)
                place = kept;
            node->children[kept++] = child;
        }
        if (child->kind == PATTERN_SET) {
            arena_grow(arena, &ranges, &capacity, count + child->set.count, sizeof *ranges);
            memcpy(ranges + count, child->set.ranges, child->set.count * sizeof *ranges);
            count += child->set.count;
        }
    }
    node->child_count = kept;
    if (sets > 1)
        node->children[place] = pattern_set(arena, charset_normal(arena, ranges, count));
}

struct pattern *pattern_alternate(struct arena *arena, struct pattern *const *parts, size_t count)
{
    if (count == 1)
        return parts[0];
    bool empty = false;
    for (size_t i = 0; i < count; i++)
        empty = empty || parts[i]->kind == PATTERN_EMPTY;
    struct pattern *node = node_flat(arena, PATTERN_ALTERNATE, parts, count);
    alternatives_merge(arena, node);
    struct pattern *result = node;
    if (node->child_count == 0) {
        result = pattern_set(arena, charset_empty());
    } else if (node->child_count == 1) {
        result = node->children[0];
    } else {
        node_sum_up(node);
        for (size_t i = 0; i < node->child_count; i++)
            node->nullable = node->nullable || node->children[i]->nullable;
    }
    return empty ? pattern_repeat(arena, result, 0, 1) : result;
}

/* X{a,b}{n,m} as one repetition X{*a,*b}, where that is the same language and within the limit. */
static bool repeats_join(const struct pattern *inner, uint32_t minimum, uint32_t maximum,
                         uint32_t *joined_minimum, uint32_t *joined_maximum)
{
    uint64_t low = (uint64_t)inner->minimum * minimum, high = PATTERN_REPEAT_NONE;
    bool unbounded = inner->maximum == PATTERN_REPEAT_NONE || maximum == PATTERN_REPEAT_NONE;
    if (!unbounded)
        high = (uint64_t)inner->maximum * maximum;
    /* Every count between must be reachable: with a at most 1 each count from n*a on is; with n = m
     * and both bounds finite the sums of n counts in a..b are all of na..nb. */
    bool gapless = inner->minimum <= 1 || minimum == maximum;
    if (!gapless || low > PATTERN_REPEAT_MAX || (!unbounded && high > PATTERN_REPEAT_MAX))
        return false;
    *joined_minimum = (uint32_t)low;
    *joined_maximum = (uint32_t)high;
    return true;
}

struct pattern *pattern_repeat(struct arena *arena, struct pattern *part, uint32_t minimum,
                               uint32_t maximum)
{
    if (minimum == 1 && maximum == 1)
        return part;
    if (maximum == 0 || part->kind == PATTERN_EMPTY)
        return pattern_empty(arena);
    if (is_nothing(part))
        return minimum == 0 ? pattern_empty(arena) : part;
    if (part->kind == PATTERN_REPEAT && repeats_join(part, minimum, maximum, &minimum, &maximum))
        return pattern_repeat(arena, part->children[0], minimum, maximum);
    if (part->nullable)
        minimum = 0;
    if (minimum == 0 && maximum == 1 && part->nullable)
        return part;
    struct pattern *node = node_new(arena, PATTERN_REPEAT);
    node->children = arena_array(arena, 1, sizeof *node->children);
    node->children[0] = part;
    node->child_count = 1;
    node->minimum = minimum;
    node->maximum = maximum;
    node_sum_up(node);
    node->nullable = minimum == 0;
    return node;
}

/* ---- questions ------------------------------------------------------------------------------- */

struct literal {
    char *bytes; /* LITERAL_MAX + 4 of them */
    size_t length;
};

/* Recursion: as deep as the tree (pattern.depth). */
static bool literal_add(struct literal *literal, const struct pattern *pattern)
{
    switch (pattern->kind) {
    case PATTERN_EMPTY:
        return true;
    case PATTERN_SET:
        if (pattern->set.count != 1 || pattern->set.ranges[0].low != pattern->set.ranges[0].high ||
            literal->length > LITERAL_MAX - 4)
            return false;
        literal->length +=
            utf8_encode(pattern->set.ranges[0].low, literal->bytes + literal->length);
        return true;
    case PATTERN_CONCAT:
        for (size_t i = 0; i < pattern->child_count; i++)
            if (!literal_add(literal, pattern->children[i]))
                return false;
        return true;
    case PATTERN_REPEAT:
        if (pattern->minimum != pattern->maximum)
            return false;
        for (uint32_t i = 0; i < pattern->minimum; i++)
            if (!literal_add(literal, pattern->children[0]))
                return false;
        return true;
    case PATTERN_ALTERNATE:
        break; /* two alternatives of one string are rare enough not to look for them */
    }
    return false;
}

bool pattern_literal(struct arena *arena, const struct pattern *pattern, const char **bytes,
                     size_t *length)
{
    char room[LITERAL_MAX];
    struct literal literal = {room, 0};
    if (!literal_add(&literal, pattern))
        return false;
    *bytes = arena_copy(arena, literal.bytes, literal.length);
    *length = literal.length;
    return true;
}

/* Recursion: as deep as the shallower tree. */
bool pattern_equal(const struct pattern *a, const struct pattern *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->child_count != b->child_count || a->minimum != b->minimum ||
        a->maximum != b->maximum || a->node_count != b->node_count || a->depth != b->depth ||
        !charset_equal(a->set, b->set))
        return false;
    for (size_t i = 0; i < a->child_count; i++)
        if (!pattern_equal(a->children[i], b->children[i]))
            return false;
    return true;
}
