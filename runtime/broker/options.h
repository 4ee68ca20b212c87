/* The command line of a broker.
 *
 * Owns: what the words mean, and the texts of --help and --version. Never: opens, reads or checks
 * anything that the words name. */
#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum options_command {
    COMMAND_SERVE,
    COMMAND_MATCH,
    COMMAND_LIST,
    COMMAND_POLICY,
    COMMAND_CHECK_HOST,
    COMMAND_VERSION,
    COMMAND_HELP,
};

struct options {
    enum options_command command;
    const char *socket;   /* --socket; NULL: not given */
    int ready_descriptor; /* --ready-fd; -1: not given */
    int resume;           /* --resume, from the broker to its successor: where the state is; -1 */
    bool json;
    const char *const *arguments; /* of match: argv of the request */
    uint32_t argument_count;
    /* check-host --takes-over FORMAT, from a broker that asks its successor whether it can read the
     * state that it would hand over; 0: not asked. */
    uint32_t takes_over;
    uint64_t inherits; /* --inherits DIGEST, with it: what that broker has given up for good; 0 */
};

/* Reads the command line. Returns NULL, or what is wrong with it: one clause that ends with the word
 * at fault, which `*word` is set to (NULL where there is none). */
const char *options_read(struct options *options, int argc, char *const *argv, const char **word);

/* --help's text. */
extern const char options_help[];

#endif
