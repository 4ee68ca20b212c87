/* Which rules are asked about a request: a decision tree over the number of arguments and the words
 * at their places, so that the cost does not grow with the number of rules.
 *
 * Owns the tree's construction and its two written forms. A tree only narrows: every rule stands in
 * exactly one leaf, a request reaches every leaf whose rules could take it, and a rule's own function
 * decides. Rules that no word tells apart share a leaf and are asked one after the other: that cost
 * is the policy's own. */
#ifndef SLUICE_DISPATCH_H
#define SLUICE_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct emitted;
struct layout;
struct model;

/* Rules up to which a leaf is not divided further. */
#define DISPATCH_LEAF 4u
/* Nodes on any path: a leaf stands where more would follow. */
#define DISPATCH_DEPTH_MAX 48u
/* Rules and depth up to which dispatch is written as nested ifs; above, as tables. */
#define DISPATCH_CODE_RULES 100u
#define DISPATCH_CODE_DEPTH 8u

enum dispatch_kind {
    DISPATCH_LIST,  /* a leaf: ask these rules */
    DISPATCH_COUNT, /* by the number of arguments */
    DISPATCH_FRONT, /* by the word at a place counted from the front, argv[0] being 0 */
    DISPATCH_BACK,  /* by the word at a place counted from the end, the last being 0 */
};

struct dispatch_node;

struct dispatch_branch {
    const char *word; /* FRONT, BACK; of several words with one hash, the first */
    size_t length, longest;
    uint32_t hash;    /* dispatch_hash of the word; the count */
    const struct dispatch_node *child;
};

struct dispatch_node {
    enum dispatch_kind kind;
    uint32_t position;
    const uint32_t *rules; /* LIST: indices, ascending */
    size_t rule_count;     /* in all of the subtree */
    const struct dispatch_branch *branches; /* in the order of their first rules */
    size_t branch_count;
    const struct dispatch_node *rest; /* rules with no word (or count) of their own there; or NULL.
                                       * Looked at after the branch, whether one was found or not */
    uint32_t depth; /* nodes below, at most */
};

/* `by_hash`: words with equal hashes share a branch, as the table form needs. */
const struct dispatch_node *dispatch_build(struct arena *arena, const struct model *model,
                                           bool by_hash);

/* FNV-1a, 32 bits, over single bytes: the same on every machine. The generated code has it too. */
uint32_t dispatch_hash(const char *bytes, size_t length);

/* Adds dispatch.c. */
void dispatch_emit(struct emitted *emitted, const struct layout *layout);

/* The body of dispatch.c in either form; used by dispatch_emit. */
struct buffer;
void dispatch_code_add(struct buffer *out, const struct layout *layout,
                       const struct dispatch_node *root);
void dispatch_table_add(struct arena *arena, struct buffer *out, const struct layout *layout,
                        const struct dispatch_node *root);

#endif
