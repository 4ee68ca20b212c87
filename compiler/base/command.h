/* A subcommand of sluicec, and the exit statuses that all share. */
#ifndef SLUICE_COMMAND_H
#define SLUICE_COMMAND_H

/* Exit statuses. What else a subcommand says by its status is in its usage. */
#define EXIT_GOOD 0
#define EXIT_RULES 1 /* the rules file has errors */
#define EXIT_USAGE 2 /* wrong usage, or a tool, the disk or the set-up failed */

struct command {
    const char *name;
    /* argv[0] is the subcommand's name, argv[argc] NULL. Returns the exit status. */
    int (*run)(const struct command *command, int argc, char **argv);
    const char *usage; /* "check [OPTIONS] RULES" */
    const char *help;  /* lines for --help, each ending in '\n' */
};

/* "sluicec NAME: MESSAGE" and the usage line on standard error; returns EXIT_USAGE. */
int command_misused(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
