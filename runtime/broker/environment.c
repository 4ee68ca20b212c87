#include "runtime/broker/environment.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/shared/utf8.h"

/* ---- entries --------------------------------------------------------------------------------- */

static bool entry_is_of(const struct policy_bytes *entry, const char *name, size_t length)
{
    return entry->length > length && entry->bytes[length] == '=' &&
           memcmp(entry->bytes, name, length) == 0;
}

/* Adds "NAME=value", in place of an earlier entry of that name. */
static bool environment_put(struct environment *environment, const char *entry, size_t length,
                            size_t name_length)
{
    uint32_t place = 0;
    while (place < environment->count &&
           !entry_is_of(&environment->entries[place], entry, name_length))
        place++;
    if (place == ENVIRONMENT_ENTRIES_MAX)
        return false;
    environment->entries[place] = (struct policy_bytes){entry, (uint32_t)length};
    if (place == environment->count)
        environment->count++;
    return true;
}

/* The same for a name and a value that have yet to be put together. */
static bool environment_put_value(struct environment *environment, const char *name,
                                  const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    size_t length = name_length + 1 + value_length;
    if (length + 1 > environment->capacity - environment->used)
        return false;
    char *entry = environment->storage + environment->used;
    memcpy(entry, name, name_length);
    entry[name_length] = '=';
    memcpy(entry + name_length + 1, value, value_length + 1);
    environment->used += length + 1;
    return environment_put(environment, entry, length, name_length);
}

/* ---- from the rule --------------------------------------------------------------------------- */

const char *environment_exec_path(const struct policy_attributes *attributes, const char *path)
{
    if (attributes->exec_path != NULL)
        return attributes->exec_path;
    return path != NULL ? path : "";
}

static bool environment_put_rule(struct environment *environment,
                                 const struct policy_variable *variable, char *const *broker)
{
    if (strcmp(variable->name, "PATH") == 0)
        return true;
    if (variable->value != NULL)
        return environment_put_value(environment, variable->name, variable->value);
    size_t length = strlen(variable->name);
    for (; *broker != NULL; broker++)
        if (strncmp(*broker, variable->name, length) == 0 && (*broker)[length] == '=')
            return environment_put(environment, *broker, strlen(*broker), length);
    return true;
}

size_t environment_storage_needed(const struct policy *policy, const char *path)
{
    size_t most = 0;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_attributes *attributes = policy->rules[i].attributes;
        size_t needed = strlen("PATH=") + strlen(environment_exec_path(attributes, path)) + 1;
        for (uint32_t j = 0; j < attributes->environment_count; j++) {
            const struct policy_variable *variable = &attributes->environment[j];
            if (variable->value != NULL)
                needed += strlen(variable->name) + 1 + strlen(variable->value) + 1;
        }
        most = needed > most ? needed : most;
    }
    return most;
}

/* ---- from the caller ------------------------------------------------------------------------- */

static bool value_has_control(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t scalar;
        size_t taken = utf8_read(bytes + i, length - i, &scalar);
        if (taken == 0 || utf8_is_control(scalar))
            return true;
        i += taken;
    }
    return false;
}

static bool value_is_accepted(const struct policy_caller_variable *variable, const char *value,
                              uint32_t length)
{
    if (variable->accept != NULL)
        return variable->accept(value, length) == POLICY_YES;
    return !value_has_control(value, length);
}

static const struct policy_caller_variable *
variable_find(const struct policy_attributes *attributes, const struct policy_bytes *name)
{
    for (uint32_t i = 0; i < attributes->caller_environment_count; i++) {
        const struct policy_caller_variable *variable = &attributes->caller_environment[i];
        if (strlen(variable->name) == name->length &&
            memcmp(variable->name, name->bytes, name->length) == 0)
            return variable;
    }
    return NULL;
}

/* Whether one of the `count` entries is of this name. */
static bool name_is_among(const struct policy_bytes *entries, uint32_t count,
                          const struct policy_bytes *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (entry_is_of(&entries[i], name->bytes, name->length))
            return true;
    return false;
}

static enum environment_result environment_put_caller(struct environment *environment,
                                                      const struct policy_attributes *attributes,
                                                      const struct policy_bytes *caller,
                                                      uint32_t index, struct policy_bytes *refused)
{
    const struct policy_bytes *entry = &caller[index];
    const char *equals = memchr(entry->bytes, '=', entry->length);
    struct policy_bytes name = {entry->bytes, entry->length};
    if (equals != NULL)
        name.length = (uint32_t)(equals - entry->bytes);
    *refused = name;

    const struct policy_caller_variable *variable = variable_find(attributes, &name);
    if (equals == NULL || variable == NULL || strcmp(variable->name, "PATH") == 0 ||
        name_is_among(caller, index, &name))
        return ENVIRONMENT_NOT_ALLOWED;
    if (!value_is_accepted(variable, equals + 1, entry->length - name.length - 1))
        return ENVIRONMENT_VALUE;
    return environment_put(environment, entry->bytes, entry->length, name.length)
               ? ENVIRONMENT_OK
               : ENVIRONMENT_TOO_MANY;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum environment_result environment_build(struct environment *environment,
                                          const struct policy_attributes *attributes,
                                          char *const *broker, const char *path,
                                          const struct policy_bytes *caller, uint32_t caller_count,
                                          struct policy_bytes *refused)
{
    environment->count = 0;
    environment->used = 0;
    if (!environment_put_value(environment, "PATH", environment_exec_path(attributes, path)))
        return ENVIRONMENT_TOO_MANY;
    for (uint32_t i = 0; i < attributes->environment_count; i++)
        if (!environment_put_rule(environment, &attributes->environment[i], broker))
            return ENVIRONMENT_TOO_MANY;
    for (uint32_t i = 0; i < caller_count; i++) {
        enum environment_result result =
            environment_put_caller(environment, attributes, caller, i, refused);
        if (result != ENVIRONMENT_OK)
            return result;
    }
    return ENVIRONMENT_OK;
}
