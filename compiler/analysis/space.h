/* The space of command lines: which sets of rules, of one policy or of two side by side, some request
 * reaches together, and by which command line.
 *
 * A rule is a sequence of token languages; requests are sequences of values. The space is explored token
 * by token, shortest first: a node is the set of places (compiler/analysis/places.h) that the arguments
 * so far can have reached, and its edges are the non-empty atoms of the Boolean algebra of the languages
 * that these wait for (every value of an atom is accepted by the same languages). Rules never multiply
 * out into one automaton, so that the cost follows what rules have in common, not what they count.
 *
 * Whoever explores says what is still worth knowing: nodes that could tell nothing new are left out.
 *
 * Answers are exact but in two cases, marked `uncertain`: values that PCRE2 decides at call time
 * (engine = pcre2) and values over the default cap (allow_max). */
#ifndef SLUICE_SPACE_H
#define SLUICE_SPACE_H

#include "compiler/analysis/command_line.h"
#include "compiler/analysis/places.h"

/* One way to the ends of some rules. The value is the space's: whoever keeps a way copies it
 * (space_way_keep). */
struct space_way {
    uint32_t from; /* the node before the last argument */
    struct value value; /* the last argument */
    size_t length;      /* bytes of the command line, one more for each argument */
    bool uncertain; /* only a call, or a longer value than is shown, could tell whether there is one */
};

/* Whether a way is better than another: certain ones are, then shorter ones. */
bool space_way_is_better(const struct space_way *way, const struct space_way *than);

/* The way with its value in `arena`. */
struct space_way space_way_keep(struct arena *arena, const struct space_way *way);

/* What reads the space. */
struct space_reader {
    void *context;
    /* All rules, ascending, that one command line reaches the ends of. Called for every such set, maybe
     * more than once; the ways come almost, but not quite, shortest first. Returns what it did, in steps. */
    uint64_t (*ends)(void *context, const uint32_t *rules, size_t count, const struct space_way *way);
    /* Whether command lines beyond `count` places (numbers, ascending), all of them longer than `length`,
     * could tell something new. *steps is what it took to know. */
    bool (*matters)(void *context, const struct places *places, const uint32_t *numbers, size_t count,
                    size_t length, uint64_t *steps);
    /* Of several rules of one side with the same residual only the first is of interest. `side`: by rule. */
    const uint8_t *side; /* NULL: all are */
};

struct space;

/* `rules` are in order: earlier ones decide before later ones of the same side. They, and `work`, must
 * live as long as the space. */
struct space *space_new(const struct model_rule *const *rules, size_t rule_count, struct work *work);
void space_free(struct space *space);

/* Explores. False when a limit was met: there may be more. */
bool space_explore(struct space *space, const struct space_reader *reader);

/* After a limit was met: which, and the rules that stand at the place where it was, ascending. All in
 * `arena`. */
struct space_limit {
    const char *text; /* "it takes over 2000 million steps" */
    const uint32_t *rules;
    size_t rule_count;
};
struct space_limit space_limit(const struct space *space, struct arena *arena);

/* The command line of a way, in `arena`. */
struct command_line space_command_line(const struct space *space, struct arena *arena,
                                       const struct space_way *way);

#endif
