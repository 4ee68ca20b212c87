#include "compiler/base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/arena.h"
#include "compiler/base/suggest.h"

static const char *const warning_names[] = {
#define WARNING(name, what) name,
#include "grammar/warnings.def"
};
#define WARNING_COUNT (sizeof warning_names / sizeof warning_names[0])

/* The warning of that name as the table has it: it outlives the command line. */
static const char *find_warning(const char *name)
{
    for (size_t i = 0; i < WARNING_COUNT; i++)
        if (strcmp(warning_names[i], name) == 0)
            return warning_names[i];
    return NULL;
}

static enum option_result add_warning(struct options *options, const char *argument,
                                      const char *name, enum warning_level level)
{
    const char *known = find_warning(name);
    if (!known) {
        struct suggestion search = {.word = name, .length = strlen(name)};
        for (size_t i = 0; i < WARNING_COUNT; i++)
            suggest_offer(&search, warning_names[i]);
        fprintf(stderr, "sluicec: %s: there is no warning '%s'", argument, name);
        if (search.nearest)
            fprintf(stderr, "; did you mean '%s'?", search.nearest);
        fputc('\n', stderr);
        return OPTION_WRONG;
    }
    options->warnings = memory_resize(options->warnings, options->warning_count + 1,
                                      sizeof *options->warnings);
    options->warnings[options->warning_count++] = (struct warning_option){known, level};
    return OPTION_TAKEN;
}

static const char *behind(const char *argument, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(argument, prefix, length) == 0 ? argument + length : NULL;
}

static enum option_result take_warning(struct options *options, const char *argument)
{
    const char *name;
    if (strcmp(argument, "-Werror") == 0) {
        options->strict = true;
        return OPTION_TAKEN;
    }
    if ((name = behind(argument, "-Werror=")))
        return add_warning(options, argument, name, WARNING_ERROR);
    if ((name = behind(argument, "-Wno-")))
        return add_warning(options, argument, name, WARNING_OFF);
    return add_warning(options, argument, argument + 2, WARNING_ON);
}

enum option_result options_take(struct options *options, const char *argument)
{
    const char *value = behind(argument, "--diagnostics=");
    if (value) {
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) {
            fprintf(stderr, "sluicec: %s: the format is 'text' or 'json'\n", argument);
            return OPTION_WRONG;
        }
        options->format = *value == 'j' ? DIAGNOSTIC_JSON : DIAGNOSTIC_TEXT;
        return OPTION_TAKEN;
    }
    if (strcmp(argument, "--strict") == 0) {
        options->strict = true;
        return OPTION_TAKEN;
    }
    return behind(argument, "-W") ? take_warning(options, argument) : OPTION_UNKNOWN;
}

void options_apply(const struct options *options, struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < options->warning_count; i++)
        diagnostics_set_warning(diagnostics, options->warnings[i].name,
                                options->warnings[i].level);
    diagnostics_set_strict(diagnostics, options->strict);
}

void options_free(struct options *options)
{
    free(options->warnings);
    *options = (struct options){0};
}
