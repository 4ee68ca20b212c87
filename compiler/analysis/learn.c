#include "compiler/analysis/learn.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/analysis/matching.h"
#include "compiler/analysis/programs.h"
#include "compiler/analysis/warnings.h"
#include "compiler/base/arena.h"
#include "compiler/base/table.h"
#include "compiler/base/utf8.h"
#include "compiler/policy/load.h"

/* What a group's proposals cost, in steps, besides their automata and warnings. */
#define PROPOSAL_STEPS 2000000u

/* Memory of the compilation of one proposal. */
#define PROPOSAL_MEMORY_MAX ((size_t)512 * 1024 * 1024)

/* Calls of one program with the same number of words, the same subcommand and the same options. */
struct group {
    const struct manifest_call **calls;
    size_t count, capacity;
    uint64_t times;
};

struct learner {
    struct arena *arena;
    const struct programs *programs;
    struct buffer *out;
    struct table table; /* key of a group -> place plus one */
    struct group *groups;
    size_t group_count, group_capacity;
    uint64_t unspeakable; /* calls that no rule can spell */
    size_t unread;        /* calls that there was no work left to look at */
    struct work *work;
};

/* ---- what is to be proposed for ---------------------------------------------------------------------- */

/* $HOME as it is here and now, as `match` has it. */
static struct policy_bytes *expansions_of(struct arena *arena, const struct model *model)
{
    const char *home = getenv("HOME");
    struct policy_bytes *all = arena_array(arena, model->expansion_count + 1, sizeof *all);
    for (size_t i = 0; i < model->expansion_count; i++) {
        const char *text =
            arena_format(arena, "%s%s", home ? home : "", model->expansions[i].pieces[1].text);
        all[i] = (struct policy_bytes){text, (uint32_t)strlen(text)};
    }
    return all;
}

/* What asking one rule costs, in steps, besides the words. */
#define ASK_STEPS 120u

static bool model_takes(const struct model *model, const struct manifest_call *call,
                        struct work *work)
{
    work_spend(work, model->rule_count * ASK_STEPS + call->count * 100);
    struct arena *scratch = arena_new(0);
    struct policy_request request = {call->count, call->arguments, expansions_of(scratch, model)};
    bool takes = matching_find(scratch, model, &request).verdict == POLICY_YES;
    arena_free(scratch);
    return takes;
}

/* Whether a person sees a word for what it is. What a caller sent comes here to a terminal and into a
 * rules file: neither must be steered, nor shown other than it is. */
static bool word_is_visible(struct policy_bytes word)
{
    for (size_t at = 0, taken; at < word.length; at += taken) {
        uint32_t scalar;
        taken = utf8_decode(word.bytes + at, word.length - at, &scalar);
        if (!utf8_is_visible(scalar) && scalar != '\t')
            return false;
    }
    return true;
}

/* Whether a rule's line can have these words: the first is a program, none has a line's end or what
 * cannot be seen. */
static bool call_is_speakable(const struct manifest_call *call)
{
    struct policy_bytes program = call->arguments[0];
    if (!program.length || (program.bytes[0] != '/' && strchr(program.bytes, '/')))
        return false;
    for (uint32_t i = 0; i < call->count; i++)
        if (!word_is_visible(call->arguments[i]))
            return false;
    return true;
}

/* The bytes of a word that calls of one group share: all of an option, "--name=" of one with a value. */
static size_t word_fixed(struct policy_bytes word)
{
    if (!word.length || word.bytes[0] != '-')
        return 0;
    const char *equals = strchr(word.bytes, '=');
    return equals && word.bytes[1] == '-' ? (size_t)(equals - word.bytes) + 1 : word.length;
}

/* Which word is a subcommand, or 0. */
static uint32_t call_subcommand(const struct learner *learner, const struct manifest_call *call)
{
    const char *slash = strrchr(call->arguments[0].bytes, '/');
    const char *name = slash ? slash + 1 : call->arguments[0].bytes;
    const struct program *program = program_find(learner->programs, name);
    const struct program_fact *valued = NULL;
    bool subcommands = false;
    for (size_t f = 0; program && f < program->fact_count; f++) {
        subcommands |= strcmp(program->facts[f].name, "subcommands") == 0;
        if (strcmp(program->facts[f].name, "options-with-value") == 0)
            valued = &program->facts[f];
    }
    for (uint32_t i = 1; subcommands && i < call->count; i++) {
        if (call->arguments[i].bytes[0] != '-')
            return i;
        if (valued && fact_has(valued, call->arguments[i].bytes))
            i++;
    }
    return 0;
}

static void learner_group(struct learner *learner, const struct manifest_call *call)
{
    struct buffer key = {0};
    uint32_t subcommand = call_subcommand(learner, call);
    for (uint32_t i = 0; i < call->count; i++) {
        struct policy_bytes word = call->arguments[i];
        buffer_add(&key, word.bytes,
                   i == 0 || i == subcommand ? word.length : word_fixed(word));
        buffer_char(&key, '\0');
    }
    uintptr_t found = (uintptr_t)table_find(&learner->table, buffer_text(&key), key.length);
    if (!found) {
        arena_grow(learner->arena, &learner->groups, &learner->group_capacity,
                   learner->group_count + 1, sizeof *learner->groups);
        learner->groups[learner->group_count++] = (struct group){0};
        found = learner->group_count;
        table_add(learner->arena, &learner->table,
                  arena_copy(learner->arena, buffer_text(&key), key.length), key.length,
                  (void *)found);
    }
    buffer_free(&key);
    struct group *group = &learner->groups[found - 1];
    arena_grow(learner->arena, &group->calls, &group->capacity, group->count + 1,
               sizeof *group->calls);
    group->calls[group->count++] = call;
    group->times += call->rejected + call->accepted;
}

/* ---- writing rules ------------------------------------------------------------------------------- */

/* A word as a rule line has it. */
static void add_word(struct buffer *out, const char *bytes, size_t length)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=@%+,-";
    if (length && strspn(bytes, plain) >= length) {
        buffer_add(out, bytes, length);
        return;
    }
    buffer_char(out, '\'');
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == '\'')
            buffer_puts(out, "'\\''");
        else
            buffer_char(out, bytes[i]);
    buffer_char(out, '\'');
}

enum level { LEVEL_LISTED, LEVEL_GENERAL };

/* The different values of word `at`, without its fixed beginning. */
static struct policy_bytes *group_values(struct arena *arena, const struct group *group, uint32_t at,
                                         size_t *count)
{
    struct policy_bytes *values = arena_array(arena, group->count, sizeof *values);
    struct table seen = {0};
    *count = 0;
    for (size_t c = 0; c < group->count; c++) {
        struct policy_bytes word = group->calls[c]->arguments[at];
        size_t fixed = word_fixed(word);
        struct policy_bytes value = {word.bytes + fixed, word.length - (uint32_t)fixed};
        if (table_find(&seen, value.bytes, value.length + 1))
            continue;
        table_add(arena, &seen, value.bytes, value.length + 1, values);
        values[(*count)++] = value;
    }
    return values;
}

/* The rule of a group: literals where its calls agree, slots where they differ. False: a slot has too
 * many values to list, or no standard pattern. */
static bool group_rule(struct arena *arena, const struct group *group, enum level level,
                       struct buffer *out)
{
    struct buffer slots = {0};
    const struct manifest_call *first = group->calls[0];
    bool good = true;
    unsigned named = 0;
    for (uint32_t i = 0; i < first->count && good; i++) {
        struct policy_bytes word = first->arguments[i];
        size_t count, fixed = word_fixed(word);
        struct policy_bytes *values = group_values(arena, group, i, &count);
        if (i)
            buffer_char(out, ' ');
        if (count == 1 || i == 0) {
            add_word(out, word.bytes, word.length);
            continue;
        }
        const char *pattern = level == LEVEL_GENERAL ? learn_pattern(arena, values, count)
                              : count <= LEARN_LISTED_MAX ? learn_list(arena, values, count)
                                                          : NULL;
        named++;
        if (fixed) {
            add_word(out, word.bytes, fixed);
            buffer_format(out, "#{value%u}", named);
        } else {
            buffer_format(out, "#value%u", named);
        }
        good = pattern != NULL;
        buffer_format(&slots, "  value%u = %s\n", named, pattern ? pattern : "");
    }
    buffer_char(out, '\n');
    buffer_add(out, buffer_text(&slots), slots.length);
    buffer_free(&slots);
    return good;
}

static void call_rule(const struct manifest_call *call, struct buffer *out)
{
    for (uint32_t i = 0; i < call->count; i++) {
        if (i)
            buffer_char(out, ' ');
        add_word(out, call->arguments[i].bytes, call->arguments[i].length);
    }
    buffer_char(out, '\n');
}

/* ---- trying them --------------------------------------------------------------------------------- */

/* The first line of each warning, as comments, without its place. */
static void add_warnings(struct buffer *out, char *printed)
{
    for (char *line = strtok(printed, "\n"); line; line = strtok(NULL, "\n")) {
        char *warning = strstr(line, ": warning: ");
        if (warning && strncmp(line, "proposal:", 9) == 0)
            buffer_format(out, "; %s\n", warning + 2);
    }
}

/* Compiles a proposal and asks it for the calls that it is made from; true with its warnings when it
 * takes them all. */
static bool proposal_holds(const struct buffer *text, const struct manifest_call *const *calls,
                           size_t count, struct work *work, struct buffer *warnings)
{
    if (text->length > SOURCE_LENGTH_MAX)
        return false;
    struct arena *arena = arena_new(PROPOSAL_MEMORY_MAX);
    const struct source *source =
        source_from_text(arena, "proposal", buffer_text(text), text->length);
    struct diagnostics *diagnostics = diagnostics_new(arena, source);
    const struct model *model = model_from_source(arena, source, diagnostics);
    bool holds = model != NULL;
    for (size_t i = 0; i < count && holds; i++)
        holds = model_takes(model, calls[i], work);
    char *printed = NULL;
    size_t length;
    FILE *memory = holds ? open_memstream(&printed, &length) : NULL;
    if (memory) {
        warnings_check(arena, model, diagnostics, work);
        diagnostics_print(diagnostics, memory, DIAGNOSTIC_TEXT);
        fclose(memory);
        add_warnings(warnings, printed);
        free(printed);
    }
    arena_free(arena);
    return holds;
}

/* Each line of a text, as it is or as a comment. */
static void add_lines(struct buffer *out, const struct buffer *text, bool as_comment)
{
    const char *line = buffer_text(text);
    while (*line) {
        size_t length = strcspn(line, "\n");
        buffer_puts(out, as_comment && *line != ';' ? "; " : "");
        buffer_add(out, line, length);
        buffer_char(out, '\n');
        line += length + (line[length] == '\n');
    }
}

/* Writes one proposal of a group; the first is in force, wider ones are comments. True: written. */
static bool propose(struct learner *learner, const struct group *group, const struct buffer *rules,
                    const char *what, bool as_comment)
{
    struct buffer warnings = {0};
    bool holds = proposal_holds(rules, group->calls, group->count, learner->work, &warnings);
    if (holds) {
        if (as_comment)
            buffer_format(learner->out, "; or %s:\n", what);
        buffer_add(learner->out, buffer_text(&warnings), warnings.length);
        add_lines(learner->out, rules, as_comment);
    }
    buffer_free(&warnings);
    return holds;
}

static void propose_group(struct learner *learner, const struct group *group)
{
    static const char *const whats[] = {[LEVEL_LISTED] = "with the values seen",
                                        [LEVEL_GENERAL] = "for values like these"};
    struct buffer rules = {0};
    bool written = false;
    buffer_format(learner->out, "\n; ---- asked for %llu time%s, in %zu form%s\n",
                  (unsigned long long)group->times, group->times == 1 ? "" : "s", group->count,
                  group->count == 1 ? "" : "s");
    if (group->count <= LEARN_EXACT_MAX) {
        for (size_t i = 0; i < group->count; i++)
            call_rule(group->calls[i], &rules);
        written = propose(learner, group, &rules, "exactly", false);
    }
    for (unsigned level = LEVEL_LISTED; level <= LEVEL_GENERAL && group->count > 1; level++) {
        struct arena *scratch = arena_new(PROPOSAL_MEMORY_MAX);
        buffer_clear(&rules);
        if (group_rule(scratch, group, (enum level)level, &rules))
            written |= propose(learner, group, &rules, whats[level], written);
        arena_free(scratch);
    }
    if (!written)
        buffer_puts(learner->out, "; no rule can be written for these: their words have nothing in common\n");
    buffer_free(&rules);
}

/* What was asked for most comes first. */
static int group_compare(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return x->times != y->times ? (x->times > y->times ? -1 : 1) : 0;
}

static void add_notes(struct learner *learner, const struct manifest *manifest)
{
    struct buffer *out = learner->out;
    if (manifest->unreadable)
        buffer_format(out, "; left out: %llu of %llu lines, which are no events\n",
                      (unsigned long long)manifest->unreadable,
                      (unsigned long long)manifest->lines);
    if (manifest->limit)
        buffer_format(out, "; left out: what is over %s\n", manifest->limit);
    if (learner->unspeakable)
        buffer_format(out, "; left out: %llu command lines that no rule line can spell\n",
                      (unsigned long long)learner->unspeakable);
    if (learner->unread)
        buffer_format(out, "; left out: %zu different command lines: to ask the rules for them takes "
                      "over %llu million steps\n", learner->unread,
                      (unsigned long long)(WORK_STEPS_MAX / 4 * 3 / 1000000));
    if (learner->group_count > LEARN_GROUPS_MAX)
        buffer_format(out, "; left out: %zu groups of calls, over %u\n",
                      learner->group_count - LEARN_GROUPS_MAX, LEARN_GROUPS_MAX);
}

size_t learn_propose(struct arena *arena, const struct manifest *manifest,
                     const struct model *model, struct work *work, struct buffer *out)
{
    struct learner learner = {.arena = arena, .programs = programs_read(arena), .out = out,
                              .work = work};
    for (size_t i = 0; i < manifest->call_count; i++) {
        const struct manifest_call *call = &manifest->calls[i];
        /* A quarter of the work is for the proposals. */
        if (work->steps < WORK_STEPS_MAX / 4) {
            learner.unread = manifest->call_count - i;
            break;
        }
        if (model && model_takes(model, call, work))
            continue;
        if (call_is_speakable(call))
            learner_group(&learner, call);
        else
            learner.unspeakable++;
    }
    if (learner.group_count)
        qsort(learner.groups, learner.group_count, sizeof *learner.groups, group_compare);
    add_notes(&learner, manifest);
    for (size_t i = 0; i < learner.group_count && i < LEARN_GROUPS_MAX; i++) {
        if (!work_spend(work, PROPOSAL_STEPS)) {
            buffer_format(out, "\n; left out: %zu groups of calls: the proposals take too much work\n",
                          learner.group_count - i);
            break;
        }
        propose_group(&learner, &learner.groups[i]);
    }
    return learner.group_count;
}
