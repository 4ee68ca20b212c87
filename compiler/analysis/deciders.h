/* A cheap question about a rule among others, for when the space is too large to explore: whether it decides
 * its own shortest command line. */
#ifndef SLUICE_DECIDERS_H
#define SLUICE_DECIDERS_H

#include "compiler/analysis/work.h"
#include "compiler/policy/model.h"

/* True when rules[number] takes its shortest command line and none of the rules before it does: then it is
 * reached. False says nothing. */
bool decides_its_shortest(const struct model_rule *const *rules, uint32_t number, struct work *work);

#endif
