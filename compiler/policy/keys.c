#include "compiler/policy/keys.h"

#include <string.h>

const struct key_definition key_definitions[KEY_COUNT] = {
#define ATTRIBUTE(identifier, key, where, form) [KEY_##identifier] = {key, where, FORM_##form},
#include "grammar/attributes.def"
};

static const struct {
    const char *prefix;
    enum attribute_key key;
    enum key_place place;
} families[] = {
#define ATTRIBUTE(identifier, key, where, form)
#define ATTRIBUTE_FAMILY(identifier, prefix, where, form) {prefix, KEY_##identifier, where},
#include "grammar/attributes.def"
};

#define FAMILY_COUNT (sizeof families / sizeof families[0])

enum attribute_key key_find(const char *name, size_t length)
{
    for (size_t key = 0; key < KEY_COUNT; key++) {
        const char *candidate = key_definitions[key].name;
        if (strlen(candidate) == length && memcmp(candidate, name, length) == 0)
            return (enum attribute_key)key;
    }
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        size_t prefix = strlen(families[i].prefix);
        if (length >= prefix && memcmp(name, families[i].prefix, prefix) == 0)
            return families[i].key;
    }
    return KEY_NONE;
}

enum key_place key_place_of(enum attribute_key key)
{
    if (key < KEY_COUNT)
        return key_definitions[key].place;
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        if (families[i].key == key)
            return families[i].place;
    return IN_BOTH;
}
