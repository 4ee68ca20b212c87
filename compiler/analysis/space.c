#include "compiler/analysis/space.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/atoms.h"
#include "compiler/analysis/number_table.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"

/* A place in a rule: how many tokens, and values of a `...` token, the arguments so far have used.
 * Three numbers in a node's key: rule, token, count. */
#define PLACE 3u

struct node {
    uint32_t from;  /* the node that the best way comes from */
    struct value value; /* and the argument on it */
    size_t length;  /* bytes of the best command line to here */
    uint32_t depth; /* arguments */
    bool uncertain, done;
};

struct space {
    struct arena *arena;
    const struct space_rule *rules;
    size_t rule_count;
    uint32_t **languages; /* per rule, per token */
    struct atoms *atoms;
    struct number_table table; /* places -> node */
    struct node *nodes;
    size_t node_capacity;
    uint32_t *heap; /* nodes by length */
    size_t heap_count, heap_capacity;
    struct number_table leaf_table;
    struct space_leaf *leaves;
    size_t leaf_capacity;
    uint32_t *places; /* scratch */
    size_t place_count, place_capacity;
    const char *limit;
};

static void space_languages(struct space *space)
{
    space->languages = arena_array(space->arena, space->rule_count + 1, sizeof *space->languages);
    for (size_t r = 0; r < space->rule_count; r++) {
        const struct model_rule *rule = space->rules[r].rule;
        space->languages[r] =
            arena_array(space->arena, rule->token_count + 1, sizeof **space->languages);
        for (size_t t = 0; t < rule->token_count; t++)
            space->languages[r][t] = atoms_language(
                space->atoms, token_language_of(space->arena, rule, &rule->tokens[t]));
    }
}

/* ---- places ------------------------------------------------------------------------------------ */

static void place_push(struct space *space, uint32_t rule, uint32_t token, uint32_t count)
{
    arena_grow(space->arena, &space->places, &space->place_capacity, space->place_count + PLACE,
               sizeof *space->places);
    space->places[space->place_count++] = rule;
    space->places[space->place_count++] = token;
    space->places[space->place_count++] = count;
}

/* Adds a place and those that it reaches without an argument (a `...` that may end here). */
static void place_add(struct space *space, uint32_t rule, uint32_t token, uint32_t count)
{
    const struct model_rule *of = space->rules[rule].rule;
    for (;;) {
        if (token == of->token_count || of->tokens[token].kind != TOKEN_REST) {
            place_push(space, rule, token, 0);
            return;
        }
        const struct model_token *rest = &of->tokens[token];
        if (count < rest->maximum || rest_is_unbounded(rest))
            place_push(space, rule, token, count);
        if (count < rest->minimum)
            return;
        token++;
        count = 0;
    }
}

static void place_advance(struct space *space, const uint32_t *place)
{
    const struct model_token *token = &space->rules[place[0]].rule->tokens[place[1]];
    if (token->kind != TOKEN_REST) {
        place_add(space, place[0], place[1] + 1, 0);
        return;
    }
    uint32_t count = place[2] + 1;
    if (rest_is_unbounded(token) && count > token->minimum)
        count = token->minimum;
    place_add(space, place[0], place[1], count);
}

static int place_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    for (size_t i = 0; i < PLACE; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

static void places_normal(struct space *space)
{
    size_t count = space->place_count / PLACE, kept = 0;
    qsort(space->places, count, PLACE * sizeof *space->places, place_compare);
    for (size_t i = 0; i < count; i++)
        if (!kept ||
            place_compare(space->places + (kept - 1) * PLACE, space->places + i * PLACE) != 0) {
            memmove(space->places + kept * PLACE, space->places + i * PLACE,
                    PLACE * sizeof *space->places);
            kept++;
        }
    space->place_count = kept * PLACE;
}

/* ---- shortest first ---------------------------------------------------------------------------- */

static bool heap_before(const struct space *space, uint32_t a, uint32_t b)
{
    const struct node *x = &space->nodes[a], *y = &space->nodes[b];
    return x->length != y->length ? x->length < y->length : a < b;
}

static void heap_push(struct space *space, uint32_t node)
{
    arena_grow(space->arena, &space->heap, &space->heap_capacity, space->heap_count + 1,
               sizeof *space->heap);
    size_t at = space->heap_count++;
    for (; at && heap_before(space, node, space->heap[(at - 1) / 2]); at = (at - 1) / 2)
        space->heap[at] = space->heap[(at - 1) / 2];
    space->heap[at] = node;
}

static uint32_t heap_pop(struct space *space)
{
    uint32_t top = space->heap[0], moved = space->heap[--space->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < space->heap_count; at = child) {
        if (child + 1 < space->heap_count &&
            heap_before(space, space->heap[child + 1], space->heap[child]))
            child++;
        if (!heap_before(space, space->heap[child], moved))
            break;
        space->heap[at] = space->heap[child];
    }
    space->heap[at] = moved;
    return top;
}

/* The places in space->places as a node, reached from `from` by `value`. */
static bool space_reach(struct space *space, uint32_t from, struct value value, bool uncertain)
{
    places_normal(space);
    int is_new;
    uint32_t at = number_table_intern(&space->table, space->places, space->place_count, &is_new);
    if (at >= SPACE_NODES_MAX) {
        space->limit = "too many combinations of tokens";
        return false;
    }
    size_t length = value.length + 1;
    uint32_t depth = 0;
    if (from != UINT32_MAX) {
        length += space->nodes[from].length;
        depth = space->nodes[from].depth + 1;
        uncertain = uncertain || space->nodes[from].uncertain;
    }
    if (is_new) {
        arena_grow(space->arena, &space->nodes, &space->node_capacity, (size_t)at + 1,
                   sizeof *space->nodes);
    } else {
        struct node *known = &space->nodes[at];
        /* A certain way is better than a shorter one that may not exist. */
        if (known->done || (known->uncertain == uncertain ? known->length <= length : uncertain))
            return true;
    }
    space->nodes[at] = (struct node){.from = from, .value = value, .length = length,
                                     .depth = depth, .uncertain = uncertain};
    heap_push(space, at);
    return true;
}

static struct command_line node_command_line(struct space *space, uint32_t node)
{
    struct command_line command = {.count = space->nodes[node].depth};
    command.arguments = arena_array(space->arena, command.count + 1, sizeof *command.arguments);
    command.lengths = arena_array(space->arena, command.count + 1, sizeof *command.lengths);
    for (size_t i = command.count; i > 0; i--) {
        command.arguments[i - 1] = space->nodes[node].value.bytes;
        command.lengths[i - 1] = space->nodes[node].value.length;
        node = space->nodes[node].from;
    }
    return command;
}

/* The rules that end at a node are a leaf. */
static bool space_leave(struct space *space, uint32_t node)
{
    struct number_key key = space->table.keys[node];
    uint32_t *ended = arena_array(space->arena, key.count / PLACE + 1, sizeof *ended);
    size_t count = 0;
    for (size_t i = 0; i < key.count; i += PLACE)
        if (key.numbers[i + 1] == space->rules[key.numbers[i]].rule->token_count &&
            (!count || ended[count - 1] != key.numbers[i]))
            ended[count++] = key.numbers[i];
    if (!count)
        return true;
    int is_new;
    uint32_t at = number_table_intern(&space->leaf_table, ended, count, &is_new);
    if (!is_new && !(space->leaves[at].uncertain && !space->nodes[node].uncertain))
        return true;
    if (at >= SPACE_LEAVES_MAX) {
        space->limit = "too many different sets of rules that overlap";
        return false;
    }
    arena_grow(space->arena, &space->leaves, &space->leaf_capacity, (size_t)at + 1,
               sizeof *space->leaves);
    space->leaves[at] = (struct space_leaf){ended, count, node_command_line(space, node),
                                            space->nodes[node].uncertain};
    return true;
}

static int number_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool number_in(const uint32_t *numbers, size_t count, uint32_t number)
{
    return bsearch(&number, numbers, count, sizeof number, number_compare) != NULL;
}

/* Every atom of the languages that a node's places wait for leads to a node. */
static bool space_expand(struct space *space, uint32_t node)
{
    struct number_key key = space->table.keys[node];
    uint32_t *waiting = arena_array(space->arena, key.count / PLACE + 1, sizeof *waiting);
    size_t count = 0, distinct = 0;
    for (size_t i = 0; i < key.count; i += PLACE)
        if (key.numbers[i + 1] < space->rules[key.numbers[i]].rule->token_count)
            waiting[count++] = space->languages[key.numbers[i]][key.numbers[i + 1]];
    if (!count)
        return true;
    qsort(waiting, count, sizeof *waiting, number_compare);
    for (size_t i = 0; i < count; i++)
        if (!distinct || waiting[distinct - 1] != waiting[i])
            waiting[distinct++] = waiting[i];
    size_t atom_count;
    bool exhausted;
    const struct atom *atoms =
        atoms_of(space->atoms, waiting, distinct, &atom_count, &exhausted);
    if (exhausted)
        space->limit = "too many different patterns at one place";
    for (size_t a = 0; a < atom_count; a++) {
        space->place_count = 0;
        for (size_t i = 0; i < key.count; i += PLACE) {
            const uint32_t *place = key.numbers + i;
            if (place[1] < space->rules[place[0]].rule->token_count &&
                number_in(atoms[a].languages, atoms[a].language_count,
                          space->languages[place[0]][place[1]]))
                place_advance(space, place);
        }
        if (!space_reach(space, node, atoms[a].value, atoms[a].uncertain))
            return false;
    }
    return !exhausted;
}

struct space_result space_explore(struct arena *arena, const struct space_rule *rules,
                                  size_t rule_count)
{
    struct space space = {.arena = arena, .rules = rules, .rule_count = rule_count,
                          .atoms = atoms_new(arena)};
    number_table_init(&space.table, arena);
    number_table_init(&space.leaf_table, arena);
    space_languages(&space);
    for (size_t r = 0; r < rule_count; r++)
        place_add(&space, (uint32_t)r, 0, 0);
    bool whole = space_reach(&space, UINT32_MAX, (struct value){"", 0}, false);
    while (whole && space.heap_count) {
        uint32_t node = heap_pop(&space);
        if (space.nodes[node].done)
            continue;
        space.nodes[node].done = true;
        whole = space_leave(&space, node) &&
                (space.nodes[node].depth >= MODEL_TOKENS_MAX || space_expand(&space, node));
    }
    return (struct space_result){space.leaves, space.leaf_table.count, !whole, space.limit};
}

/* ---- telling ------------------------------------------------------------------------------------ */

/* Whether a shell takes the text as it is. */
static bool text_is_plain(const char *text, size_t length)
{
    if (!length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_",
                    text[i]))
            return false;
    return true;
}

static void control_quote(struct buffer *out, unsigned char byte)
{
    if (byte == '\n')
        buffer_puts(out, "\\n");
    else if (byte == '\t')
        buffer_puts(out, "\\t");
    else
        buffer_format(out, "\\x%02x", byte);
}

static void text_quote(struct buffer *out, const char *text, size_t length)
{
    bool control = false;
    for (size_t i = 0; i < length; i++)
        control = control || (unsigned char)text[i] < 0x20 || text[i] == 0x7F;
    buffer_puts(out, control ? "$'" : "'");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (control && (byte < 0x20 || byte == 0x7F))
            control_quote(out, byte);
        else if (byte == '\'')
            buffer_puts(out, control ? "\\'" : "'\\''");
        else if (byte == '\\' && control)
            buffer_puts(out, "\\\\");
        else
            buffer_char(out, (char)byte);
    }
    buffer_char(out, '\'');
}

const char *command_line_text(struct arena *arena, struct command_line command)
{
    struct buffer out = {0};
    for (size_t i = 0; i < command.count; i++) {
        if (i)
            buffer_char(&out, ' ');
        if (text_is_plain(command.arguments[i], command.lengths[i]))
            buffer_add(&out, command.arguments[i], command.lengths[i]);
        else
            text_quote(&out, command.arguments[i], command.lengths[i]);
    }
    const char *text = arena_copy(arena, buffer_text(&out), out.length);
    buffer_free(&out);
    return text;
}
