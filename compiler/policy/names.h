/* Named patterns: the `patterns:` stanzas. Internal to compiler/policy.
 *
 * Names are global to the file and may be used before they are defined. A name of the standard set
 * cannot be defined again: `@gitref` means the same in every rules file. */
#ifndef SLUICE_NAMES_TABLE_H
#define SLUICE_NAMES_TABLE_H

#include "compiler/policy/check.h"

enum name_state { NAME_UNREAD, NAME_ACTIVE, NAME_READ, NAME_FAILED };

struct named_pattern {
    const char *name;
    const struct tree_attribute *definition;
    enum name_state state;
    const struct pattern *tree; /* NAME_READ */
    size_t depth;               /* of the names that it uses: 0 when it uses none */
};

/* Collects the definitions of every `patterns:` stanza and reads each. */
void names_collect(struct check *check);

/* The user's names, as pattern_parse asks for them. When one cannot be given because its own
 * definition is wrong, check->poisoned is set: the user of the name is not to be blamed. */
struct pattern_names names_of(struct check *check);

/* The definition that `@name` stands for, or NULL. */
const struct tree_attribute *names_definition(struct check *check, const char *name,
                                              size_t length);

#endif
