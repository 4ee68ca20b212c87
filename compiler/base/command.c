#include "compiler/base/command.h"

#include <stdarg.h>
#include <stdio.h>

int command_misused(const struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "sluicec %s: ", command->name);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nusage: sluicec %s\n", command->usage);
    return EXIT_USAGE;
}
