#include "compiler/analysis/programs.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/table.h"

/* programs.txt, a string literal a line; made by the Makefile. */
static const char programs_text[] =
#include "grammar/programs.inc"
    ;

struct programs {
    struct arena *arena;
    struct table table;
    size_t count;
};

/* A part of the text. */
struct slice {
    const char *begin, *end;
};

static struct slice slice_trim(struct slice slice)
{
    while (slice.begin < slice.end && *slice.begin == ' ')
        slice.begin++;
    while (slice.begin < slice.end && slice.end[-1] == ' ')
        slice.end--;
    return slice;
}

/* Cuts the part before the first `mark` off; all of it when there is none. */
static struct slice slice_cut(struct slice *rest, char mark)
{
    const char *at = memchr(rest->begin, mark, (size_t)(rest->end - rest->begin));
    struct slice part = {rest->begin, at ? at : rest->end};
    rest->begin = at ? at + 1 : rest->end;
    return slice_trim(part);
}

static const char *slice_copy(struct arena *arena, struct slice slice)
{
    return arena_copy(arena, slice.begin, (size_t)(slice.end - slice.begin));
}

static const char **slice_list(struct arena *arena, struct slice list, size_t *count)
{
    const char **items = NULL;
    size_t capacity = 0;
    *count = 0;
    while (list.begin < list.end) {
        struct slice item = slice_cut(&list, ',');
        arena_grow(arena, &items, &capacity, *count + 1, sizeof *items);
        items[(*count)++] = slice_copy(arena, item);
    }
    return items;
}

/* FACT[=VALUES][@SUBCOMMANDS] */
static struct program_fact fact_read(struct arena *arena, struct slice word)
{
    struct program_fact fact = {0};
    /* The last '@': a value may hold one. */
    const char *at = NULL, *equals = NULL;
    for (const char *byte = word.begin; byte < word.end; byte++) {
        if (*byte == '@')
            at = byte;
        else if (*byte == '=' && !equals)
            equals = byte;
    }
    struct slice body = {word.begin, at ? at : word.end};
    if (at)
        fact.subcommands = slice_list(arena, (struct slice){at + 1, word.end}, &fact.subcommand_count);
    if (equals)
        fact.values = slice_list(arena, (struct slice){equals + 1, body.end}, &fact.value_count);
    fact.name = slice_copy(arena, (struct slice){body.begin, equals ? equals : body.end});
    return fact;
}

static void programs_read_line(struct programs *programs, struct slice line)
{
    struct arena *arena = programs->arena;
    struct slice names = slice_cut(&line, '|'), facts = slice_cut(&line, '|');
    struct program shared = {.source = slice_copy(arena, slice_trim(line))};
    struct program_fact *list = NULL;
    size_t capacity = 0;
    while (facts.begin < facts.end) {
        struct slice word = slice_cut(&facts, ' ');
        if (word.begin == word.end)
            continue;
        arena_grow(arena, &list, &capacity, shared.fact_count + 1, sizeof *list);
        list[shared.fact_count++] = fact_read(arena, word);
    }
    shared.facts = list;
    while (names.begin < names.end) {
        struct slice name = slice_cut(&names, ' ');
        size_t length = (size_t)(name.end - name.begin);
        if (!length || table_find(&programs->table, name.begin, length))
            continue;
        struct program *program = arena_alloc(arena, sizeof *program);
        *program = shared;
        program->name = slice_copy(arena, name);
        table_add(arena, &programs->table, program->name, length, program);
        programs->count++;
    }
}

struct programs *programs_read(struct arena *arena)
{
    struct programs *programs = arena_alloc(arena, sizeof *programs);
    programs->arena = arena;
    struct slice rest = {programs_text, programs_text + strlen(programs_text)};
    while (rest.begin < rest.end) {
        struct slice line = slice_cut(&rest, '\n');
        if (line.begin < line.end && *line.begin != '#')
            programs_read_line(programs, line);
    }
    return programs;
}

const struct program *program_find(const struct programs *programs, const char *name)
{
    return table_find(&programs->table, name, strlen(name));
}

size_t programs_count(const struct programs *programs)
{
    return programs->count;
}

bool fact_has(const struct program_fact *fact, const char *value)
{
    for (size_t i = 0; i < fact->value_count; i++)
        if (strcmp(fact->values[i], value) == 0)
            return true;
    return false;
}

size_t fact_number(const struct program_fact *fact, size_t otherwise)
{
    if (!fact->value_count || fact->values[0][0] < '0' || fact->values[0][0] > '9')
        return otherwise;
    return strtoul(fact->values[0], NULL, 10);
}

const char *token_literal(const struct model_token *token)
{
    return token->kind == TOKEN_LITERAL ? token->pieces[0].literal : NULL;
}

static bool fact_applies(const struct program_fact *fact, const char *subcommand)
{
    if (!fact->subcommand_count)
        return true;
    for (size_t i = 0; subcommand && i < fact->subcommand_count; i++)
        if (strcmp(fact->subcommands[i], subcommand) == 0)
            return true;
    return false;
}

const struct program_fact *invocation_fact(const struct invocation *invocation, const char *name,
                                           const struct program_fact *after)
{
    if (!invocation->program)
        return NULL;
    const struct program_fact *facts = invocation->program->facts;
    for (size_t i = after ? (size_t)(after - facts) + 1 : 0; i < invocation->program->fact_count; i++)
        if (strcmp(facts[i].name, name) == 0 && fact_applies(&facts[i], invocation->subcommand))
            return &facts[i];
    return NULL;
}

/* Whether every value of a slot begins with a dash. */
static bool slot_is_options(const struct model_slot *slot)
{
    const struct automaton_state *first = slot->accepted ? &slot->accepted->states[0] : NULL;
    return first && slot->allow_dash && !first->accepting && first->transition_count == 1 &&
           first->transitions[0].low == '-' && first->transitions[0].high == '-';
}

/* Whether a token is an option: a literal with a dash, the literal beginning of one, or a slot of
 * nothing but options. */
static bool token_is_option(const struct model_rule *rule, const struct model_token *token)
{
    const struct model_piece *first = &token->pieces[0];
    if (token->kind == TOKEN_EXPANSION)
        return false;
    if (first->is_slot)
        return token->kind != TOKEN_MIXED && slot_is_options(&rule->slots[first->slot]);
    return first->literal[0] == '-' && first->literal[1];
}

/* NAME=VALUE, before the command of `env` and its like. */
static bool token_is_assignment(const struct model_token *token)
{
    const struct model_piece *first = &token->pieces[0];
    return (token->kind == TOKEN_LITERAL || token->kind == TOKEN_MIXED) && !first->is_slot &&
           strchr(first->literal, '=') != NULL;
}

struct invocation invocation_read(struct arena *arena, const struct programs *programs,
                                  const struct model_rule *rule)
{
    struct invocation invocation = {.rule = rule};
    const char *path = token_literal(&rule->tokens[0]);
    const char *slash = path ? strrchr(path, '/') : NULL;
    invocation.name = slash ? slash + 1 : path ? path : "";
    invocation.program = program_find(programs, invocation.name);
    invocation.operands = arena_array(arena, rule->token_count, sizeof *invocation.operands);
    bool subcommands = invocation_fact(&invocation, "subcommands", NULL) != NULL;
    const struct program_fact *valued = invocation_fact(&invocation, "options-with-value", NULL);
    bool assignments = invocation_fact(&invocation, "assignments", NULL) != NULL;
    bool options = true;
    for (size_t t = 1; t < rule->token_count; t++) {
        const struct model_token *token = &rule->tokens[t];
        const char *literal = token_literal(token);
        if (options && literal && strcmp(literal, "--") == 0) {
            options = false;
        } else if (options && token_is_option(rule, token)) {
            if (literal && valued && fact_has(valued, literal))
                t++;
        } else if (assignments && !invocation.operand_count && token_is_assignment(token)) {
            continue;
        } else {
            if (subcommands && !invocation.operand_count)
                invocation.subcommand = literal;
            invocation.operands[invocation.operand_count++] = t;
        }
    }
    return invocation;
}
