/* sluicec graph RULES [SLOT]: Graphviz DOT of what decides: the rules' common beginnings as a tree, or
 * one slot's automaton. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/commands.h"
#include "compiler/base/arena.h"
#include "compiler/base/buffer.h"
#include "compiler/base/table.h"
#include "compiler/base/utf8.h"
#include "compiler/policy/load.h"

/* A picture with more states than this shows nothing. */
#define GRAPH_STATES_MAX 2000u

struct graph_options {
    struct options common;
    const char *path, *slot;
};

/* Text inside a DOT string: the language escapes '"' and '\'; what a terminal or a picture cannot show
 * is written as its number. */
static void dot_text(struct buffer *out, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t scalar;
        size_t used = utf8_decode(text + at, length - at, &scalar);
        if (scalar == '"' || scalar == '\\')
            buffer_format(out, "\\%c", (char)scalar);
        else if (scalar == UTF8_INVALID || !utf8_is_visible(scalar))
            buffer_format(out, "\\\\x%02X", (unsigned char)text[at]);
        else
            buffer_add(out, text + at, used);
        at += used;
    }
}

/* ---- one automaton ------------------------------------------------------------------------------ */

static void dot_scalar(struct buffer *out, uint32_t scalar)
{
    char bytes[4];
    if (scalar == ' ')
        buffer_puts(out, "space");
    else if (utf8_is_visible(scalar))
        dot_text(out, bytes, utf8_encode(scalar, bytes));
    else
        buffer_format(out, "U+%04X", scalar);
}

/* The edges from one state to another as one, labelled with every range. */
static void dot_edge(struct buffer *out, const struct automaton_state *state, uint32_t from,
                     uint32_t first)
{
    uint32_t target = state->transitions[first].target, ranges = 0;
    buffer_format(out, "  s%u -> s%u [label=\"", from, target);
    for (uint32_t t = first; t < state->transition_count; t++) {
        const struct transition *transition = &state->transitions[t];
        if (transition->target != target)
            continue;
        if (ranges++ == 12) {
            buffer_puts(out, " ...");
            break;
        }
        if (ranges > 1)
            buffer_char(out, ' ');
        dot_scalar(out, transition->low);
        if (transition->high > transition->low) {
            buffer_puts(out, "..");
            dot_scalar(out, transition->high);
        }
    }
    buffer_puts(out, "\"];\n");
}

static void dot_automaton(struct buffer *out, const struct automaton *automaton, const char *name)
{
    buffer_puts(out, "digraph slot {\n  rankdir=LR;\n  label=\"#");
    dot_text(out, name, strlen(name));
    buffer_puts(out, "\";\n  node [shape=circle];\n  start [shape=point];\n  start -> s0;\n");
    for (uint32_t s = 0; s < automaton->state_count; s++) {
        const struct automaton_state *state = &automaton->states[s];
        buffer_format(out, "  s%u [label=\"%u\"%s];\n", s, s,
                      state->accepting ? ", shape=doublecircle" : "");
        for (uint32_t t = 0; t < state->transition_count; t++) {
            bool told = false;
            for (uint32_t before = 0; before < t; before++)
                told = told || state->transitions[before].target == state->transitions[t].target;
            if (!told)
                dot_edge(out, state, s, t);
        }
    }
    buffer_puts(out, "}\n");
}

/* ---- the tree of rules --------------------------------------------------------------------------- */

static void token_label(struct buffer *out, const struct model_rule *rule,
                        const struct model_token *token)
{
    for (size_t i = 0; i < token->piece_count; i++) {
        const struct model_piece *piece = &token->pieces[i];
        if (piece->is_slot) {
            const struct model_slot *slot = &rule->slots[piece->slot];
            buffer_format(out, "#%s", slot->name);
            buffer_format(out, ": %s", slot->description);
        } else {
            buffer_add(out, piece->literal, piece->literal_length);
        }
    }
    if (token->kind == TOKEN_EXPANSION)
        buffer_puts(out, "$HOME/...");
    if (token->kind == TOKEN_REST)
        buffer_format(out, " (%u to %u)", token->minimum, token->maximum);
}

/* A node is a beginning that rules share, known by the labels on the way to it. */
static void dot_rules(struct buffer *out, struct arena *arena, const struct model *model)
{
    struct table nodes = {0};
    uintptr_t count = 0;
    buffer_puts(out, "digraph rules {\n  rankdir=LR;\n  node [shape=point];\n  n0;\n");
    for (size_t r = 0; r < model->rule_count; r++) {
        const struct model_rule *rule = &model->rules[r];
        struct buffer way = {0};
        uintptr_t node = 0;
        for (size_t t = 0; t < rule->token_count; t++) {
            struct buffer label = {0};
            token_label(&label, rule, &rule->tokens[t]);
            buffer_format(&way, "%zu ", label.length);
            buffer_add(&way, buffer_text(&label), label.length);
            uintptr_t next = (uintptr_t)table_find(&nodes, buffer_text(&way), way.length);
            if (!next) {
                next = ++count;
                table_add(arena, &nodes, arena_copy(arena, buffer_text(&way), way.length),
                          way.length, (void *)next);
                buffer_format(out, "  n%zu -> n%zu [label=\"", (size_t)node, (size_t)next);
                dot_text(out, buffer_text(&label), label.length);
                buffer_puts(out, "\"];\n");
            }
            node = next;
            buffer_free(&label);
        }
        buffer_free(&way);
        buffer_format(out, "  rule%zu [shape=box, label=\"line %u\"];\n  n%zu -> rule%zu;\n", r,
                      rule->line, (size_t)node, r);
    }
    buffer_puts(out, "}\n");
}

/* ---- the command ------------------------------------------------------------------------------- */

/* The slot's automaton: its name alone, or LINE:NAME where rules have different ones of a name. */
static int find_slot(const struct command *command, const struct model *model, const char *wanted,
                     const struct automaton **automaton)
{
    char *end = NULL;
    unsigned long line = wanted[0] >= '0' && wanted[0] <= '9' ? strtoul(wanted, &end, 10) : 0;
    const char *name = wanted;
    if (end && *end == ':')
        name = end + 1;
    else
        line = 0;
    for (size_t r = 0; r < model->rule_count; r++) {
        const struct model_rule *rule = &model->rules[r];
        for (size_t s = 0; s < rule->slot_count && (!line || rule->line == line); s++) {
            const struct model_slot *slot = &rule->slots[s];
            if (strcmp(slot->name, name) != 0)
                continue;
            if (!slot->accepted)
                return command_misused(command, "line %u: #%s is not decided by an automaton",
                                       rule->line, slot->name);
            if (*automaton && !automaton_equal(*automaton, slot->accepted))
                return command_misused(command, "rules have different slots #%s: say LINE:%s", name,
                                       name);
            *automaton = slot->accepted;
        }
    }
    if (!*automaton)
        return command_misused(command, "no rule has a slot '%s'", wanted);
    if ((*automaton)->state_count > GRAPH_STATES_MAX)
        return command_misused(command, "#%s has %u states; a picture takes at most %u", name,
                               (*automaton)->state_count, GRAPH_STATES_MAX);
    return EXIT_GOOD;
}

static int graph_model(const struct command *command, struct loaded *loaded,
                       const struct graph_options *options)
{
    struct buffer out = {0};
    int status = EXIT_GOOD;
    if (options->slot) {
        const struct automaton *automaton = NULL;
        status = find_slot(command, loaded->model, options->slot, &automaton);
        if (status == EXIT_GOOD)
            dot_automaton(&out, automaton, options->slot);
    } else {
        dot_rules(&out, loaded->arena, loaded->model);
    }
    fwrite(buffer_text(&out), 1, out.length, stdout);
    buffer_free(&out);
    return status;
}

static int read_arguments(const struct command *command, int argc, char **argv,
                          struct graph_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (argument[0] == '-' && argument[1]) {
            enum option_result result = options_take(&options->common, argument);
            if (result == OPTION_WRONG)
                return EXIT_USAGE;
            if (result == OPTION_UNKNOWN)
                return command_misused(command, "unknown option '%s'", argument);
        } else if (!options->path) {
            options->path = argument;
        } else if (!options->slot) {
            options->slot = argument[0] == '#' ? argument + 1 : argument;
        } else {
            return command_misused(command, "one slot at a time: '%s'", argument);
        }
    }
    return options->path ? EXIT_GOOD : command_misused(command, "a rules file is needed");
}

static int run(const struct command *command, int argc, char **argv)
{
    struct graph_options options = {0};
    struct loaded loaded;
    int status = read_arguments(command, argc, argv, &options);
    if (status == EXIT_GOOD && !load_policy(&loaded, &options.common, options.path)) {
        status = EXIT_USAGE;
    } else if (status == EXIT_GOOD) {
        status = load_report(&loaded, &options.common);
        if (status == EXIT_GOOD && loaded.model)
            status = graph_model(command, &loaded, &options);
        load_end(&loaded);
    }
    options_free(&options.common);
    return status;
}

const struct command command_graph = {
    .name = "graph",
    .run = run,
    .usage = "graph RULES [SLOT]",
    .help = "Graphviz DOT: the rules as a tree of their tokens, or the automaton of a slot\n"
            "(NAME, or LINE:NAME)\n",
};
