/* The attributes in force: those of `defaults:`, and over them a rule's own. Internal to
 * compiler/policy.
 *
 * Owns the reading of every attribute's value and the inheritance from defaults. What the values
 * mean together (what a filter needs, what excludes what) is for attributes.c and confinement.c. */
#ifndef SLUICE_SETTINGS_H
#define SLUICE_SETTINGS_H

#include "compiler/policy/check.h"

/* A name of env_from_caller. */
struct caller_name {
    const char *name;
    struct span span;
};

struct user_list {
    struct policy_user *items;
    size_t count;
};

struct variable_list {
    struct policy_variable *items;
    struct span *places;
    size_t count;
};

/* Paths, sets and slots of one fs_* key. A list that adds to the defaults' leads to theirs: twenty
 * thousand rules may add to a long one. */
struct grant_list {
    bool set; /* the key is given (and not `inherit`): an empty list confines as well */
    struct policy_grant *items;
    size_t count;
    const struct grant_list *inherited;
};

struct deny_list {
    struct policy_template *items;
    size_t count;
    const struct deny_list *inherited;
};

struct port_list {
    uint16_t *items; /* sorted, each once */
    size_t count;
};

/* The lines `env.NAME` of one stanza about one variable, and what they were found to accept. */
struct caller_lines {
    const char *key; /* "env.NAME" */
    const struct tree_attribute **items;
    size_t count, capacity;
    bool read, good;
    const struct model_language *language;
    const char *description;
};

/* All of one stanza, by key, in the file's order. */
struct caller_table {
    struct table table;
    struct caller_lines **items;
    size_t count, capacity;
};

enum network { NETWORK_INHERIT, NETWORK_NONE, NETWORK_PORTS };

struct settings {
    const struct settings *defaults; /* NULL in defaults themselves */
    /* Values of the forms duration (milliseconds; cpu_time: seconds), size, number, octal, choice,
     * choices (a mask), network and syscalls (the base), by key. */
    uint64_t number[KEY_COUNT];
    /* Where the value in force is written; SPAN_NONE: nowhere, it is the language's default. */
    struct span place[KEY_COUNT];

    struct policy_template cwd, stdoutfile, stderrfile, logfile, socket;
    const char *exec_path; /* NULL: inherit */
    struct variable_list environment;
    struct user_list users;

    struct caller_name *caller_names;
    size_t caller_name_count;
    struct caller_table caller_lines;         /* env.NAME of this stanza */
    const struct caller_table *default_lines; /* env.NAME of defaults, for a rule */
    struct caller_lines *caller_cwd;          /* cwd_from_caller; NULL: not accepted */

    struct grant_list grants[3]; /* by enum policy_access */
    struct deny_list denies;
    struct port_list connect, bind;
    struct model_syscall_change *changes; /* sorted by name */
    size_t change_count;
};

/* What is in force where nothing is said. */
void settings_initial(struct settings *settings);

/* What is in force on a rule that says nothing: the defaults'. */
void settings_inherit(struct settings *settings, const struct settings *defaults);

/* One attribute of a stanza that is neither a slot's pattern nor a slot list. `rule` is the rule
 * it stands on, NULL in defaults. False when it is wrong (reported); the settings are as before
 * then. */
bool settings_apply(struct check *check, struct settings *settings, enum attribute_key key,
                    const struct tree_attribute *attribute, const struct rule_draft *rule);

/* ---- parts of settings_apply, one for each family of keys -------------------------------- */

/* FORM_DURATION, FORM_SIZE, FORM_NUMBER, FORM_OCTAL, FORM_CHOICE, FORM_CHOICES. */
bool settings_scalar(struct check *check, struct settings *settings, enum attribute_key key,
                     const struct tree_value *value);
void settings_initial_scalars(struct settings *settings);

/* The word of a choice, or the words of a mask ("control, shell"; "none"). */
const char *settings_words(struct arena *arena, enum attribute_key key, uint64_t value);

/* "@system" and its like. */
const char *settings_set_name(enum policy_path_set set);

/* env, env_from_caller. */
bool settings_environment(struct check *check, struct settings *settings,
                          const struct tree_value *value);
bool settings_caller_names(struct check *check, struct settings *settings,
                           const struct tree_value *value);

/* allow_uid. */
bool settings_users(struct check *check, struct settings *settings, const struct tree_value *value);

/* fs_read, fs_exec, fs_write; fs_deny; net; syscalls. */
bool settings_grants(struct check *check, struct settings *settings, enum attribute_key key,
                     const struct tree_value *value, const struct rule_draft *rule);
bool settings_denies(struct check *check, struct settings *settings,
                     const struct tree_value *value);
bool settings_network(struct check *check, struct settings *settings,
                      const struct tree_value *value);
bool settings_syscalls(struct check *check, struct settings *settings,
                       const struct tree_value *value);

#endif
