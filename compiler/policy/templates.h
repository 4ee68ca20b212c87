/* Path templates: `$HOME`, `$XDG_...` and `#$call` in paths. Internal to compiler/policy. */
#ifndef SLUICE_TEMPLATES_H
#define SLUICE_TEMPLATES_H

#include "compiler/policy/check.h"

enum template_values {
    TEMPLATE_OF_BROKER, /* the broker's environment alone */
    TEMPLATE_OF_CALL,   /* and `#$call`, `#$pid`, ... */
};

/* Reads a path: absolute (it begins with `/` or a variable of the list), without a component `..`.
 * `key` is for errors. */
bool template_parse(struct check *check, const char *key, const struct tree_value *value,
                    enum template_values values, struct policy_template *path);

/* The expansion of a rule line's literal that begins with `$HOME/`: the home directory, then the
 * rest of the literal. */
struct policy_template template_home_literal(struct arena *arena, const char *literal,
                                             size_t length);

/* As written: "$HOME/x/#$call". For people and for keys: equal templates have equal texts. */
const char *template_text(struct arena *arena, const struct policy_template *path);

/* The length of a variable reference at a `$` (`$NAME`, `${...}`), 0 when the `$` is a literal. */
size_t template_variable_length(const char *text, size_t length);

#endif
