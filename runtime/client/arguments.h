/* The command line of sluicify.
 *
 * Owns: what the words mean, the help text, and which command is meant when sluicify is called
 * through a link. Never: looks at the file system or the environment. */
#ifndef SLUICE_CLIENT_ARGUMENTS_H
#define SLUICE_CLIENT_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/shared/wire.h"

enum client_command {
    CLIENT_CALL,
    CLIENT_LIST,
    CLIENT_LAUNCH,
    CLIENT_SHIMS,
    CLIENT_HELP,
    CLIENT_VERSION,
};

struct client_arguments {
    enum client_command command;
    const char *socket; /* -s, the operand, or --launch's; NULL: not given */
    bool socket_is_operand;
    const char *directory;                     /* --shims */
    const char *working_directory;             /* -C, or "." for --cwd; NULL: not given */
    const char *variables[WIRE_VARIABLES_MAX]; /* -e: "NAME" or "NAME=value" */
    size_t variable_count;
    char *const *words; /* the command and its arguments, NULL at the end */
    size_t word_count;
};

/* Reads the command line, whose strings must outlive `arguments`. A program name (the last part of
 * argv[0]) that does not begin with "sluicify" is itself the command, and nothing is an option
 * then: argv[0] is made that part. Returns NULL, or what is wrong: a clause that ends with `*word`,
 * a word of argv, where it is not NULL.
 *
 * --list and --shims take any operand for the socket. Else options come first. The first operand
 * that follows them is the socket if it contains a '/' and neither "-s" nor "--" stands before it;
 * all else is the command. */
const char *client_arguments_read(struct client_arguments *arguments, int argc, char **argv,
                                  const char **word);

extern const char client_help[];
/* For a failure that may come from having meant the operand for the command. */
extern const char client_operand_hint[];

#endif
