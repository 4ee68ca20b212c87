/* syscalls: a base set and changes to it, `default -ptrace +bpf`. Only names are checked here. */
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/values.h"

#define SYSCALL_NAME_MAX 64u

static const char *const syscall_names[] = {
#define SYSCALL(name, x86_64, aarch64, sets, refusal, reason) #name,
#include "grammar/syscalls.def"
#undef SYSCALL
};
#define SYSCALL_COUNT (sizeof syscall_names / sizeof syscall_names[0])

static const struct choice base_choices[] = {{"default", SYSCALLS_DEFAULT},
                                             {"inherit", SYSCALLS_INHERIT},
                                             {"strict", SYSCALLS_STRICT},
                                             {0}};

static bool is_syscall_name(const char *name)
{
    for (size_t i = 0; i < SYSCALL_COUNT; i++)
        if (strcmp(syscall_names[i], name) == 0)
            return true;
    return false;
}

static const char *nearest_syscall(struct check *check, const char *name, size_t length)
{
    struct suggestion search = {.word = name, .length = length};
    for (size_t i = 0; i < SYSCALL_COUNT && check_may_suggest(check); i++)
        suggest_offer(&search, syscall_names[i]);
    return search.nearest;
}

static bool read_change(struct check *check, const struct tree_value *word,
                        struct model_syscall_change *change)
{
    change->add = word->text[0] == '+';
    change->span = word->at;
    if (word->length < 2 || word->length > SYSCALL_NAME_MAX ||
        (word->text[0] != '+' && word->text[0] != '-')) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, word->at, "syscalls: `%s` is not understood",
                             check_quote_value(check, word));
        check_hint(check, error,
                   "write default, inherit or strict, then +NAME to allow a call and -NAME to "
                   "refuse one");
        return false;
    }
    change->name = arena_copy(check->arena, word->text + 1, word->length - 1);
    if (is_syscall_name(change->name))
        return true;
    struct diagnostic *error = diagnostic_error(
        check->diagnostics, word->at, "syscalls: there is no system call `%s`", change->name);
    check_suggest(check, error, nearest_syscall(check, change->name, word->length - 1));
    return false;
}

struct change_builder {
    struct model_syscall_change *items;
    size_t count, capacity, inherited;
};

/* Adds a change; the rule's own word counts over the defaults'. */
static bool put_change(struct check *check, struct change_builder *changes,
                       struct model_syscall_change change)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (strcmp(changes->items[i].name, change.name) != 0)
            continue;
        if (i < changes->inherited) {
            changes->items[i] = change;
            return true;
        }
        struct diagnostic *error = diagnostic_error(check->diagnostics, change.span,
                                                    "syscalls: `%s` is named twice", change.name);
        diagnostic_note(check->diagnostics, error, changes->items[i].span, "it is here as well");
        return false;
    }
    arena_grow(check->arena, &changes->items, &changes->capacity, changes->count + 1,
               sizeof *changes->items);
    changes->items[changes->count++] = change;
    return true;
}

static int compare_changes(const void *left, const void *right)
{
    const struct model_syscall_change *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* The end of the word at `at`. */
static uint32_t word_end(const struct tree_value *value, uint32_t at)
{
    while (at < value->length && !is_separator(value->text[at]))
        at++;
    return at;
}

static bool read_changes(struct check *check, const struct tree_value *value, uint32_t begin,
                         struct change_builder *changes)
{
    bool good = true;
    for (uint32_t at = begin, end; at < value->length; at = end) {
        end = word_end(value, at);
        struct tree_value word = value_part(value, at, end);
        struct model_syscall_change change;
        if (end == at)
            end++;
        else if (changes->count == VALUE_ITEMS_MAX) {
            diagnostic_error(check->diagnostics, word.at, "syscalls: more than %u changes",
                             VALUE_ITEMS_MAX);
            return false;
        } else if (!read_change(check, &word, &change) || !put_change(check, changes, change))
            good = false;
    }
    return good;
}

/* `inherit` refuses nothing, so there is nothing for `+NAME` to allow. */
static bool check_additions(struct check *check, uint64_t base,
                            const struct change_builder *changes)
{
    for (size_t i = 0; i < changes->count && base == SYSCALLS_INHERIT; i++) {
        if (!changes->items[i].add)
            continue;
        diagnostic_error(check->diagnostics, changes->items[i].span,
                         "syscalls: `+%s` adds nothing to `inherit`, which allows every call",
                         changes->items[i].name);
        return false;
    }
    return true;
}

bool settings_syscalls(struct check *check, struct settings *settings,
                       const struct tree_value *value)
{
    struct change_builder changes = {0};
    uint64_t base = settings->number[KEY_SYSCALLS];
    uint32_t begin = 0;
    if (!value->length) {
        diagnostic_error(check->diagnostics, value->at, "syscalls: the list is empty");
        return false;
    }
    if (value_starts(value, "+") || value_starts(value, "-")) {
        for (size_t i = 0; i < settings->change_count; i++)
            put_change(check, &changes, settings->changes[i]);
        changes.inherited = changes.count;
    } else {
        begin = word_end(value, 0);
        struct tree_value word = value_part(value, 0, begin);
        if (!value_choice(check, "syscalls", &word, base_choices, &base))
            return false;
    }
    if (!read_changes(check, value, begin, &changes) || !check_additions(check, base, &changes))
        return false;
    if (changes.count)
        qsort(changes.items, changes.count, sizeof *changes.items, compare_changes);
    settings->number[KEY_SYSCALLS] = base;
    settings->changes = changes.items;
    settings->change_count = changes.count;
    return true;
}
