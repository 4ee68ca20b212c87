#include "compiler/analysis/accepts.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/number_table.h"
#include "compiler/analysis/token_language.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/utf8.h"
#include "compiler/regex/readable.h"

/* What one place of a search costs, in steps. */
#define STEP_STEPS 150u

/* The form's state when its text cannot be continued to an accepted one. */
#define DEAD UINT32_MAX

/* Where a search is: in a token, after so many values of it, in its automaton, and in the form's. */
enum { AT_TOKEN, AT_COUNT, AT_STATE, AT_FORM, AT_NUMBERS };

struct step {
    uint32_t from;
    uint32_t scalar; /* the one read to get here; the separator is ' ' with `separates` */
    bool separates;
};

/* Scalars that lead from one place to one other. */
struct run {
    uint32_t scalar; /* the most readable of them */
    uint32_t rank, target, form;
};

struct search {
    struct arena *arena;
    struct work *work;
    const struct model_rule *rule;
    const struct automaton **languages;
    const struct automaton *form;
    bool outside, uncertain;
    struct number_table table;
    struct step *steps;
    size_t step_capacity;
    struct run *runs; /* scratch */
    size_t run_count, run_capacity;
    bool exhausted;
};

static uint32_t form_target(const struct search *search, uint32_t state, uint32_t scalar)
{
    if (state == DEAD)
        return DEAD;
    const struct automaton_state *from = &search->form->states[state];
    size_t first = 0, last = from->transition_count;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (from->transitions[middle].high < scalar)
            first = middle + 1;
        else
            last = middle;
    }
    if (first == from->transition_count || from->transitions[first].low > scalar)
        return DEAD;
    return from->transitions[first].target;
}

static void search_reach(struct search *search, uint32_t from, const uint32_t at[AT_NUMBERS],
                         uint32_t scalar, bool separates)
{
    if (at[AT_FORM] == DEAD && !search->outside)
        return; /* no continuation is in the form */
    if (!work_spend(search->work, STEP_STEPS) || !work_may_hold(search->work, search->arena, 0)) {
        search->exhausted = true;
        return;
    }
    int is_new;
    uint32_t number = number_table_intern(&search->table, at, AT_NUMBERS, &is_new);
    if (!is_new)
        return;
    arena_grow(search->arena, &search->steps, &search->step_capacity, (size_t)number + 1,
               sizeof *search->steps);
    search->steps[number] = (struct step){from, scalar, separates};
}

static void search_add_run(struct search *search, uint32_t low, uint32_t high, uint32_t target,
                           uint32_t form)
{
    arena_grow(search->arena, &search->runs, &search->run_capacity, search->run_count + 1,
               sizeof *search->runs);
    uint32_t scalar = readable_best(low, high);
    search->runs[search->run_count++] = (struct run){scalar, readable_rank(scalar), target, form};
}

/* The scalars of one transition of the token's automaton, as runs with one target each in the form's: one
 * of each run is enough, since the rest lead to the same place. */
static void search_cut(struct search *search, uint32_t form, const struct transition *transition)
{
    uint32_t scalar = transition->low;
    const struct automaton_state *state = form == DEAD ? NULL : &search->form->states[form];
    for (uint32_t t = 0; state && t < state->transition_count && scalar <= transition->high; t++) {
        const struct transition *cut = &state->transitions[t];
        if (cut->high < scalar)
            continue;
        if (cut->low > transition->high)
            break;
        if (cut->low > scalar) {
            search_add_run(search, scalar, cut->low - 1, transition->target, DEAD);
            scalar = cut->low;
        }
        uint32_t last = cut->high < transition->high ? cut->high : transition->high;
        search_add_run(search, scalar, last, transition->target, cut->target);
        scalar = last + 1;
    }
    if (scalar <= transition->high)
        search_add_run(search, scalar, transition->high, transition->target, DEAD);
}

static int run_compare(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Reads one scalar more, the most readable first, so that the witness is. */
static void search_read(struct search *search, uint32_t number, const uint32_t at[AT_NUMBERS],
                        const struct automaton_state *state)
{
    search->run_count = 0;
    for (uint32_t t = 0; t < state->transition_count; t++)
        search_cut(search, at[AT_FORM], &state->transitions[t]);
    if (search->run_count)
        qsort(search->runs, search->run_count, sizeof *search->runs, run_compare);
    for (size_t i = 0; i < search->run_count && !search->exhausted; i++) {
        const struct run *run = &search->runs[i];
        uint32_t next[AT_NUMBERS] = {at[AT_TOKEN], at[AT_COUNT], run->target, run->form};
        search_reach(search, number, next, run->scalar, false);
    }
}

/* Goes to a token's beginning, and past `...` tokens that may be empty. */
static void search_enter(struct search *search, uint32_t number, uint32_t token, uint32_t count,
                         uint32_t form, bool separates)
{
    const struct model_rule *rule = search->rule;
    for (;; token++, count = 0) {
        if (token == rule->token_count)
            return; /* search_ends looks for the end itself */
        const struct model_token *of = &rule->tokens[token];
        bool rest = of->kind == TOKEN_REST;
        if (!rest || count < of->maximum || rest_is_unbounded(of))
            search_reach(search, number, (uint32_t[]){token, count, 0, form}, ' ', separates);
        if (!rest || count < of->minimum)
            return;
    }
}

/* How many values of its token a place has used once the present one ends. */
static uint32_t place_count(const struct search *search, const uint32_t at[AT_NUMBERS])
{
    const struct model_token *token = &search->rule->tokens[at[AT_TOKEN]];
    uint32_t count = at[AT_COUNT] + 1;
    return rest_is_unbounded(token) && count > token->minimum ? token->minimum : count;
}

/* Whether the command line may end where the present value does. */
static bool search_ends(const struct search *search, const uint32_t at[AT_NUMBERS])
{
    const struct model_rule *rule = search->rule;
    uint32_t token = at[AT_TOKEN];
    if (rule->tokens[token].kind == TOKEN_REST &&
        place_count(search, at) < rule->tokens[token].minimum)
        return false;
    for (token++; token < rule->token_count; token++)
        if (rule->tokens[token].kind != TOKEN_REST || rule->tokens[token].minimum)
            return false;
    bool in_form = at[AT_FORM] != DEAD && search->form->states[at[AT_FORM]].accepting;
    return in_form != search->outside;
}

static void search_next_token(struct search *search, uint32_t number, const uint32_t at[AT_NUMBERS])
{
    uint32_t form = form_target(search, at[AT_FORM], ' ');
    if (search->rule->tokens[at[AT_TOKEN]].kind == TOKEN_REST)
        search_enter(search, number, at[AT_TOKEN], place_count(search, at), form, true);
    else
        search_enter(search, number, at[AT_TOKEN] + 1, 0, form, true);
}

static struct command_line search_witness(struct search *search, uint32_t number)
{
    struct command_line line = {.count = 1};
    size_t scalars = 0;
    for (uint32_t at = number; search->steps[at].from != UINT32_MAX; at = search->steps[at].from) {
        line.count += search->steps[at].separates;
        scalars++;
    }
    line.arguments = arena_array(search->arena, line.count, sizeof *line.arguments);
    line.lengths = arena_array(search->arena, line.count, sizeof *line.lengths);
    uint32_t *path = arena_array(search->arena, scalars + 1, sizeof *path);
    size_t place = scalars;
    for (uint32_t at = number; search->steps[at].from != UINT32_MAX; at = search->steps[at].from)
        path[--place] = at;
    struct buffer text = {0};
    size_t argument = 0;
    for (size_t i = 0; i <= scalars; i++) {
        if (i < scalars && !search->steps[path[i]].separates) {
            char encoded[4];
            buffer_add(&text, encoded, utf8_encode(search->steps[path[i]].scalar, encoded));
            continue;
        }
        line.arguments[argument] = arena_copy(search->arena, buffer_text(&text), text.length);
        line.lengths[argument++] = text.length;
        buffer_clear(&text);
    }
    buffer_free(&text);
    return line;
}

struct accepts_result accepts_search(struct arena *arena, const struct model_rule *rule,
                                     const struct automaton *form, bool outside,
                                     struct work *work)
{
    struct search search = {.arena = arena, .work = work, .rule = rule, .form = form,
                            .outside = outside};
    number_table_init(&search.table, arena);
    search.languages = arena_array(arena, rule->token_count, sizeof *search.languages);
    for (size_t t = 0; t < rule->token_count; t++) {
        search.languages[t] = token_language_of(arena, rule, &rule->tokens[t], work).automaton;
        if (!search.languages[t]) {
            search.languages[t] = automaton_everything(arena);
            search.uncertain = true;
        }
    }
    search.exhausted = !work->steps;
    search_enter(&search, UINT32_MAX, 0, 0, 0, false);
    for (uint32_t number = 0; number < search.table.count && !search.exhausted; number++) {
        uint32_t at[AT_NUMBERS];
        memcpy(at, search.table.keys[number].numbers, sizeof at);
        const struct automaton_state *state =
            &search.languages[at[AT_TOKEN]]->states[at[AT_STATE]];
        if (state->accepting) {
            if (search_ends(&search, at))
                return (struct accepts_result){ACCEPTS_FOUND, search_witness(&search, number),
                                               search.uncertain};
            search_next_token(&search, number, at);
        }
        search_read(&search, number, at, state);
    }
    return (struct accepts_result){.answer = search.exhausted ? ACCEPTS_EXHAUSTED : ACCEPTS_NONE};
}
