/* The attribute keys of the rules language, from grammar/attributes.def: what there is, where each
 * may stand, and what form its value has. */
#ifndef SLUICE_KEYS_H
#define SLUICE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum attribute_key {
#define ATTRIBUTE(identifier, key, where, form) KEY_##identifier,
#include "grammar/attributes.def"
    KEY_COUNT,
    KEY_ENV_PATTERN, /* env.NAME */
    KEY_NONE,        /* no attribute's name */
};

enum key_place { IN_DEFAULTS = 1, IN_RULE = 2, IN_BOTH = 3 };

enum value_form {
    FORM_DURATION,
    FORM_SIZE,
    FORM_NUMBER,
    FORM_OCTAL,
    FORM_CHOICE,
    FORM_CHOICES,
    FORM_PATH,
    FORM_TEMPLATE,
    FORM_SEARCH_PATH,
    FORM_ENVIRONMENT,
    FORM_VARIABLES,
    FORM_PATTERN,
    FORM_USERS,
    FORM_GRANTS,
    FORM_NETWORK,
    FORM_SYSCALLS,
    FORM_SLOTS,
    FORM_SLOT_SIZES,
    FORM_ENGINE,
};

struct key_definition {
    const char *name;
    enum key_place place;
    enum value_form form;
};

/* Indexed by key, below KEY_COUNT. */
extern const struct key_definition key_definitions[KEY_COUNT];

/* The key of that name: KEY_ENV_PATTERN for `env.` and anything behind it, KEY_NONE when there is
 * none. */
enum attribute_key key_find(const char *name, size_t length);

/* Where a key may stand. Not for KEY_NONE. */
enum key_place key_place_of(enum attribute_key key);

#endif
