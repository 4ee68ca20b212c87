/* Whether two rules run what they accept alike: compare.h's answers, kept, since the same few attributes
 * and confinements meet again and again. */
#ifndef SLUICE_RUNS_H
#define SLUICE_RUNS_H

#include "compiler/analysis/compare.h"
#include "compiler/analysis/number_table.h"

struct runs {
    struct arena *arena;
    struct number_table forms; /* (attributes, confinement) -> form */
    struct number_table pairs; /* (form, form) -> differ */
    bool *differ;
    size_t differ_capacity;
    struct arena *scratch;
    unsigned compared; /* since scratch is new */
};

void runs_init(struct runs *runs, struct arena *arena);
void runs_end(struct runs *runs);

/* Whether there is any change between them (compare_rules, and words that follow the host in one of them
 * and are fixed in the other). */
bool runs_differ(struct runs *runs, const struct model_rule *a, const struct model_rule *b);

/* These changes, in words. */
void runs_changes(struct changes *changes, const struct model_rule *old_rule,
                  const struct model_rule *new_rule);

#endif
