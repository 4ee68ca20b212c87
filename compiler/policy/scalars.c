/* Attributes whose value is one number or words of a closed set: durations, sizes, counts, choices.
 * One table says what each accepts. */
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/policy/settings.h"
#include "compiler/policy/values.h"

#define MEGABYTE (INT64_C(1) << 20)

/* A few values that several attributes share. */
#define NONE_IS_ZERO .accepts_none = true, .none = 0
#define NONE_IS_UNSET .accepts_none = true, .none = LIMIT_UNSET

static const struct choice log_choices[] = {
    {"full", LOG_FULL}, {"argv-only", LOG_ARGV_ONLY}, {"exit-only", LOG_EXIT_ONLY}, {0}};
static const struct choice strict_choices[] = {{"strict", true}, {"best-effort", false}, {0}};
static const struct choice explain_choices[] = {{"on", true}, {"off", false}, {0}};
static const struct choice disconnect_choices[] = {
    {"continue", DISCONNECT_CONTINUE}, {"kill", DISCONNECT_KILL}, {0}};
static const struct choice kill_choices[] = {
    {"tree", KILL_TREE}, {"group", KILL_GROUP}, {"tree-on-exit", KILL_TREE_ON_EXIT}, {0}};
static const struct choice metadata_choices[] = {
    {"deny", METADATA_DENY}, {"within", METADATA_WITHIN}, {"allow", METADATA_ALLOW}, {0}};
static const struct choice unix_choices[] = {{"inherit", false}, {"none", true}, {0}};
static const struct choice signals_choices[] = {{"inherit", false}, {"own", true}, {0}};
static const struct choice privileges_choices[] = {{"deny", false}, {"allow", true}, {0}};
static const struct choice refuse_choices[] = {
    {"control", REFUSE_CONTROL}, {"shell", REFUSE_SHELL}, {0}};
static const struct choice protect_choices[] = {
    {"@dotfiles", PROTECT_DOTFILES}, {"@git-hooks", PROTECT_GIT_HOOKS}, {0}};
static const struct choice isolate_choices[] = {{"pid", ISOLATE_PID},     {"ipc", ISOLATE_IPC},
                                                {"uts", ISOLATE_UTS},     {"mount", ISOLATE_MOUNT},
                                                {"user", ISOLATE_USER},   {0}};

/* Signals by Linux's numbers (asm-generic/signal.h), not by the compiling host's: the same on every
 * architecture that a broker is built for. */
#define SIGNAL(number) (UINT64_C(1) << (number))
static const struct choice forward_choices[] = {
    {"int", SIGNAL(2)},    {"term", SIGNAL(15)},  {"hup", SIGNAL(1)},
    {"quit", SIGNAL(3)},   {"winch", SIGNAL(28)}, {"tstp", SIGNAL(20)},
    {"cont", SIGNAL(18)},  {"usr1", SIGNAL(10)},  {"usr2", SIGNAL(12)},
    {0}};
#define FORWARD_INITIAL \
    (SIGNAL(2) | SIGNAL(15) | SIGNAL(1) | SIGNAL(3) | SIGNAL(28) | SIGNAL(18))

/* What a key accepts and what it is where it is not set. */
struct scalar {
    int64_t minimum, maximum; /* of numbers; durations in milliseconds */
    uint64_t initial;
    bool accepts_none;
    uint64_t none;                 /* what `none` stands for */
    const struct choice *choices;  /* of choices */
};

static const struct scalar scalars[KEY_COUNT] = {
    [KEY_TIMEOUT] = {1, VALUE_DURATION_MAX_MS, 0, NONE_IS_ZERO},
    [KEY_STOP_TIMEOUT] = {1, VALUE_DURATION_MAX_MS, .initial = 10000},
    [KEY_CPU_TIME] = {1000, VALUE_DURATION_MAX_MS, LIMIT_UNSET, NONE_IS_UNSET},
    [KEY_MAX_OUTPUT] = {1, VALUE_SIZE_MAX, 0, NONE_IS_ZERO},
    [KEY_MAX_ACTIVE] = {1, 4096, .initial = 64},
    [KEY_QUEUE] = {0, 4096, .initial = 256},
    /* Below a megabyte no program starts at all: such a number lacks its unit. */
    [KEY_MEMORY] = {MEGABYTE, VALUE_SIZE_MAX, LIMIT_UNSET, NONE_IS_UNSET},
    [KEY_FILE_SIZE] = {0, VALUE_SIZE_MAX, LIMIT_UNSET, NONE_IS_UNSET},
    [KEY_CORE] = {0, VALUE_SIZE_MAX, LIMIT_UNSET, NONE_IS_UNSET},
    /* Three standard descriptors and one to load the program with; the kernel's own nr_open. */
    [KEY_OPEN_FILES] = {4, 1048576, LIMIT_UNSET, NONE_IS_UNSET},
    [KEY_PROCESSES] = {1, 4194304, LIMIT_UNSET, NONE_IS_UNSET}, /* PID_MAX_LIMIT */
    [KEY_NICE] = {-20, 19, .initial = 0},
    [KEY_UMASK] = {0, 0777, .initial = 022},
    [KEY_LOG] = {.initial = LOG_FULL, .choices = log_choices},
    [KEY_AUDIT] = {.initial = true, .choices = strict_choices},
    [KEY_CONFINE] = {.initial = true, .choices = strict_choices},
    [KEY_EXPLAIN] = {.initial = true, .choices = explain_choices},
    [KEY_ON_DISCONNECT] = {.initial = DISCONNECT_CONTINUE, .choices = disconnect_choices},
    [KEY_KILL] = {.initial = KILL_GROUP, .choices = kill_choices},
    [KEY_METADATA] = {.initial = METADATA_ALLOW, .choices = metadata_choices},
    [KEY_UNIX] = {.initial = false, .choices = unix_choices},
    [KEY_SIGNALS] = {.initial = false, .choices = signals_choices},
    [KEY_NEW_PRIVS] = {.initial = false, .choices = privileges_choices},
    [KEY_REFUSE] = {.choices = refuse_choices, NONE_IS_ZERO},
    [KEY_FORWARD] = {.initial = FORWARD_INITIAL, .choices = forward_choices, NONE_IS_ZERO},
    [KEY_PROTECT] = {.choices = protect_choices, NONE_IS_ZERO},
    [KEY_ISOLATE] = {.choices = isolate_choices, NONE_IS_ZERO},
};

void settings_initial_scalars(struct settings *settings)
{
    for (size_t key = 0; key < KEY_COUNT; key++)
        settings->number[key] = scalars[key].initial;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* How a form is read, and how its errors speak of it. */
struct number_form {
    enum number_result (*read)(const char *text, size_t length, int64_t *value);
    const char *(*format)(struct arena *arena, int64_t value);
    const char *what, *hint;
};

/* A whole number with an optional minus. */
static enum number_result read_signed(const char *text, size_t length, int64_t *value)
{
    bool negative = length && text[0] == '-';
    enum number_result result = number_decimal(text + negative, length - negative, value);
    if (negative)
        *value = -*value;
    return result;
}

static const char *format_decimal(struct arena *arena, int64_t value)
{
    return arena_format(arena, "%lld", (long long)value);
}

static const char *format_octal(struct arena *arena, int64_t value)
{
    return arena_format(arena, "%03llo", (unsigned long long)value);
}

static struct number_form number_form_of(enum value_form form)
{
    switch (form) {
    case FORM_DURATION:
        return (struct number_form){number_duration, format_duration, "a duration",
                                    "write a whole number and ms, s, m or h, as in 500ms or 2h; "
                                    "a number alone is seconds"};
    case FORM_SIZE:
        return (struct number_form){number_size, format_size, "a size",
                                    "write a whole number and K, M, G or T (powers of 1024), as "
                                    "in 512M; a number alone is bytes"};
    case FORM_OCTAL:
        return (struct number_form){number_octal, format_octal, "an octal number",
                                    "write octal digits, as in 022 or 077"};
    default:
        return (struct number_form){read_signed, format_decimal, "a number",
                                    "write a whole decimal number"};
    }
}

/* Reads a number within the key's bounds. */
static bool read_number(struct check *check, enum attribute_key key,
                        const struct tree_value *value, int64_t *number)
{
    const struct scalar *scalar = &scalars[key];
    const char *name = key_definitions[key].name;
    struct number_form form = number_form_of(key_definitions[key].form);
    enum number_result result = form.read(value->text, value->length, number);
    if (result == NUMBER_MALFORMED) {
        struct diagnostic *error =
            diagnostic_error(check->diagnostics, value->at, "%s: `%s` is not %s%s", name,
                             check_quote_value(check, value), form.what,
                             scalar->accepts_none ? " or `none`" : "");
        check_hint(check, error, "%s", form.hint);
        return false;
    }
    if (result == NUMBER_TOO_LARGE || *number < scalar->minimum || *number > scalar->maximum) {
        diagnostic_error(check->diagnostics, value->at, "%s: `%s` is out of range: %s to %s", name,
                         check_quote_value(check, value),
                         form.format(check->arena, scalar->minimum),
                         form.format(check->arena, scalar->maximum));
        return false;
    }
    return true;
}

/* RLIMIT_CPU counts whole seconds. */
static bool read_whole_seconds(struct check *check, const struct tree_value *value,
                               int64_t *number)
{
    if (*number % 1000) {
        diagnostic_error(check->diagnostics, value->at,
                         "cpu_time: `%s` is not a whole number of seconds",
                         check_quote_value(check, value));
        return false;
    }
    *number /= 1000;
    return true;
}

/* ---- choices --------------------------------------------------------------------------------- */

static bool read_choices(struct check *check, enum attribute_key key,
                         const struct tree_value *value, uint64_t *mask)
{
    const char *name = key_definitions[key].name;
    struct value_list list;
    if (!value_split(check, name, value, &list))
        return false;
    bool good = true;
    *mask = 0;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t bit;
        if (!value_choice(check, name, &list.items[i], scalars[key].choices, &bit))
            good = false;
        else
            *mask |= bit;
    }
    return good;
}

const char *settings_words(struct arena *arena, enum attribute_key key, uint64_t value)
{
    bool is_mask = key_definitions[key].form == FORM_CHOICES;
    const char *words = NULL;
    for (const struct choice *choice = scalars[key].choices; choice->word; choice++) {
        if (is_mask ? !(choice->value & value) : choice->value != value)
            continue;
        words = words ? arena_format(arena, "%s, %s", words, choice->word) : choice->word;
    }
    return words ? words : "none";
}

bool settings_scalar(struct check *check, struct settings *settings, enum attribute_key key,
                     const struct tree_value *value)
{
    const struct scalar *scalar = &scalars[key];
    enum value_form form = key_definitions[key].form;
    uint64_t result = scalar->none;
    int64_t number;
    if (scalar->accepts_none && value_is(value, "none")) {
        settings->number[key] = result;
        return true;
    }
    if (form == FORM_CHOICE) {
        if (!value_choice(check, key_definitions[key].name, value, scalar->choices, &result))
            return false;
    } else if (form == FORM_CHOICES) {
        if (!read_choices(check, key, value, &result))
            return false;
    } else {
        if (!read_number(check, key, value, &number) ||
            (key == KEY_CPU_TIME && !read_whole_seconds(check, value, &number)))
            return false;
        result = (uint64_t)number;
    }
    settings->number[key] = result;
    return true;
}
